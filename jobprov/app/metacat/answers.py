"""MetaCat's forms: JSON, records that stream, errors with their sentence in `message`; and bodies.

The body of a question may be long, but not without end.
"""

import http
import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec
from flask import Response, request

from jobprov.app.errors import problem_of
from jobprov.provenance.errors import BadInputError, LimitError, NotFoundError

_encoder = msgspec.json.Encoder()
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFoundError, 404),
    (BadInputError, 400),
    (LimitError, 400),
)
"""4xx alone ends a client at once; 5xx it may ask again for half an hour."""
_log = logging.getLogger("jobprov.errors")


def json_answer(document: Any) -> Response:
    """Return JSON."""
    return Response(_encoder.encode(document), content_type="application/json")


def text_answer(text: str) -> Response:
    """Return text."""
    return Response(text, content_type="text/plain; charset=utf-8")


def record_sequence(pages: Iterable[Iterable[Any]]) -> Response:
    """Return records that stream, each between a record separator and a line feed.

    What the first page raises is raised here. Source: RFC 7464.
    """
    return Response(_joined(pages), content_type="application/json-seq")


def _joined(pages: Iterable[Iterable[Any]]) -> Iterator[bytes]:
    texts = map(_page_bytes, pages)
    first = next(texts, b"")
    return chain([first], texts)


def _page_bytes(page: Iterable[Any]) -> bytes:
    return b"".join(b"\x1e" + _encoder.encode(record) + b"\n" for record in page)


def answer_error(error: Exception) -> Response:
    """Return an error in MetaCat's form."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return _error(status, str(error))
    problem = problem_of(error)
    if problem.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s", request.method, request.path, problem.detail, exc_info=error)
    answer = _error(problem.status, problem.detail)
    answer.headers.update(problem.headers)
    return answer


def refused(experiment: str) -> Response:
    """Return that nothing is written here."""
    return _error(
        403,
        "jobprov answers in place of MetaCat for reading only, and changes nothing in "
        f"{experiment}'s catalog; declare files and datasets in MetaCat itself.",
    )


def _error(status: int, message: str) -> Response:
    document = {"code": status, "message": message}
    return Response(_encoder.encode(document), status, content_type="application/json")


def read_body(most_bytes: int) -> bytes:
    """Return the body of the request.

    Raises:
        BadInputError: it is longer.
    """
    body = request.stream.read(most_bytes + 1)
    if len(body) > most_bytes:
        raise BadInputError(f"The question is longer than {most_bytes:,} bytes; ask for less.")
    return body
