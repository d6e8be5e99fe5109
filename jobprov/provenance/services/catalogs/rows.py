"""Turns what a catalog answered about a task into rows.

Not in the ledger: it is asked again. What is asked, and when, is in `catalogs/sync.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.catalogs.catalog import Catalog, CatalogFile, Process
from jobprov.provenance.db.changes.catalogs import (
    CatalogFileDraft,
    ProcessDraft,
    add_outputs,
    intern_catalog_files,
    remove_outputs,
    replace_processes,
    replace_uses,
)
from jobprov.provenance.db.queries.catalogs.retired import (
    KnownOutput,
    OutputPlace,
    gone_outputs,
    outputs_of_files,
    outputs_of_no_unit,
    outputs_of_units,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.recording.output_counts import count_outputs_of_makers
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.services.writing import Writing

_LETTERS_OF_UUID = 36


class Unsettled(NamedTuple):
    """What is to be looked at after files of a catalog were written.

    Attributes:
        outputs: what is no output any more, and what the catalog has retired already.
        jobs: keys of jobs that had no file that counts and have some again, or the other way round.
    """

    outputs: Sequence[KnownOutput] = ()
    jobs: AbstractSet[int] = frozenset()


def write_outputs(
    writing: Writing,
    catalog: Catalog,
    task: FoundTask,
    *,
    units: Mapping[str, str],
    files: Sequence[CatalogFile],
) -> Unsettled:
    """Write what the catalog knows of these units in place of what it knew before.

    Each unit comes with what the catalog calls it.
    """
    keys = intern_files(writing, catalog, task.experiment_key, files)
    unit_of = {called: unit for unit, called in units.items() if unit}
    outputs = []
    for file in files:
        names = [unit_of[parent] for parent in file.parents if parent in unit_of]
        if not unit_of:
            names = [""]  # the task has no list of units
        outputs += [OutputPlace(unit, keys[file.name]) for unit in names]
    before: list[KnownOutput] = []
    for part in chunks(list(units)):
        before += outputs_of_units(writing.connection, task.key, part)
    return _replace(writing.connection, task.key, before, outputs)


def write_claimed(
    writing: Writing,
    catalog: Catalog,
    task: FoundTask,
    *,
    unit_of: Mapping[str, str],
    files: Sequence[CatalogFile],
) -> Unsettled:
    """Write the files of the catalog that jobs claim and that are no child of a unit.

    They replace those of these bare names that were found before. A retired file is the child of no
    unit to the catalog: it is an output of the unit of its job.

    Args:
        writing: where to.
        catalog: that was asked.
        task: which one.
        unit_of: the unit, '' for none, of the job that made a file, by the bare name of the file.
        files: that the catalog has of these names.
    """
    connection = writing.connection
    keys = intern_files(writing, catalog, task.experiment_key, files)
    outputs = []
    for file in files:
        _, name = catalog.split(file.name)
        unit = unit_of.get(name, "") if file.is_retired else ""
        outputs.append(OutputPlace(unit, keys[file.name]))
    before = outputs_of_no_unit(connection, task.key, list(unit_of))
    unsettled = _replace(connection, task.key, before, outputs)
    retired = [keys[file.name] for file in files if file.is_retired]
    of_retired = outputs_of_files(connection, task.key, retired)
    return unsettled._replace(outputs=[*unsettled.outputs, *of_retired])


def _replace(
    connection: Connection,
    task: int,
    before: Iterable[KnownOutput],
    outputs: Sequence[OutputPlace],
) -> Unsettled:
    """Write outputs in place of those before."""
    found = set(outputs)
    vanished = [output for output in before if output.place not in found]
    remove_outputs(connection, task, [output.place for output in vanished])
    has_lost_some = bool(gone_outputs(connection, task, limit=1))
    add_outputs(connection, task, outputs)
    turned: set[int] = set()
    if has_lost_some:
        turned = count_outputs_of_makers(connection, task, sorted({place.file for place in found}))
    return Unsettled(vanished, turned)


def intern_files(
    writing: Writing, catalog: Catalog, experiment: int, files: Iterable[CatalogFile]
) -> dict[str, int]:
    """Return the key of each file by name, its row brought up to date."""
    now = datetime.now(UTC)
    drafts = {file.name: _draft(catalog, file, experiment, seen_at=now) for file in files}
    keys = intern_catalog_files(writing, list(drafts.values()))
    return {name: keys[draft.key] for name, draft in drafts.items()}


def _draft(
    catalog: Catalog, file: CatalogFile, experiment: int, *, seen_at: datetime
) -> CatalogFileDraft:
    """Return the row of a file that the catalog knows."""
    namespace, name = catalog.split(file.name)
    # Metadata are free text: what is no UUID names no job and would not fit the column
    is_uuid = file.job_id is not None and len(file.job_id) == _LETTERS_OF_UUID
    return CatalogFileDraft(
        name,
        namespace,
        experiment,
        size_bytes=file.size_bytes,
        checksums=" ".join(file.checksums),
        process_id=file.process_id,
        task_id=file.task_id,
        job_uuid=file.job_id if is_uuid else None,
        seen_at=seen_at,
    )


def write_processes(
    connection: Connection,
    task: int,
    processes: Sequence[Process],
    inputs: Mapping[int, Sequence[str]],
) -> None:
    """Write the processes of a task's project in place of those before.

    The inputs of some of them are written too, by process.
    """
    drafts = []
    for process in processes:
        drafts.append(
            ProcessDraft(process.process_id, process.description, process.node, process.status)
        )
    replace_processes(connection, task, drafts)
    replace_uses(connection, task, inputs)
