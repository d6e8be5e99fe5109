"""Outputs that never arrived in the catalog, and for which nothing is left to wait.

Most files that a catalog does not know are not lost: they are late, are not to be declared, or were
merged first. What is lost has been overtaken by files of its kind, and its unit is not done
(docs/decisions/0050-files-that-never-arrived.md). All of it is judged anew by each sync.
"""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from jobprov.provenance.db.changes.catalogs import add_unarrived, remove_unarrived
from jobprov.provenance.db.queries.catalogs.unarrived import (
    FileOfJob,
    UnseenOutput,
    names_in_catalog,
    newest_arrival,
    seen_outputs,
    unarrived_files,
    units_under_other_names,
    unseen_outputs,
)
from jobprov.provenance.db.recording.output_counts import count_outputs_again
from jobprov.provenance.db.recording.task_rows import patterns_of_tasks
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.records.files.kinds import kind_of
from jobprov.provenance.records.files.outputs import counts_for_unit
from jobprov.provenance.services.catalogs.syncing.retired import settle_inputs
from jobprov.provenance.services.catalogs.syncing.task import (
    UNITS_AT_ONCE,
    TaskInCatalog,
    TaskSync,
)
from jobprov.provenance.services.writing import Writing

LONGEST_OUTAGE = timedelta(days=7)
"""So much longer than usual a file may take while nothing else of its task arrives either."""
_ONE_IN = 10
"""Of how many files of a kind one has to have arrived."""
_CONTROLS = 3
_WRITTEN_AT_ONCE = 500


def judge_unarrived(compared: TaskInCatalog, progress: TaskSync) -> TaskSync:
    """Find the outputs that never arrived, and take back what was taken for such and came."""
    task = compared.task.key
    with compared.database.reading.connect() as connection:
        before = unarrived_files(connection, task)
        controls = names_in_catalog(connection, task, limit=_CONTROLS)
        if not controls:  # nothing overtakes, and nothing would show that the catalog answers
            return progress
        overtaken = _overtaken(connection, compared)
    lost: set[FileOfJob] = set()
    for part in chunks(overtaken, UNITS_AT_ONCE):
        if compared.is_over():
            return progress._replace(is_whole=False)
        unknown = _unknown_to_catalog(compared, part, controls)
        if unknown is None:
            problem = (
                f"The catalog had {controls[0]} and finds it no more, so its answer about "
                f"{counted(len(part), 'file')} that did not arrive counts for nothing."
            )
            return progress._replace(problem=progress.problem or problem)
        lost |= unknown
    turned: set[int] = set()
    for changed in chunks(sorted(lost ^ before), _WRITTEN_AT_ONCE):
        write = partial(_write, task=task, changed=set(changed), lost=lost)
        turned |= compared.writer.run(write)
    progress = settle_inputs(compared, progress, turned)
    return progress._replace(unarrived=len(lost - before))


def _unseen_outputs(connection: Connection, task: int, late_at: datetime) -> list[UnseenOutput]:
    """Return the outputs that count for a unit, were not used, and that nobody saw in time."""
    unseen = unseen_outputs(connection, task, written_before=late_at)
    patterns = patterns_of_tasks(connection, [task]).get(task, [])
    return [file for file in unseen if counts_for_unit(file.name, patterns)]


def _overtaken(connection: Connection, compared: TaskInCatalog) -> list[UnseenOutput]:
    """Return the outputs that nobody saw in time and that others of their kind overtook."""
    task = compared.task.key
    late_at = compared.began_at - compared.arrive_within
    unseen = _unseen_outputs(connection, task, late_at)
    if not unseen:
        return []
    overtaken_before = late_at - LONGEST_OUTAGE
    arrival = newest_arrival(connection, task, before=late_at)
    if arrival is not None:
        overtaken_before = max(overtaken_before, arrival)
    missing = Counter(kind_of(file.name, file.unit) for file in unseen)
    arrived = Counter(kind_of(name, unit) for name, unit in seen_outputs(connection, task))
    renamed = units_under_other_names(connection, task, {file.unit or "" for file in unseen})
    overtaken = []
    for file in unseen:
        kind = kind_of(file.name, file.unit)
        is_of_arriving_kind = arrived[kind] * _ONE_IN >= arrived[kind] + missing[kind]
        was_overtaken = file.written_at < overtaken_before
        if is_of_arriving_kind and was_overtaken and file.unit not in renamed:
            overtaken.append(file)
    return overtaken


def _unknown_to_catalog(
    compared: TaskInCatalog, files: Sequence[UnseenOutput], controls: Sequence[str]
) -> set[FileOfJob] | None:
    """Return the files that the catalog has by their names in no namespace, retired or not.

    It is asked for `controls` at once, files that it has. If it finds none of these, its answer
    says nothing: None.
    """
    askable = [file for file in files if _can_be_asked(compared, file)]
    if not askable:
        return set()
    names = sorted({*controls, *(file.name for file in askable)})
    known = {compared.catalog.split(file.name)[1] for file in compared.catalog.find_files(names)}
    if not known.intersection(controls):
        return None
    return {(file.job, file.file) for file in askable if file.name not in known}


def _can_be_asked(compared: TaskInCatalog, file: UnseenOutput) -> bool:
    namespace = file.namespace or compared.namespace or "any"
    return compared.catalog.can_hold(compared.catalog.join(namespace, file.name))


def _write(
    writing: Writing, *, task: int, changed: AbstractSet[FileOfJob], lost: AbstractSet[FileOfJob]
) -> set[int]:
    """Write what became of files; return the jobs that lost all theirs, or have some again."""
    remove_unarrived(writing.connection, task, changed)
    add_unarrived(writing.connection, task, sorted(changed & lost))
    return count_outputs_again(writing.connection, sorted({job for job, _ in changed}))
