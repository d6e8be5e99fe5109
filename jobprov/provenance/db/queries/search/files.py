"""Files whose name contains a text, or each word of it.

First come those that begin with it, by the index of names; then others, newest first, by the index
of trigrams, which are three letters in a row. Names that SQLite has not indexed yet are compared
one by one, and so are the newest `MOST_LOOKED_AT` names of a database without that index.
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
"""The index is asked for so many trigrams of a text, the rarest among names.

To read the index for a fourth one takes longer than to compare the names that are left.
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
_NAMES = (
    select(File.id, File.name, File.namespace, Experiment.name)
    .join(Experiment, Experiment.id == File.experiment_id)
    .where(is_named())
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
    """Return files whose name contains the words.

    `namespace:name` asks for files of that namespace, or of any if none there match.
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
    """Return in words what is known of the last recorded job that made each file.

    One index look-up for each file: a name that every job writes has as many makers as jobs.
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
    """Return whether all names are searched, not only the newest."""
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
    """Return the queries to run one after the other: the best matches come from the first."""
    beginning = _NAMES.where(begins(File.name, wanted.text)).order_by(
        File.name, File.namespace, Experiment.name
    )
    if wanted.is_short:
        return [beginning]
    if not has_name_index(connection):
        oldest = select(func.max(File.id) - MOST_LOOKED_AT).scalar_subquery()
        return [beginning, _holding(connection, wanted).where(File.id > oldest)]
    if connection.dialect.name == "sqlite":
        not_indexed_yet = _holding(connection, wanted).where(File.id > newest_indexed(connection))
        return [beginning, not_indexed_yet, _indexed_by_sqlite(connection, wanted)]
    return [beginning, _indexed_by_postgresql(connection, wanted)]


def _holding(connection: Connection, wanted: SearchText) -> _Question:
    """Return the query that compares the text with each name, newest first."""
    return _NAMES.where(wanted.condition(connection, File.name)).order_by(File.id.desc())


def _indexed_by_postgresql(connection: Connection, wanted: SearchText) -> _Question:
    """Return the query for names that hold the text; the planner uses the index by itself."""
    trigrams = _trigrams_of(wanted.words)
    if len(trigrams) <= _MOST_TRIGRAMS:
        return _holding(connection, wanted)
    # Of a long text it would read all trigrams. So the index is asked for the rarest ones, and the
    # text is compared with an expression that no index has
    rarest = _rarest(trigrams, sample_of_names(connection))
    has_rarest = [holds(connection.dialect.name, File.name, trigram) for trigram in rarest]
    has_text = wanted.condition(connection, File.name.concat(""))
    return _NAMES.where(has_text, *has_rarest).order_by(File.id.desc())


def _indexed_by_sqlite(connection: Connection, wanted: SearchText) -> _Question:
    """Return the query by the index of trigrams: newest first, compared with the name itself."""
    trigrams = _trigrams_of(wanted.words)
    if len(trigrams) > _MOST_TRIGRAMS:
        trigrams = _rarest(trigrams, sample_of_names(connection))
    quoted = ['"' + trigram.replace('"', '""') + '"' for trigram in trigrams]
    matches = literal_column(TRIGRAMS).op("MATCH")(" AND ".join(quoted))
    return (
        _NAMES.join(_trigrams, _trigrams.c.rowid == File.id)
        .where(matches, wanted.condition(connection, File.name))
        .order_by(_trigrams.c.rowid.desc())
    )


def sample_of_names(connection: Connection) -> list[str]:
    """Return some names from all of them, in small letters."""
    newest = connection.execute(select(func.max(File.id))).scalar() or 0
    # Spread by the golden ratio: equal steps might meet the same kind of file each time
    keys = {1 + int(newest * (place * _GOLDEN % 1)) for place in range(_SAMPLED)}
    query = select(func.lower(File.name)).where(File.id.in_(sorted(keys)))
    return list(connection.execute(query).scalars())


def _trigrams_of(words: Sequence[str]) -> list[str]:
    """Return the trigrams of words in lower case, each once, in order."""
    parts: list[str] = []
    for word in words:
        folded = word.lower()
        parts += [folded[at : at + LETTERS] for at in range(len(folded) - LETTERS + 1)]
    return list(dict.fromkeys(parts))


def _rarest(trigrams: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the trigrams that together narrow a search most, judged by a sample of names.

    In each step the one is chosen that leaves the fewest of the names that are left.
    """
    if len(trigrams) > _SAMPLED:  # no name is so long: any of them will do
        return list(trigrams[:: len(trigrams) // _MOST_TRIGRAMS])
    names_with: dict[str, set[int]] = {}
    for trigram in trigrams:
        names_with[trigram] = {place for place, name in enumerate(names) if trigram in name}
    candidates = list(trigrams)
    names_left = set(range(len(names)))
    chosen: list[str] = []
    while candidates and len(chosen) < _MOST_TRIGRAMS:
        rarest = min(
            candidates, key=lambda part: (len(names_with[part] & names_left), len(names_with[part]))
        )
        candidates.remove(rarest)
        chosen.append(rarest)
        names_left &= names_with[rarest]
    return chosen
