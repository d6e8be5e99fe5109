"""How many files of a job count for its unit, where a catalog retired some or never got them.

What is recorded of a job counts its files once. A file that is gone from its catalog, or that never
arrived there, does not count, and it does again once the catalog has it. Of a job that lost a file
like this, only what the catalog has counts: a histogram that is left makes no unit done.
`jobs.output_count` is what all counts of units go by, and is brought up to date here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.recording.task_rows import patterns_of_tasks
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import (
    CatalogFileRow,
    CatalogOutput,
    Claim,
    File,
    Identity,
)
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.files.checksums import have_other_checksum
from jobprov.provenance.records.files.outputs import counts_for_unit, is_usable
from jobprov.provenance.records.files.presence import Presence

_COUNT = "UPDATE jobs SET output_count = ? WHERE id = ?"
_COUNTED = "SELECT id, task_id, output_count FROM jobs WHERE task_id IS NOT NULL AND id {among}"
_GONE = "SELECT file_id FROM catalog_outputs WHERE presence = 2 AND task_id {among}"
_LOST_SOME = """
SELECT j.id FROM jobs j
WHERE (EXISTS (SELECT 1 FROM catalog_outputs o WHERE o.task_id = j.task_id AND o.presence = 2)
OR EXISTS (SELECT 1 FROM unarrived_files u WHERE u.task_id = j.task_id AND u.job_id = j.id))
AND j.id {among}
"""
_UNARRIVED = "SELECT job_id FROM unarrived_files WHERE task_id {among}"
_UNARRIVED_OF_JOBS = """
SELECT u.job_id, u.file_id FROM jobs j
JOIN unarrived_files u ON u.task_id = j.task_id AND u.job_id = j.id
WHERE j.id {among}
"""
_MAKERS = """
SELECT DISTINCT c.job_id FROM catalog_files a
JOIN files f ON f.name = a.name AND f.experiment_id = a.experiment_id
JOIN claims c ON c.file_id = f.id
JOIN jobs j ON j.id = c.job_id
WHERE j.task_id = ? AND a.id {among}
"""


def count_outputs_of_makers(connection: Connection, task: int, files: Sequence[int]) -> set[int]:
    """Count again the outputs of the jobs of a task that made these files of its catalog.

    Return the jobs as `count_outputs_again` does.
    """
    makers = {job for (job,) in select_among(connection, _MAKERS, files, task)}
    return count_outputs_again(connection, sorted(makers))


def leave_out_lost_of_task(connection: Connection, task: int) -> None:
    """Count the outputs of jobs again of which a task lost files."""
    gone = [file for (file,) in select_among(connection, _GONE, [task])]
    count_outputs_of_makers(connection, task, gone)
    unarrived = select_among(connection, _UNARRIVED, [task])
    count_outputs_again(connection, sorted({job for (job,) in unarrived}))


def leave_out_lost(connection: Connection, jobs: Iterable[int]) -> None:
    """Count the outputs of jobs again whose record was written anew and whose task lost files."""
    lost_some = select_among(connection, _LOST_SOME, jobs)
    count_outputs_again(connection, [job for (job,) in lost_some])


class _Seen(NamedTuple):
    """A file, under one name, as a job recorded it or as the catalog has it."""

    namespace: str
    size_bytes: int | None
    checksums: str

    def may_be(self, other: "_Seen") -> bool:
        """Return whether a file of the same name may be this one."""
        if "" not in (self.namespace, other.namespace) and self.namespace != other.namespace:
            return False
        sizes = (self.size_bytes, other.size_bytes)
        if None not in sizes and self.size_bytes != other.size_bytes:
            return False
        return not have_other_checksum(self.checksums, other.checksums)


class _MadeFile(NamedTuple):
    """A file that a job made, by each name that it has: the first is the one it was born with.

    `job` is a key, and so is `file`, of that first name; `position` is the place of the file among
    the outputs of its job.
    """

    job: int
    position: int
    file: int
    names: list[tuple[str, _Seen]]


class _InCatalog(NamedTuple):
    """An output of a task in its catalog."""

    file: _Seen
    presence: Presence


_Catalog = Mapping[tuple[int, str], Sequence[_InCatalog]]
"""The outputs of tasks in their catalogs, by task and name."""


def count_outputs_again(connection: Connection, jobs: Sequence[int]) -> set[int]:
    """Bring the number of outputs that count up to date, of each of these jobs.

    Return those that had some and have none now, or the other way round.
    """
    turned: set[int] = set()
    for part in chunks(jobs):
        tasks: dict[int, int] = {}
        before: dict[int, int] = {}
        for job, task, count in select_among(connection, _COUNTED, part):
            tasks[job], before[job] = task, count
        made_files = _made_files(connection, list(tasks))
        catalog = _in_catalog(connection, set(tasks.values()), made_files)
        patterns = patterns_of_tasks(connection, set(tasks.values()))
        unarrived = set(select_among(connection, _UNARRIVED_OF_JOBS, part))
        presences = [_presence(file, tasks[file.job], catalog) for file in made_files]
        counts = dict.fromkeys(tasks, 0)
        for file in _files_left(made_files, presences, unarrived):
            name_at_birth, _ = file.names[0]
            counts[file.job] += counts_for_unit(name_at_birth, patterns.get(tasks[file.job], ()))
        changed = [(count, job) for job, count in counts.items() if count != before[job]]
        change_many(connection, _COUNT, changed)
        turned.update(job for count, job in changed if not (count and before[job]))
    return turned


def _files_left(
    made_files: Sequence[_MadeFile],
    presences: Sequence[Presence | None],
    unarrived: Iterable[tuple[int, int]],
) -> list[_MadeFile]:
    """Return the files that jobs made and did not lose.

    What no catalog knows, such as a histogram, does not stand in for a file that its job lost.

    Args:
        made_files: what jobs say they made.
        presences: of each of these, whether its catalog has it.
        unarrived: job and file of those that never arrived.
    """
    lost_some = {job for job, _ in unarrived}
    for file, presence in zip(made_files, presences, strict=True):
        if presence == Presence.GONE:
            lost_some.add(file.job)
    left = []
    for file, presence in zip(made_files, presences, strict=True):
        if presence is None:
            is_left = file.job not in lost_some
        else:
            is_left = presence != Presence.GONE
        if is_left:
            left.append(file)
    return left


class LostOutputs(NamedTuple):
    """Which outputs of a job the catalog of its task retired or never got, by position."""

    retired: set[int]
    unarrived: set[int]


def lost_outputs(connection: Connection, job: int) -> LostOutputs:
    """Return which outputs of a job are not in the catalog any more, or never arrived there."""
    lost = LostOutputs(set(), set())
    for _, task, _ in select_among(connection, _COUNTED, [job]):
        made_files = _made_files(connection, [job])
        catalog = _in_catalog(connection, [task], made_files)
        unarrived = set(select_among(connection, _UNARRIVED_OF_JOBS, [job]))
        for file in made_files:
            if (job, file.file) in unarrived:
                lost.unarrived.add(file.position)
            elif _presence(file, task, catalog) in (Presence.SPENT, Presence.GONE):
                lost.retired.add(file.position)
    return lost


def _made_files(connection: Connection, jobs: Sequence[int]) -> list[_MadeFile]:
    """Return the files that jobs say they made."""
    query = (
        select(
            Claim.job_id, Claim.position, Claim.file_id, Claim.id, Claim.alias_of, Claim.status,
            File.name, File.namespace, Identity.size_bytes, Identity.checksums,
        )
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(Claim.job_id.in_(jobs))
        .order_by(Claim.alias_of.is_not(None), Claim.id)
    )  # fmt: skip
    files: dict[int, _MadeFile] = {}
    for job, position, file, claim, alias_of, status, name, *values in connection.execute(query):
        seen = _Seen._make(values)
        if not is_usable(status, seen.size_bytes):
            continue
        if alias_of is None:
            files[claim] = _MadeFile(job, position, file, [(name, seen)])
        elif alias_of in files:
            files[alias_of].names.append((name, seen))
    return list(files.values())


def _in_catalog(
    connection: Connection, tasks: Iterable[int], files: Iterable[_MadeFile]
) -> _Catalog:
    """Return the outputs of tasks with the names of files, as their catalogs have or had them."""
    names: set[str] = set()
    for file in files:
        names.update(name for name, _ in file.names)
    catalog: dict[tuple[int, str], list[_InCatalog]] = defaultdict(list)
    for part in chunks(sorted(names)):
        query = (
            select(
                CatalogOutput.task_id, CatalogFileRow.name, CatalogOutput.presence,
                CatalogFileRow.namespace, CatalogFileRow.size_bytes, CatalogFileRow.checksums,
            )
            .join(CatalogOutput, CatalogOutput.file_id == CatalogFileRow.id)
            .where(CatalogFileRow.name.in_(part), CatalogOutput.task_id.in_(tasks))
        )  # fmt: skip
        for task, name, presence, *seen in connection.execute(query):
            catalog[task, name].append(_InCatalog(_Seen._make(seen), Presence(presence)))
    return catalog


def _presence(file: _MadeFile, task: int, catalog: _Catalog) -> Presence | None:
    """Return whether the catalog has a file, under whichever name; None if it never knew it."""
    presences = []
    for name, recorded in file.names:
        for output in catalog.get((task, name), ()):
            if recorded.may_be(output.file):
                presences.append(output.presence)
    return min(presences, default=None)
