"""A file as a record of MetaCat.

Source: `to_jsonable` of files in MetaCat's server; its core category, as declad fills it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from jobprov.provenance.answers.selections import Application, FileMetadata, FileReference

_RUN_TYPE_PLACE = 2


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
        record.metadata = metadata_of(file)
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


def metadata_of(file: FileMetadata) -> dict[str, object]:
    """Return the metadata by dotted keys; what nobody says is left out."""
    known: dict[str, object] = {
        "core.file_type": file.file_type,
        "core.file_format": file.file_format,
        "core.data_tier": file.data_tier,
        "core.data_stream": file.data_stream,
        "core.event_count": file.event_count,
        "core.first_event_number": file.first_event,
        "core.last_event_number": file.last_event,
        "core.start_time": _epoch(file.started_at),
        "core.end_time": _epoch(file.made_at),
        **_runs(file.runs),
        **_application(file.application),
    }
    known_values = {key: value for key, value in known.items() if value is not None}
    return {**known_values, **file.metadata, **file.provenance}


def _runs(runs: Sequence[object]) -> dict[str, object]:
    """Return the run numbers, each once, and the type of the first run that has one."""
    numbers: dict[object, None] = {}
    run_type = None
    for run in runs:
        parts = run if isinstance(run, list) else [run]
        if parts:
            numbers[parts[0]] = None
        if run_type is None and len(parts) > _RUN_TYPE_PLACE:
            run_type = parts[_RUN_TYPE_PLACE]
    return {"core.runs": list(numbers) or None, "core.run_type": run_type}


def _application(application: Application | None) -> dict[str, str | None]:
    if application is None:
        return {}
    whole = [part for part in (application.family, application.name) if part]
    return {
        "core.application": ".".join(whole) or None,
        "core.application.family": application.family,
        "core.application.name": application.name,
        "core.application.version": application.version,
    }


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
