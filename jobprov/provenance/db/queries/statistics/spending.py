"""What finished jobs cost, by site, list of software and week."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, case, func, or_, select

from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, job_conditions
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import Host, Job

WEEK = timedelta(days=7)


class SpentRow(NamedTuple):
    """Jobs of one site, list of software and week.

    Attributes:
        site: '' where jobs name none.
        software_set: the key of the list; None likewise.
        week: 0 the last seven days, 1 the seven before, 2 whenever else.
        silent_jobs: how many of the jobs do not say how much CPU time they used.
    """

    site: str
    software_set: int | None
    week: int
    jobs: int
    failures: int
    silent_jobs: int
    cpu_seconds: float
    lost_cpu_seconds: float


def spent_by(connection: Connection, filters: JobFilters, now: datetime) -> list[SpentRow]:
    """Return what the jobs that pass the filters cost; they are walked once."""
    week = case(
        # The clock of a node may be ahead: such a job is of a week to come
        (Job.ended_at >= now, 2),
        (Job.ended_at >= now - WEEK, 0),
        (Job.ended_at >= now - 2 * WEEK, 1),
        else_=2,
    )
    group = (
        func.coalesce(Host.site, "").label("site"),
        Job.software_set_id,
        week.label("week"),
    )
    cpu = func.coalesce(Job.cpu_seconds, 0.0)
    query = (
        select(
            *group,
            func.count(),
            func.sum(case((IS_BAD, 1), else_=0)),
            func.count() - func.count(Job.cpu_seconds),
            func.sum(cpu),
            func.sum(case((IS_BAD, cpu), else_=0.0)),
        )
        .select_from(Job)
        .outerjoin(Host, Host.id == Job.host_id)
        .where(or_(Job.state == SUCCEEDED, IS_BAD), Job.rerun_of.is_(None))
        .where(*job_conditions(filters))
        .group_by(*group)
    )
    rows = []
    for site, software_set, place, jobs, failures, silent, seconds, lost in connection.execute(
        query
    ):
        rows.append(
            SpentRow(
                site, software_set, place, jobs, int(failures), silent, float(seconds), float(lost)
            )
        )
    return rows
