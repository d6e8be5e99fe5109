"""What successful jobs of many tasks made, reruns excepted, and which code they ran."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.queries.fragments.arrived import is_not_lost
from jobprov.provenance.db.queries.fragments.bounded import wide_sum
from jobprov.provenance.db.queries.fragments.versions import is_made
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.queries.tasks.tasks import jobs_that_did_units
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.recording.task_rows import patterns_of_tasks
from jobprov.provenance.db.tables import Claim, File, Identity, Job, SoftwareSet, TaskRow
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.files.outputs import counts_for_unit

_AT_ONCE = 5000


class TierOutput(NamedTuple):
    """How many files and events of a data tier were made."""

    files: int
    events: int


NOTHING = TierOutput(files=0, events=0)


def outputs_of_tasks(
    connection: Connection, needed: Mapping[int, int]
) -> dict[int, dict[str | None, TierOutput]]:
    """Return by task and data tier what the jobs made that did its units.

    Only files that count for a unit by their names. The database sums all files, since nearly always
    all of them count; the names are read of the tasks where some do not.

    Args:
        needed: by task, how many outputs make a unit done.
    """
    tasks_by_number: dict[int, list[int]] = {}
    for task in sorted(needed):
        tasks_by_number.setdefault(needed[task], []).append(task)
    outputs: dict[int, dict[str | None, TierOutput]] = {}
    for number, tasks in tasks_by_number.items():
        for part in chunks(tasks):
            sums, with_others = _sums_of_all_files(connection, part, number)
            outputs.update(sums)
            outputs.update(_sums_by_name(connection, with_others, number))
    return outputs


def _sums_of_all_files(
    connection: Connection, tasks: Sequence[int], needed: int
) -> tuple[dict[int, dict[str | None, TierOutput]], list[int]]:
    """Return what jobs made by task and data tier, and the tasks where some files do not count."""
    done = jobs_that_did_units(tasks, needed)
    sums = (
        select(done.c.task_id, Claim.data_tier, func.count(), wide_sum(Claim.event_count))
        .select_from(done)
        .join(Claim, Claim.job_id == done.c.id)
        .join(Identity, Identity.id == Claim.identity_id)
        .join(Job, Job.id == Claim.job_id)
        .where(Claim.alias_of.is_(None), is_made(), is_not_lost())
        .group_by(done.c.task_id, Claim.data_tier)
    )
    outputs: dict[int, dict[str | None, TierOutput]] = {}
    all_files: Counter[int] = Counter()
    for task, tier, files, events in connection.execute(sums):
        outputs.setdefault(task, {})[tier] = TierOutput(files, int(events or 0))
        all_files[task] += files
    counting = (
        select(done.c.task_id, func.sum(Job.output_count))
        .join(Job, Job.id == done.c.id)
        .group_by(done.c.task_id)
    )
    counts = {row[0]: int(row[1]) for row in connection.execute(counting)}
    return outputs, [task for task in outputs if counts[task] != all_files[task]]


def _sums_by_name(
    connection: Connection, tasks: Sequence[int], needed: int
) -> dict[int, dict[str | None, TierOutput]]:
    """Return what jobs made by task and data tier, of the files that count by their names."""
    outputs: dict[int, dict[str | None, TierOutput]] = {task: {} for task in tasks}
    if not tasks:
        return outputs
    done = jobs_that_did_units(tasks, needed)
    query = (
        select(done.c.task_id, Claim.data_tier, Claim.event_count, File.name)
        .select_from(done)
        .join(Claim, Claim.job_id == done.c.id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .join(Job, Job.id == Claim.job_id)
        .where(Claim.alias_of.is_(None), is_made(), is_not_lost())
        .execution_options(yield_per=_AT_ONCE)
    )
    patterns = patterns_of_tasks(connection, tasks)
    for task, tier, events, name in connection.execute(query):
        if counts_for_unit(name, patterns.get(task, ())):
            before = outputs[task].get(tier, NOTHING)
            outputs[task][tier] = TierOutput(before.files + 1, before.events + (events or 0))
    return outputs


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
