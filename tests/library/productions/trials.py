"""What tests of drills and proofs share: a service with real jobs, and jobs of one line of shell."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.recorded_trials import TrialParts
from tests.library.production import shown_job
from tests.library.productions.joining import GOOD, sample_parts
from tests.library.records import a_record

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@contextmanager
def trial_parts(database: Database, folder: Path) -> Iterator[TrialParts]:
    """Yield a service that holds the two jobs of the sample: one succeeded and one failed."""
    with sample_parts(database, folder) as parts:
        yield TrialParts(database, parts.writer, parts.store, folder / "reruns", apart())


def record(parts: TrialParts, *records: dict[str, Any]) -> None:
    """Record jobs."""
    submissions = [Submission(decode_record(json.dumps(each).encode()), NOW) for each in records]
    parts.writer.run(lambda writing: record_jobs(writing, submissions))


def shell_job(parts: TrialParts, number: int, script: str, **more: Any) -> dict[str, Any]:
    """A job of the sample's release that runs a line of shell."""
    with parts.database.reading.connect() as connection:
        sample = shown_job(connection, parts.store, GOOD)["record"]
    return {
        **sample,
        "job_id": a_record(number)["job_id"],
        "command": {"argv": ["sh", "-c", script], "working_directory": "/scratch/sample"},
        "environment": {"variables": {"PATH": "/usr/bin:/bin"}},
        "outputs": [],
        **more,
    }
