"""Questions to the whole graph: what is touched by something, and what makes a lost file again."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.csv_rows import CONTENT_TYPE, csv_lines
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.schemas.history_queries import ImpactQuery, RebuildQuery
from jobprov.provenance.services.code.commit_ranges import resolve_range
from jobprov.provenance.services.histories.impact import find_impact, stream_impact
from jobprov.provenance.services.histories.rebuilds import listed_files, plan_rebuild

section = Section("impact", "What is touched by something.")
_COLUMNS = ("name", "namespace", "experiment", "job_id", "task_id", "stage", "is_direct")
_encode = msgspec.json.encode


@section.call(
    "GET",
    "/files/<name>/rebuild",
    answers={200: OBJECT},
    parameters=parameters(RebuildQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_rebuild(name: str) -> Response:
    """Return the smallest set of jobs, in order, that makes a lost file again.

    `{is_possible, jobs, needs, beyond, resources}`.
    """
    query = asked(RebuildQuery)
    words, service = query.pop("lost", ""), get_service()
    with service.reading() as connection:
        lost = listed_files(connection, words)
        return json_answer(
            plan_rebuild(connection, service.store, checked_name(name), lost=lost, **query)
        )


@section.call(
    "GET",
    "/lineage/impact",
    answers={200: OBJECT},
    parameters=parameters(ImpactQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_impact() -> Response:
    """Return what some jobs made and all that was made from it: counts, then a page of files.

    Or all of them as CSV or NDJSON.
    """
    query = asked(ImpactQuery)
    how = {name: query.pop(name) for name in ("limit", "cursor") if name in query}
    form, is_direct = query.pop("format"), query.pop("direct")
    if form != "json" and how:
        raise BadInputError(
            f"{next(iter(how))}: {form} has every file.",
            {name: [f"not with {form}"] for name in how},
        )
    filters, service = JobFilters(**query), get_service()
    with service.reading() as connection:
        filters = resolve_range(connection, filters, service.settings.git_mirrors)
        if form == "json":
            return json_answer(find_impact(connection, filters, is_direct=is_direct, **how))
    write, content_type = _STREAMS[form]
    return _stream(
        service,
        lambda connection: stream_impact(connection, filters, is_direct=is_direct),
        write,
        content_type,
    )


def _stream(
    service: Service,
    read: Callable[[Any], Iterator[dict[str, Any]]],
    write: Callable[[Iterable[dict[str, Any]]], Iterator[bytes]],
    content_type: str,
) -> Response:
    """Return rows as they are read; what goes wrong before the first still has its status."""

    def send() -> Iterator[bytes]:
        with service.reading() as connection:
            yield from write(read(connection))

    chunks = send()
    first = next(chunks, b"")
    return Response(_again(first, chunks), content_type=content_type)


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _write_csv(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    return csv_lines(_COLUMNS, rows)


def _write_ndjson(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        yield _encode(row) + b"\n"


_STREAMS: dict[str, tuple[Callable[[Iterable[dict[str, Any]]], Iterator[bytes]], str]] = {
    "csv": (_write_csv, CONTENT_TYPE),
    "ndjson": (_write_ndjson, "application/x-ndjson"),
}
