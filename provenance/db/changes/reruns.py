"""Rows of verdicts and of capsules; their ledger entries are there before."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.queries.reruns.capsules import Use
from jobprov.provenance.db.tables import CapsuleRow, CapsuleUse, Verdict


def add_verdict(
    connection: Connection, *, job: int, entry: int, level: str, document: str, posted_at: datetime
) -> None:
    """Write a verdict on a rerun of a job; `document` is the whole of it as JSON."""
    row = {
        "entry_id": entry,
        "job_id": job,
        "level": level,
        "document": document,
        "posted_at": posted_at,
    }
    connection.execute(table_of(Verdict).insert(), [row])


def add_capsule(
    connection: Connection,
    *,
    experiment: int,
    entry: int,
    name: str,
    kind: str,
    sha256: str,
    size_bytes: int,
    serves: Iterable[Use],
) -> None:
    """Write a capsule, and which jobs it serves."""
    capsule = {
        "entry_id": entry,
        "experiment_id": experiment,
        "name": name,
        "kind": kind,
        "sha256": sha256,
        "size_bytes": size_bytes,
    }
    connection.execute(table_of(CapsuleRow).insert(), [capsule])
    uses = []
    for software_set, stage in serves:
        uses.append({"entry_id": entry, "software_set_sha256": software_set, "stage": stage})
    connection.execute(table_of(CapsuleUse).insert(), uses)
