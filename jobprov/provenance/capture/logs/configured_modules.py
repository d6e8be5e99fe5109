"""Which type a module label has in a job's FHiCL, and the other way round.

A log names one of them.

The texts are searched, not evaluated: a definition, and what it refers to. Where `--config-out` was
written, nothing is left to evaluate. What stands there in two ways is not known.
"""

import re
from typing import Iterator, List, Optional, Sequence, Set

_TYPE = re.compile(r"\bmodule_type[ \t]*:[ \t]*\"?([\w:/]+)\"?")
_REFERENCE = re.compile(r"@(?:local|table)::([\w.]+)")
_BRACES = re.compile(r"[{}]")
_NAME_BEFORE = re.compile(r"([A-Za-z_]\w*)[ \t\n]*:[ \t\n]*$")
_DOTTED = re.compile(r"(\w+)\.$")
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))(?:#(?!include)|//)[^\n]*")
_USER = (  # what is set to a table of a name, or begins with it
    r"(?<![\w@:.])(?:\w+\.)*(\w+)[ \t\n]*:[ \t\n]*(?:\{[ \t\n]*)?"
    r"@(?:local|table)::(?:\w+\.)*%s\b"
)
_MOST_BYTES = 4 * 1024 * 1024
_MOST_LOOKUPS = 40
_LONGEST_TABLE = 64 * 1024
_LONGEST_NAME = 200
_MOST_HITS = 200


class ConfiguredModules:
    """The modules of a job's FHiCL texts, the text that counts most first."""

    def __init__(self, contents: Sequence[bytes]) -> None:
        self._texts: List[str] = []
        left = _MOST_BYTES
        for content in contents:
            if any(word in content for word in (b"module_type", b"@local", b"@table")):
                self._texts.append(_COMMENT.sub("", content[:left].decode("latin-1")))
                left -= min(left, len(content))

    def type_of(self, label: str) -> Optional[str]:
        """Return the type of the module with a label, None unless exactly one thing says it."""
        for text in self._texts:
            seen: Set[str] = set()
            types = self._types_in(text, label, seen)
            if types:
                return types.pop() if len(types) == 1 else None
        return None

    def label_of(self, module_type: str) -> Optional[str]:
        """Return the label of the only module of a type, None where there are none or several."""
        labels: Set[str] = set()
        for text in self._texts:
            for name in set(_names_of_type(text, module_type)):
                labels |= self._users_of(name) or {name}
        return labels.pop() if len(labels) == 1 else None

    def _types_in(self, text: str, label: str, seen: Set[str]) -> Set[str]:
        """Return the types that a text gives a label, or what it refers to, in any of the texts."""
        types: Set[str] = set()
        quoted = re.escape(label)
        own = re.findall(r"\b%s\.module_type[ \t]*:[ \t]*\"?([\w:/]+)" % quoted, text)
        if own:
            return {own[-1]}
        for match in _hits(r"(?<![\w@:])%s[ \t\n]*:[ \t\n]*(@local::[\w.]+|\{)" % quoted, text):
            table = _table(text, match.end()) if match.group(1) == "{" else match.group(1)
            found = _TYPE.findall(_top_level(table))
            if found:
                types.add(found[-1])
            else:
                types |= self._referred(table, seen)
        return types

    def _referred(self, table: str, seen: Set[str]) -> Set[str]:
        """Return the types of what a table refers to; nothing is looked up twice."""
        types: Set[str] = set()
        for target in _REFERENCE.findall(_top_level(table)):
            name = target.rpartition(".")[2]
            if name in seen or len(seen) == _MOST_LOOKUPS:
                continue
            seen.add(name)
            for text in self._texts:
                types |= self._types_in(text, name, seen)
        return types

    def _users_of(self, name: str) -> Set[str]:
        """Return the names that are set to a table, or begin with it."""
        users: Set[str] = set()
        for text in self._texts:
            users.update(match.group(1) for match in _hits(_USER % re.escape(name), text))
        return users


def _names_of_type(text: str, module_type: str) -> Iterator[str]:
    """Yield the names of the tables that give this type, or `folder/` and this type."""
    given = r"\bmodule_type[ \t]*:[ \t]*\"?(?:[\w:]{1,100}/){0,10}%s(?![\w:/])"
    for match in _hits(given % re.escape(module_type), text):
        before = text[max(0, match.start() - _LONGEST_NAME) : match.start()]
        dotted = _DOTTED.search(before)
        name = dotted.group(1) if dotted else _name_around(text, match.start())
        if name:
            yield name


def _hits(pattern: str, text: str) -> Iterator["re.Match[str]"]:
    for count, match in enumerate(re.finditer(pattern, text)):
        if count == _MOST_HITS:
            return
        yield match


def _name_around(text: str, place: int) -> Optional[str]:
    """Return the name of the table that a place stands in."""
    depth = 0
    start = max(0, place - _LONGEST_TABLE)
    for brace in reversed(list(_BRACES.finditer(text, start, place))):
        depth += 1 if brace.group() == "}" else -1
        if depth < 0:
            before = text[max(0, brace.start() - _LONGEST_NAME) : brace.start()]
            match = _NAME_BEFORE.search(before)
            return match.group(1) if match else None
    return None


def _table(text: str, start: int) -> str:
    """Return what stands in a table that begins here, as far as it is short enough."""
    depth = 1
    for brace in _BRACES.finditer(text, start, start + _LONGEST_TABLE):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[start : brace.start()]
    return text[start : start + _LONGEST_TABLE]


def _top_level(table: str) -> str:
    """Return a table's text without the tables in it."""
    parts, depth, end = [], 0, 0
    for brace in _BRACES.finditer(table):
        if depth == 0:
            parts.append(table[end : brace.start()])
        depth = max(0, depth + (1 if brace.group() == "{" else -1))
        end = brace.end()
    if depth == 0:
        parts.append(table[end:])
    return "".join(parts)
