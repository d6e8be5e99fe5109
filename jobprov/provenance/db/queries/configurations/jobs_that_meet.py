"""Jobs for which several conditions on parameters and variables hold, each for one of their steps.

A condition holds by the configurations that a job shares with others, or by the source files that
are its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, groupby, islice

from sqlalchemy import ColumnElement, Connection, or_, select

from jobprov.provenance.db.queries.configurations.job_sources import (
    newest_with_sources,
    sources_that_hold,
)
from jobprov.provenance.db.queries.configurations.newest_jobs import newest_that_ran, passing
from jobprov.provenance.db.queries.configurations.parameters import ParameterSearch, Ran, ran_one_of
from jobprov.provenance.db.tables import Job, JobSource

_GROWTH, _LONGEST_STRETCH = 4, 10_000
_Stretches = Iterator[list[int]]
"""Integer keys of jobs, newest first, in parts."""


def newest_that_meet(
    connection: Connection,
    searches: Sequence[ParameterSearch],
    wanted: Sequence[ColumnElement[bool]],
    *,
    before: int | None,
    length: int,
) -> _Stretches:
    """Yield the integer keys of the jobs for which the conditions of all searches hold, newest first.

    They come in stretches that grow.

    Args:
        searches: one at least.
        wanted: what else must hold of the jobs.
        before: jobs before this one only; None for all.
        length: jobs of the first stretch.
    """
    lists = [search.configurations for search in searches]
    ran = set.intersection(*lists)
    streams = [newest_that_ran(connection, ran, wanted, before=before, length=length)]
    for place, search in enumerate(searches):
        stream = newest_with_sources(connection, search.condition, before=before, length=length)
        if stream is None:
            continue
        others = lists[:place] + lists[place + 1 :]
        if others:
            stream = _that_ran_too(connection, stream, set.intersection(*others))
        if wanted:
            stream = _that_pass(connection, stream, wanted)
        streams.append(stream)
    if len(streams) == 1:
        return streams[0]
    return _merged(streams, length)


def _that_ran_too(connection: Connection, stream: _Stretches, ran: Ran) -> _Stretches:
    """Yield the jobs of the stretches that ran one of these lists."""
    if ran:
        yield from _that_pass(connection, stream, [ran_one_of(connection, ran)])


def _that_pass(
    connection: Connection, stream: _Stretches, wanted: Sequence[ColumnElement[bool]]
) -> _Stretches:
    """Yield the jobs of the stretches that meet all conditions."""
    for jobs in stream:
        yield passing(connection, jobs, wanted)


def _merged(streams: Sequence[_Stretches], length: int) -> _Stretches:
    """Yield the jobs of several streams as one, each once."""
    newest = merge(*map(chain.from_iterable, streams), reverse=True)
    jobs = (job for job, _ in groupby(newest))
    while stretch := list(islice(jobs, length)):
        yield stretch
        length = min(length * _GROWTH, _LONGEST_STRETCH)


def conditions_that_meet(searches: Iterable[ParameterSearch]) -> list[ColumnElement[bool]] | None:
    """Return the conditions of all searches as conditions on jobs; None where one holds for none.

    For jobs that are wanted all; the newest alone come sooner from `newest_that_meet`.
    """
    conditions = []
    for search in searches:
        condition = _meets(search)
        if condition is None:
            return None
        conditions.append(condition)
    return conditions


def _meets(search: ParameterSearch) -> ColumnElement[bool] | None:
    """Return the condition of a search as one on jobs; None where it holds for none."""
    either: list[ColumnElement[bool]] = []
    if search.configurations:
        either.append(ran_one_of(search.connection, search.configurations))
    wanted = sources_that_hold(search.connection.dialect.name, search.condition)
    if wanted is not None:
        either.append(Job.id.in_(select(JobSource.job_id).where(wanted)))
    return or_(*either) if either else None
