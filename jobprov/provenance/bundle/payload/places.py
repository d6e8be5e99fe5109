"""Maps the job's paths to places of a rerun, and recorded strings to shell words.

A recorded string becomes nothing but single-quoted text, so that a shell never interprets it. The
folders of a rerun are not known when the bundle is built, so a path in the bundle becomes
`"$work"'/rest'`. run.sh sets the variables: `$work` (the working directory), `$src` (copies of the
repositories) and `$elsewhere` (a mirror of the root folder, for files with absolute paths).

A rerun in its own root finds everything at its recorded path. There run.sh sets `$work` to the
recorded folder and `$elsewhere` to nothing, so that a rewritten string is the recorded one again. A
path for which this does not hold has a variable of its own, an *alias*: `$at_1`.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_MOST_LINKS = 40
# A path may begin after a blank, a separator, a scheme, or a one-letter option such as -I
_PATH_START = re.compile(
    r"(?:^|(?<=[^A-Za-z0-9._+~@%/-])|(?<=://)|(?<=[\s=,:;\"'(]-[A-Za-z])|(?<=^-[A-Za-z]))/"
)
# Where a folder's path may end: before a slash, a separator, or at the end of the string
_PATH_END = re.compile(r"[^A-Za-z0-9._+~@%-]|\Z")


@dataclass(frozen=True)
class Place:
    """A path of a rerun: one of run.sh's variables, and a rest that is empty or starts with `/`."""

    variable: str
    rest: str = ""

    def below(self, relative: str) -> "Place":
        """The path `relative` below this one."""
        return Place(self.variable, f"{self.rest}/{relative}") if relative else self

    def is_below(self, folder: "Place") -> bool:
        """Whether this path is in a folder, at any depth."""
        return self.variable == folder.variable and self.rest.startswith(folder.rest + "/")

    def word(self) -> str:
        """The path as a shell word."""
        rest = quote(self.rest) if self.rest else ""
        return f'"${self.variable}"{rest}'


def quote(string: str) -> str:
    """The string as one single-quoted shell word: nothing in it is ever expanded."""
    return "'" + string.replace("'", "'\\''") + "'"


class Places:
    """Maps the paths that the job used to the places of a rerun.

    `odd` are the original names that are not UTF-8, by their recorded text.

    Attributes:
        aliases: places of paths that stand for another path in the rerun's own root.
        links: targets of the symbolic links that the job found, by their absolute paths.
    """

    def __init__(self, working_directory: str, odd: Mapping[str, str] | None = None) -> None:
        self._odd = odd or {}
        self.working_directory = ""
        if working_directory.startswith("/"):
            self.working_directory = normal(working_directory)
        self._prefixes: dict[str, Place] = {}
        self._exact: dict[str, Place] = {}
        self._beginnings: set[str] = set()  # of the mapped paths, wherever one could end
        self.aliases: dict[str, Place] = {}
        self._alias_numbers: dict[str, int] = {}
        self.links: dict[str, str] = {}
        if self.working_directory:
            self.map(self.working_directory, Place("work"))

    def map(self, prefix: str, place: Place) -> None:
        """Map an absolute folder, and everything below it, to a place; the first mapping counts."""
        folder = normal(prefix)
        if folder.startswith("/") and folder != "/" and folder not in self._prefixes:
            self._prefixes[folder] = place
            self._beginnings.update(folder[:end] for end in _path_ends(folder, 0))

    def locate(self, path: str) -> Place | None:
        """The place of an absolute path, by its longest mapped folder; None if none is mapped."""
        path = normal(path)
        for folder in reversed(list(_ways_to(path))):
            if folder in self._prefixes:
                return self._prefixes[folder].below(path[len(folder) + 1 :])
        return None

    def absolute(self, path: str) -> str:
        """The path without `.` and `..`, made absolute if the working directory is known."""
        return normal(posixpath.join(self.working_directory, self._odd.get(path, path)))

    def settle(self, path: str) -> Place | None:
        """The place where a file with this path is laid out; strings with it will be rewritten.

        It is None for an empty path, and for a relative one that leads out of the working directory
        if that was not recorded.
        """
        path = self._odd.get(path, path)
        if "://" in path:
            return self._exact.setdefault(path, place_of_address(path))
        absolute = self.absolute(path)
        if not path or absolute in {"", ".", "/", ".."} or absolute.startswith("../"):
            return None
        if not absolute.startswith("/"):  # the working directory was not recorded
            return Place("work", "/" + absolute)
        place = self.locate(absolute)
        if place is None:
            place = Place("elsewhere", absolute)
            self.map(absolute, place)
        if not path.startswith("/") and normal(path).startswith("../"):
            self._exact.setdefault(path, place)
        real = self.real(absolute)
        return place if real == absolute else self.settle(real)

    def real(self, path: str) -> str:
        """The absolute path to which the job's links lead from an absolute one."""
        for _ in range(_MOST_LINKS):
            link = next((way for way in _ways_to(path) if way in self.links), None)
            if link is None:
                break
            rest = path[len(link) :]
            path = normal(posixpath.join(posixpath.dirname(link), self.links[link]) + rest)
        return path

    def rewrite(self, string: str) -> str:
        """The recorded string as a shell word, its mapped paths replaced by their places."""
        if string in self._exact:
            return self._word(string, self._exact[string])
        pieces, end = [], 0
        for match in _PATH_START.finditer(string):
            start = match.start()
            path = self._mapped_path_at(string, start)
            if path is None or start < end:
                continue
            if start > end:
                pieces.append(quote(string[end:start]))
            pieces.append(self._word(path, self._prefixes[path]))
            end = start + len(path)
        if end < len(string) or not pieces:
            pieces.append(quote(string[end:]))
        return "".join(pieces)

    def mapped(self) -> dict[str, Place]:
        """The places of all mapped folders and files, by their recorded absolute paths."""
        return self._prefixes

    def recorded(self, place: Place) -> str | None:
        """The absolute path that a place stands for; None if only its mapping tells."""
        if place.variable == "work":
            return self.working_directory + place.rest
        return place.rest if place.variable == "elsewhere" else None

    def _word(self, recorded: str, place: Place) -> str:
        """The place of a recorded path as a shell word, by an alias if it needs one."""
        # A file with a URL has no path of its own but the one at which it is laid out
        if self.recorded(place) == recorded or "://" in recorded:
            return place.word()
        if recorded not in self.aliases:
            self.aliases[recorded] = place
            self._alias_numbers[recorded] = len(self.aliases)
        return f'"$at_{self._alias_numbers[recorded]}"'

    def _mapped_path_at(self, string: str, start: int) -> str | None:
        """The longest mapped path that begins at `start`: of two folders, the inner one is meant.

        Looked up end by end, so that a string takes the same time with any number of mapped paths.
        """
        longest = None
        for end in _path_ends(string, start):
            path = string[start:end]
            if path not in self._beginnings:
                break
            if path in self._prefixes:
                longest = path
        return longest


def place_of_address(address: str) -> Place:
    """Where a file is laid out that a job had at an address with a host, `root://HOST/PATH`."""
    return Place("elsewhere", normal("/" + address.split("://", 1)[1]))


def _path_ends(string: str, start: int) -> Iterator[int]:
    """Where a path that begins at `start` may end, nearest first."""
    for match in _PATH_END.finditer(string, start + 1):
        yield match.start()


def _ways_to(path: str) -> Iterator[str]:
    """The folders around an absolute path, outermost first, and the path itself."""
    end = path.find("/", 1)
    while end != -1:
        yield path[:end]
        end = path.find("/", end + 1)
    yield path


def normal(path: str) -> str:
    """The path without `.`, `..` and doubled slashes; the file system is not asked."""
    if path.startswith("/"):
        # normpath keeps two slashes in front, to which POSIX allows another meaning
        return "/" + posixpath.normpath(path).lstrip("/")
    return posixpath.normpath(path)
