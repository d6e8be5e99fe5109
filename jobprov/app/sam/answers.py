"""SAM's forms: text or JSON, lists that stream, and errors as `{"error": CLASS, "message": …}`."""

import http
import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec
from flask import Response, request

from jobprov.app.errors import problem_of
from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.services.selections.definitions import (
    DefinitionNotFoundError,
    ProjectNotFoundError,
)
from jobprov.provenance.services.selections.files import FileNotFoundByNameError

_encoder = msgspec.json.Encoder()
_CLASSES: tuple[tuple[type[Exception], int, str], ...] = (
    (FileNotFoundByNameError, 404, "FileNotFound"),
    (DefinitionNotFoundError, 404, "DefinitionNotFound"),
    (ProjectNotFoundError, 404, "ProjectNotFound"),
    (BadInputError, 400, "DimensionError"),
    (LimitError, 400, "DimensionError"),
)
"""What the client calls an error; 4xx alone ends it at once, 5xx it tries again for hours."""
_log = logging.getLogger("jobprov.errors")


def json_answer(document: Any) -> Response:
    """Return JSON."""
    return Response(_encoder.encode(document), content_type="application/json")


def text_answer(lines: Iterable[str]) -> Response:
    """Return lines of text."""
    return streamed_text([[f"{line}\n" for line in lines]])


def streamed_text(pages: Iterable[Iterable[str]]) -> Response:
    """Return pages of lines, each sent when it is there; they end with their line breaks.

    What the first page raises is raised here.
    """
    return Response(_joined(pages), content_type="text/plain; charset=utf-8")


def streamed_json(pages: Iterable[Iterable[Any]]) -> Response:
    """Return a JSON list of the members of all pages, each page sent when it is there."""
    return Response(_joined(_json_parts(pages)), content_type="application/json")


def _json_parts(pages: Iterable[Iterable[Any]]) -> Iterator[list[str]]:
    begin = "["
    for page in pages:
        members = [_encoder.encode(member).decode() for member in page]
        if members:
            yield [begin, ",\n".join(members)]
            begin = ",\n"
    yield ["[]" if begin == "[" else "]"]


def _joined(pages: Iterable[Iterable[str]]) -> Iterator[str]:
    """Return the pages as texts; the first is made at once, so that an error is still an answer."""
    texts = ("".join(page) for page in pages)
    first = next(texts, "")
    return chain([first], texts)


def wants_json() -> bool:
    """Return whether the client asks for JSON in the address; text is SAM's default for lists."""
    return request.args.get("format") == "json"


def wants_text() -> bool:
    """Return whether the client asks for text in the address, where JSON is the default."""
    return request.args.get("format") == "plain"


def answer_error(error: Exception) -> Response:
    """Return an error in SAM's form."""
    for kind, status, name in _CLASSES:
        if isinstance(error, kind):
            return _error(status, name, str(error))
    problem = problem_of(error)
    if problem.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.path, problem.detail, exc_info=error)
    if problem.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _error(400, "DimensionError", "The question is longer than 1 MB; ask for less.")
    answer = _error(problem.status, problem.title.title().replace(" ", ""), problem.detail)
    answer.headers.update(problem.headers)
    return answer


def refused(experiment: str) -> Response:
    """Return that nothing is written here."""
    return _error(
        403,
        "Forbidden",
        f"jobprov answers in place of SAM for reading only, and changes nothing in {experiment}'s "
        "catalog; declare files, definitions and projects in SAM itself.",
    )


def _error(status: int, name: str, message: str) -> Response:
    document = {"error": name, "message": message}
    return Response(_encoder.encode(document), status, content_type="application/json")
