"""Loads the hook's modules out of its one file.

Whole ones in every thread, also when the file is replaced while the job runs.

Python's own importer of zips does neither. Before 3.10 it puts a module into `sys.modules` before
it has run, without the mark that others have to wait for it, so that a second thread gets half a
module; from 3.8 on, two threads that decompress at once may be told that there is no zlib; and it
reads the file again for each module. So the file is read once, at the start. Source: importlib,
`Loader.exec_module` (PEP 451); APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.16.
"""

import sys
import zlib

_HEADER, _LISTED, _END = (
    30,
    46,
    22,
)  # bytes of a local header and of one in the directory, before the name; of what ends the file
_RAW_DEFLATE = -15


class _Loader:
    """Runs a module's code; the import system makes the module, and holds its lock meanwhile.

    Its package gets to know it here: the import system does so only when it has let the others go
    on.
    """

    def __init__(self, code):
        self._code = code

    def create_module(self, _spec):
        return None

    def exec_module(self, module):
        exec(self._code(), module.__dict__)  # noqa: S102 - what an importer does
        package, _, name = module.__name__.rpartition(".")
        if package:
            setattr(sys.modules[package], name, module)


class _Finder:
    """Finds the hook's own modules; all others are left to the interpreter."""

    def __init__(self, archive):
        with open(archive, "rb") as stream:
            self._content = stream.read()
        self._archive, self._places = archive, dict(self._read_directory())

    def find_spec(self, name, _path=None, _target=None):
        inside = name.replace(".", "/") + ".py"
        if inside not in self._places:
            return None
        return type(__spec__)(
            name, _Loader(lambda: self._code(inside)), origin=self._archive + "/" + inside
        )

    def _read_directory(self):
        """Yield (name in the file, (whether it is packed, bytes, place of its header))."""
        end = len(self._content) - _END
        at = self._number(end + 16, 4)
        for _ in range(self._number(end + 10, 2)):
            name_at, length = at + _LISTED, self._number(at + 28, 2)
            name = self._content[name_at : name_at + length].decode("ascii")
            yield (
                name,
                (self._number(at + 10, 2) != 0, self._number(at + 20, 4), self._number(at + 42, 4)),
            )
            at = name_at + length + self._number(at + 30, 2) + self._number(at + 32, 2)

    def _code(self, inside):
        is_packed, size, at = self._places[inside]
        at += _HEADER + self._number(at + 26, 2) + self._number(at + 28, 2)
        source = self._content[at : at + size]
        path = self._archive + "/" + inside
        return compile(
            zlib.decompress(source, _RAW_DEFLATE) if is_packed else source,
            path,
            "exec",
            dont_inherit=True,
        )

    def _number(self, at, size):
        return int.from_bytes(self._content[at : at + size], "little")


def install():
    """Have the hook's modules loaded that way from now on, where they come out of its one file."""
    archive = getattr(__spec__.loader, "archive", None)
    if archive is not None and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(archive))
