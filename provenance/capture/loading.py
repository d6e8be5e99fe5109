"""Loads the hook's modules out of its one file.

Whole modules in every thread, even when the file is replaced.

Python's own importer of zips does neither. Before 3.10 it puts a module into `sys.modules` before
it has run, without the mark that makes other threads wait, so that a second thread gets half a
module. From 3.8 on, two threads that decompress at once may be told that there is no zlib. And it
reads the file again for each module, so that a hook that is replaced while a job runs breaks. Here
the file is read once, at the start.

Source: importlib, `Loader.exec_module` (PEP 451); APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.16.
"""

import sys
import zlib
from typing import Any, Callable, Iterator, Optional, Tuple

_HEADER_BYTES = 30  # of a member's header, before its name
_LISTED_BYTES = 46  # of an entry in the directory, before its name
_END_BYTES = 22  # of what ends the file
_RAW_DEFLATE = -15


class _Loader:
    """Runs a module's code; the import system makes the module, and holds its lock meanwhile.

    The package gets to know the module here: the import system sets that attribute only after it
    lets others go on.
    """

    def __init__(self, code: Callable[[], Any]) -> None:
        self._code = code

    def create_module(self, _spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        exec(self._code(), module.__dict__)  # noqa: S102 - what an importer does
        package, _, name = module.__name__.rpartition(".")
        if package:
            setattr(sys.modules[package], name, module)


class _Finder:
    """Finds the hook's own modules; all others are left to the interpreter."""

    def __init__(self, archive: str) -> None:
        with open(archive, "rb") as stream:
            self._content = stream.read()
        self._archive = archive
        self._members = dict(self._read_directory())

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        folder = name.replace(".", "/")
        is_package = folder + "/__init__.py" in self._members
        member = folder + "/__init__.py" if is_package else folder + ".py"
        if member not in self._members:
            return None
        loader = _Loader(lambda: self._code(member))
        make_spec: Any = type(__spec__)
        return make_spec(name, loader, origin=self._archive + "/" + member, is_package=is_package)

    def _read_directory(self) -> Iterator[Tuple[str, Tuple[bool, int, int]]]:
        """Yield (name in the file, (whether it is packed, its bytes, place of its header))."""
        end = len(self._content) - _END_BYTES
        at = self._number(end + 16, 4)
        for _ in range(self._number(end + 10, 2)):
            name_at, length = at + _LISTED_BYTES, self._number(at + 28, 2)
            name = self._content[name_at : name_at + length].decode("ascii")
            is_packed = self._number(at + 10, 2) != 0
            yield name, (is_packed, self._number(at + 20, 4), self._number(at + 42, 4))
            at = name_at + length + self._number(at + 30, 2) + self._number(at + 32, 2)

    def _code(self, member: str) -> Any:
        is_packed, size, at = self._members[member]
        at += _HEADER_BYTES + self._number(at + 26, 2) + self._number(at + 28, 2)
        source = self._content[at : at + size]
        if is_packed:
            source = zlib.decompress(source, _RAW_DEFLATE)
        return compile(source, self._archive + "/" + member, "exec", dont_inherit=True)

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._content[at : at + size], "little")


def install() -> None:
    """From now on load the hook's modules this way, where they come out of its one file."""
    loader = __spec__.loader
    archive: Optional[str] = getattr(loader, "archive", None)
    finders: Any = sys.meta_path
    if archive is not None and not any(isinstance(finder, _Finder) for finder in finders):
        finders.insert(0, _Finder(archive))
