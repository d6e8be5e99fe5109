"""What every reading call does first: what does the client ask?"""

from typing import Any

from flask import request
from marshmallow import Schema

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.checks import name_problem
from jobprov.provenance.schemas.parameters import read_query


def asked(schema: type[Schema]) -> dict[str, Any]:
    """Return the parameters of the query, checked.

    Raises:
        BadInputError: one is unknown or wrong.
    """
    return read_query(schema, request.args)


def checked_campaign(name: str) -> str:
    """Return the name of a campaign, which may hold slashes.

    Raises:
        BadInputError: it holds control characters, or is longer than 3000 bytes.
    """
    # Nothing but dots and slashes is no address of a file, and may be a campaign's name
    bare = name.replace("/", "")
    if bare.strip(".") and (problem := name_problem(bare)):
        raise BadInputError.of_field("campaign", problem)
    return name


def checked_name(name: str, field: str = "name") -> str:
    """Return a name of the address that could be one.

    Raises:
        BadInputError: it holds control characters, or is longer than 3000 bytes.
    """
    if problem := name_problem(name):
        raise BadInputError.of_field(field, problem)
    return name
