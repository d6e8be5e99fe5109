"""Reads fcl files: a subset of FHiCL, enough for the files of this release.

Understood are `#include "name"`, prologs, tables, sequences, numbers, words, quoted strings,
`@nil`, `@local::`, `@table::`, `@sequence::` and dotted assignments. Left out are `@erase`,
protection, complex numbers, `@db::` and `@id::`; each of them is an error here, never read as
something else. *Source*: the FHiCL quick start guide of fhicl-cpp.
"""

import os
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from toyexp.errors import FclError

_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#.*|//.*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'[^']*')
      | (?P<reference>@(?:local|table|sequence)::[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
      | (?P<nil>@nil)
      | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<word>[A-Za-z_]\w*)
      | (?P<mark>[][{}:,.])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A word of the text and where it stands (`file:line`)."""

    kind: str
    text: str
    place: str


class Table(dict[str, Any]):
    """A table of parameters; `places` says where each was given its value."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, str] = {}

    def give(self, name: str, value: Any, place: str) -> None:
        """Bind `name`, remembering where that was said."""
        self[name] = value
        self.places[name] = place


def load(name: str) -> Table:
    """Return the evaluated configuration of the fcl file `name`.

    The file itself is looked for in `.` first, then, like every included one, along
    `FHICL_FILE_PATH`.

    Raises:
        FclError: a file is missing, or says something that this reader does not understand.
    """
    folders = [part for part in os.environ.get("FHICL_FILE_PATH", ".").split(":") if part]
    path = name if name.startswith("/") else _find(name, [".", *folders], "the command line")
    return _Reader(list(_tokens(path, folders, ()))).document()


def _find(name: str, folders: list[str], asked_by: str) -> str:
    for folder in folders:
        path = f"{folder}/{name}"
        if Path(path).is_file():
            return path
    raise FclError(f'Can\'t find file "{name}", asked for by {asked_by}, in {":".join(folders)}')


def _tokens(path: str, folders: list[str], above: tuple[str, ...]) -> Iterator[Token]:
    if path in above:
        raise FclError(f"Recursive #include directive: {' -> '.join((*above, path))}")
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise FclError(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}"
        if line.startswith("#include "):
            included = line.removeprefix("#include ").strip().strip('"')
            yield from _tokens(_find(included, folders, place), folders, (*above, path))
        else:
            yield from _tokens_of_line(line, place)


def _tokens_of_line(line: str, place: str) -> Iterator[Token]:
    position = 0
    while position < len(line):
        match = _TOKEN.match(line, position)
        if match is None:
            raise FclError(
                f"at or near character {position + 1} of {place}\n{line}\n{' ' * position}^"
            )
        if match.lastgroup and match.lastgroup != "blank":
            yield Token(match.lastgroup, match.group(), place)
        position = match.end()


def _plain(token: Token) -> Any:
    text = token.text
    if token.kind == "number":
        return float(text) if re.search(r"[.eE]", text) else int(text)
    if token.kind == "string":
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] == '"' else text[1:-1]
    return {"true": True, "false": False, "@nil": None}.get(text, text)


class _Reader:
    """Walks over the tokens once and evaluates as it goes."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.next = 0
        self.root = Table()
        self.prolog: set[str] = set()

    def document(self) -> Table:
        is_prolog = False
        while self.next < len(self.tokens):
            if self.tokens[self.next].text in ("BEGIN_PROLOG", "END_PROLOG"):
                is_prolog = self.take().text == "BEGIN_PROLOG"
            elif not self.spliced_into(self.root):
                self.assign(is_prolog=is_prolog)
        for name in self.prolog:
            del self.root[name]
        return self.root

    def take(self, text: str | None = None, kind: str | None = None) -> Token:
        if self.next == len(self.tokens):
            raise FclError(f"the text ends where {text or kind} should stand")
        token = self.tokens[self.next]
        if (text and token.text != text) or (kind and token.kind != kind):
            raise FclError(f"{token.text!r} stands where {text or kind} should, {token.place}")
        self.next += 1
        return token

    def is_next(self, text: str) -> bool:
        return self.next < len(self.tokens) and self.tokens[self.next].text == text

    def assign(self, *, is_prolog: bool) -> None:
        first = self.take(kind="word")
        names = [first.text]
        while self.is_next("."):
            self.take()
            names.append(self.take(kind="word").text)
        self.take(":")
        value = self.value()
        if not is_prolog and first.text in self.prolog:
            if len(names) > 1:
                raise FclError(
                    f"{first.text} is a prolog name: copy it with @local:: first, {first.place}"
                )
            self.prolog.discard(first.text)
        elif is_prolog:
            self.prolog.add(first.text)
        table = self.root
        for name in names[:-1]:
            if name not in table:
                table.give(name, Table(), first.place)
            table = table[name]
            if not isinstance(table, Table):
                raise FclError(f"{name} in {'.'.join(names)} is not a table, {first.place}")
        table.give(names[-1], value, first.place)

    def value(self) -> Any:
        token = self.take()
        if token.text == "{":
            return self.table()
        if token.text == "[":
            return self.sequence()
        if token.kind == "reference" and token.text.startswith("@local::"):
            return self.referred(token)
        if token.kind in ("number", "string", "nil", "word"):
            return _plain(token)
        raise FclError(f"{token.text!r} stands where a value should, {token.place}")

    def table(self) -> Table:
        table = Table()
        while not self.is_next("}"):
            if not self.spliced_into(table):
                name = self.take(kind="word")
                self.take(":")
                table.give(name.text, self.value(), name.place)
        self.take("}")
        return table

    def spliced_into(self, table: Table) -> bool:
        if self.next == len(self.tokens) or not self.tokens[self.next].text.startswith("@table::"):
            return False
        token = self.take()
        other = self.referred(token)
        for name, value in other.items():
            table.give(name, value, other.places[name])
        return True

    def sequence(self) -> list[Any]:
        elements: list[Any] = []
        while not self.is_next("]"):
            if elements:
                self.take(",")
            if self.next < len(self.tokens) and self.tokens[self.next].text.startswith(
                "@sequence::"
            ):
                elements += self.referred(self.take())
            else:
                elements.append(self.value())
        self.take("]")
        return elements

    def referred(self, token: Token) -> Any:
        value: Any = self.root
        for name in token.text.split("::")[1].split("."):
            if not isinstance(value, Table) or name not in value:
                raise FclError(f"Local lookup error: {token.text}, {token.place}")
            value = value[name]
        return deepcopy(value)
