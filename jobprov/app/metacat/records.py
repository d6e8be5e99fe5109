"""A file as a record of MetaCat.

Source: `to_jsonable` of files in MetaCat's server.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from jobprov.provenance.answers.selections import FileMetadata, FileReference
from jobprov.provenance.services.selections.dotted_metadata import dotted_metadata


class Fid(Struct, frozen=True):
    """A file by its id alone, as a parent or a child of another."""

    fid: str


class DatasetName(Struct, frozen=True):
    """A dataset by its name alone."""

    namespace: str
    name: str


class FileRecord(Struct):
    """A file as MetaCat describes it; members that were not asked for are left out.

    Attributes:
        size: left out where nobody says it.
    """

    fid: str
    namespace: str
    name: str
    retired: bool
    retired_by: str | None
    retired_timestamp: float | None
    updated_by: str | None
    updated_timestamp: float | None
    creator: str
    created_timestamp: float | None
    checksums: dict[str, str]
    size: int | UnsetType = UNSET
    metadata: dict[str, object] | UnsetType = UNSET
    parents: list[Fid] | UnsetType = UNSET
    children: list[Fid] | UnsetType = UNSET
    datasets: list[DatasetName] | UnsetType = UNSET


def file_record(
    file: FileMetadata,
    *,
    with_metadata: bool = False,
    with_provenance: bool = False,
    with_datasets: bool = False,
) -> FileRecord:
    """Return what is known of a file.

    Args:
        file: it.
        with_metadata: whether `metadata` is told.
        with_provenance: whether `parents` and `children` are.
        with_datasets: whether `datasets` are.
    """
    record = FileRecord(
        fid=str(file.file.key),
        namespace=file.file.namespace or file.experiment,
        name=file.file.name,
        retired=False,
        retired_by=None,
        retired_timestamp=None,
        updated_by=None,
        updated_timestamp=None,
        creator=file.submitter or "",
        created_timestamp=_epoch(file.made_at or file.seen_at),
        checksums=dict(checksum.split(":", 1) for checksum in file.checksums),
    )
    if file.size_bytes is not None:
        record.size = file.size_bytes
    if with_metadata:
        record.metadata = dotted_metadata(file)
    if with_provenance:
        record.parents, record.children = _fids(file.parents), _fids(file.children)
    if with_datasets:
        record.datasets = _datasets_of(file)
    return record


def record_pages(
    pages: Iterable[Iterable[FileMetadata]],
    *,
    with_metadata: bool = False,
    with_provenance: bool = False,
) -> Iterator[list[FileRecord]]:
    """Yield pages of files as pages of records."""
    for page in pages:
        records = []
        for file in page:
            records.append(
                file_record(file, with_metadata=with_metadata, with_provenance=with_provenance)
            )
        yield records


def _datasets_of(file: FileMetadata) -> list[DatasetName]:
    """Return the datasets that a file is in: its task and its campaign."""
    names = [file.provenance.get("prov.task_id"), file.provenance.get("prov.campaign")]
    return [DatasetName(file.experiment, name) for name in names if name]


def _fids(files: Iterable[FileReference]) -> list[Fid]:
    return [Fid(str(file.key)) for file in files]


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
