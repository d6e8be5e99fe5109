"""Datasets of OpenLineage as files, and its names as names of ours.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, Dataset;
record.md, "Events of OpenLineage".
"""

import hashlib
import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import Digest, JsonObject
from jobprov.provenance.records.reading.checks import LARGEST, checksum_problem, name_problem
from jobprov.provenance.records.reading.misfits import misfit

_Kind = TypeVar("_Kind")
_LONGEST = 1000
Text = Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
Facets = JsonObject | None
"""By name; null means nothing, as everywhere in a record."""
_FACET = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetFacet"
_VERSION = re.compile(r"[^\s\x00-\x1f]{1,200}")


class Dataset(Struct):
    """What a run read or wrote."""

    namespace: Text
    name: Text
    facets: Facets = None


class EventFile(Struct, kw_only=True, omit_defaults=True):
    """A dataset as a file, in the fields that inputs and outputs of a record have.

    Attributes:
        namespace: with `%2F` for a slash, empty for none.
        location: URL, None if the dataset's namespace is none.
    """

    name: str
    namespace: str = ""
    checksums: list[str] = []
    size_bytes: int | None = None
    sha256: str | None = None
    location: str | None = None

    def as_json(self) -> JsonObject:
        """Return the fields that have a value."""
        fields: JsonObject = msgspec.to_builtins(self)
        return fields


class _FileFacet(Struct):
    """The facet `jobprov_file`."""

    checksums: list[str] | None = None
    size_bytes: int | None = None
    sha256: Digest | None = None


def converted(document: Any, kind: type[_Kind], place: str = "") -> _Kind:
    """Return a part of an event, typed.

    Raises:
        BadInputError: it is not of that type; `fields` names what is missing or wrong, below
            `place`.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as problem:
        path, message = misfit(problem, kind)
        field = ".".join(filter(None, [place, path]))
        raise BadInputError(f"{field or 'The event'}: {message}.", {field: [message]}) from None


def refuse(problems: dict[str, str | None]) -> None:
    """Refuse an event if one of its fields has a problem.

    Raises:
        BadInputError: with every field that has a problem.
    """
    fields = {field: [message] for field, message in problems.items() if message}
    if fields:
        field, messages = next(iter(fields.items()))
        raise BadInputError(f"{field}: {messages[0]}.", fields)


def without_slash(name: str) -> str:
    """Return a name with `%2F` for each slash, which task ids and namespaces cannot hold.

    `with_slash` is the way back.
    """
    return name.replace("%", "%25").replace("/", "%2F")


def with_slash(name: str) -> str:
    """Return what `without_slash` was given."""
    return name.replace("%2F", "/").replace("%25", "%")


def file_of(dataset: Dataset, experiment: str, place: str) -> EventFile:
    """Return a dataset as a file; folders of its name belong to the namespace.

    Neither the name nor the namespace holds a slash.

    Raises:
        BadInputError: a file cannot be such a dataset; `place` is the dataset's in the event.
    """
    outer = _outer_namespace(dataset, experiment)
    namespace, name = place_of(dataset, experiment)
    _check_name(dataset, experiment, place)
    facet = _file_facet_of(dataset, f"{place}.facets.jobprov_file")
    version = text_of(_facet(dataset, "version"), "datasetVersion")
    file = EventFile(
        name=name,
        namespace=namespace,
        checksums=[*(facet.checksums or ()), *_version_checksum(version)],
        size_bytes=facet.size_bytes,
        sha256=facet.sha256,
    )
    if "://" in outer:
        file.location = f"{outer}/{dataset.name.lstrip('/')}"
    return file


def _check_name(dataset: Dataset, experiment: str, place: str) -> None:
    namespace, name = place_of(dataset, experiment)
    refuse({f"{place}.name": _problem(name) if name else "no last part"})
    # Our namespace is made of the dataset's namespace and of the folders in its name. If the
    # dataset's namespace is not wrong by itself, the folders are.
    outer = _outer_namespace(dataset, experiment)
    is_outer_wrong = _problem(without_slash(outer) or "-") is not None
    field = "namespace" if is_outer_wrong else "name"
    refuse({f"{place}.{field}": _problem(namespace or "-")})


def file_facet(checksums: list[str], size_bytes: int | None, *, producer: str) -> JsonObject:
    """Return the member `facets` that identifies a dataset's file, as `file_of` reads it.

    Empty if nothing is known.
    """
    if not checksums and size_bytes is None:
        return {}
    facet: JsonObject = {"_producer": producer, "_schemaURL": _FACET}
    if checksums:
        facet["checksums"] = checksums
    if size_bytes is not None:
        facet["size_bytes"] = size_bytes
    return {"facets": {"jobprov_file": facet}}


def place_of(dataset: Dataset, experiment: str) -> tuple[str, str]:
    """Return the namespace and name of a dataset as a file; the name may be empty.

    A file may be spelled in several ways as a dataset.
    """
    namespace = _outer_namespace(dataset, experiment)
    folder, slash, name = dataset.name.rstrip("/").rpartition("/")
    if slash:
        namespace = f"{namespace}/{folder.lstrip('/')}".rstrip("/")
    return without_slash(namespace), name


def _outer_namespace(dataset: Dataset, experiment: str) -> str:
    """Return the dataset's own namespace; events name the experiment if the file has none."""
    return "" if dataset.namespace == experiment else dataset.namespace.rstrip("/")


def _problem(name: str) -> str | None:
    problem = name_problem(name)
    if problem is None and len(name) > _LONGEST:
        problem = f"longer than {_LONGEST} characters"
    return problem


def _file_facet_of(dataset: Dataset, place: str) -> _FileFacet:
    """Return the facet `jobprov_file`; a size past 64 bits is ignored, as in a record."""
    facet = _facet(dataset, "jobprov_file")
    members = {name: value for name, value in facet.items() if value not in (None, "", [])}
    file = converted(members, _FileFacet, place)
    problems: dict[str, str | None] = {}
    for index, checksum in enumerate(file.checksums or ()):
        problems[f"{place}.checksums[{index}]"] = checksum_problem(checksum)
    size = file.size_bytes or 0
    if size < 0:
        problems[f"{place}.size_bytes"] = "less than zero"
    refuse(problems)
    if size > LARGEST:
        return msgspec.structs.replace(file, size_bytes=None)
    return file


def _facet(dataset: Dataset, name: str) -> JsonObject:
    """Return a facet; empty if there is none, or if it is null or not an object."""
    facet = (dataset.facets or {}).get(name)
    return facet if isinstance(facet, dict) else {}


def _version_checksum(version: str) -> list[str]:
    """Return a dataset's version in the form of a checksum.

    Two versions of one name do not have the same content.
    """
    if not version:
        return []
    # A version may be any text, but checksums have no blanks and at most 256 characters
    if not _VERSION.fullmatch(version):
        version = hashlib.sha256(version.encode()).hexdigest()
    return [f"openlineage-version:{version}"]


def text_of(facet: JsonObject, name: str) -> str:
    """Return a text of a facet, '' if it has none."""
    text = facet.get(name)
    return text if isinstance(text, str) else ""
