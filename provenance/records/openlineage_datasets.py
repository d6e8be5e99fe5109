"""Datasets of OpenLineage as files, and names of its as names of ours.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, Dataset; docs/record.md, "Events of OpenLineage".
"""

import hashlib
import re
from typing import Annotated, Any

from msgspec import Meta, Struct

from provenance.errors import BadInputError

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
_VERSION = re.compile(r"[^\s\x00-\x1f]{1,200}")


class Dataset(Struct):
    """What a run read or wrote."""

    namespace: Text
    name: Text
    facets: dict[str, Any] = {}


def without_slash(name: str) -> str:
    """Return a name as task ids and namespaces of files can be, `%2F` for a slash; `with_slash` is the way back."""
    return name.replace("%", "%25").replace("/", "%2F")


def with_slash(name: str) -> str:
    """Return what `without_slash` was given."""
    return name.replace("%2F", "/").replace("%25", "%")


def file_of(dataset: Dataset, experiment: str, place: str) -> dict[str, Any]:
    """Return a dataset as a file: folders of its name belong to the namespace, and neither holds a slash.

    Raises:
        BadInputError: its name has no last part; `place` says which dataset it is.
    """
    folder, slash, name = dataset.name.rstrip("/").rpartition("/")
    if not name:
        raise BadInputError(
            f"{place}.name: {dataset.name[:60]!r} has no last part.", {f"{place}.name": ["no last part"]}
        )
    outer = "" if dataset.namespace == experiment else dataset.namespace.rstrip("/")
    namespace = f"{outer}/{folder.lstrip('/')}".rstrip("/") if slash else outer
    known = dataset.facets.get("jobprov_file", {})
    version = text_of(dataset.facets.get("version", {}), "datasetVersion")
    checksums = [*(known.get("checksums") or []), *_version_checksum(version)]
    file = {
        "name": name,
        "namespace": without_slash(namespace),
        "checksums": checksums,
        "size_bytes": known.get("size_bytes"),
        "sha256": known.get("sha256"),
        "location": f"{outer}/{dataset.name.lstrip('/')}" if "://" in outer else None,
    }
    return {key: value for key, value in file.items() if value not in (None, "", [])}


def _version_checksum(version: str) -> list[str]:
    """Return a dataset's version in the place of a checksum: two versions of one name are not the same content."""
    if not version:
        return []
    plain = version if _VERSION.fullmatch(version) else hashlib.sha256(version.encode()).hexdigest()
    return [f"openlineage-version:{plain}"]


def text_of(facet: dict[str, Any], name: str) -> str:
    """Return a text of a facet, '' where it has none."""
    found = facet.get(name)
    return found if isinstance(found, str) else ""
