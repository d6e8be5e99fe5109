"""The include closure of an fcl file: every file that art opens, with its exact bytes.

It follows the reference includer (fhicl-cpp's `intermediate_table` reading, as facts of its
behaviour): the main file is looked up in "./" and then in FHICL_FILE_PATH, absolute names as they
are; included files in FHICL_FILE_PATH only, even absolute ones, which are glued behind each folder.
Values are not evaluated here; the service does that.
"""

import os
import re
from typing import TYPE_CHECKING, Dict, Iterable, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.files import regular
from jobprov.provenance.capture.record.json_objects import Entry

if TYPE_CHECKING:  # few jobs have so many folders
    from jobprov.provenance.capture.files.listings import Listings

_INCLUDE = re.compile(rb"^#include \"(.+)\"$", re.DOTALL)
_MOST_FILES, _MOST_PROBLEMS = 5000, 20
# So many times a folder is asked for a name, at most, before all folders are listed instead
_FOLDERS_ASKED = 3000


class Closure:
    """Opens one configuration, of a program that runs in a folder, or in ours.

    Attributes:
        files: record entries (name, path, found_in), in the order first opened, each once.
        contents: path -> bytes.
        problems: sentences about what art will not find either.
        main: path of the main file, or None.
    """

    def __init__(self, main: str, search_path: Sequence[str], folder: str = "") -> None:
        self.search_path, self._folder = search_path, folder
        self.files: List[Entry] = []
        self.contents: Dict[str, bytes] = {}
        self.problems: List[str] = []
        self._wanted = 0  # names that files read so far include
        self._found: Dict[str, Tuple[Optional[str], Optional[int]]] = {}
        self._listings: "Optional[Listings]" = None
        # path as opened -> included names, each file read once
        self._includes: Dict[str, List[str]] = {}
        self.main, index = self._locate_main(main)
        if self.main is None:
            self.problems.append("fcl file {} is neither here nor in FHICL_FILE_PATH".format(main))
            return
        self._open(main, self.main, index)
        self._follow(self.main)

    def main_content(self) -> bytes:
        """Return the bytes of the main file; none where it cannot be read."""
        return self.contents.get(shown(self.main or ""), b"")

    def _follow(self, main: str) -> None:
        """Walk the includes depth first, as the includer does.

        Without recursion, since names come from files.
        """
        stack = [iter(self._includes[main])]
        while stack and len(self.files) < _MOST_FILES:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                continue
            path, index = self.find(name)
            if path is None:
                self._add_problem('include "{}" is not in FHICL_FILE_PATH'.format(name))
            elif path not in self._includes:
                self._open(name, path, index)
                stack.append(iter(self._includes[path]))

    def _open(self, name: str, path: str, index: Optional[int]) -> None:
        self._includes[path] = []
        try:
            content = regular.read(path)
        except OSError as error:
            self._add_problem("fcl file {} cannot be read: {}".format(path, error.strerror))
            return
        if content is None:  # a folder, which art opens too, and finds no lines in
            return
        entry: Entry = {"name": name, "path": shown(path)}
        if index is not None:
            entry["found_in"] = index
        self.files.append(entry)
        self.contents[entry["path"]] = content
        self._includes[path] = included_names(content)
        self._wanted += len(self._includes[path])

    def _locate_main(self, name: str) -> Tuple[Optional[str], Optional[int]]:
        if name.startswith("/"):
            return (name if os.path.exists(name) else None), None
        path = self._placed("./" + name)
        if os.path.exists(path):
            return path, None
        return self.find(name)

    def find(self, name: str) -> Tuple[Optional[str], Optional[int]]:
        """Return (path, place of its folder in the search path), None where nothing is found."""
        if name not in self._found:
            self._found[name] = self._look_for(name)
        return self._found[name]

    def _look_for(self, name: str) -> Tuple[Optional[str], Optional[int]]:
        for index in self._places_of(name):
            path = self._placed(re.sub("/+", "/", self.search_path[index] + "/" + name))
            if os.path.exists(path):
                return path, index
        return None, None

    def _places_of(self, name: str) -> Iterable[int]:
        """Return the places of the folders that may hold a name."""
        if self._listings is None:
            if self._wanted * len(self.search_path) <= _FOLDERS_ASKED:
                return range(len(self.search_path))
            from jobprov.provenance.capture.files.listings import Listings  # noqa: PLC0415

            self._listings = Listings([self._placed(folder) for folder in self.search_path])
        return self._listings.places_of(name)

    def _placed(self, path: str) -> str:
        """Return a path as it counts in the program's folder."""
        return os.path.join(self._folder, shown(path)) if self._folder else path

    def _add_problem(self, sentence: str) -> None:
        if sentence not in self.problems and len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(sentence)


def shown(path: str) -> str:
    """Return a path as the record has it."""
    return path[2:] if path.startswith("./") else path


def search_path(environment: Dict[str, str]) -> List[str]:
    """Return the folders of FHICL_FILE_PATH.

    Empty components drop out, unset means the working folder, as in art.
    """
    if "FHICL_FILE_PATH" not in environment:
        return ["."]
    return [folder for folder in environment["FHICL_FILE_PATH"].split(":") if folder]


def included_names(content: bytes) -> List[str]:
    """Return the names that a file's `#include` lines ask for.

    Malformed lines, which art refuses, give none.
    """
    if b"#include" not in content:
        return []
    names = []
    for line in content.replace(b"\r", b"\n").split(b"\n"):
        match = _INCLUDE.match(line.rstrip(b" \t\r\n"))
        if match:
            names.append(os.fsdecode(match.group(1)))
    return names
