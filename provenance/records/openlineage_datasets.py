"""Datasets of OpenLineage as files, and names of its as names of ours.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, Dataset;
record.md, "Events of OpenLineage".
"""

import hashlib
import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.checks import LARGEST, checksum_problem, name_problem
from jobprov.provenance.records.job_record import Digest
from jobprov.provenance.records.repairing import split_message

_Said = TypeVar("_Said")
_LONGEST = 1000
Text = Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
Facets = dict[str, Any] | None
"""By name; null says nothing, as everywhere in a record."""
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


def converted(document: Any, kind: type[_Said], place: str = "") -> _Said:
    """Return a part of an event, typed.

    Raises:
        BadInputError: it is none; `fields` names what is missing or wrong, below `place`.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as problem:
        path, message = split_message(str(problem))
        missing = re.search(r"missing required field (\w+)", message)
        below = f"{path}.{missing[1]}" if missing and path != missing[1] else path
        field = ".".join(word for word in (place, below) if word)
        raise BadInputError(f"{field or 'The event'}: {message}.", {field: [message]}) from None


def refuse(problems: dict[str, str | None]) -> None:
    """Refuse an event of which something is wrong.

    Raises:
        BadInputError: with every field that has a problem.
    """
    if found := {field: [message] for field, message in problems.items() if message}:
        field, messages = next(iter(found.items()))
        raise BadInputError(f"{field}: {messages[0]}.", found)


def without_slash(name: str) -> str:
    """Return a name as task ids and namespaces of files can be, `%2F` for a slash.

    `with_slash` is the way back.
    """
    return name.replace("%", "%25").replace("/", "%2F")


def with_slash(name: str) -> str:
    """Return what `without_slash` was given."""
    return name.replace("%2F", "/").replace("%25", "%")


def file_of(dataset: Dataset, experiment: str, place: str) -> dict[str, Any]:
    """Return a dataset as a file: folders of its name belong to the namespace, and neither holds a slash.

    Raises:
        BadInputError: it is none that a file can be; `place` says which dataset it is.
    """
    outer = _outer(dataset, experiment)
    namespace, name = place_of(dataset, experiment)
    is_outer = _problem(without_slash(outer) or "-") is not None
    refuse({f"{place}.name": _problem(name) if name else "no last part"})
    refuse({f"{place}.{'namespace' if is_outer else 'name'}": _problem(namespace or "-")})
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
    """Return the member `facets` of a dataset that says what file it is, as `file_of` reads it.

    Empty where nothing is known.
    """
    known = {"checksums": checksums, "size_bytes": size_bytes}
    told = {name: value for name, value in known.items() if value not in (None, [])}
    return (
        {"facets": {"jobprov_file": {"_producer": producer, "_schemaURL": _FACET, **told}}}
        if told
        else {}
    )


def place_of(dataset: Dataset, experiment: str) -> tuple[str, str]:
    """Return namespace and name of the file that a dataset is, '' where it has none.

    Several spellings may be one file.
    """
    outer = _outer(dataset, experiment)
    folder, slash, name = dataset.name.rstrip("/").rpartition("/")
    return without_slash(f"{outer}/{folder.lstrip('/')}".rstrip("/") if slash else outer), name


def _outer(dataset: Dataset, experiment: str) -> str:
    return "" if dataset.namespace == experiment else dataset.namespace.rstrip("/")


def _problem(name: str) -> str | None:
    return name_problem(name) or (
        f"longer than {_LONGEST} characters" if len(name) > _LONGEST else None
    )


def _known_file(dataset: Dataset, place: str) -> _File:
    """Return what the facet `jobprov_file` says.

    A size past 64 bits says nothing, as in a record.
    """
    said = {
        name: value
        for name, value in _facet(dataset, "jobprov_file").items()
        if value not in (None, "", [])
    }
    known = converted(said, _File, place)
    checksums = {
        f"{place}.checksums[{at}]": checksum_problem(word)
        for at, word in enumerate(known.checksums or ())
    }
    size = known.size_bytes or 0
    refuse({**checksums, f"{place}.size_bytes": "less than zero" if size < 0 else None})
    return known if size <= LARGEST else msgspec.structs.replace(known, size_bytes=None)


def _facet(dataset: Dataset, name: str) -> dict[str, Any]:
    """Return a facet, empty where there is none.

    Null takes one away, and what is no object is none.
    """
    found = (dataset.facets or {}).get(name)
    return found if isinstance(found, dict) else {}


def _version_checksum(version: str) -> list[str]:
    """Return a dataset's version in the place of a checksum.

    Two versions of one name are not the same content.
    """
    if not version:
        return []
    plain = version if _VERSION.fullmatch(version) else hashlib.sha256(version.encode()).hexdigest()
    return [f"openlineage-version:{plain}"]


def text_of(facet: dict[str, Any], name: str) -> str:
    """Return a text of a facet, '' where it has none."""
    found = facet.get(name)
    return found if isinstance(found, str) else ""
