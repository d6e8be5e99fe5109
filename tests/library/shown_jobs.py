"""What the service shows of a job, as plain values."""

from typing import Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.services.lookup.job import read_job, show_job


def shown_job(connection: Connection, store: Store, job_id: str) -> dict[str, Any]:
    """Return everything recorded of a job, in the words of the HTTP interface."""
    shown: dict[str, Any] = msgspec.to_builtins(
        show_job(connection, read_job(connection, store, job_id))
    )
    return shown
