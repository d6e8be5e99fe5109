"""What something touches, over HTTP: counts and a page of files, or all of them as a stream."""

from collections.abc import Iterable, Iterator

import msgspec
from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.csv_rows import CONTENT_TYPE as CSV
from jobprov.app.csv_rows import csv_lines
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.answers.histories import Impact, ImpactedFile
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.schemas.history_queries import ImpactQuery
from jobprov.provenance.services.code.commit_ranges import resolve_range
from jobprov.provenance.services.histories.impact import find_impact, stream_impact

section = Section("impact", "What is touched by something.")
_COLUMNS = ("name", "namespace", "experiment", "job_id", "task_id", "stage", "is_direct")
_NDJSON = "application/x-ndjson"


@section.call(
    "GET",
    "/lineage/impact",
    answers={200: Impact},
    parameters=parameters(ImpactQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_impact() -> Response:
    """Return what some jobs made and all that was made from it: counts, then a page of files.

    As CSV or NDJSON, return all of the files.
    """
    query = asked(ImpactQuery)
    form, is_direct = query.pop("format"), query.pop("direct")
    page = {name: query.pop(name) for name in ("limit", "cursor") if name in query}
    if form != "json" and page:
        raise BadInputError(
            f"{next(iter(page))}: {form} has every file.",
            {name: [f"not with {form}"] for name in page},
        )
    service = get_service()
    with service.reading() as connection:
        filters = resolve_range(connection, JobFilters(**query), service.settings.git_mirrors)
        if form == "json":
            return json_answer(find_impact(connection, filters, is_direct=is_direct, **page))
    files = _stream(service, filters, is_direct=is_direct)
    if form == "csv":
        rows = (msgspec.structs.asdict(file) for file in files)
        return _streamed(csv_lines(_COLUMNS, rows), CSV)
    return _streamed(_json_lines(files), _NDJSON)


def _stream(service: Service, filters: JobFilters, *, is_direct: bool) -> Iterator[ImpactedFile]:
    with service.reading() as connection:
        yield from stream_impact(connection, filters, is_direct=is_direct)


def _json_lines(files: Iterable[ImpactedFile]) -> Iterator[bytes]:
    for file in files:
        yield msgspec.json.encode(file) + b"\n"


def _streamed(chunks: Iterator[bytes], content_type: str) -> Response:
    """Return chunks as they are made; an error before the first one still has its own status."""
    first = next(chunks, b"")
    return Response(_with_first(first, chunks), content_type=content_type)


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
