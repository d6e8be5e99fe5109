"""From an error to one answer: each class has one status, here and nowhere else.

The API answers problem+json (RFC 9457), the pages one error page
(`app.extensions["jobprov-error-page"]`, a function from `Problem` to a response that `app.web`
sets; without it the pages get problem+json too).
"""

import http
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from jobprov.archive import errors as archive
from jobprov.provenance import errors as provenance
from jobprov.provenance.db.connections.engines import is_mistaken, unanswered
from jobprov.provenance.fhicl import FhiclError
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    ConfigurationTooLargeError,
)

API = "/api/"
CONTENT_TYPE = "application/problem+json"
STATUS: Mapping[type[Exception], int] = {
    provenance.BadInputError: 422,
    provenance.RecordError: 422,
    provenance.NotFoundError: 404,
    provenance.AmbiguousError: 300,
    provenance.ConflictError: 409,
    provenance.ForbiddenError: 403,
    provenance.LimitError: 413,
    provenance.SoftwareError: 422,
    provenance.BundleError: 409,
    provenance.UnreachableError: 503,
    provenance.ProvenanceError: 500,
    FhiclError: 422,
    ConfigurationError: 409,
    ConfigurationTooLargeError: 413,
    archive.BadDigestError: 422,
    archive.BadNameError: 422,
    archive.BadUrlError: 500,
    archive.DigestMismatchError: 422,
    archive.BlobTooLargeError: 413,
    archive.BlobMissingError: 404,
    archive.BlobDamagedError: 500,
    archive.DocumentMissingError: 500,
    archive.DocumentDamagedError: 500,
    archive.FrameDamagedError: 500,
    archive.ArchiveUnreachableError: 503,
    archive.ArchiveError: 500,
    ParseException: 400,
    OperationalError: 503,
    PoolTimeoutError: 503,
}
_WORDS = {
    404: "There is no such address; /api/v1/openapi.json lists those of the API.",
    405: "This address does not take that method; the header Allow lists those that it takes.",
}
_NO_SLASH = " The name of a file has no slash: ask for what stands behind the last one of its path."
_PLACES = ("query", "json", "json_or_form")
_log = logging.getLogger("jobprov.errors")


@dataclass(frozen=True)
class Hints:
    """What may help to ask better.

    Attributes:
        nearest: names like the one that was asked for.
        known_in: experiment and namespace where the very name is known.
        choices: what to add to an ambiguous question.
        limit: the limit that was passed.
    """

    nearest: Sequence[str] = ()
    known_in: Sequence[Mapping[str, str]] = ()
    choices: Sequence[Mapping[str, str]] = ()
    limit: int | None = None

    def members(self) -> dict[str, object]:
        """Return those that there are, as members of a JSON answer."""
        return {name: value for name, value in vars(self).items() if value not in ((), [], None)}


_NO_HINTS = Hints()


@dataclass(frozen=True)
class Problem:
    """One error, in the form that every client gets.

    Attributes:
        kind: a word for programs, such as `not-found`; the last part of `type`.
        errors: messages by field path, for bad input.
        hints: what may help to ask better.
        headers: to send along (`Allow`, `Retry-After`, `WWW-Authenticate`).
    """

    status: int
    kind: str
    title: str
    detail: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    hints: Hints = _NO_HINTS
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Return the members of the JSON answer. Source: RFC 9457."""
        document: dict[str, object] = {
            "type": f"/problems/{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return {**document, **self.hints.members()}


class UnauthorizedError(provenance.ForbiddenError):
    """A call that needs a token came without one, or with one that is not valid."""


class SecretFoundError(provenance.BadInputError):
    """A blob holds what looks like a secret; it was not stored."""


def register_errors(app: Flask) -> None:
    """Have every error of the application answered here."""
    app.register_error_handler(Exception, answer_error)


def answer_error(error: Exception) -> Response:
    """Return the answer to an error: problem+json for the API, a page for people."""
    problem = problem_of(error)
    if problem.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log_failure(error, problem)
    page = current_app.extensions.get("jobprov-error-page")
    if page is not None and not request.path.startswith(API):
        answer = current_app.make_response(page(problem))
        answer.status_code = problem.status
    else:
        answer = Response(
            msgspec.json.encode(problem.document()), problem.status, content_type=CONTENT_TYPE
        )
    answer.headers.update(problem.headers)
    return answer


def _log_failure(error: Exception, problem: Problem) -> None:
    """Log an error of the service, with its traceback unless it explains itself."""
    if explains_itself(error):
        _log.error("%s %s: %s", request.method, request.path, reason_of(error))
    else:
        _log.error("%s %s: %s", request.method, request.path, problem.detail, exc_info=error)


def explains_itself(error: Exception) -> bool:
    """Return whether the log needs no more than the words of an error.

    On a full disk, or without the database, every request fails: with a traceback for each, the log
    would fill its own disk.
    """
    if isinstance(error, OperationalError):
        return not is_mistaken(error)
    return isinstance(
        error, provenance.UnreachableError | archive.ArchiveUnreachableError | PoolTimeoutError
    )


def reason_of(error: Exception) -> str:
    """Return the reason of an error in one line, for the log: it may name the database's server."""
    return str(unanswered(error) if isinstance(error, OperationalError) else error)


def problem_of(error: Exception) -> Problem:
    """Return an error for a client; for a mistake of ours, only where to look for it."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, UnauthorizedError):
        return Problem(
            401, "unauthorized", "Unauthorized", str(error), headers={"WWW-Authenticate": "Bearer"}
        )
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    is_unreachable = status == http.HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, provenance.ProvenanceError | archive.ArchiveError):
        kind, detail = _kind(type(error)), str(error)
    elif isinstance(error, ParseException):
        kind, detail = "bad-request", f"The body cannot be read: {error}"
    else:
        kind = "unreachable" if is_unreachable else "mistake-of-ours"
        detail = _reference(status)
    headers = {}
    if is_unreachable:
        headers["Retry-After"] = "5"
    title = http.HTTPStatus(status).phrase
    return Problem(status, kind, title, detail, _fields(error), _hints(error), headers)


def _kind(error: type[Exception]) -> str:
    """Return `not-found` for `NotFoundError`."""
    name = error.__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _reference(status: int) -> str:
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        return "The database does not answer; try again in a moment."
    return (
        "The service made a mistake; tell its operators the request's number, "
        f"{getattr(g, 'request_id', 'unknown')}."
    )


def _fields(error: Exception) -> dict[str, list[str]]:
    if isinstance(error, provenance.BadInputError):
        return error.fields
    if isinstance(error, archive.DigestMismatchError | archive.BadDigestError):
        return {"sha256": [str(error)]}
    return {}


def _hints(error: Exception) -> Hints:
    if isinstance(error, provenance.NotFoundError):
        known_in = []
        for experiment, namespace in error.known_in:
            known_in.append({"experiment": experiment, "namespace": namespace})
        return Hints(nearest=error.nearest, known_in=known_in)
    if isinstance(error, provenance.AmbiguousError):
        return Hints(choices=error.questions)
    if isinstance(error, provenance.LimitError):
        return Hints(limit=error.limit)
    if isinstance(error, archive.BlobTooLargeError):
        return Hints(limit=error.limit_bytes)
    return _NO_HINTS


def _of_http(error: HTTPException) -> Problem:
    """Return the problem of an error that Flask, Werkzeug or webargs raised."""
    status = error.code or 500
    slug = error.name.lower().replace(" ", "-")
    # here webargs has what is wrong with which field
    data = getattr(error, "data", None) or {}
    errors = _messages_by_field(data.get("errors") or data.get("messages") or {})
    detail = _detail_of_http(error, data, errors)
    if status == http.HTTPStatus.NOT_FOUND and request.path.startswith(f"{API}v1/files/"):
        detail += _NO_SLASH
    return Problem(status, slug, error.name, detail, errors, headers=_headers(error))


def _detail_of_http(
    error: HTTPException, data: Mapping[str, Any], errors: Mapping[str, list[str]]
) -> str:
    if message := data.get("message"):
        return str(message)
    words = _WORDS.get(error.code or 500)
    if words:
        return words
    if errors:
        # webargs describes any bad input alike: the first field says more
        field_path, messages = next(iter(errors.items()))
        return f"{field_path}: {messages[0]}"
    return error.description or error.name


def _headers(error: HTTPException) -> dict[str, str]:
    headers = dict(error.get_headers())
    # these two are about Werkzeug's own page, which we do not send
    headers.pop("Content-Type", None)
    headers.pop("Content-Length", None)
    return headers


def _messages_by_field(messages: Any) -> dict[str, list[str]]:
    """Return the nested messages of webargs by field path.

    Webargs puts the place (`query`, `json`) on top, which is left out.
    """
    if not isinstance(messages, Mapping):
        return _flat(messages, "")
    errors: dict[str, list[str]] = {}
    for name, value in messages.items():
        path = "" if name in _PLACES else _joined("", name)
        errors.update(_flat(value, path))
    return errors


def _flat(messages: Any, path: str) -> dict[str, list[str]]:
    """Return messages by field path, those of the fields within a field too."""
    if not isinstance(messages, Mapping):
        listed = messages if isinstance(messages, list | tuple) else [messages]
        return {path: [str(message) for message in listed]}
    errors: dict[str, list[str]] = {}
    for name, value in messages.items():
        errors.update(_flat(value, _joined(path, name)))
    return errors


def _joined(path: str, name: str | int) -> str:
    """Return `units[3]` for a place in a list, else `task.units`."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path and name else f"{path}{name}"
