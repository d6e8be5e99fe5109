"""Jobs by the files that their command lines gave art to read: `source.fileNames` as it ran."""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from jobprov.provenance.db.queries.configurations.parameter_values import (
    OF_TEXT,
    ParameterCondition,
    text_holds,
)
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.fragments.patterns import without_index
from jobprov.provenance.db.recording.source_rows import MOST_SOURCES, ONLY, SOURCES_KEY
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables import JobSource

_GROWTH, _LONGEST_STRETCH = 4, 10_000
_NEAR = 20
"""Jobs that are looked at first for each that is wanted: what holds for many is met among them."""
_WILDCARDS = ("*", "?")
_BEHIND_ALL = "SELECT coalesce(max(job_id), 0) + 1 FROM job_sources"


def sources_that_hold(
    dialect: str, condition: ParameterCondition, *, by_index: bool = True
) -> ColumnElement[bool] | None:
    """Return the condition on source files; None where it cannot hold for any of them.

    Without `by_index`, the index of their names is not used.
    """
    if condition.operator is not None and condition.operator not in OF_TEXT:
        return None
    canonical: Any = JobSource.canonical
    if not by_index:
        canonical = _no_index(dialect)
    holds = text_holds(dialect, condition, canonical)
    keys = _keys_meant(condition.pattern)
    places = [place for place in range(MOST_SOURCES) if keys.match(_element_key(place))]
    either: list[ColumnElement[bool]] = []
    if len(places) == MOST_SOURCES:
        either.append(and_(JobSource.place.is_not(None), *holds))
    elif places:
        stored = [ONLY, *places] if 0 in places else places
        either.append(and_(JobSource.place.in_(stored), *holds))
    if keys.match(SOURCES_KEY) and condition.operator != "~":
        either.append(and_(JobSource.place.is_(None), *holds))
        # the whole sequence of an only element is that in brackets
        inside = condition._replace(canonical=condition.canonical[1:-1])
        of_only = text_holds(dialect, inside, canonical)
        either.append(and_(JobSource.place == ONLY, *of_only))
    return or_(*either) if either else None


def _keys_meant(pattern: str) -> re.Pattern[str]:
    """Return a pattern of keys as a regular expression: `*` stands for any characters."""
    return re.compile(fnmatch.translate(re.sub(r"[\[?]", r"[\g<0>]", pattern)))


def _no_index(dialect: str) -> Any:
    """Return the column of names so that no index of it is used."""
    if dialect == "sqlite":
        return without_index(JobSource.canonical)
    return JobSource.canonical + ""


def _element_key(place: int) -> str:
    return f"{SOURCES_KEY}[{0 if place == ONLY else place}]"


def newest_with_sources(
    connection: Connection, condition: ParameterCondition, *, before: int | None, length: int
) -> Iterator[list[int]] | None:
    """Return the integer keys of the jobs with such source files, newest first.

    They come in stretches that grow, the first of `length` jobs. Return None where the condition
    cannot hold for source files.
    """
    dialect = connection.dialect.name
    wanted = sources_that_hold(dialect, condition)
    near = sources_that_hold(dialect, condition, by_index=False)
    if wanted is None or near is None:
        return None
    if condition.operator == "~" and condition.canonical[1:2] in _WILDCARDS:
        wanted = near  # the index has no beginning to go by, and reads all names in another order
    return _stretches(connection, wanted, near, before, length)


def _stretches(
    connection: Connection,
    wanted: ColumnElement[bool],
    near: ColumnElement[bool],
    before: int | None,
    length: int,
) -> Iterator[list[int]]:
    if before is None:
        before = int(fetch(connection, _BEHIND_ALL)[0][0])
    is_common = True
    while True:
        jobs: list[int] = []
        if is_common:
            after = before - _NEAR * length
            jobs = _newest(connection, and_(near, JobSource.job_id > after), before, length)
            is_common = len(jobs) == length
        if not is_common:
            jobs = _newest(connection, wanted, before, length)
        yield jobs
        if len(jobs) < length:
            return
        before, length = jobs[-1], min(length * _GROWTH, _LONGEST_STRETCH)


def _newest(
    connection: Connection, wanted: ColumnElement[bool], before: int, length: int
) -> list[int]:
    query = select(JobSource.job_id).where(wanted, JobSource.job_id < before).distinct()
    newest = query.order_by(JobSource.job_id.desc()).limit(length)
    return list(connection.execute(newest).scalars())


def sources_of(
    connection: Connection, condition: ParameterCondition, jobs: Sequence[int]
) -> Iterator[tuple[int, str, str]]:
    """Yield (job, key, canonical value) of sources of these jobs that meet the condition."""
    wanted = sources_that_hold(connection.dialect.name, condition, by_index=False)
    if wanted is None:
        return
    query = (
        select(JobSource.job_id, JobSource.place, JobSource.canonical)
        .where(among(connection, JobSource.job_id, jobs), wanted)
        .order_by(JobSource.job_id, JobSource.position)
    )
    for job, place, canonical in connection.execute(query):
        if place is None:
            yield job, SOURCES_KEY, canonical
        elif condition.pattern == SOURCES_KEY:
            yield job, SOURCES_KEY, f"[{canonical}]"
        else:
            yield job, _element_key(place), canonical
