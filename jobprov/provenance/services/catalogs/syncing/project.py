"""Processes of a task's SAM project, and their inputs."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import cast

from jobprov.provenance.catalogs.catalog import Process, ProjectCatalog
from jobprov.provenance.db.queries.catalogs.catalogs import used_units
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.catalogs.rows import write_processes
from jobprov.provenance.services.catalogs.syncing.task import TaskInCatalog, TaskSync

MOST_INPUT_CALLS = 200
"""Processes whose inputs are asked for in one go, a call each."""
_DONE = ("completed", "finished")
_OVER = (*_DONE, "bad")
"""Statuses of processes that are given no more files."""


def sync_project(compared: TaskInCatalog, progress: TaskSync, project: str) -> TaskSync:
    """Ask for the processes of the task's project, and for the inputs of some.

    Those that did not complete come first.
    """
    if compared.catalog.kind != "sam":
        return progress
    projects = cast("ProjectCatalog", compared.catalog)
    try:
        processes = projects.read_project(project).processes
    except NotFoundError as problem:
        # Not started yet, most likely: outputs were compared all the same
        return progress._replace(problem=str(problem))
    with compared.database.reading.connect() as connection:
        uses = used_units(connection, compared.task.key)
    known = {use.process_id for use in uses}
    # One that went on may have got more since
    settled = {use.process_id for use in uses if use.status in _OVER}
    unsettled = [process for process in processes if process.process_id not in settled]
    inputs = _read_inputs(compared, projects, _most_urgent(unsettled, known))
    compared.writer.run(
        lambda writing: write_processes(writing.connection, compared.task.key, processes, inputs)
    )
    known |= inputs.keys()
    unfinished = {process.process_id for process in unsettled if process.status not in _DONE}
    is_whole = progress.is_whole and unfinished <= known
    return progress._replace(processes=len(processes), is_whole=is_whole)


def _most_urgent(processes: Sequence[Process], known: AbstractSet[int]) -> list[Process]:
    """Return as many processes as are asked about in one go.

    Those that were never asked about come first, and of these the ones that did not complete.
    """

    def urgency(process: Process) -> tuple[bool, bool]:
        return process.process_id in known, process.status in _DONE

    return sorted(processes, key=urgency)[:MOST_INPUT_CALLS]


def _read_inputs(
    compared: TaskInCatalog, projects: ProjectCatalog, processes: Sequence[Process]
) -> dict[int, list[str]]:
    """Return the inputs by process, of as many as there is time for."""
    inputs: dict[int, list[str]] = {}
    for process in processes:
        if compared.is_over():
            break
        inputs[process.process_id] = projects.read_inputs(process.process_id)
    return inputs
