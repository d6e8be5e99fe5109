"""Datasets and namespaces in the form of MetaCat: a dataset is a task or a campaign.

Its namespace is the experiment's name. Namespaces are those of the experiment's files, and that
one.
"""

from collections.abc import Sequence

import msgspec
from flask import Blueprint, Response, request
from msgspec import Struct
from msgspec.structs import replace

from jobprov.app.metacat.answers import json_answer, read_body, record_sequence
from jobprov.app.metacat.records import record_pages
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.selections.definitions import DefinitionFilters, FoundDefinition
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.selections.mql import Did, read_did, selection_of_dataset
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.selections.definitions import (
    find_definition,
    list_definitions,
)
from jobprov.provenance.services.selections.files import count_files, list_namespaces
from jobprov.provenance.services.selections.metadata import WantedMetadata, list_described

calls = Blueprint("datasets", __name__)

_MOST_BYTES = 1 << 20


class DatasetRecord(Struct, frozen=True):
    """A dataset as MetaCat describes it. Source: `to_jsonable` of datasets in MetaCat's server."""

    namespace: str
    name: str
    frozen: bool = False
    monotonic: bool = False
    metadata: dict[str, str] = {}
    creator: str | None = None
    created_timestamp: float | None = None
    file_meta_requirements: dict[str, str] = {}
    description: str | None = None
    file_count: int | None = None
    updated_timestamp: float | None = None
    updated_by: str | None = None


class NamespaceRecord(Struct, frozen=True):
    """A namespace as MetaCat describes it."""

    name: str
    owner_user: str | None
    owner_role: str
    creator: str | None = None
    description: str | None = None
    created_timestamp: float | None = None


def dataset_records(experiment: str, datasets: Sequence[Did]) -> list[DatasetRecord]:
    """Return the datasets of these names; `%` in one stands for any characters."""
    records = []
    with get_service().reading() as connection:
        key = find_experiment(connection, experiment)
        for did in datasets:
            if "%" in did.name:
                names = list_definitions(
                    connection, key, DefinitionFilters(did.name.replace("%", "*"))
                )
                records += [DatasetRecord(experiment, name) for name in names]
            else:
                records.append(_record(find_definition(connection, key, did.name), experiment))
    return records


def _asked() -> str:
    name = request.args.get("dataset", "")
    if not name:
        raise BadInputError("dataset=NAMESPACE:NAME is missing.")
    return name


@calls.get("/data/datasets")
def _datasets(experiment: str) -> Response:
    with get_service().reading() as connection:
        names = list_definitions(connection, find_experiment(connection, experiment))
    return json_answer([DatasetRecord(experiment, name) for name in names])


def _record(definition: FoundDefinition, experiment: str) -> DatasetRecord:
    description = f"{definition.kind} of jobprov"
    place = ", ".join(part for part in (definition.campaign, definition.stage) if part)
    if place:
        description += f" ({place})"
    declared_at = definition.declared_at
    return DatasetRecord(
        experiment,
        definition.name,
        creator=definition.submitter,
        created_timestamp=declared_at.timestamp() if declared_at else None,
        description=description,
    )


@calls.get("/data/dataset")
def _dataset(experiment: str) -> Response:
    did = read_did(_asked(), home=experiment)
    with get_service().reading() as connection:
        key = find_experiment(connection, experiment)
        definition = find_definition(connection, key, did.name)
        selection = selection_of_dataset(did, home=experiment)
        count = count_files(connection, experiment, selection)
    return json_answer(replace(_record(definition, experiment), file_count=count))


@calls.get("/data/dataset_count")
def _count(experiment: str) -> Response:
    return json_answer({"file_count": _file_count(experiment)})


@calls.get("/data/dataset_counts")
def _counts(experiment: str) -> Response:
    counts = {"parent_count": 0, "child_count": 0, "superset_count": 0, "subset_count": 0}
    return json_answer({"dataset": _asked(), "file_count": _file_count(experiment), **counts})


def _file_count(experiment: str) -> int:
    selection = selection_of_dataset(read_did(_asked(), home=experiment), home=experiment)
    with get_service().reading() as connection:
        return count_files(connection, experiment, selection)


@calls.get("/data/dataset_files")
def _files(experiment: str) -> Response:
    service = get_service()
    selection = selection_of_dataset(read_did(_asked(), home=experiment), home=experiment)
    metadata = request.args.get("with_metadata") == "yes"
    wanted = WantedMetadata(records=metadata, relatives=False)
    pages = list_described(service.reading, service.store, experiment, selection, wanted)
    return record_sequence(record_pages(pages, with_metadata=metadata))


def _known_namespaces(experiment: str) -> list[str]:
    with get_service().reading() as connection:
        return list_namespaces(connection, experiment)


@calls.get("/data/namespaces")
def _namespaces(experiment: str) -> Response:
    names = _known_namespaces(experiment)
    return json_answer([NamespaceRecord(name, None, experiment) for name in names])


@calls.post("/data/namespaces")
def _named_namespaces(experiment: str) -> Response:
    try:
        names = msgspec.json.decode(read_body(_MOST_BYTES), type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        reason = misfit(problem, list[str])
        raise BadInputError(f"The body is not a list of namespaces: {reason}.") from None
    known = set(_known_namespaces(experiment))
    return json_answer([NamespaceRecord(name, None, experiment) for name in names if name in known])


@calls.get("/data/namespace")
def _namespace(experiment: str) -> Response:
    name = request.args.get("name", "")
    if name not in _known_namespaces(experiment):
        raise NotFoundError(f"No file of {experiment} is in a namespace {name[:200]}.")
    return json_answer(NamespaceRecord(name, None, experiment))
