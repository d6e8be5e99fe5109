"""Projects as SAM tells of them: tasks, with the files that their jobs read."""

from typing import Any

from flask import Blueprint, Response, request

from jobprov.app.sam.answers import json_answer, text_answer, wants_text
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.selections import Process, Project
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.selections.definitions import (
    MOST_PROCESSES,
    find_experiment,
    show_project,
)

_ONE = "/projects/name/<path:name>"


def add_routes(blueprint: Blueprint) -> None:
    """Put the calls on the blueprint."""
    blueprint.add_url_rule(f"{_ONE}/summary", "project-summary", _summary)
    blueprint.add_url_rule(f"{_ONE}/recovery_dimensions", "project-recovery", _recovery)


def _summary(experiment: str, name: str) -> Response:
    project = _project(experiment, name, _process_limit())
    if wants_text():
        return text_answer(_lines(project))
    return json_answer(_document(project))


def _process_limit() -> int:
    """Return how many processes are asked for; 0 for totals alone, as POMS asks."""
    limit = request.args.get("process_limit", str(MOST_PROCESSES))
    if not limit.isdecimal():
        raise BadInputError(f"process_limit: {limit[:40]!r} is no whole number.")
    return min(int(limit), MOST_PROCESSES)


def _project(experiment: str, name: str, most_processes: int) -> Project:
    with get_service().reading() as connection:
        key = find_experiment(connection, experiment)
        return show_project(connection, key, name, most_processes=most_processes)


def _document(project: Project) -> dict[str, Any]:
    return {
        "project_name": project.name,
        "project_id": project.key,
        "dataset_def_name": project.name,
        "files_in_snapshot": project.files,
        "file_counts": project.file_counts,
        "process_counts": project.process_counts,
        "processes": [_process(process) for process in project.processes],
    }


def _process(process: Process) -> dict[str, Any]:
    return {
        "process_id": process.key,
        "status": process.status,
        "process_desc": process.batch_id,
        "node": process.host,
        "counts": process.counts,
    }


def _lines(project: Project) -> list[str]:
    lines = [
        f"Project name: {project.name}",
        f"Project id: {project.key}",
        f"Definition name: {project.name}",
        f"Files in snapshot: {project.files}",
    ]
    lines += [
        f"  Files {status}: {count}" for status, count in project.file_counts.items() if count
    ]
    lines += [f"Processes {status}: {count}" for status, count in project.process_counts.items()]
    for process in project.processes:
        read = ", ".join(f"{count} {status}" for status, count in process.counts.items())
        who = process.batch_id or "no batch id"
        lines.append(f"  {process.key} {process.status} {process.host or '-'} ({who}): {read}")
    return lines


def _recovery(experiment: str, name: str) -> Response:
    """Return what selects the files that no job of the task processed."""
    project = _project(experiment, name, 0)
    quoted = f"'{project.name}'"
    taken = f"project_name {quoted} and consumed_status co%"
    return text_answer([f"snapshot_for_project_name {quoted} minus ( {taken} )"])
