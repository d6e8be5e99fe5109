"""What every reading call does first: what does the client ask?"""

from typing import Any

from flask import request
from marshmallow import Schema

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.checks import name_problem
from jobprov.provenance.schemas.parameters import read_query

_NAMED = {
    "job_id": "the id of a job",
    "recipe_id": "the id of a recipe",
    "experiment": "the name of an experiment",
    "schedd": "the name of a schedd",
    "step": "the place of a step",
}
"""What a part of an address is, where it is no name of a file."""


def asked(schema: type[Schema]) -> dict[str, Any]:
    """Return the parameters of the query, checked.

    Raises:
        BadInputError: one is unknown or wrong.
    """
    return read_query(schema, request.args)


def asked_of_task(schema: type[Schema], in_path: str) -> tuple[str, dict[str, Any]]:
    """Return the id of the task that is asked about, and the other parameters, checked.

    Clients and proxies take `.` and `..` out of a path: such an id is the parameter `task`.

    Raises:
        BadInputError: a parameter is unknown or wrong, or no task can be called so.
    """
    query = asked(schema)
    task_id = query.pop("task", in_path)
    # Nothing but dots is no name of a file, and may be a task's id
    if task_id.strip(".") and (problem := name_problem(task_id, "the id of a task")):
        raise BadInputError.of_field("task_id", problem)
    return task_id, query


def checked_campaign(name: str) -> str:
    """Return the name of a campaign, which may hold slashes.

    Raises:
        BadInputError: it holds control characters, or is longer than 3000 bytes.
    """
    # Nothing but dots and slashes is no address of a file, and may be a campaign's name
    bare = name.replace("/", "")
    if bare.strip(".") and (problem := name_problem(bare, "the name of a campaign")):
        raise BadInputError.of_field("campaign", problem)
    return name


def checked_name(name: str, field: str = "name", what: str = "a file name") -> str:
    """Return a name of the address that could be one; `what` it is says the error.

    Raises:
        BadInputError: it holds control characters, or is longer than 3000 bytes.
    """
    if problem := name_problem(name, _NAMED.get(field, what)):
        raise BadInputError.of_field(field, problem)
    return name
