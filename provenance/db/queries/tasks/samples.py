"""What successful jobs of many tasks made, reruns excepted, and which code they ran."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.db.queries.fragments.made_files import is_made
from jobprov.provenance.db.queries.fragments.sums import wide_sum
from jobprov.provenance.db.queries.lookup.node_facts import code_versions
from jobprov.provenance.db.queries.tasks.tasks import jobs_that_did_units
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import Claim, Experiment, Identity, Job, SoftwareSet, TaskRow
from jobprov.provenance.db.writer.keys import chunks


class TierOutput(NamedTuple):
    """How many files and events of a data tier were made."""

    files: int
    events: int


def is_recorded(connection: Connection, experiment: str) -> bool:
    """Return whether anything of an experiment was recorded."""
    query = select(Experiment.id).where(Experiment.name == experiment)
    return connection.execute(query).first() is not None


def outputs_of_tasks(
    connection: Connection, needed: Mapping[int, int]
) -> dict[int, dict[str | None, TierOutput]]:
    """Return by task and data tier what the jobs made that did its units.

    One statement takes 400 tasks.

    Args:
        connection: where from.
        needed: by task, how many outputs make a unit done.
    """
    tasks_by_number: dict[int, list[int]] = {}
    for task in sorted(needed):
        tasks_by_number.setdefault(needed[task], []).append(task)
    outputs: dict[int, dict[str | None, TierOutput]] = {}
    for number, tasks in tasks_by_number.items():
        for part in chunks(tasks):
            for task, tier, files, events in connection.execute(_tier_query(part, number)):
                outputs.setdefault(task, {})[tier] = TierOutput(files, int(events or 0))
    return outputs


def _tier_query(tasks: Sequence[int], needed: int) -> Select[Any]:
    done = jobs_that_did_units(tasks, needed)
    return (
        select(done.c.task_id, Claim.data_tier, func.count(), wide_sum(Claim.event_count))
        .select_from(done)
        .join(Claim, Claim.job_id == done.c.id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(Claim.alias_of.is_(None), is_made())
        .group_by(done.c.task_id, Claim.data_tier)
    )


def versions_of_tasks(connection: Connection, tasks: Iterable[int]) -> dict[int, list[str]]:
    """Return by task the names of the code that its successful jobs ran, sorted."""
    pairs: set[tuple[int, int]] = set()
    for part in chunks(sorted(tasks)):
        query = (
            select(TaskRow.id, SoftwareSet.id)
            .join(Job, Job.task_id == TaskRow.id)
            .join(SoftwareSet, SoftwareSet.id == Job.software_set_id)
            .where(TaskRow.id.in_(part), Job.state == SUCCEEDED, Job.rerun_of.is_(None))
            .distinct()
        )
        pairs.update((row[0], row[1]) for row in connection.execute(query))
    code = code_versions(connection, {software for _, software in pairs})
    versions: dict[int, set[str]] = {}
    for task, software in pairs:
        versions.setdefault(task, set()).add(code[software])
    return {task: sorted(names) for task, names in versions.items()}
