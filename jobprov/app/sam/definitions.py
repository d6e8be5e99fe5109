"""Definitions and projects in the form of SAM.

A definition is a task or a campaign, and the files that it made; a project is a task, with the
files that its jobs read.
"""

from datetime import datetime

from flask import Blueprint, Response, request
from msgspec import Struct
from msgspec.structs import asdict

from jobprov.app.sam.answers import json_answer, streamed_json, text_answer, wants_json, wants_text
from jobprov.app.sam.files import count_answer, list_answer, summary_answer
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.selections import Project
from jobprov.provenance.db.queries.selections.definitions import (
    TASK,
    DefinitionFilters,
    FoundDefinition,
    ProjectFilters,
)
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.selections.conditions import Definition
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.selections.definitions import (
    MOST_PROCESSES,
    find_definition,
    list_definitions,
    list_projects,
    show_project,
)

calls = Blueprint("definitions", __name__)

_DEFINITION = "/definitions/name/<path:name>"
_PROJECT = "/projects/name/<path:name>"


@calls.get("/definitions/list")
def _list(experiment: str) -> Response:
    group = request.args.get("group")
    if group and group != experiment:
        return text_answer([])  # an experiment has no groups here
    filters = DefinitionFilters(
        name=request.args.get("defname", "%").replace("%", "*"),
        user=request.args.get("user") or None,
        declared_after=_moment("after"),
        declared_before=_moment("before"),
    )
    with get_service().reading() as connection:
        names = list_definitions(connection, find_experiment(connection, experiment), filters)
    return streamed_json([names]) if wants_json() else text_answer(names)


@calls.get(f"{_DEFINITION}/describe")
def _describe(experiment: str, name: str) -> Response:
    with get_service().reading() as connection:
        definition = find_definition(connection, find_experiment(connection, experiment), name)
    described = _described(definition, experiment)
    if not wants_text():
        return json_answer(described)
    lines = []
    for member, value in asdict(described).items():
        lines.append(f"{_TITLES[member]:>16}: {'' if value is None else value}")
    return text_answer(lines)


_TITLES = {
    "defname": "Definition Name",
    "defid": "Definition Id",
    "create_time": "Creation Date",
    "username": "Username",
    "group": "Group",
    "dimensions": "Dimensions",
    "description": "Description",
}


class DescribedDefinition(Struct, frozen=True):
    """A definition as `samweb describe-definition` shows it."""

    defname: str
    defid: int
    create_time: str | None
    username: str | None
    group: str
    dimensions: str
    description: str


def _described(definition: FoundDefinition, experiment: str) -> DescribedDefinition:
    field = "prov.task_id" if definition.kind == TASK else "prov.campaign"
    description = f"Files that the jobs of {definition.kind} {definition.name} made"
    if definition.campaign:
        description += f", of campaign {definition.campaign}"
    if definition.stage:
        description += f", stage {definition.stage}"
    declared_at = definition.declared_at
    create_time = None
    if declared_at:
        create_time = declared_at.isoformat(timespec="seconds")
    return DescribedDefinition(
        defname=definition.name,
        defid=definition.key,
        create_time=create_time,
        username=definition.submitter,
        group=experiment,
        dimensions=f"{field} {_quoted(definition.name)}",
        description=f"{description}.",
    )


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


@calls.get(f"{_DEFINITION}/files/list")
def _files(experiment: str, name: str) -> Response:
    return list_answer(experiment, Definition(name))


@calls.get(f"{_DEFINITION}/files/count")
def _count(experiment: str, name: str) -> Response:
    return count_answer(experiment, Definition(name))


@calls.get(f"{_DEFINITION}/files/summary")
def _summary(experiment: str, name: str) -> Response:
    return summary_answer(experiment, Definition(name))


@calls.get("/projects")
def _list_projects(experiment: str) -> Response:
    """Return the names of projects: tasks, each of which is also the definition of its files."""
    # There are no snapshots here, and the only group is the experiment
    group = request.args.get("group") or experiment
    if request.args.get("snapshot_id") or group != experiment:
        return text_answer([])
    name = request.args.get("name") or request.args.get("defname") or "%"
    definition = request.args.get("defname") or name
    if name.replace("%", "*") != definition.replace("%", "*"):
        return text_answer([])  # a project has the name of its definition
    filters = ProjectFilters(
        name=name.replace("%", "*"),
        user=request.args.get("user") or None,
        started_before=_moment("started_before"),
        started_after=_moment("started_after"),
        ended_before=_moment("ended_before"),
        ended_after=_moment("ended_after"),
    )
    with get_service().reading() as connection:
        names = list_projects(connection, find_experiment(connection, experiment), filters)
    if wants_json():
        return streamed_json([names])
    return text_answer(names)


def _moment(name: str) -> datetime | None:
    """Return the time in a parameter; UTC where it names no zone, as SAM's times."""
    written = request.args.get(name)
    if not written:
        return None
    moment = read_time(written) or read_time(f"{written}Z") or read_time(f"{written}T00:00:00Z")
    if moment is None:
        raise BadInputError(f"{name}: {written[:40]!r} is not a time such as 2026-01-31T12:00:00.")
    return moment


@calls.get(f"{_PROJECT}/summary")
def _project_summary(experiment: str, name: str) -> Response:
    project = _project(experiment, name, _process_limit())
    if wants_text():
        return text_answer(_lines(project))
    return json_answer(_document(project))


def _process_limit() -> int:
    """Return how many processes are asked for; 0 for totals alone, as POMS asks."""
    limit = request.args.get("process_limit", str(MOST_PROCESSES))
    if not limit.isdecimal():
        raise BadInputError(f"process_limit: {limit[:40]!r} is not a whole number.")
    return min(int(limit), MOST_PROCESSES)


def _project(experiment: str, name: str, most_processes: int) -> Project:
    with get_service().reading() as connection:
        key = find_experiment(connection, experiment)
        return show_project(connection, key, name, most_processes=most_processes)


class ProcessSummary(Struct, frozen=True):
    """A process of a project in SAM's words: a job."""

    process_id: int
    status: str
    process_desc: str | None
    node: str | None
    counts: dict[str, int]


class ProjectSummary(Struct, frozen=True):
    """A project in SAM's words, as `samweb project-summary` asks for it."""

    project_name: str
    project_id: int
    dataset_def_name: str
    files_in_snapshot: int | None
    file_counts: dict[str, int]
    process_counts: dict[str, int]
    processes: list[ProcessSummary]


def _document(project: Project) -> ProjectSummary:
    processes = []
    for process in project.processes:
        processes.append(
            ProcessSummary(
                process.key, process.status, process.batch_id, process.host, process.counts
            )
        )
    return ProjectSummary(
        project_name=project.name,
        project_id=project.key,
        dataset_def_name=project.name,
        files_in_snapshot=project.files,
        file_counts=project.file_counts,
        process_counts=project.process_counts,
        processes=processes,
    )


def _lines(project: Project) -> list[str]:
    lines = [
        f"Project name: {project.name}",
        f"Project id: {project.key}",
        f"Definition name: {project.name}",
        f"Files in snapshot: {project.files}",
    ]
    for status, count in project.file_counts.items():
        if count:
            lines.append(f"  Files {status}: {count}")
    lines += [f"Processes {status}: {count}" for status, count in project.process_counts.items()]
    for process in project.processes:
        read = ", ".join(f"{count} {status}" for status, count in process.counts.items())
        who = process.batch_id or "no batch id"
        lines.append(f"  {process.key} {process.status} {process.host or '-'} ({who}): {read}")
    return lines


@calls.get(f"{_PROJECT}/recovery_dimensions")
def _recovery(experiment: str, name: str) -> Response:
    """Return what selects the files that no job of the task processed."""
    project = _project(experiment, name, 0)
    quoted = f"'{project.name}'"
    taken = f"project_name {quoted} and consumed_status co%"
    return text_answer([f"snapshot_for_project_name {quoted} minus ( {taken} )"])
