"""Loads the hook's modules out of its one file, safely for threads.

Before Python 3.10 the interpreter's own importer of zips puts a module into `sys.modules` before it has run, without the mark that
others have to wait for it: a second thread that imports it at that moment gets half a module. The hook imports in several threads, while
the job runs, so it brings a loader of its own, of the kind that the import system locks. Source: importlib, `Loader.exec_module` (PEP 451).
"""

import sys
import zipimport

_PACKAGE = "provenance"
_SAFE_SINCE = (3, 10)


class _Loader:
    """Runs a module's code; the import system makes the module, and holds its lock meanwhile."""

    def __init__(self, importer):
        self._importer = importer

    def create_module(self, _spec):
        return None

    def exec_module(self, module):
        exec(self._importer.get_code(module.__name__), module.__dict__)  # noqa: S102 - what an importer does

    def get_data(self, path):
        return self._importer.get_data(path)


class _Finder:
    """Finds the hook's own modules; all others are left to the interpreter."""

    def find_spec(self, name, path=None, _target=None):
        if not name.startswith(_PACKAGE + ".") or not path:
            return None
        for place in path:
            try:
                importer = zipimport.zipimporter(place)
                is_package = importer.is_package(name)
            except (zipimport.ZipImportError, OSError):
                continue
            spec = type(sys.modules[_PACKAGE].__spec__)(name, _Loader(importer), is_package=is_package)
            if is_package:
                spec.submodule_search_locations = ["{}/{}".format(place, name.rpartition(".")[2])]
            return spec
        return None


def install():
    """Have the hook's modules loaded that way, where the interpreter's own is not safe."""
    if sys.version_info < _SAFE_SINCE and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
