"""From an HTTP answer to a value or to the error that the service raised.

Both sides have the same classes.
"""

from collections.abc import Mapping
from typing import Any

import requests

from jobprov.provenance.errors import (
    AmbiguousError,
    BadInputError,
    ConflictError,
    ForbiddenError,
    LimitError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)

_PLAIN: dict[int, type[ProvenanceError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    409: ConflictError,
}

_UNKNOWN_FIELD = "Unknown field."
_OLDER = " The service may be older than this program: its operators can upgrade it."


class GatewayError(UnreachableError):
    """A proxy, gateway or portal answered with an error of its own, in jobprov's place.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def check(answer: requests.Response) -> requests.Response:
    """Return the answer where it is a good one.

    Raises:
        ProvenanceError: of the class that the status stands for, with the service's sentence.
        GatewayError: it is not the service that answered.
    """
    if answer.ok and answer.status_code != requests.codes.multiple_choices:
        return answer
    status, problem = answer.status_code, problem_in(answer)
    if not _is_of_jobprov(status, problem):
        detail = str(problem.get("detail") or "")
        words = f"{answer.url} answers {status}, but it is not jobprov that answered. {detail}"
        if not detail:
            is_its_own = status < requests.codes.internal_server_error
            words += "Is the address right?" if is_its_own else "Does jobprov run behind it?"
        raise GatewayError(words.rstrip(), status)
    raise error_of(status, problem, answer.url)


def _is_of_jobprov(status: int, problem: Mapping[str, Any]) -> bool:
    """Return whether an error comes from jobprov itself: problem+json with one of its types."""
    kind = problem.get("type")
    return (
        isinstance(kind, str) and kind.startswith("/problems/") and problem.get("status") == status
    )


def problem_in(answer: requests.Response) -> Mapping[str, Any]:
    """Return the members of problem+json; of anything else, nothing."""
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def error_of(status: int, problem: Mapping[str, Any], url: str) -> ProvenanceError:
    """Return the error that a status and its problem stand for."""
    detail = str(problem.get("detail") or f"{url} answers {status}.")
    if _is_unknown_there(problem):
        detail += _OLDER
    if status == requests.codes.multiple_choices:
        return AmbiguousError(detail, _places(problem, "choices"), problem.get("choices", ()))
    if status == requests.codes.not_found:
        return NotFoundError(
            detail, problem.get("nearest", ()), known_in=_places(problem, "known_in")
        )
    if status == requests.codes.request_entity_too_large:
        return LimitError(detail, int(problem.get("limit", 0)))
    if status >= requests.codes.internal_server_error:
        return UnreachableError(detail)
    if status in _PLAIN:
        return _PLAIN[status](detail)
    return BadInputError(detail, problem.get("errors"))


def _is_unknown_there(problem: Mapping[str, Any]) -> bool:
    """Whether the service does not know the call, or a parameter of it, that this client sent."""
    if "no such address" in str(problem.get("detail")):
        return True
    errors = problem.get("errors")
    if not isinstance(errors, dict):
        return False
    return any(_UNKNOWN_FIELD in messages for messages in errors.values())


def _places(problem: Mapping[str, Any], member: str) -> list[tuple[str, str]]:
    places = []
    for place in problem.get(member, ()):
        places.append((str(place.get("experiment", "")), str(place.get("namespace", ""))))
    return places
