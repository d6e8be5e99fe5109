"""Turns what a catalog answered about a task into rows.

Not in the ledger: it is asked again. What is asked, and when, is in `catalogs/sync.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from jobprov.provenance.catalogs.catalog import Catalog, CatalogFile, Process
from jobprov.provenance.db.changes.catalogs import (
    CatalogFileDraft,
    ProcessDraft,
    intern_catalog_files,
    replace_claimed_outputs,
    replace_outputs,
    replace_processes,
    replace_uses,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.services.writing import Writing

_LETTERS_OF_UUID = 36


def write_outputs(
    writing: Writing,
    catalog: Catalog,
    task: FoundTask,
    *,
    units: Mapping[str, str],
    files: Sequence[CatalogFile],
) -> None:
    """Write what the catalog knows of these units in place of what it knew before.

    Each unit comes with what the catalog calls it.
    """
    keys = _intern_files(writing, catalog, task.experiment_key, files)
    unit_of = {called: unit for unit, called in units.items() if unit}
    outputs = []
    for file in files:
        names = [unit_of[parent] for parent in file.parents if parent in unit_of]
        if not unit_of:
            names = [""]  # the task has no list of units
        outputs += [(unit, keys[file.name]) for unit in names]
    replace_outputs(writing.connection, task.key, list(units), outputs)


def write_claimed(
    writing: Writing,
    catalog: Catalog,
    task: FoundTask,
    *,
    names: Sequence[str],
    files: Sequence[CatalogFile],
) -> None:
    """Write the files of the catalog that jobs claim and that are no child of a unit.

    They replace those of these bare names that were found before. A retired one is no output any
    more; that the catalog knew it is kept.
    """
    keys = _intern_files(writing, catalog, task.experiment_key, files)
    outputs = [keys[file.name] for file in files if not file.is_retired]
    replace_claimed_outputs(writing.connection, task.key, names, outputs)


def _intern_files(
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
