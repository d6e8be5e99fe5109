"""What art's modules took in successful jobs.

The rows are of the newest jobs that pass the filters, one for each job.
"""

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.lookup.job_summaries import selected
from jobprov.provenance.db.queries.lookup.jobs import JobFilters, narrowed
from jobprov.provenance.db.queries.statistics.resources import COLUMNS, MOST_JOBS
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import Job, ModuleCost, ModuleSet


class Module(NamedTuple):
    """A module as a job names it; None where its record does not say it."""

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
    """Return the rows of the newest 50,000 successful jobs that tell of modules, newest first."""
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
