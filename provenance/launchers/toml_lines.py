"""At which line of a TOML text a value is set, so that an error can name it.

Not a parser: tomllib has read the text before.

Source: TOML 1.0. Keys within inline tables and array elements are found at the line where the whole
value begins.
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
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    depth, inside = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if depth > 0:
            depth += _opened(line)
            continue
        if header := _HEADER.match(line):
            table = _entered(_split(header.group(2)), counts, is_array=header.group(1) == "[[")
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_split(key.group(1))), number)
            value = key.group(2)
            inside = next((mark for mark in _MULTILINE if value.count(mark) % 2), "")
            depth = 0 if inside else max(0, _opened(value))
    return found


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a value, else of what it is in.

    None where nothing of it is in the text.
    """
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _entered(words: Sequence[str], counts: dict[Path, int], *, is_array: bool) -> Path:
    path: Path = ()
    for place, word in enumerate(words):
        path = (*path, word)
        if is_array and place == len(words) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _split(key: str) -> list[str]:
    return [word.strip().strip("\"'") for word in key.split(".")]


def _opened(value: str) -> int:
    bare = _QUOTED.sub("", value)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")
