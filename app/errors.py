"""From an error to one answer: each class has one status, here and nowhere else.

The API answers problem+json (RFC 9457), the pages one error page
(`app.extensions["jobprov-error-page"]`, a function from `Problem` to a response that `app.web`
sets; without it the pages get problem+json too).
"""

import http
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from jobprov.archive import errors as archive
from jobprov.provenance import errors as provenance
from jobprov.provenance.fhicl import FhiclError
from jobprov.provenance.services.configurations.configuration import ConfigurationError

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
    OperationalError: 503,
    PoolTimeoutError: 503,
}
_WORDS = {
    404: "There is no such address; /api/v1/openapi.json lists those of the API.",
    405: "This address does not take that method; the header Allow lists those that it takes.",
}
_log = logging.getLogger("jobprov.errors")


@dataclass(frozen=True)
class Problem:
    """One error, as every client is told of it.

    Attributes:
        kind: a word for programs, such as `not-found`; the last part of `type`.
        errors: messages by field path, for bad input.
        more: further members, by name: `choices`, `nearest`, `known_in`, `limit`, `request_id`.
        headers: to send along (`Allow`, `Retry-After`, `WWW-Authenticate`).
    """

    status: int
    kind: str
    title: str
    detail: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the members of the JSON answer. Source: RFC 9457."""
        found = {
            "type": f"/problems/{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return {**found, **({"errors": self.errors} if self.errors else {}), **self.more}


class UnauthorizedError(provenance.ForbiddenError):
    """No token was sent where one is needed, or one that is worth nothing."""


class SecretFoundError(provenance.BadInputError):
    """A blob holds what looks like a secret; it was not stored."""


def register_errors(app: Flask) -> None:
    """Have every error of the application answered here."""
    app.register_error_handler(Exception, answer_error)


def answer_error(error: Exception) -> Response:
    """Return the answer to an error: problem+json for the API, a page for people."""
    problem = problem_of(error)
    if problem.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.path, problem.detail, exc_info=error)
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


def problem_of(error: Exception) -> Problem:
    """Return what a client is told of an error; of a mistake of ours, only where to look for it."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, UnauthorizedError):
        return Problem(
            401, "unauthorized", "Unauthorized", str(error), headers={"WWW-Authenticate": "Bearer"}
        )
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    known = isinstance(error, provenance.ProvenanceError | archive.ArchiveError)
    kind = (
        _kind(type(error))
        if known
        else ("unreachable" if status == http.HTTPStatus.SERVICE_UNAVAILABLE else "mistake-of-ours")
    )
    detail = str(error) if known else _reference(status)
    headers = {"Retry-After": "5"} if status == http.HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Problem(
        status, kind, http.HTTPStatus(status).phrase, detail, _fields(error), _more(error), headers
    )


def _kind(error: type[Exception]) -> str:
    """Return `not-found` for `NotFoundError`."""
    name = error.__name__.removesuffix("Error")
    return "".join(
        f"-{letter.lower()}" if letter.isupper() and place else letter.lower()
        for place, letter in enumerate(name)
    )


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


def _more(error: Exception) -> dict[str, Any]:
    if isinstance(error, provenance.NotFoundError):
        known = [
            {"experiment": experiment, "namespace": namespace}
            for experiment, namespace in error.known_in
        ]
        return {
            name: said for name, said in (("nearest", error.nearest), ("known_in", known)) if said
        }
    if isinstance(error, provenance.AmbiguousError):
        return {"choices": error.questions}
    if isinstance(error, provenance.LimitError):
        return {"limit": error.limit}
    if isinstance(error, archive.BlobTooLargeError):
        return {"limit": error.limit_bytes}
    return {}


def _of_http(error: HTTPException) -> Problem:
    """Return the problem of an error that Flask, Werkzeug or webargs raised."""
    status = error.code or 500
    data = getattr(error, "data", None) or {}
    messages = data.get("errors") or data.get("messages") or {}
    detail = data.get("message") or _WORDS.get(status) or error.description or error.name
    if status == http.HTTPStatus.NOT_FOUND and request.path.startswith(f"{API}v1/files/"):
        detail += (
            " The name of a file has no slash: ask for what stands behind the last one of its path."
        )
    errors = dict(_flat(messages, ""))
    if errors and detail == error.description:
        first = next(iter(errors))
        detail = f"{first}: {errors[first][0]}"
    headers = {
        name: value
        for name, value in error.get_headers()
        if name not in ("Content-Type", "Content-Length")
    }
    slug = error.name.lower().replace(" ", "-")
    return Problem(status, slug, error.name, str(detail), errors, {}, headers)


def _flat(messages: Any, path: str) -> Any:
    """Yield (field path, messages) of nested messages.

    Webargs puts the place (`query`, `json`) on top, which is left out.
    """
    if isinstance(messages, Mapping):
        for name, value in messages.items():
            inner = "" if not path and name in ("query", "json", "json_or_form") else name
            step = f"[{inner}]" if isinstance(inner, int) else str(inner)
            yield from _flat(
                value,
                f"{path}.{step}" if path and step and not isinstance(inner, int) else path + step,
            )
    else:
        yield (
            path,
            [
                str(message)
                for message in (messages if isinstance(messages, list | tuple) else [messages])
            ],
        )
