"""What is known of a file as metadata by dotted keys, by which catalog clients select files.

Source: MetaCat's core category, as declad fills it.
"""

from collections.abc import Sequence
from datetime import datetime

from jobprov.provenance.answers.selections import Application, FileMetadata

_RUN_TYPE_PLACE = 2


def dotted_metadata(file: FileMetadata) -> dict[str, object]:
    """Return the metadata by dotted keys; what is not known is left out."""
    known: dict[str, object] = {
        "core.file_type": file.file_type,
        "core.file_format": file.file_format,
        "core.data_tier": file.data_tier,
        "core.data_stream": file.data_stream,
        "core.event_count": file.event_count,
        "core.first_event_number": file.first_event,
        "core.last_event_number": file.last_event,
        "core.start_time": _seconds(file.started_at),
        "core.end_time": _seconds(file.made_at),
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


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
