"""Versions of files: their claims, numbered by (ended_at, job_id), so that everybody counts alike.

A claim of a job that did not succeed is a version only where something links to it surely; claims of reruns are none.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, exists, or_, select

from provenance.db.base import EPOCH
from provenance.db.keys import chunks
from provenance.db.recording.job_rows import STATES
from provenance.db.tables import Claim, Identity, Job, Mention, Producer

_SUCCEEDED = STATES.index("succeeded")
MOST_VERSIONS = 1000


# composed once: to compose it takes longer than to answer it
_IS_LINKED = exists().where(
    Producer.claim_id == Claim.id, Producer.is_sure.is_(True), Mention.identity_id == Producer.identity_id
)
_CLAIMS = (
    select(
        Claim.file_id, Claim.id, Job.id, Job.uuid, Job.state, Job.ended_at, Identity.size_bytes, Identity.checksums,
        Claim.status, Claim.data_tier, Claim.event_count, Claim.alias_of,
    )
    .join(Job, Job.id == Claim.job_id)
    .join(Identity, Identity.id == Claim.identity_id)
    .where(
        Claim.file_id.in_(bindparam("files", expanding=True)),
        Job.rerun_of.is_(None),
        or_(Job.state == _SUCCEEDED, _IS_LINKED),
    )
    .limit(bindparam("limit"))
)  # fmt: skip


_TRIES = (
    select(Claim.file_id, Claim.job_id)
    .join(Job, Job.id == Claim.job_id)
    .where(Claim.file_id.in_(bindparam("files", expanding=True)), Job.rerun_of.is_(None), Job.state != _SUCCEEDED)
    .order_by(Claim.id.desc())
    .limit(bindparam("limit"))
)


class Version(NamedTuple):
    """One version of a file.

    Attributes:
        number: from 1, oldest first.
        is_claim_of_success: whether the job that made it succeeded.
    """

    number: int
    claim_id: int
    job_id: int
    job_uuid: str
    state: str
    ended_at: datetime | None
    size_bytes: int | None
    checksums: tuple[str, ...]
    status: str | None
    data_tier: str | None
    event_count: int | None
    alias_of: int | None


def versions_of(connection: Connection, files: Sequence[int]) -> dict[int, list[Version]]:
    """Return the versions of each file, oldest first, at most a thousand each; files without one are left out."""
    found: dict[int, list[tuple[object, ...]]] = {}
    for part in chunks(files):
        rows = connection.execute(_CLAIMS, {"files": part, "limit": MOST_VERSIONS * len(part)})
        for row in rows:
            found.setdefault(row[0], []).append(tuple(row[1:]))
    return {file: _numbered(rows) for file, rows in found.items()}


def last_tries(connection: Connection, files: Sequence[int]) -> dict[int, int]:
    """Return the job that last wrote each file without success, by file; reruns claim nothing."""
    found: dict[int, int] = {}
    for part in chunks(files):
        rows = connection.execute(_TRIES, {"files": part, "limit": MOST_VERSIONS * len(part)})
        for file, job in rows:
            found.setdefault(file, job)
    return found


def _numbered(rows: list[tuple[object, ...]]) -> list[Version]:
    ordered = sorted(rows, key=lambda row: (row[4] or EPOCH, row[2]))
    return [
        Version(number, row[0], row[1], row[2], STATES[row[3]], row[4], row[5], tuple(str(row[6]).split()), *row[7:])  # type: ignore[arg-type, call-overload]
        for number, row in enumerate(ordered, 1)
    ]
