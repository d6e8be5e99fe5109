"""Files whose name holds a text.

First those that begin with it, by the index of names; then others, newest first, by the index of
trigrams. Names that SQLite has not indexed yet are looked at one by one, and so are the newest
`MOST_LOOKED_AT` of a database without that index.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, column, func, literal_column, select, table

from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.lookup.search import Hit
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.queries.search.found import MOST_COUNTED, MOST_ROWS, Found, Sought
from jobprov.provenance.db.tables import Experiment, File
from jobprov.provenance.db.tables.name_index import LETTERS, TRIGRAMS, has_name_index
from jobprov.provenance.db.writer.indexed_names import newest_indexed
from jobprov.provenance.records.files.names import full_name

MOST_LOOKED_AT = 200_000
_MOST_TRIGRAMS = 6
"""Of a text that are looked up, the rarest ones; LIKE compares the rest.

A trigram that all names have takes as long to read as all names have bytes.
"""
_SAMPLED = 200
"""Names that tell which trigrams are rare."""
_Question = Select[*tuple[Any, ...]]
_trigrams = table(TRIGRAMS, column("rowid", Integer))


class _Row(NamedTuple):
    """A file that was found."""

    key: int
    name: str
    namespace: str
    experiment: str


def find_files(connection: Connection, sought: Sought) -> Found:
    """Return files whose name holds the text.

    With `namespace:` before it, those of that namespace; where it has none, those of any.
    """
    namespace, colon, name = sought.text.rpartition(":")
    rows: list[_Row] = []
    if colon and name:
        rows = _rows(connection, sought._replace(text=name), namespace)
    if not rows and name:
        rows = _rows(connection, sought._replace(text=name), None)
    hits = []
    for row in rows[: sought.most]:
        url = file_page(row.name, row.experiment, row.namespace)
        hits.append(Hit("file", full_name(row.name, row.namespace), row.experiment, url))
    return Found(hits, min(len(rows), MOST_COUNTED), len(rows) > MOST_COUNTED)


def finds_all(connection: Connection) -> bool:
    """Return whether all names are looked at, not the newest alone."""
    return has_name_index(connection)


def _rows(connection: Connection, sought: Sought, namespace: str | None) -> list[_Row]:
    """Return the files, those that begin with the text first; a file once."""
    found: dict[int, _Row] = {}
    for query in _queries(connection, sought):
        if namespace is not None:
            query = query.where(File.namespace == namespace)  # noqa: PLW2901 - narrowed
        for row in connection.execute(query.limit(MOST_ROWS)):
            found.setdefault(row[0], _Row(*row))
        if len(found) >= MOST_ROWS:
            break
    return list(found.values())


def _queries(connection: Connection, sought: Sought) -> list[_Question]:
    """Return the questions, in the order of what they find."""
    names = (
        select(File.id, File.name, File.namespace, Experiment.name)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(is_named())
    )
    of_names = (File.name, File.namespace, Experiment.name)
    beginning = names.where(begins(File.name, sought.text)).order_by(*of_names)
    if sought.is_short:
        return [beginning]
    holding = names.where(sought.condition(connection, File.name)).order_by(File.id.desc())
    is_sqlite = connection.dialect.name == "sqlite"
    if not has_name_index(connection):
        oldest = select(func.max(File.id) - MOST_LOOKED_AT).scalar_subquery()
        return [beginning, holding.where(File.id > oldest)]
    if not is_sqlite:
        return [beginning, holding]
    waiting = holding.where(File.id > newest_indexed(connection))
    return [beginning, waiting, _indexed(names, connection, sought)]


def _indexed(names: _Question, connection: Connection, sought: Sought) -> _Question:
    """Return the question to SQLite's index: newest first, each checked against the name itself."""
    trigrams = _trigrams_of(sought.text.lower())
    if len(trigrams) > _MOST_TRIGRAMS:
        trigrams = _rarest(trigrams, _sample(connection))
    matches = literal_column(TRIGRAMS).op("MATCH")(_expression(trigrams))
    return (
        names.join(_trigrams, _trigrams.c.rowid == File.id)
        .where(matches, sought.condition(connection, File.name))
        .order_by(_trigrams.c.rowid.desc())
    )


def _sample(connection: Connection) -> list[str]:
    """Return some names from all of them, in small letters."""
    newest = connection.execute(select(func.max(File.id))).scalar() or 0
    step = max(1, newest // _SAMPLED)
    query = select(func.lower(File.name)).where(File.id.in_(range(newest, 0, -step)))
    return list(connection.execute(query).scalars())


def _trigrams_of(text: str) -> list[str]:
    """Return the parts of three letters, each once, in order."""
    parts = [text[at : at + LETTERS] for at in range(len(text) - LETTERS + 1)]
    return list(dict.fromkeys(parts))


def _rarest(trigrams: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return those that fewest of these names have."""
    if len(trigrams) > _SAMPLED:  # no name is so long: any of them will do
        return list(trigrams[:: len(trigrams) // _MOST_TRIGRAMS])
    counts = {part: sum(part in name for name in names) for part in trigrams}
    return sorted(trigrams, key=counts.__getitem__)[:_MOST_TRIGRAMS]


def _expression(trigrams: Sequence[str]) -> str:
    """Return trigrams as FTS5 is asked for them: all of them."""
    quoted = ['"' + trigram.replace('"', '""') + '"' for trigram in trigrams]
    return " AND ".join(quoted)
