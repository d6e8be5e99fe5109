"""Tasks and campaigns as what catalogs call definitions, datasets and projects.

The definition of a task has the files that its jobs made, that of a campaign those of all its
tasks. As a project, a task has the files that its jobs read.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from jobprov.provenance.answers.selections import Process, Project
from jobprov.provenance.db.connections.time_limits import limited
from jobprov.provenance.db.queries.selections.definitions import (
    TASK,
    ConsumerJob,
    DefinitionFilters,
    FoundDefinition,
    ProjectFilters,
    count_read_files,
    count_readers,
    definition_names,
    find_definitions,
    project_names,
    readers_of_task,
)
from jobprov.provenance.db.queries.selections.values import CONSUMED_STATUS
from jobprov.provenance.errors import LimitError, NotFoundError
from jobprov.provenance.selections.conditions import (
    All,
    Combined,
    Comparison,
    Definition,
    Not,
    Operator,
    Portion,
    Related,
    Selection,
    Some,
    Value,
    nodes_of,
)

MOST_DEFINITIONS = 100_000
MOST_PROCESSES = 1000
ANY_DEFINITION = DefinitionFilters()


class DefinitionNotFoundError(NotFoundError):
    """No task and no campaign of the experiment has the name."""


class ProjectNotFoundError(NotFoundError):
    """No task of the experiment has the name."""


def resolve(connection: Connection, experiment: int, selection: Selection) -> Selection:
    """Return the selection with the tasks and campaigns in place of its definitions.

    Raises:
        DefinitionNotFoundError: there is no task or campaign of one's name.
    """
    names = {node.name for node in nodes_of(selection) if isinstance(node, Definition)}
    if not names:
        return selection
    definitions = find_definitions(connection, experiment, sorted(names))
    for name in names:
        if name not in definitions:
            raise _unknown(name)
    return _replaced(selection, definitions)


def _replaced(selection: Selection, definitions: dict[str, FoundDefinition]) -> Selection:
    """Return a selection with the selections of definitions in place of their names."""
    match selection:
        case Definition(name):
            return selection_of(definitions[name])
        case All(parts) | Some(parts):
            return type(selection)(tuple(_replaced(part, definitions) for part in parts))
        case Not() | Related() | Portion():
            return replace(selection, part=_replaced(selection.part, definitions))
        case Combined(_, left, right):
            return replace(
                selection, left=_replaced(left, definitions), right=_replaced(right, definitions)
            )
        case _:
            return selection


def selection_of(definition: FoundDefinition) -> Selection:
    """Return what a definition selects."""
    field = "task_id" if definition.kind == TASK else "campaign"
    return Comparison(field, Operator.EQUAL, (Value(definition.name),))


def find_definition(connection: Connection, experiment: int, name: str) -> FoundDefinition:
    """Return the definition of a name.

    Raises:
        DefinitionNotFoundError: there is none.
    """
    definitions = find_definitions(connection, experiment, [name])
    if name not in definitions:
        raise _unknown(name)
    return definitions[name]


def list_definitions(
    connection: Connection, experiment: int, filters: DefinitionFilters = ANY_DEFINITION
) -> list[str]:
    """Return the names of definitions that pass the filters, in order.

    Raises:
        LimitError: there are more than a client can use.
    """
    names = definition_names(connection, experiment, filters, most=MOST_DEFINITIONS + 1)
    _check_number(names, "definitions")
    return names


@limited("ask for a pattern of names, without times")
def list_projects(connection: Connection, experiment: int, filters: ProjectFilters) -> list[str]:
    """Return the names of the tasks that pass the filters, in order.

    Raises:
        LimitError: there are more than a client can use, or it took more than five seconds.
    """
    names = project_names(connection, experiment, filters, most=MOST_DEFINITIONS + 1)
    _check_number(names, "projects")
    return names


def _check_number(names: Sequence[str], noun: str) -> None:
    """Raise LimitError if there are more names than a client can use."""
    if len(names) > MOST_DEFINITIONS:
        raise LimitError(
            f"There are more than {MOST_DEFINITIONS:,} {noun}; ask for a pattern of names.",
            MOST_DEFINITIONS,
        )


@limited("ask for a task with fewer jobs")
def show_project(
    connection: Connection, experiment: int, name: str, *, most_processes: int = MOST_PROCESSES
) -> Project:
    """Return a task as a project: the files that its jobs read, and the jobs as its processes.

    Raises:
        ProjectNotFoundError: there is no such task.
        LimitError: it took more than five seconds.
    """
    task = find_definitions(connection, experiment, [name]).get(name)
    if task is None or task.kind != TASK:
        raise ProjectNotFoundError(f"No task {name} was declared, and no job names it.")
    file_counts = dict.fromkeys(
        ("consumed", "completed", "cancelled", "failed", "skipped", "delivered", "unknown"), 0
    )
    for state, files in count_read_files(connection, task.key):
        file_counts[CONSUMED_STATUS[state]] += files
    return Project(
        name=name,
        key=task.key,
        campaign=task.campaign,
        stage=task.stage,
        files=sum(file_counts.values()),
        file_counts=file_counts,
        process_counts=_process_counts(count_readers(connection, task.key)),
        processes=_processes(readers_of_task(connection, task.key, most=most_processes)),
    )


def _process_counts(by_state: dict[str, int]) -> dict[str, int]:
    counts = {"completed": 0, "running": 0, "bad": 0}
    for state, jobs in by_state.items():
        counts[_PROCESS_STATUS[state]] += jobs
    return counts


_PROCESS_STATUS = {
    "succeeded": "completed",
    "running": "running",
    "failed": "bad",
    "killed": "bad",
    "lost": "bad",
}


def _processes(readers: Sequence[ConsumerJob]) -> list[Process]:
    processes = []
    for reader in readers:
        process = Process(
            key=reader.key,
            status=_PROCESS_STATUS[reader.state],
            batch_id=reader.batch_id,
            host=reader.host,
            counts={CONSUMED_STATUS[reader.state]: reader.files},
        )
        processes.append(process)
    return processes


def _unknown(name: str) -> DefinitionNotFoundError:
    return DefinitionNotFoundError(
        f"There is no definition {name}: no task and no campaign has this name."
    )
