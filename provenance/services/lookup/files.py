"""Lists of files by name, a page at a time."""

import base64
import json
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.fragments.node_facts import file_url
from jobprov.provenance.db.queries.lookup.file_lists import FileFilters, FileRow, list_file_rows
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.queries.lookup.versions import Version, versions_of
from jobprov.provenance.db.time_limits import time_limit
from jobprov.provenance.errors import BadInputError

MOST = 1000


def list_files(
    connection: Connection, filters: FileFilters, *, limit: int = 100, cursor: str | None = None
) -> dict[str, Any]:
    """Return `{"files": [row], "next": cursor or None}`, in the order of names.

    A row is `{name, namespace, experiment, url, is_placeholder, version_count, size_bytes,
    checksums, data_tier, event_count, job_id, state, task_id}`; from `size_bytes` on it is of the
    newest version, None where no recorded job made the file.

    Raises:
        BadInputError: a limit or cursor that is none.
        LimitError: the search took more than five seconds.
    """
    if not 1 <= limit <= MOST:
        raise BadInputError(f"limit: between 1 and {MOST}.", {"limit": [f"between 1 and {MOST}"]})
    after = _read_cursor(cursor)
    with time_limit(connection, "narrow it down by the beginning of the name, or by task"):
        rows = list_file_rows(connection, filters, limit=limit + 1, after=after)
    shown = rows[:limit]
    versions = versions_of(connection, [row.key for row in shown])
    jobs = job_summaries(connection, [found[-1].job_id for found in versions.values()])
    return {
        "files": [_row(row, versions.get(row.key, []), jobs) for row in shown],
        "next": _cursor(shown[-1]) if len(rows) > limit else None,
    }


def _row(row: FileRow, versions: list[Version], jobs: dict[int, dict[str, Any]]) -> dict[str, Any]:
    newest = versions[-1] if versions else None
    job = jobs[newest.job_id] if newest else None
    return {
        "name": row.name,
        "namespace": row.namespace,
        "experiment": row.experiment,
        "url": file_url(row.name, row.experiment, row.namespace),
        "is_placeholder": newest is None,
        "version_count": len(versions),
        "size_bytes": newest.size_bytes if newest else None,
        "checksums": list(newest.checksums) if newest else [],
        "data_tier": newest.data_tier if newest else None,
        "event_count": newest.event_count if newest else None,
        "job_id": job["job_id"] if job else None,
        "state": job["state"] if job else None,
        "task_id": job["task"]["task_id"] if job else None,
    }


def _cursor(row: FileRow) -> str:
    place = json.dumps([row.name, row.namespace, row.experiment_key]).encode()
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> tuple[str, str, int] | None:
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        name, namespace, experiment = json.loads(
            base64.b64decode(padded, altchars=b"-_", validate=True)
        )
        if (
            isinstance(name, str)
            and isinstance(namespace, str)
            and type(experiment) is int
            and "\0" not in name + namespace
        ):
            return name, namespace, min(experiment, 2**62)
    except (ValueError, TypeError):  # no base64, no JSON, no three parts
        pass
    raise BadInputError(
        "cursor: not one that a list gave.", {"cursor": ["not one that a list gave"]}
    )
