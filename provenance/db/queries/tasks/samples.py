"""What successful jobs of many tasks made, reruns excepted, and which code they ran."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.fragments.sums import wide_sum
from jobprov.provenance.db.queries.lookup.node_facts import code_versions
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Claim, Experiment, Job, SoftwareSet, TaskRow


class TierOutput(NamedTuple):
    """How many files and events of a data tier were made."""

    files: int
    events: int


def is_recorded(connection: Connection, experiment: str) -> bool:
    """Return whether anything of an experiment was recorded."""
    query = select(Experiment.id).where(Experiment.name == experiment)
    return connection.execute(query).first() is not None


def outputs_of_tasks(
    connection: Connection, tasks: Iterable[int]
) -> dict[int, dict[str | None, TierOutput]]:
    """Return by task and data tier what successful jobs made, in one statement for 400 tasks."""
    outputs: dict[int, dict[str | None, TierOutput]] = {}
    for part in chunks(sorted(tasks)):
        query = (
            select(TaskRow.id, Claim.data_tier, func.count(), wide_sum(Claim.event_count))
            .join(Job, Job.task_id == TaskRow.id)
            .join(Claim, Claim.job_id == Job.id)
            .where(TaskRow.id.in_(part), Job.state == STATES.index("succeeded"))
            .where(Claim.alias_of.is_(None), Job.rerun_of.is_(None))
            .group_by(TaskRow.id, Claim.data_tier)
        )
        for task, tier, files, events in connection.execute(query):
            outputs.setdefault(task, {})[tier] = TierOutput(files, int(events or 0))
    return outputs


def versions_of_tasks(connection: Connection, tasks: Iterable[int]) -> dict[int, list[str]]:
    """Return by task the names of the code that its successful jobs ran, sorted."""
    pairs: set[tuple[int, int]] = set()
    for part in chunks(sorted(tasks)):
        query = (
            select(TaskRow.id, SoftwareSet.id)
            .join(Job, Job.task_id == TaskRow.id)
            .join(SoftwareSet, SoftwareSet.id == Job.software_set_id)
            .where(
                TaskRow.id.in_(part), Job.state == STATES.index("succeeded"), Job.rerun_of.is_(None)
            )
            .distinct()
        )
        pairs.update((row[0], row[1]) for row in connection.execute(query))
    code = code_versions(connection, {software for _, software in pairs})
    versions: dict[int, set[str]] = {}
    for task, software in pairs:
        versions.setdefault(task, set()).add(code[software])
    return {task: sorted(names) for task, names in versions.items()}
