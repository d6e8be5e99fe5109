"""The line of a TOML text where a value is set, so that an error can name it.

This is not a parser: tomllib reads the text first. Keys within inline tables and array elements
have the line where the whole value begins.

Source: TOML 1.0.
"""

import re
from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"'\s-]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+(?:\s*\.\s*[A-Za-z0-9_\"'-]+)*)\s*=(.*)$")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*$")
_MULTILINE = ('"""', "'''")


def line_numbers(text: str) -> dict[Path, int]:
    """Return the line, from 1, at which each table and key begins.

    Elements of arrays of tables are numbered from 0.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    depth, open_quotes = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if open_quotes:
            if open_quotes in line:
                open_quotes = ""
            continue
        if depth > 0:
            depth += _brackets_opened(line)
            continue
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = _entered(_split(header[2]), counts, is_array=header[1] == "[[")
            lines.setdefault(table, number)
        elif key:
            lines.setdefault((*table, *_split(key[1])), number)
            open_quotes = _open_quotes(key[2])
            depth = 0 if open_quotes else max(0, _brackets_opened(key[2]))
    return lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a value, else of its table; None if the text has neither."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _entered(names: Sequence[str], counts: dict[Path, int], *, is_array: bool) -> Path:
    """Return the path of a table's header, with the number of each array element on the way."""
    path: Path = ()
    for place, name in enumerate(names):
        path = (*path, name)
        if is_array and place == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _split(key: str) -> list[str]:
    return [name.strip().strip("\"'") for name in key.split(".")]


def _open_quotes(value: str) -> str:
    """Return the quotes of a multi-line string that begins here and does not end."""
    for quotes in _MULTILINE:
        if value.count(quotes) % 2:
            return quotes
    return ""


def _brackets_opened(value: str) -> int:
    """Return how many more brackets open than close, outside of strings and comments."""
    bare = _QUOTED.sub("", value)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
