"""A file's metadata in SAM's words.

Source: SAM's metadata JSON, as the official client and POMS read it.
"""

from datetime import datetime
from typing import Any

from jobprov.provenance.answers.selections import Application, FileMetadata

_TITLES = {
    "file_name": "File Name",
    "file_id": "File Id",
    "create_date": "Create Date",
    "user": "User",
    "file_size": "File Size",
    "checksum": "Checksum",
    "file_type": "File Type",
    "file_format": "File Format",
    "data_tier": "Data Tier",
    "data_stream": "Data Stream",
    "event_count": "Event Count",
    "first_event": "First Event",
    "last_event": "Last Event",
    "start_time": "Start Time",
    "end_time": "End Time",
    "runs": "Runs",
    "application": "Application",
    "parents": "Parents",
}
_WIDTH = 23


def sam_metadata(
    file: FileMetadata, *, with_locations: bool = False, is_basic: bool = False
) -> dict[str, object]:
    """Return the metadata as JSON; what nobody says is left out.

    Args:
        file: what is known.
        with_locations: whether its copies are told.
        is_basic: without parents and parameters.
    """
    shown: dict[str, object] = {
        "file_name": file.file.name,
        "file_id": file.file.key,
        "create_date": _time(file.made_at or file.seen_at),
        "user": file.submitter,
        "group": file.experiment,
        "file_size": file.size_bytes,
        "checksum": file.checksums or None,
        "file_type": file.file_type,
        "file_format": file.file_format,
        "content_status": "good",
        "data_tier": file.data_tier,
        "data_stream": file.data_stream,
        "event_count": file.event_count,
        "first_event": file.first_event,
        "last_event": file.last_event,
        "start_time": _time(file.started_at),
        "end_time": _time(file.made_at),
        "runs": [_run(run) for run in file.runs] or None,
        "application": _application(file.application),
    }
    if not is_basic:
        shown.update(file.metadata)
        shown.update(file.provenance)
        parents = [{"file_name": parent.name, "file_id": parent.key} for parent in file.parents]
        shown["parents"] = parents or None
    if with_locations:
        shown["locations"] = [location_of(location) for location in file.locations]
    return {key: value for key, value in shown.items() if value is not None}


def metadata_lines(file: FileMetadata) -> list[str]:
    """Return the metadata as `samweb get-metadata` prints them."""
    lines = []
    for key, value in sam_metadata(file).items():
        title = _TITLES.get(key, key)
        for place, text in enumerate(_texts(key, value)):
            lines.append(f"{title if place == 0 else '':>{_WIDTH}}: {text}")
    return lines


def _texts(key: str, value: Any) -> list[str]:
    """Return the texts of a value, one a line."""
    if key == "application":
        return [" ".join(str(part) for part in value.values())]
    if key == "parents":
        return [parent["file_name"] for parent in value]
    if key == "runs":
        return [f"{run[0]}.{run[1]:04d} ({run[2]})" if len(run) > 2 else str(run) for run in value]  # noqa: PLR2004
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value)]


def location_of(location: str) -> dict[str, str]:
    """Return one place of a file."""
    return {"location": location, "full_path": location, "location_type": "disk"}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _run(run: Any) -> list[Any]:
    """Return a run as SAM says it: number, subrun, type, as far as they are known."""
    return run if isinstance(run, list) else [run]


def _application(application: Application | None) -> dict[str, str] | None:
    if application is None:
        return None
    application_members = {
        "family": application.family,
        "name": application.name,
        "version": application.version,
    }
    return {key: value for key, value in application_members.items() if value}
