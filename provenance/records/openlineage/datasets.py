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
from jobprov.provenance.records.job_record import Digest
from jobprov.provenance.records.reading.checks import LARGEST, checksum_problem, name_problem
from jobprov.provenance.records.reading.repairing import split_message

_Kind = TypeVar("_Kind")
_LONGEST = 1000
Text = Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
Facets = dict[str, Any] | None
"""By name; null means nothing, as everywhere in a record."""
_FACET = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetFacet"
_VERSION = re.compile(r"[^\s\x00-\x1f]{1,200}")


class Dataset(Struct):
    """What a run read or wrote."""

    namespace: Text
    name: Text
    facets: Facets = None


class _File(Struct):
    """The facet `jobprov_file`."""

    checksums: list[str] | None = None
    size_bytes: int | None = None
    sha256: Digest | None = None


def converted(document: Any, kind: type[_Kind], place: str = "") -> _Kind:
    """Return a part of an event, typed.

    Raises:
        BadInputError: it is none; `fields` names what is missing or wrong, below `place`.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as problem:
        path, message = split_message(str(problem))
        missing = re.search(r"missing required field (\w+)", message)
        if missing and path != missing[1]:
            path = f"{path}.{missing[1]}"
        field = ".".join(filter(None, [place, path]))
        raise BadInputError(f"{field or 'The event'}: {message}.", {field: [message]}) from None


def refuse(problems: dict[str, str | None]) -> None:
    """Refuse an event of which something is wrong.

    Raises:
        BadInputError: with every field that has a problem.
    """
    fields = {field: [message] for field, message in problems.items() if message}
    if fields:
        field, messages = next(iter(fields.items()))
        raise BadInputError(f"{field}: {messages[0]}.", fields)


def without_slash(name: str) -> str:
    """Return a name as task ids and namespaces of files can be, `%2F` for a slash.

    `with_slash` is the way back.
    """
    return name.replace("%", "%25").replace("/", "%2F")


def with_slash(name: str) -> str:
    """Return what `without_slash` was given."""
    return name.replace("%2F", "/").replace("%25", "%")


def file_of(dataset: Dataset, experiment: str, place: str) -> dict[str, Any]:
    """Return a dataset as a file; folders of its name belong to the namespace.

    Neither of the two holds a slash.

    Raises:
        BadInputError: it is none that a file can be; `place` says which dataset it is.
    """
    outer = _outer(dataset, experiment)
    namespace, name = place_of(dataset, experiment)
    refuse({f"{place}.name": _problem(name) if name else "no last part"})
    # the namespace of ours is made of both: of the one that is wrong by itself, else of the folders
    # in the name
    is_outer_wrong = _problem(without_slash(outer) or "-") is not None
    field = "namespace" if is_outer_wrong else "name"
    refuse({f"{place}.{field}": _problem(namespace or "-")})
    known = _known_file(dataset, f"{place}.facets.jobprov_file")
    version = text_of(_facet(dataset, "version"), "datasetVersion")
    file = {
        "name": name,
        "namespace": namespace,
        "checksums": [*(known.checksums or ()), *_version_checksum(version)],
        "size_bytes": known.size_bytes,
        "sha256": known.sha256,
        "location": f"{outer}/{dataset.name.lstrip('/')}" if "://" in outer else None,
    }
    return {key: value for key, value in file.items() if value not in (None, "", [])}


def file_facet(checksums: list[str], size_bytes: int | None, *, producer: str) -> dict[str, Any]:
    """Return the member `facets` that identifies a dataset's file, as `file_of` reads it.

    Empty if nothing is known.
    """
    facet: dict[str, Any] = {"_producer": producer, "_schemaURL": _FACET}
    if checksums:
        facet["checksums"] = checksums
    if size_bytes is not None:
        facet["size_bytes"] = size_bytes
    return {"facets": {"jobprov_file": facet}} if checksums or size_bytes is not None else {}


def place_of(dataset: Dataset, experiment: str) -> tuple[str, str]:
    """Return namespace and name of the file that a dataset is, '' if it has none.

    Several spellings may be one file.
    """
    namespace = _outer(dataset, experiment)
    folder, slash, name = dataset.name.rstrip("/").rpartition("/")
    if slash:
        namespace = f"{namespace}/{folder.lstrip('/')}".rstrip("/")
    return without_slash(namespace), name


def _outer(dataset: Dataset, experiment: str) -> str:
    return "" if dataset.namespace == experiment else dataset.namespace.rstrip("/")


def _problem(name: str) -> str | None:
    problem = name_problem(name)
    if problem is None and len(name) > _LONGEST:
        problem = f"longer than {_LONGEST} characters"
    return problem


def _known_file(dataset: Dataset, place: str) -> _File:
    """Return the facet `jobprov_file`; a size past 64 bits is ignored, as in a record."""
    facet = _facet(dataset, "jobprov_file")
    members = {name: value for name, value in facet.items() if value not in (None, "", [])}
    file = converted(members, _File, place)
    problems: dict[str, str | None] = {}
    for index, checksum in enumerate(file.checksums or ()):
        problems[f"{place}.checksums[{index}]"] = checksum_problem(checksum)
    size = file.size_bytes or 0
    if size < 0:
        problems[f"{place}.size_bytes"] = "less than zero"
    refuse(problems)
    return file if size <= LARGEST else msgspec.structs.replace(file, size_bytes=None)


def _facet(dataset: Dataset, name: str) -> dict[str, Any]:
    """Return a facet, empty if there is none: null removes one, and only an object is one."""
    facet = (dataset.facets or {}).get(name)
    return facet if isinstance(facet, dict) else {}


def _version_checksum(version: str) -> list[str]:
    """Return a dataset's version in the form of a checksum.

    Two versions of one name do not have the same content.
    """
    if not version:
        return []
    if not _VERSION.fullmatch(version):
        version = hashlib.sha256(version.encode()).hexdigest()
    return [f"openlineage-version:{version}"]


def text_of(facet: dict[str, Any], name: str) -> str:
    """Return a text of a facet, '' if it has none."""
    text = facet.get(name)
    return text if isinstance(text, str) else ""
