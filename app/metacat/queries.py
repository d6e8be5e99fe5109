"""Queries in MetaCat's language."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request

from jobprov.app.metacat.answers import json_answer, record_sequence, refused
from jobprov.app.metacat.bodies import read_body
from jobprov.app.metacat.datasets import dataset_records
from jobprov.app.metacat.records import file_record
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.selections.conditions import Selection
from jobprov.provenance.selections.mql import read_dataset_query, read_mql
from jobprov.provenance.services.selections.files import summarize_files
from jobprov.provenance.services.selections.metadata import Wanted, list_described

_MOST_BYTES = 2 << 20


def add_routes(blueprint: Blueprint) -> None:
    """Put the call on the blueprint."""
    blueprint.add_url_rule("/data/query", "metacat-query", _query, methods=("GET", "POST"))


def _query(experiment: str) -> Response:
    if request.args.get("save_as") or request.args.get("add_to"):
        return refused(experiment)
    text = _text()
    namespace = request.args.get("namespace")
    datasets = read_dataset_query(text, home=experiment, namespace=namespace)
    if datasets is not None:
        return record_sequence([dataset_records(experiment, datasets)])
    selection = read_mql(text, home=experiment, namespace=namespace)
    summary = request.args.get("summary")
    if summary == "count":
        return _summary(experiment, selection)
    if summary is not None:
        raise BadInputError(f"summary={summary[:40]}: only count is answered.")
    return record_sequence(_records(experiment, selection))


def _text() -> str:
    """Return the query: the body, or a parameter of the address."""
    if "query" in request.args:
        return request.args["query"]
    return read_body(_MOST_BYTES).decode("utf-8", "replace")


def _summary(experiment: str, selection: Selection) -> Response:
    with get_service().reading() as connection:
        sums = summarize_files(connection, experiment, selection)
    return json_answer({"count": sums.files, "total_size": sums.size_bytes})


def _records(experiment: str, selection: Selection) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of records, with metadata and relatives where they are asked for."""
    service = get_service()
    metadata = request.args.get("with_meta") == "yes"
    provenance = request.args.get("with_provenance") == "yes"
    wanted = Wanted(records=metadata, relatives=provenance)
    pages = list_described(service.reading, service.store, experiment, selection, wanted)
    return (
        [file_record(one, with_metadata=metadata, with_provenance=provenance) for one in page]
        for page in pages
    )
