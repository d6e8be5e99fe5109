"""Files by what names them, as MetaCat tells of them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from jobprov.app.metacat.answers import json_answer
from jobprov.app.metacat.bodies import read_body
from jobprov.app.metacat.records import datasets_of, file_record
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.selections.mql import Did, read_did
from jobprov.provenance.services.selections.files import find_files_by_did, find_numbered_files
from jobprov.provenance.services.selections.metadata import Wanted, describe_files

MOST_FILES = 100_000
"""Files that one call describes."""
_MOST_BYTES = 16 << 20
_EXAMPLE = '{"did": "namespace:name"}, {"namespace": …, "name": …} or {"fid": …}'


def add_routes(blueprint: Blueprint) -> None:
    """Put the calls on the blueprint."""
    blueprint.add_url_rule("/data/file", "metacat-file", _file)
    blueprint.add_url_rule("/data/files", "metacat-files", _files, methods=("POST",))


def _file(experiment: str) -> Response:
    asked = {
        key: request.args[key] for key in ("did", "namespace", "name", "fid") if key in request.args
    }
    service = get_service()
    metadata, provenance = _is_yes("with_metadata", "yes"), _is_yes("with_provenance", "yes")
    with service.reading() as connection:
        files = _find(connection, experiment, [asked])
        if not files:
            raise NotFoundError("File not found: no record and no catalog names it.")
        wanted = Wanted(records=True, relatives=provenance)
        described = describe_files(connection, service.store, experiment, files, wanted)[0]
    record = file_record(described, with_metadata=metadata, with_provenance=provenance)
    if _is_yes("with_datasets", "no"):
        record["datasets"] = datasets_of(described)
    return json_answer(record)


def _files(experiment: str) -> Response:
    service = get_service()
    metadata, provenance = _is_yes("with_metadata", "no"), _is_yes("with_provenance", "no")
    specifications = _specifications()
    with service.reading() as connection:
        files = _find(connection, experiment, specifications)
        wanted = Wanted(records=metadata, relatives=provenance)
        described = describe_files(connection, service.store, experiment, files, wanted)
    records = [
        file_record(one, with_metadata=metadata, with_provenance=provenance) for one in described
    ]
    return json_answer(records)


def _specifications() -> list[Mapping[str, Any]]:
    """Return what a call names, as objects."""
    try:
        listed = msgspec.json.decode(read_body(_MOST_BYTES), type=list[dict[str, Any]])
    except msgspec.MsgspecError as problem:
        raise BadInputError(f"The body is no list of {_EXAMPLE}: {problem}.") from None
    if len(listed) > MOST_FILES:
        raise BadInputError(f"{MOST_FILES:,} files are the most of one call; ask in parts.")
    return listed


def _find(connection: Any, experiment: str, specifications: list[Mapping[str, Any]]) -> list[Any]:
    """Return the files that are named and known, each once, in the order in which they are named."""
    dids: dict[int, Did] = {}
    numbers: dict[int, int] = {}
    for place, specification in enumerate(specifications):
        fid = specification.get("fid")
        if fid is not None:
            numbers[place] = int(fid) if str(fid).isdecimal() else 0
        else:
            dids[place] = _did(specification, experiment)
    by_did = find_files_by_did(connection, experiment, list(dids.values()))
    by_number = find_numbered_files(connection, experiment, list(numbers.values()))
    found = {}
    for place in range(len(specifications)):
        file = by_did.get(dids[place]) if place in dids else by_number.get(numbers[place])
        if file is not None:
            found[file.key] = file
    return list(found.values())


def _did(specification: Mapping[str, Any], experiment: str) -> Did:
    did, name = specification.get("did"), specification.get("name")
    if isinstance(did, str):
        return read_did(did, home=experiment)
    if isinstance(name, str) and name:
        return Did(str(specification.get("namespace") or experiment), name)
    raise BadInputError(f"A file is named by {_EXAMPLE}.")


def _is_yes(parameter: str, default: str) -> bool:
    return request.args.get(parameter, default) == "yes"
