"""A file as a record of MetaCat.

Source: `to_jsonable` of files in MetaCat's server; its core category, as declad fills it.
"""

from datetime import datetime
from typing import Any

from jobprov.provenance.answers.selections import Application, FileMetadata, FileReference

_RUN_TYPE_PLACE = 2


def file_record(
    file: FileMetadata, *, with_metadata: bool = False, with_provenance: bool = False
) -> dict[str, Any]:
    """Return what is known of a file.

    Args:
        file: it.
        with_metadata: whether `metadata` is told.
        with_provenance: whether `parents` and `children` are.
    """
    record: dict[str, Any] = {
        "fid": str(file.file.key),
        "namespace": file.file.namespace or file.experiment,
        "name": file.file.name,
        "retired": False,
        "retired_by": None,
        "retired_timestamp": None,
        "updated_by": None,
        "updated_timestamp": None,
        "creator": file.submitter or "",
        "created_timestamp": _epoch(file.made_at or file.seen_at),
        "checksums": dict(checksum.split(":", 1) for checksum in file.checksums),
    }
    if file.size_bytes is not None:
        record["size"] = file.size_bytes
    if with_metadata:
        record["metadata"] = _metadata(file)
    if with_provenance:
        record["parents"] = [_reference(one) for one in file.parents]
        record["children"] = [_reference(one) for one in file.children]
    return record


def datasets_of(file: FileMetadata) -> list[dict[str, str]]:
    """Return the datasets that a file is in: its task and its campaign."""
    names = [file.provenance.get("prov.task_id"), file.provenance.get("prov.campaign")]
    return [{"namespace": file.experiment, "name": name} for name in names if name]


def _reference(file: FileReference) -> dict[str, str]:
    return {"fid": str(file.key)}


def _metadata(file: FileMetadata) -> dict[str, Any]:
    """Return the metadata by dotted keys; what nobody says is left out."""
    known: dict[str, Any] = {
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
    told = {key: value for key, value in known.items() if value is not None}
    return {**told, **file.metadata, **file.provenance}


def _runs(runs: list[Any]) -> dict[str, Any]:
    """Return the run numbers, each once, and the type of the first run that has one."""
    numbers: dict[Any, None] = {}
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
