"""Files by name or by a query, in the form of MetaCat."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from jobprov.app.metacat.answers import json_answer, read_body, record_sequence, refused
from jobprov.app.metacat.datasets import dataset_records
from jobprov.app.metacat.records import FileRecord, file_record, record_pages
from jobprov.app.wiring import Connection, get_service
from jobprov.provenance.answers.selections import FileReference
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.selections.conditions import Selection
from jobprov.provenance.selections.mql import Did, read_dataset_query, read_did, read_mql
from jobprov.provenance.services.selections.files import (
    find_files_by_did,
    find_numbered_files,
    summarize_files,
)
from jobprov.provenance.services.selections.metadata import (
    WantedMetadata,
    describe_files,
    list_described,
)
from jobprov.provenance.services.selections.recorded import with_recorded

calls = Blueprint("files", __name__)
_BOTH = ("GET", "POST")

MOST_FILES = 100_000
"""Files that one call describes."""
_MOST_BYTES = 16 << 20
_MOST_DIGITS = 18
_EXAMPLE = '{"did": "namespace:name"}, {"namespace": …, "name": …} or {"fid": …}'
_MOST_QUERY_BYTES = 2 << 20


class Specification(msgspec.Struct, frozen=True):
    """How a call names a file: by its `fid`, by a DID, or by name and namespace."""

    did: Any = None
    namespace: Any = None
    name: Any = None
    fid: Any = None


@calls.get("/data/file")
def _file(experiment: str) -> Response:
    specification = msgspec.convert(request.args.to_dict(), Specification)
    service = get_service()
    metadata, provenance = _is_yes("with_metadata", "yes"), _is_yes("with_provenance", "yes")
    with service.reading() as connection:
        files = _find(connection, experiment, [specification])
        if not files:
            raise NotFoundError("File not found: no record and no catalog names it.")
        wanted = WantedMetadata(records=True, relatives=provenance)
        described = describe_files(connection, service.store, experiment, files, wanted)[0]
    record = file_record(
        described,
        with_metadata=metadata,
        with_provenance=provenance,
        with_datasets=_is_yes("with_datasets", "no"),
    )
    return json_answer(record)


@calls.post("/data/files")
def _files(experiment: str) -> Response:
    service = get_service()
    metadata, provenance = _is_yes("with_metadata", "no"), _is_yes("with_provenance", "no")
    specifications = _specifications()
    with service.reading() as connection:
        files = _find(connection, experiment, specifications)
        wanted = WantedMetadata(records=metadata, relatives=provenance)
        described = describe_files(connection, service.store, experiment, files, wanted)
    pages = record_pages([described], with_metadata=metadata, with_provenance=provenance)
    return json_answer(next(pages))


def _specifications() -> list[Specification]:
    """Return what a call names."""
    try:
        listed = msgspec.json.decode(read_body(_MOST_BYTES), type=list[Specification])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        reason = misfit(problem, list[Specification])
        raise BadInputError(f"The body is not a list of {_EXAMPLE}: {reason}.") from None
    if len(listed) > MOST_FILES:
        raise BadInputError(f"{MOST_FILES:,} files are the most of one call; ask in parts.")
    return listed


def _find(
    connection: Connection, experiment: str, specifications: Sequence[Specification]
) -> list[FileReference]:
    """Return the files that are named and known, each once, in the order of the question."""
    dids: dict[int, Did] = {}
    numbers: dict[int, int] = {}
    for place, specification in enumerate(specifications):
        if specification.fid is not None:
            numbers[place] = _number(str(specification.fid))
        else:
            dids[place] = _did(specification, experiment)
    by_did = find_files_by_did(connection, experiment, list(dids.values()))
    by_number = find_numbered_files(connection, experiment, list(numbers.values()))
    files = {}
    for place in range(len(specifications)):
        file = by_did.get(dids[place]) if place in dids else by_number.get(numbers[place])
        if file is not None:
            files[file.key] = file
    return list(files.values())


def _number(fid: str) -> int:
    """Return the key that a file id is; 0, which is nobody's, where it is none."""
    return int(fid) if fid.isdecimal() and len(fid) <= _MOST_DIGITS else 0


def _did(specification: Specification, experiment: str) -> Did:
    did, name = specification.did, specification.name
    if isinstance(did, str):
        return read_did(did, home=experiment)
    if isinstance(name, str) and name:
        return Did(str(specification.namespace or experiment), name)
    raise BadInputError(f"A file is named by {_EXAMPLE}.")


def _is_yes(parameter: str, default: str) -> bool:
    return request.args.get(parameter, default) == "yes"


@calls.route("/data/query", methods=_BOTH)
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
    return read_body(_MOST_QUERY_BYTES).decode("utf-8", "replace")


def _answered(connection: Connection, experiment: str, selection: Selection) -> Selection:
    store = get_service().store
    return with_recorded(connection, store, experiment, selection, refuses_unknown=False)


def _summary(experiment: str, selection: Selection) -> Response:
    with get_service().reading() as connection:
        answered = _answered(connection, experiment, selection)
        sums = summarize_files(connection, experiment, answered)
    return json_answer({"count": sums.files, "total_size": sums.size_bytes})


def _records(experiment: str, selection: Selection) -> Iterator[list[FileRecord]]:
    """Yield pages of records, with metadata and relatives where they are asked for."""
    service = get_service()
    metadata = request.args.get("with_meta") == "yes"
    provenance = request.args.get("with_provenance") == "yes"
    wanted = WantedMetadata(records=metadata, relatives=provenance)
    with service.reading() as connection:
        answered = _answered(connection, experiment, selection)
    pages = list_described(service.reading, service.store, experiment, answered, wanted)
    return record_pages(pages, with_metadata=metadata, with_provenance=provenance)
