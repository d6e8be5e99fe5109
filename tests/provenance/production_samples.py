"""Small job records for tests, and a place to record them in."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from archive.opening import open_store
from provenance.db.engines import Database
from provenance.db.transaction import Memory
from provenance.records.decoding import decode_record
from provenance.services.record_jobs import record_jobs
from provenance.services.submissions import Outcome, Submission
from provenance.services.writing import writing_alone

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def job_id(number: int) -> str:
    """Return the id of the job with this number."""
    return str(uuid.UUID(int=number))


def digest(number: int) -> str:
    """Return a digest, another for each number."""
    return f"{number:064x}"


def file_entry(name: str, checksum: int | None = None, size: int | None = None, **more: Any) -> dict[str, Any]:
    """Return an input or output."""
    entry: dict[str, Any] = {"name": name, **more}
    if checksum is not None:
        entry["checksums"] = [f"adler32:{checksum:08x}"]
    if size is not None:
        entry["size_bytes"] = size
    return entry


def job(
    number: int, *, inputs: Sequence[dict[str, Any]] = (), outputs: Sequence[dict[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    """Return the record of a job that succeeded, unless `more` says otherwise; it ended at second `number`."""
    return {
        "schema_version": 1,
        "job_id": job_id(number),
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        "inputs": list(inputs),
        "outputs": list(outputs),
        **more,
    }


def chain(*names: str) -> list[dict[str, Any]]:
    """Return jobs that make each file from the one before; the first is made of nothing."""
    return [
        job(
            number,
            inputs=[file_entry(names[number - 2], number - 1)] if number > 1 else [],
            outputs=[file_entry(name, number)],
        )
        for number, name in enumerate(names, 1)
    ]


class Production:
    """An empty service: database, archive, and what the writer remembers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = open_store("memory:")
        self.memory = Memory()

    def record(
        self, *records: dict[str, Any], reason: str | None = None, received_at: datetime = MOMENT
    ) -> list[Outcome]:
        """Record all of these in one batch."""
        submissions = [
            Submission(decode_record(json.dumps(record).encode()), received_at, "tester", reason) for record in records
        ]
        return self.write(lambda writing: record_jobs(writing, submissions))

    def write(self, use_case: Any, **sent: Any) -> Any:
        """Return what `use_case(writing)` returns, committed."""
        with writing_alone(self.database, self.memory, self.store, **sent) as writing:
            return use_case(writing)
