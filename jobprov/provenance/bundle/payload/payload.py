"""The payload of a bundle in the making: its members, shell lists, places and needs."""

import hashlib
import posixpath
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jobprov.provenance.bundle.draft import Draft, Fetched
from jobprov.provenance.bundle.fields import RecordPart, to_bytes
from jobprov.provenance.bundle.ingredients import Ingredients
from jobprov.provenance.bundle.names import NAME_BYTES, Shelf, plain_name
from jobprov.provenance.bundle.needs import Needs, tsv
from jobprov.provenance.bundle.payload.odd_names import odd_names
from jobprov.provenance.bundle.payload.places import (
    Place,
    Places,
    normal,
    place_of_address,
    quote,
)
from jobprov.provenance.bundle.payload.steps import payload_steps

_BESIDE = ".modes.tsv"  # ends the name of a table beside a repository's folder
_MOST_LINKS = 10
SHEBANG_BYTES = 512
"""More of a script is not read for the interpreter in its first line."""


class Expected(NamedTuple):
    """A line of `outputs/expected.tsv`: an output that a rerun should make.

    The fields are its columns. What was not recorded is `-`; for `events` and `status` it is empty.
    """

    name: str
    path: str
    size: str
    sha256: str
    comparator: str
    content_digest: str
    events: str
    required: str
    status: str
    checksums: str
    reference: str


class LaidOutLink(NamedTuple):
    """A symbolic link to lay out: its target as it is written into it, and its place."""

    target: str
    place: Place


class LinkAsItWas(NamedTuple):
    """A symbolic link that the job found.

    Attributes:
        target: as the link had it, which is right in a rerun's own root.
        laid_out: where the bundle lays the target out, or the path of installed software.
        place: of the link itself.
        modified_at: as `touch -d` takes it; empty if it was not recorded.
    """

    target: str
    laid_out: Place | str
    place: Place
    modified_at: str

    def line(self) -> str:
        """The line of the layout that makes it."""
        target, modified_at = quote(self.target), quote(self.modified_at)
        laid_out = _shell_word(self.laid_out)
        return f"link_as_it_was {target} {laid_out} {self.place.word()} {modified_at}"


class Payload:
    """One bundle in the making.

    Attributes:
        record: the job record.
        command: of the record; empty if it has none.
        steps: the steps of the job that a rerun replays.
        environment: of the record; empty if it has none.
        level: the ceiling that was asked for. What only higher levels need is left out.
        edition: of the programs, some of which read more files than earlier ones.
        layout: lines of `command/layout.sh`, which run.sh follows in this order.
        links: symbolic links of checkouts, laid out after all files.
        links_in_out: links from one folder of OUT to another, which a rerun in its own
            root does not need.
        links_as_they_were: links that the job found.
        new_folders: absolute paths of folders that the job made itself.
        times: lines of `command/times.sh`: modes and times, once everything is laid out.
        laid_out: places of single files that the bundle holds.
        repositories: digest of the content of each repository's folder, by the folder's name.
        shebangs: interpreter by the place of a script.
        expected: the outputs that verify.sh compares, in order.
        uses_storage_clients: whether a rerun has stand-ins for storage clients.
        fetched: inputs in fetch.txt, by path; None if the bundle may not have a fetch.txt.
        variables: shell words of the recorded variables, by name; for PATH, only the part before
            the caller's PATH.
        then_lists: recorded lists of folders, by the variable that follows the rewritten ones.
    """

    def __init__(
        self, ingredients: Ingredients, draft: Draft, top: str, level: int, edition: int
    ) -> None:
        self.ingredients = ingredients
        self.record = RecordPart(ingredients.record)
        self.draft = draft
        self.level = level
        self.edition = edition
        self.top = top
        self.shelf = Shelf(top)
        self.repositories: dict[str, str] = {}
        self.needs = Needs()
        self.command = self.record.part("command")
        self.steps = payload_steps(self.record)
        self.environment = self.record.part("environment")
        self._variables = self.environment.part("variables")
        self.places = Places(self.command.text("working_directory"), odd_names(self.record))
        self.layout: list[str] = []
        self.links: list[LaidOutLink] = []
        self.links_in_out: list[LaidOutLink] = []
        self.links_as_they_were: list[LinkAsItWas] = []
        self.new_folders: set[str] = set()
        self.times: list[str] = []
        self.laid_out: set[Place] = set()
        self._provided: list[tuple[Place, frozenset[str]]] = []
        self.shebangs: dict[Place, str] = {}
        self.variables: dict[str, str] = {}
        self.then_lists: dict[str, str] = {}
        self.uses_storage_clients = False
        self.fetched: dict[str, Fetched] | None = None
        self.expected: Sequence[Expected] = ()

    @property
    def left_out(self) -> str:
        """Why something that is possessed is not in the bundle: a lower level was asked for."""
        return f"left out: level L{self.level}"

    def recorded_variable(self, name: str) -> str:
        """The value of a variable of the job's environment; empty if it was not recorded."""
        return self._variables.text(name)

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Put a generated file at a path of the payload."""
        self.draft.add(f"data/{path}", data, mode=mode)

    def write_shared(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Put a file that every bundle has at a path of the payload."""
        self.draft.add_shared(f"data/{path}", data, mode=mode)

    def keep(self, path: str, sha256: str, *, mode: int = 0o644) -> None:
        """Put a possessed blob at a path of the payload."""
        self.draft.add_blob(f"data/{path}", sha256, mode=mode)

    def shelve(self, folder: str, wanted: str, sha256: str) -> str:
        """Put a possessed blob into a folder of the payload; return its path.

        It gets the wanted name if that is allowed, else its digest.
        """
        stored = self.shelf.take(folder, wanted, sha256)
        self.keep(stored, sha256)
        return stored

    def place(self, stored: str, mode: str, path: str) -> None:
        """Let run.sh lay out a stored file where the job used it.

        The first file at a place counts.
        """
        place = self.places.settle(path)
        if place is not None and place not in self.laid_out and not self._is_behind_link(place):
            self.laid_out.add(place)
            self.lay_out("place", stored, mode, place)

    def repository_name(self, wanted: str, fallback: str, key: str) -> str:
        """The name of a repository's folder below `git/` and `src/`.

        `key` identifies the content: repositories with different content get different names.
        """
        name = plain_name(wanted, fallback)
        if name.endswith((".odd", _BESIDE)) or self._is_taken(name, key):
            name = fallback
        if len(name) + len(_BESIDE) > NAME_BYTES:
            name = hashlib.sha256(f"{name} {key}".encode()).hexdigest()
        while self.repositories.get(name, key) != key:
            name += "+"
        self.repositories[name] = key
        return name

    def _is_taken(self, name: str, key: str) -> bool:
        # Some file systems ignore case
        keys = {taken.lower(): taken_by for taken, taken_by in self.repositories.items()}
        is_of_others = keys.get(name.lower(), key) != key
        # Without a key, two entries of one name may have different content
        return is_of_others or (not key and name in keys)

    def provide(self, place: Place, paths: frozenset[str]) -> None:
        """Note the paths that a repository's copy has below a place."""
        self._provided.append((place, paths))

    def provides(self, place: Place) -> bool:
        """Whether a repository's copy has a file at this place."""
        return any(_is_in_tree(place, top, paths) for top, paths in self._provided)

    def note_shebang(self, place: Place, first_bytes: bytes) -> None:
        """Remember the interpreter in a script's first line."""
        interpreter = shebang(first_bytes)
        if interpreter:
            self.shebangs[place] = interpreter

    def map_folder(self, folder: str) -> None:
        """Map an absolute folder to its place in the mirror of the root folder (`$elsewhere`)."""
        if self.places.locate(folder) is None:
            self.places.map(folder, Place("elsewhere", normal(folder)))

    def place_of_location(self, location: str) -> Place | None:
        """Where a file is laid out that the job copied from or to a recorded location.

        An address has a place only for the stand-ins of storage clients.
        """
        if location.startswith("/"):
            return self.places.settle(location)
        if self.uses_storage_clients and "://" in location:
            return place_of_address(location)
        return None

    def _is_behind_link(self, place: Place) -> bool:
        links = [*self.links, *self.links_in_out]
        return any(place.is_below(link.place) for link in links)

    def behind_links(self, place: Place) -> Place:
        """The place of a file at the end of a checkout's symbolic links.

        A link that leads out of its checkout is not followed.
        """
        targets = {link.place: link.target for link in self.links}
        for _ in range(_MOST_LINKS):
            link = next((way for way in _ways_to(place) if way in targets), None)
            if link is None:
                break
            top = ""
            if link.variable == "src":
                # The folder of a checkout in `$src` is no folder of the job
                top = "/".join(link.rest.split("/")[:2])
            folder = posixpath.dirname(link.rest[len(top) :]).lstrip("/")
            goal = posixpath.normpath(posixpath.join(folder, targets[link]))
            if goal.startswith(("/", "../")) or goal == "..":
                break
            rest = place.rest[len(link.rest) :]
            place = Place(place.variable, posixpath.normpath(f"{top}/{goal}{rest}"))
        return place

    def is_work_inside_checkout(self) -> bool:
        """Whether the job's working directory is inside a checkout that the rerun has a copy of."""
        return any(line.startswith("work_inside ") for line in self.layout)

    def has(self, sha256: str) -> bool:
        """Whether the blob is possessed."""
        return bool(sha256) and self.draft.reader.has(sha256)

    def lay_out(self, word: str, *arguments: str | Place) -> None:
        """Add one line to the layout: a word of lib.sh and its arguments, recorded text quoted."""
        self.layout.append(" ".join([word, *map(_shell_word, arguments)]))

    def as_it_was(self, place: Place, mode: str, modified_at: str) -> None:
        """Let run.sh give a file or folder the mode and time with which the job found it."""
        if mode or modified_at:
            self.times.append(f"as_it_was {quote(mode)} {quote(modified_at)} {place.word()}")

    def link_lines(self) -> list[str]:
        """The last lines of the layout: the symbolic links."""
        lines = []
        for link in self.links:
            lines.append(f"link {quote(link.target)} {link.place.word()}")
        for link in self.links_in_out:
            lines.append(f"link_in_out {quote(link.target)} {link.place.word()}")
        lines += [found.line() for found in self.links_as_they_were]
        return lines

    def table(self, path: str, columns: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> None:
        """Put a .tsv at a path of the payload."""
        self.write(path, tsv(columns, lines))

    def shell(self, path: str, lines: list[str]) -> None:
        """Put a list for run.sh or verify.sh at a path of the payload."""
        self.write(path, to_bytes("".join(line + "\n" for line in lines)))


def _is_in_tree(place: Place, top: Place, paths: frozenset[str]) -> bool:
    return place.is_below(top) and place.rest[len(top.rest) + 1 :] in paths


def _ways_to(place: Place) -> Iterator[Place]:
    """The folders around a place, outermost first, and the place itself."""
    parts = place.rest.split("/")
    for end in range(2, len(parts) + 1):
        yield Place(place.variable, "/".join(parts[:end]))


def _shell_word(argument: str | Place) -> str:
    return argument.word() if isinstance(argument, Place) else quote(argument)


def shebang(first_bytes: bytes) -> str:
    """The interpreter in a script's first line: a path, or the name that `env` would search.

    It is '' if there is none.
    """
    if not first_bytes.startswith(b"#!"):
        return ""
    line = first_bytes[2:SHEBANG_BYTES].split(b"\n", 1)[0].decode("utf-8", "replace")
    command = line.split()
    if command and command[0].endswith("/env"):
        # The options and variables of `env` come before the program
        command = [word for word in command[1:] if not word.startswith("-") and "=" not in word]
    return command[0] if command else ""
