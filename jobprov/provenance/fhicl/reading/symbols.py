"""The names that a document has defined so far, of prolog and body in one table.

Here are the rules of dotted assignment and protection. Two oddities of the reference are kept on
purpose. An assignment below a `@protect_ignore` name still creates missing names on its path, as
@nil. And an assignment through @nil replaces the @nil, so that its protection is lost.

Source: fhicl-cpp's `intermediate_table` (insert, find, erase) as facts of behaviour.
"""

from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

from jobprov.provenance.fhicl.errors import (
    ASSIGNMENT,
    ERASE,
    LIMIT,
    LOCAL_LOOKUP,
    PROTECTION,
    TextError,
)
from jobprov.provenance.fhicl.limits import Limits
from jobprov.provenance.fhicl.reading.syntax import Path
from jobprov.provenance.fhicl.values import (
    NIL,
    NOTHING,
    REFUSING,
    SEQUENCE,
    TABLE,
    SequenceBody,
    TableBody,
    Value,
)


class _Location(NamedTuple):
    """Where an assignment goes.

    Attributes:
        holder: the members or elements that hold the last part of the path.
        present: the value there now.
        is_ignored: whether something on the path is protected so that assignments are ignored.
    """

    holder: Any
    present: Value
    is_ignored: bool


class Symbols:
    """The top-level names and their values.

    Attributes:
        members: values by name.
        prolog: names that a prolog defined and the body has not replaced. They are not part of the
            result.
    """

    def __init__(self, limits: Limits) -> None:
        self.members: dict[str, Value] = {}
        self.prolog: set[str] = set()
        self._limits = limits
        self._work = 0

    def spend(self, work: int, offset: int) -> None:
        """Count members and elements that are copied; raise an error beyond the limit."""
        self._work += work
        if self._work > self._limits.work:
            limit = f"{self._limits.work:,} members and elements (work)"
            raise TextError(LIMIT, f"references copy more than the limit of {limit}", offset)

    def find(self, path: Path, offset: int) -> Value:
        """Return what a path is bound to.

        Raises:
            TextError: it is not bound, or leads through something other than a table or sequence.
        """
        value = self.members.get(str(path[0]))
        if value is None:
            _not_found(path, offset, "is not defined before this line")
        for index, part in enumerate(path[1:], start=1):
            holder = self._inside(value, path, index, LOCAL_LOOKUP, offset)
            if not _is_bound(part, holder):
                reason = f'does not exist: "{dotted(path[: index + 1])}" is missing'
                _not_found(path, offset, reason)
            value = holder[part]
        return value

    def insert(self, path: Path, value: Value, offset: int, *, in_prolog: bool) -> None:
        """Bind a path; missing names on the way are created.

        Raises:
            TextError: the path leads through an atom, or something on it is protected.
        """
        top = str(path[0])
        if in_prolog:
            self.prolog.add(top)
        # The body starts the name afresh, whatever the prolog put below it
        elif top in self.prolog:
            self.prolog.discard(top)
            del self.members[top]
        holder, present, is_ignored = self._locate(path, offset)
        if present.kind != NIL and value.protection > present.protection:
            message = f"cannot be given a stronger protection than it got at {written_at(present)}"
            raise TextError(PROTECTION, f'"{dotted(path)}" {message}', offset)
        if not is_ignored:
            holder[path[-1]] = value

    def erase(self, path: Path, offset: int, *, in_prolog: bool) -> None:
        """Unbind a path.

        Nothing happens if it is not bound, if its protection ignores changes, or if the body erases
        a name of a prolog.

        Raises:
            TextError: the path leads through an atom, ends at an element, or something on it is
                protected.
        """
        top = str(path[0])
        if top not in self.members or (not in_prolog and top in self.prolog):
            return
        if not self._is_erasable(path, offset):
            return
        holder: Any = self.members
        for part, following in pairwise(path):
            body = self._owned(holder, part, offset)
            holder = body.members if isinstance(following, str) else body.items
        del holder[path[-1]]
        if len(path) == 1:
            self.prolog.discard(top)

    def _is_erasable(self, path: Path, offset: int) -> bool:
        value: Value | None = None
        for index, part in enumerate(path):
            holder: Any = self.members
            if value is not None:
                holder = self._inside(value, path, index, ERASE, offset)
            if not _is_bound(part, holder):
                return False
            value = holder[part]
            if isinstance(part, str) and value.protection:
                self._refuse(value, path, index, offset)
                return False
        if isinstance(path[-1], int):
            message = f'"{dotted(path)}" is an element of a sequence, which cannot be erased'
            raise TextError(ERASE, message, offset)
        return True

    def _locate(self, path: Path, offset: int) -> _Location:
        """Return where a path leads; what is missing on the way is created as @nil."""
        holder: Any = self.members
        value = holder.get(path[0])
        if value is None:
            value = holder[path[0]] = NOTHING
        is_ignored = False
        if value.protection:
            is_ignored = self._refuse(value, path, 0, offset)
        for index in range(1, len(path)):
            part = path[index]
            if value.kind == NIL:
                value = Value(SEQUENCE, "", SequenceBody([]), None, 0)
                if isinstance(part, str):
                    value = Value(TABLE, "", TableBody({}), None, 0)
                holder[path[index - 1]] = value
            self._inside(value, path, index, ASSIGNMENT, offset)
            body = self._owned(holder, path[index - 1], offset)
            if isinstance(part, str):
                holder = body.members
                value = holder.setdefault(part, NOTHING)
            else:
                holder = body.items
                self._pad(holder, part, offset)
                value = holder[part]
            if value.protection:
                is_ignored |= self._refuse(value, path, index, offset)
        return _Location(holder, value, is_ignored)

    def _inside(self, value: Value, path: Path, index: int, kind: str, offset: int) -> Any:
        """Return the members or elements in which a path continues."""
        needed, word = (TABLE, "table") if isinstance(path[index], str) else (SEQUENCE, "sequence")
        if value.kind != needed:
            effect = " does not exist" if kind == LOCAL_LOOKUP else ""
            message = f'"{dotted(path)}"{effect}: "{dotted(path[:index])}" is no {word}'
            raise TextError(kind, message, offset)
        return value.body.members if needed == TABLE else value.body.items

    def _owned(self, holder: Any, key: str | int, offset: int) -> Any:
        """Return the body under a key, which is copied first if other values share it."""
        value = holder[key]
        body = value.body
        if body.shared:
            self.spend(len(body), offset)
            body = body.copy()
            holder[key] = value.with_body(body)
        return body

    def _pad(self, items: list[Value], index: int, offset: int) -> None:
        missing = index + 1 - len(items)
        if missing > 0:
            self.spend(missing, offset)
            items.extend([NOTHING] * missing)

    def _refuse(self, value: Value, path: Path, index: int, offset: int) -> bool:
        """Raise an error for a protected binding, or return True where its protection ignores."""
        if value.protection == REFUSING:
            message = f'"{dotted(path[: index + 1])}" is protected at {written_at(value)}'
            raise TextError(PROTECTION, message, offset)
        return True


def _is_bound(part: str | int, holder: Any) -> bool:
    return part in holder if isinstance(part, str) else part < len(holder)


def dotted(path: Path) -> str:
    """Return a path as FHiCL writes it: a.b[2].c."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif text:
            text += f".{part}"
        else:
            text = part
    return text


def written_at(value: Value) -> str:
    """Return file and line of a value for a message."""
    if value.place is None:
        return "an unknown place"
    segment, offset = value.place.resolve(value.offset)
    return f"{segment.path}:{segment.line(offset)}"


def _not_found(path: Path, offset: int, reason: str) -> NoReturn:
    raise TextError(LOCAL_LOOKUP, f'"{dotted(path)}" {reason}', offset)
