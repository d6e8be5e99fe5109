"""Files whose name holds a text, or each word of it.

First those that begin with it, by the index of names; then others, newest first, by the index of
trigrams. Names that SQLite has not indexed yet are looked at one by one, and so are the newest
`MOST_LOOKED_AT` of a database without that index.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, column, func, literal_column, select, table
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.search import Hit
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.patterns import begins, holds
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB, with_stage
from jobprov.provenance.db.queries.lookup.jobs.by_id import job_words
from jobprov.provenance.db.queries.search.matches import (
    MOST_COUNTED,
    MOST_ROWS,
    Matches,
    SearchText,
)
from jobprov.provenance.db.tables import Claim, Experiment, File, Job
from jobprov.provenance.db.tables.name_index import LETTERS, TRIGRAMS, has_name_index
from jobprov.provenance.db.writer.indexed_names import newest_indexed
from jobprov.provenance.records.files.names import full_name

MOST_LOOKED_AT = 200_000
_MOST_TRIGRAMS = 3
"""How many trigrams of a text the index is asked for: those that the fewest names have.

Reading the names with a fourth one takes longer than comparing the names that are left.
"""
_GOLDEN = 0.6180339887498949
_SAMPLED = 200
"""Names that are looked at to see which letters are rare."""
_NO_MAKER = "no recorded job made it"
_late, _late_job = aliased(Claim), aliased(Job)
_NEWEST_CLAIM = (
    select(_late.id)
    .join(_late_job, _late_job.id == _late.job_id)
    .where(_late.file_id == File.id, _late_job.rerun_of.is_(None))
    .order_by(_late.id.desc())
    .limit(1)
    .correlate(File)
    .scalar_subquery()
)
_Question = Select[*tuple[Any, ...]]
_trigrams = table(TRIGRAMS, column("rowid", Integer))


class _Row(NamedTuple):
    """A file that was found."""

    key: int
    name: str
    namespace: str
    experiment: str


def find_files(connection: Connection, wanted: SearchText) -> Matches:
    """Return files whose name holds the words.

    With `namespace:` before it, those of that namespace; where it has none, those of any.
    """
    namespace, colon, name = wanted.text.rpartition(":")
    rows: list[_Row] = []
    if colon and name:
        rows = _rows(connection, wanted._replace(text=name), namespace)
    if not rows and name:
        rows = _rows(connection, wanted._replace(text=name), None)
    shown = rows[: wanted.most]
    makers = _makers(connection, [row.key for row in shown])
    hits = []
    for row in shown:
        url = file_page(row.name, row.experiment, row.namespace)
        detail = makers.get(row.key, f"{row.experiment}, {_NO_MAKER}")
        hits.append(Hit("file", full_name(row.name, row.namespace), detail, url))
    return Matches(hits, min(len(rows), MOST_COUNTED), len(rows) > MOST_COUNTED)


def _makers(connection: Connection, files: Sequence[int]) -> dict[int, str]:
    """Return what is known of the job that was recorded last to have made each file, in words.

    One look-up of an index a file: a name that every job writes has as many makers as there are jobs.
    """
    query = (
        select(File.id, Experiment.name, STAGE_OF_JOB, Job.state, Job.ended_at)
        .select_from(File)
        .join(Experiment, Experiment.id == File.experiment_id)
        .join(Claim, Claim.id == _NEWEST_CLAIM)
        .join(Job, Job.id == Claim.job_id)
        .where(File.id.in_(files))
    )
    rows = connection.execute(with_stage(query))
    return {file: job_words(*facts) for file, *facts in rows}


def finds_all(connection: Connection) -> bool:
    """Return whether all names are looked at, not the newest alone."""
    return has_name_index(connection)


def _rows(connection: Connection, wanted: SearchText, namespace: str | None) -> list[_Row]:
    """Return the files, those that begin with the text first; a file once."""
    found: dict[int, _Row] = {}
    for query in _queries(connection, wanted):
        if namespace is not None:
            query = query.where(File.namespace == namespace)  # noqa: PLW2901 - narrowed
        for row in connection.execute(query.limit(MOST_ROWS)):
            found.setdefault(row[0], _Row(*row))
        if len(found) >= MOST_ROWS:
            break
    return list(found.values())


def _queries(connection: Connection, wanted: SearchText) -> list[_Question]:
    """Return the questions, in the order of what they find."""
    names = (
        select(File.id, File.name, File.namespace, Experiment.name)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(is_named())
    )
    of_names = (File.name, File.namespace, Experiment.name)
    beginning = names.where(begins(File.name, wanted.text)).order_by(*of_names)
    if wanted.is_short:
        return [beginning]
    holding = names.where(wanted.condition(connection, File.name)).order_by(File.id.desc())
    if not has_name_index(connection):
        oldest = select(func.max(File.id) - MOST_LOOKED_AT).scalar_subquery()
        return [beginning, holding.where(File.id > oldest)]
    trigrams = _trigrams_of(wanted.words)
    is_long = len(trigrams) > _MOST_TRIGRAMS
    if is_long:
        trigrams = _rarest(trigrams, sample_of_names(connection))
    if connection.dialect.name != "sqlite":
        if not is_long:
            return [beginning, holding]
        # An expression that no index has: else all trigrams of the text would be read
        compared = wanted.condition(connection, File.name.concat(""))
        has_parts = [holds(connection.dialect.name, File.name, trigram) for trigram in trigrams]
        newest_first = names.order_by(File.id.desc())
        return [beginning, newest_first.where(compared, *has_parts)]
    waiting = holding.where(File.id > newest_indexed(connection))
    return [beginning, waiting, _indexed(names, connection, wanted, trigrams)]


def _indexed(
    names: _Question, connection: Connection, wanted: SearchText, trigrams: Sequence[str]
) -> _Question:
    """Return the question to SQLite's index: newest first, each checked against the name itself."""
    quoted = ['"' + trigram.replace('"', '""') + '"' for trigram in trigrams]
    matches = literal_column(TRIGRAMS).op("MATCH")(" AND ".join(quoted))
    return (
        names.join(_trigrams, _trigrams.c.rowid == File.id)
        .where(matches, wanted.condition(connection, File.name))
        .order_by(_trigrams.c.rowid.desc())
    )


def sample_of_names(connection: Connection) -> list[str]:
    """Return some names from all of them, in small letters."""
    newest = connection.execute(select(func.max(File.id))).scalar() or 0
    # Spread without a rhythm, which names of one production may have as well
    keys = {1 + int(newest * (place * _GOLDEN % 1)) for place in range(_SAMPLED)}
    query = select(func.lower(File.name)).where(File.id.in_(sorted(keys)))
    return list(connection.execute(query).scalars())


def _trigrams_of(words: Sequence[str]) -> list[str]:
    """Return the parts of three letters, in small letters, each once, in order."""
    parts: list[str] = []
    for word in words:
        folded = word.lower()
        parts += [folded[at : at + LETTERS] for at in range(len(folded) - LETTERS + 1)]
    return list(dict.fromkeys(parts))


def _rarest(trigrams: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return those that together fewest of these names have, as far as one can see."""
    if len(trigrams) > _SAMPLED:  # no name is so long: any of them will do
        return list(trigrams[:: len(trigrams) // _MOST_TRIGRAMS])
    left = list(trigrams)
    holders: dict[str, set[int]] = {}
    for trigram in trigrams:
        holders[trigram] = {place for place, name in enumerate(names) if trigram in name}
    rest = set(range(len(names)))
    chosen: list[str] = []
    while left and len(chosen) < _MOST_TRIGRAMS:
        best = min(left, key=lambda part: (len(holders[part] & rest), len(holders[part])))
        left.remove(best)
        chosen.append(best)
        rest &= holders[best]
    return chosen
