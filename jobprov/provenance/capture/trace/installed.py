"""Which files belong to a Python that is installed, and to the distributions in its site-packages.

Sources: `pyvenv.cfg` (PEP 405), conda's `conda-meta`, `RECORD` (PEP 376 and 627), `top_level.txt`.
"""

import os
import re
from typing import Dict, List, Set

from jobprov.provenance.capture.command import arguments

_VIRTUAL, _CONDA = "pyvenv.cfg", "conda-meta"
_SITE = re.compile(r"(.*/(?:site|dist)-packages)(?:/([^/]*))?")
_OF_INSTALLERS = (".dist-info", ".egg-info", ".egg", "__pycache__")
_MOST_DISTRIBUTIONS = 1000


class Installed:
    """Tells it of one path after the other, and remembers the folders."""

    def __init__(self) -> None:
        self._roots: Dict[str, bool] = {}
        self._owned: Dict[str, Set[str]] = {}

    def has(self, path: str) -> bool:
        """Tell whether a file came with a Python or with a distribution."""
        site = _SITE.match(path)
        if site is None:
            return self._is_below_root(os.path.dirname(path)) or self._is_tool(path)
        name = site.group(2) or ""
        if name.endswith(".pth") and self._is_below_root(site.group(1)):
            return True  # whoever installed that Python put it there
        return not name or name.endswith(_OF_INSTALLERS) or name in self._names_in(site.group(1))

    def _is_below_root(self, folder: str) -> bool:
        if folder not in self._roots:
            parent = os.path.dirname(folder)
            # "/" has a Python, and is none
            is_below = parent != folder and (self._is_below_root(parent) or _is_root(folder))
            self._roots[folder] = is_below
        return self._roots[folder]

    def _is_tool(self, path: str) -> bool:
        """Tell whether a distribution put a program beside its site-packages (`~/.local/bin`)."""
        folder = os.path.dirname(path)
        if os.path.basename(folder) != "bin":
            return False
        library = os.path.join(os.path.dirname(folder), "lib")
        tool = "bin/" + os.path.basename(path)
        pythons = [name for name in _names(library) if name.startswith("python")]
        sites = [os.path.join(library, name, "site-packages") for name in pythons]
        return any(tool in self._names_in(site) for site in sites)

    def _names_in(self, site: str) -> Set[str]:
        """Return what distributions own: the first names in their folder, and `bin/NAME`."""
        if site not in self._owned:
            self._owned[site] = owned = set()
            found = [name for name in _names(site) if name.endswith((".dist-info", ".egg-info"))]
            for name in found[:_MOST_DISTRIBUTIONS]:
                folder = os.path.join(site, name)
                for line in _lines(os.path.join(folder, "RECORD")):
                    owned.add(_owned_name(line.split(",")[0]))
                for line in _lines(os.path.join(folder, "top_level.txt")):
                    owned.update([line, line + ".py"])
        return self._owned[site]


def _owned_name(path: str) -> str:
    parts = path.strip('"').split("/")
    if parts[0] == "..":
        return "/".join(parts[-2:])
    return parts[0]


def _is_root(folder: str) -> bool:
    """Tell whether a folder has a Python of its own.

    The few files of a virtual environment that links to the Python of the system can be kept.
    """
    python = os.path.join(folder, "bin", "python3")
    if os.path.exists(os.path.join(folder, _VIRTUAL)):
        return not arguments.is_system(os.path.realpath(python))
    if os.path.exists(os.path.join(folder, _CONDA)):
        return True
    if not os.path.exists(python):
        return False
    library = os.path.join(folder, "lib")
    pythons = [name for name in _names(library) if name.startswith("python3")]
    return any(os.path.isfile(os.path.join(library, name, "os.py")) for name in pythons)


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().splitlines()
    except OSError:
        return []
