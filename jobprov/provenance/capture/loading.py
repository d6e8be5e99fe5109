"""Loads the hook's modules out of its one file.

Whole modules in every thread, even when the file is replaced.

Python's own importer of zips does neither. Before 3.10 it puts a module into `sys.modules` before
it has run, without the mark that makes other threads wait, so that a second thread gets half a
module. From 3.8 on, two threads that decompress at once may be told that there is no zlib. And it
reads the file again for each module, so that a hook that is replaced while a job runs breaks. Here
the file is read once, at the start.

In the file the modules lie together, packed in two parts (`packing.folded`): one by one they would
take a third more. A job waits until this module is compiled, so it is short.

Source: importlib, `Loader.exec_module` (PEP 451).
"""

import sys
import zlib
from typing import Any, Callable, Dict

_RAW_DEFLATE, _WINDOW = -15, 32768
_FIRST, _LATER = "first", "later"


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

    def __init__(self, archive: str, first: bytes, later: bytes) -> None:
        self._archive, self._first, self._later = archive, unpacked(first), later
        self._sources = sources_in(self._first)

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        if not name.startswith(__package__ + "."):
            return None
        module = name.replace(".", "/") + ".py"
        package = name.replace(".", "/") + "/__init__.py"
        later = self._later  # another thread may take it at this moment, too
        if later and module not in self._sources and package not in self._sources:
            self._sources.update(sources_in(unpacked(later, self._first)))
            self._later = b""
        is_package = package in self._sources
        source = self._sources.get(package if is_package else module)
        if source is None:
            return None
        origin = "{}/{}".format(self._archive, package if is_package else module)
        loader = _Loader(lambda: compile(source, origin, "exec", dont_inherit=True))
        make_spec: Any = type(__spec__)
        return make_spec(name, loader, origin=origin, is_package=is_package)


def unpacked(part: bytes, earlier: bytes = b"") -> bytes:
    """Return the text of a part; the second one refers to the end of the first."""
    return zlib.decompressobj(_RAW_DEFLATE, earlier[-_WINDOW:]).decompress(part)


def sources_in(text: bytes) -> Dict[str, bytes]:
    """Return the sources of a part's text, by name in the hook; `packing.fold` tells its form."""
    folder = __package__.replace(".", "/") + "/"
    sources = {}
    for named in text.split(b"\0"):
        name, _, source = named.partition(b"\n")
        sources[folder + name.decode()] = source
    return sources


def install() -> None:
    """From now on load the hook's modules this way, where they come out of its one file."""
    loader: Any = __spec__.loader
    finders: Any = sys.meta_path
    if hasattr(loader, "archive") and not any(type(finder) is _Finder for finder in finders):
        parts = [loader.get_data("{}/{}".format(loader.archive, part)) for part in (_FIRST, _LATER)]
        finders.insert(0, _Finder(loader.archive, *parts))
