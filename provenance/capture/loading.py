"""Loads the hook's modules out of its one file, safely for threads: the hook imports in several, while the job runs.

The interpreter's own importer of zips is not safe. Before Python 3.10 it puts a module into `sys.modules` before it has run, without the mark
that others have to wait for it: a second thread that imports it at that moment gets half a module. From 3.8 on, two threads that
decompress at once may be told that there is no zlib. Source: importlib, `Loader.exec_module` (PEP 451); Lib/zipimport.py.
"""

import _thread
import sys
import zipimport

_PACKAGE = "provenance"
_decompressing = _thread.allocate_lock()


class _Loader:
    """Runs a module's code; the import system makes the module, and holds its lock meanwhile."""

    def __init__(self, importer):
        self._importer = importer

    def create_module(self, _spec):
        return None

    def exec_module(self, module):
        with _decompressing:
            code = self._importer.get_code(module.__name__)
        exec(code, module.__dict__)  # noqa: S102 - what an importer does


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
    """Have the hook's modules loaded that way from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
