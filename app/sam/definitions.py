"""Definitions as SAM tells of them: tasks and campaigns, and the files that they made."""

from typing import Any

from flask import Blueprint, Response, request

from jobprov.app.sam.answers import json_answer, streamed_json, text_answer, wants_json, wants_text
from jobprov.app.sam.files import count_answer, list_answer, summary_answer
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.selections.definitions import TASK, FoundDefinition
from jobprov.provenance.selections.conditions import Definition
from jobprov.provenance.services.selections.definitions import (
    find_definition,
    find_experiment,
    list_definitions,
)

_ONE = "/definitions/name/<path:name>"


def add_routes(blueprint: Blueprint) -> None:
    """Put the calls on the blueprint."""
    blueprint.add_url_rule("/definitions/list", "list-definitions", _list)
    blueprint.add_url_rule(f"{_ONE}/describe", "describe-definition", _describe)
    blueprint.add_url_rule(f"{_ONE}/files/list", "list-definition-files", _files)
    blueprint.add_url_rule(f"{_ONE}/files/count", "count-definition-files", _count)
    blueprint.add_url_rule(f"{_ONE}/files/summary", "summarize-definition-files", _summary)


def _list(experiment: str) -> Response:
    pattern = request.args.get("defname", "%").replace("%", "*")
    with get_service().reading() as connection:
        names = list_definitions(connection, find_experiment(connection, experiment), pattern)
    return streamed_json([names]) if wants_json() else text_answer(names)


def _describe(experiment: str, name: str) -> Response:
    with get_service().reading() as connection:
        found = find_definition(connection, find_experiment(connection, experiment), name)
    described = _described(found, experiment)
    if not wants_text():
        return json_answer(described)
    lines = []
    for key, title in _TITLES.items():
        value = described.get(key)
        lines.append(f"{title:>16}: {'' if value is None else value}")
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


def _described(found: FoundDefinition, experiment: str) -> dict[str, Any]:
    field = "prov.task_id" if found.kind == TASK else "prov.campaign"
    words = f"Files that the jobs of {found.kind} {found.name} made"
    if found.campaign:
        words += f", of campaign {found.campaign}"
    if found.stage:
        words += f", stage {found.stage}"
    declared_at = found.declared_at
    return {
        "defname": found.name,
        "defid": found.key,
        "create_time": declared_at.isoformat(timespec="seconds") if declared_at else None,
        "username": found.submitter,
        "group": experiment,
        "dimensions": f"{field} {_quoted(found.name)}",
        "description": f"{words}.",
    }


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


def _files(experiment: str, name: str) -> Response:
    return list_answer(experiment, Definition(name))


def _count(experiment: str, name: str) -> Response:
    return count_answer(experiment, Definition(name))


def _summary(experiment: str, name: str) -> Response:
    return summary_answer(experiment, Definition(name))
