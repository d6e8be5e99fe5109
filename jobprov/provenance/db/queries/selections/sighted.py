"""Files by what catalogs and transfer services said: metadata of their newest sightings.

The documents of sightings are text; each is read as JSON while the statement runs, some hundred
thousand a second. Values compare as text, so that `4711` finds a number and a text; less and more
compare numbers.
"""

import json
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Numeric,
    Select,
    Text,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from jobprov.provenance.db.tables import File, Sighting
from jobprov.provenance.selections.fields import MetadataKey

_WHOLE: ColumnElement[str] = literal_column("'{}'")
"""The path of `#>>` to a value itself."""
_LOOKED_AT = 1000
"""Newest sightings of an experiment whose keys are listed."""
_newer = aliased(Sighting)


def newest_sightings(experiment: int) -> Select[Any]:
    """Return the query for the keys of files of an experiment that a catalog saw, each once.

    Conditions on `Sighting` are of the newest sighting of each.
    """
    replaced = select(_newer.entry_id).where(
        _newer.file_id == Sighting.file_id, _newer.entry_id > Sighting.entry_id
    )
    return (
        select(Sighting.file_id.label("id"))
        .join(File, File.id == Sighting.file_id)
        .where(File.experiment_id == experiment, ~replaced.exists())
    )


def sighted_text(dialect: str, key: MetadataKey) -> ColumnElement[str | None]:
    """Return the value of a metadata key as text; NULL where no sighting has the key."""
    if dialect == "sqlite":
        path = _path(key)
        kind = func.json_type(Sighting.document, path)
        value = func.json_extract(Sighting.document, path)
        return case((kind.in_(("true", "false")), kind), else_=cast(value, Text))
    return _value_on_postgresql(key).op("#>>")(_WHOLE)


class Members(NamedTuple):
    """The members of a metadata value: those of a list, or the value itself.

    A comparison with a list holds where it holds for any of its members, as in MetaCat's server.

    Attributes:
        rows: a row each.
        text: a member as text.
        number: it, if it is a number, else NULL.
    """

    rows: Any
    text: ColumnElement[Any]
    number: ColumnElement[Any]

    def any_where(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return the condition that any member meets one."""
        return select(literal(1)).select_from(self.rows).where(condition).exists()


def sighted_members(dialect: str, key: MetadataKey) -> Members:
    """Return the members of the value of a metadata key; none where no sighting has the key."""
    if dialect == "sqlite":
        rows = func.json_each(Sighting.document, _path(key)).table_valued("value", "type")
        kind = rows.c.type
        own = case((kind.in_(("true", "false")), kind), else_=cast(rows.c.value, Text))
        return Members(rows, own, case((kind.in_(("integer", "real")), rows.c.value)))
    rows = func.jsonb_path_query(_value_on_postgresql(key), literal_column("'$[*]'")).table_valued(
        column("member", JSONB()), name="member"
    )
    member = rows.c.member
    text = member.op("#>>")(_WHOLE)
    number = cast(text, Numeric)
    return Members(rows, text, case((func.jsonb_typeof(member) == "number", number)))


def sighted_number(dialect: str, key: MetadataKey) -> ColumnElement[Any]:
    """Return the value of a metadata key if it is a number, else NULL."""
    if dialect == "sqlite":
        path = _path(key)
        kind = func.json_type(Sighting.document, path)
        return case((kind.in_(("integer", "real")), func.json_extract(Sighting.document, path)))
    value = _value_on_postgresql(key)
    number = cast(value.op("#>>")(_WHOLE), Numeric)
    return case((func.jsonb_typeof(value) == "number", number))


def _path(key: MetadataKey) -> str:
    """Return where a value stands; neither keys nor members hold quotes (fields.py, mql.py)."""
    path = f'$.metadata."{key.name}"'
    if isinstance(key.member, int):
        return f"{path}[{key.member}]"
    return path if key.member is None else f'{path}."{key.member}"'


def _value_on_postgresql(key: MetadataKey) -> ColumnElement[Any]:
    """Return the value of a metadata key, or the member of it, as JSON."""
    value: ColumnElement[Any] = cast(Sighting.document, JSONB)
    for step in ("metadata", key.name, key.member):
        if step is not None:
            value = value.op("->", return_type=JSONB())(step)
    return value


def has_sighted_key(connection: Connection, experiment: int, key: MetadataKey) -> bool:
    """Return whether a sighting of an experiment's files has a key."""
    value = sighted_text(connection.dialect.name, key)
    query = newest_sightings(experiment).where(value.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def sighted_keys(connection: Connection, experiment: int) -> list[str]:
    """Return the metadata keys of the newest sightings of an experiment's files, in order."""
    query = (
        select(Sighting.document)
        .join(File, File.id == Sighting.file_id)
        .where(File.experiment_id == experiment)
        .order_by(Sighting.entry_id.desc())
        .limit(_LOOKED_AT)
    )
    keys: set[str] = set()
    for document in connection.execute(query).scalars():
        keys |= (json.loads(document).get("metadata") or {}).keys()
    return sorted(keys)
