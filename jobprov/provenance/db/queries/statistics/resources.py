"""What successful jobs and their art modules took: the newest jobs that pass the filters."""

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, SQLColumnExpression, and_, select

from jobprov.provenance.db.queries.fragments.bounded import wide_sum
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB
from jobprov.provenance.db.queries.lookup.jobs.summaries import selected
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, narrowed
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import Claim, Host, Identity, Job, ModuleCost, ModuleSet

MOST_JOBS = 50_000
COLUMNS: dict[str, SQLColumnExpression[Any]] = {
    "stage": STAGE_OF_JOB,
    "site": Host.site,
    "host": Host.hostname,
    "version": Job.software_set_id,
}
"""What jobs can be grouped by."""


class JobResources(NamedTuple):
    """What one job took and made; None where it is not recorded."""

    facet: Any
    wall_seconds: float | None
    cpu_seconds: float | None
    max_rss_bytes: int | None
    output_bytes: int | None
    events: int | None


def job_resources(connection: Connection, filters: JobFilters, by: str) -> list[JobResources]:
    """Return the newest successful jobs, at most 50,000, newest first."""
    chosen = (
        narrowed(
            selected(
                Job.id,
                COLUMNS[by].label("facet"),
                Job.wall_seconds,
                Job.cpu_seconds,
                Job.max_rss_bytes,
            ),
            filters,
        )
        .where(Job.state == SUCCEEDED, Job.rerun_of.is_(None))
        .order_by(Job.id.desc())
        .limit(MOST_JOBS)
        .subquery()
    )
    # One join by the indexes of claims: where the chosen jobs were read twice and joined,
    # PostgreSQL made a nested loop over both while it had no statistics
    columns = (
        chosen.c.id,
        chosen.c.facet,
        chosen.c.wall_seconds,
        chosen.c.cpu_seconds,
        chosen.c.max_rss_bytes,
    )
    query = (
        select(*columns[1:], wide_sum(Identity.size_bytes), wide_sum(Claim.event_count))
        .select_from(chosen)
        .outerjoin(Claim, and_(Claim.job_id == chosen.c.id, Claim.alias_of.is_(None)))
        .outerjoin(Identity, Identity.id == Claim.identity_id)
        .group_by(*columns)
    )
    resources = []
    for facet, wall, cpu, memory, size_bytes, events in connection.execute(query):
        resources.append(
            JobResources(facet, wall, cpu, memory, _as_int(size_bytes), _as_int(events))
        )
    return resources


def _as_int(total: Any) -> int | None:
    """Return a sum as an int: PostgreSQL answers a Decimal, and None where nothing was summed."""
    return None if total is None else int(total)


class Module(NamedTuple):
    """A module as a job names it; None where it is not recorded."""

    step: str | None
    path: str | None
    label: str | None
    type: str | None


class ModuleRow(NamedTuple):
    """What one job's modules took, packed as in `recording/module_rows.py`, in the set's order."""

    facet: Any
    module_set: int
    costs: bytes


def module_rows(connection: Connection, filters: JobFilters, by: str) -> list[ModuleRow]:
    """Return the rows of the newest 50,000 successful jobs with recorded modules, newest first."""
    query = (
        narrowed(selected(COLUMNS[by], ModuleCost.module_set_id, ModuleCost.costs), filters)
        .join(ModuleCost, ModuleCost.job_id == Job.id)
        .where(Job.state == SUCCEEDED, Job.rerun_of.is_(None))
        .order_by(Job.id.desc())
        .limit(MOST_JOBS)
    )
    return [ModuleRow(*row) for row in connection.execute(query)]


def module_sets(connection: Connection, sets: set[int]) -> dict[int, list[Module]]:
    """Return the modules of each set, in order."""
    query = select(ModuleSet.id, ModuleSet.document).where(ModuleSet.id.in_(sorted(sets)))
    modules: dict[int, list[Module]] = {}
    for key, document in connection.execute(query):
        modules[key] = [Module(*names) for names in json.loads(document)]
    return modules
