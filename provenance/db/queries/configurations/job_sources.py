"""Jobs by the files that their command lines gave art to read: `source.fileNames` as it ran."""

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from jobprov.provenance.db.queries.configurations.parameter_values import (
    OF_TEXT,
    ParameterCondition,
    text_holds,
)
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.recording.source_rows import MOST_SOURCES, SOURCES_KEY
from jobprov.provenance.db.tables import JobSource

_GROWTH, _LONGEST_STRETCH = 4, 10_000


def sources_that_hold(dialect: str, condition: ParameterCondition) -> ColumnElement[bool] | None:
    """Return the condition on source files; None where it cannot hold for any of them."""
    if condition.operator is not None and condition.operator not in OF_TEXT:
        return None
    asked = re.compile(".*".join(map(re.escape, condition.pattern.split("*"))))
    places = [place for place in range(MOST_SOURCES) if asked.fullmatch(source_key(place))]
    kinds: list[ColumnElement[bool]] = []
    if asked.fullmatch(source_key(None)):
        kinds.append(JobSource.place.is_(None))
    if len(places) == MOST_SOURCES:
        kinds.append(JobSource.place.is_not(None))
    elif places:
        kinds.append(JobSource.place.in_(places))
    if not kinds:
        return None
    return and_(or_(*kinds), *text_holds(dialect, condition, JobSource.canonical))


def source_key(place: int | None) -> str:
    """Return the key of an element of `source.fileNames`, or of the whole sequence."""
    return SOURCES_KEY if place is None else f"{SOURCES_KEY}[{place}]"


def newest_with_sources(
    connection: Connection, wanted: ColumnElement[bool], *, before: int | None, length: int
) -> Iterator[list[int]]:
    """Yield the integer keys of the jobs with such source files, newest first.

    They come in stretches that grow, the first of `length` jobs.
    """
    while True:
        query = select(JobSource.job_id).where(wanted).distinct()
        if before is not None:
            query = query.where(JobSource.job_id < before)
        newest = query.order_by(JobSource.job_id.desc()).limit(length)
        jobs = list(connection.execute(newest).scalars())
        yield jobs
        if len(jobs) < length:
            return
        before, length = jobs[-1], min(length * _GROWTH, _LONGEST_STRETCH)


def sources_of(
    connection: Connection, wanted: ColumnElement[bool], jobs: Sequence[int]
) -> Iterator[tuple[int, str, str]]:
    """Yield key of the job, key and canonical value of such source files of these jobs, in order."""
    query = (
        select(JobSource.job_id, JobSource.place, JobSource.canonical)
        .where(among(connection, JobSource.job_id, jobs), wanted)
        .order_by(JobSource.job_id, JobSource.position)
    )
    for job, place, canonical in connection.execute(query):
        yield job, source_key(place), canonical
