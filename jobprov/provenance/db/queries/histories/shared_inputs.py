"""Inputs that jobs share with many others by role (calibration, geometry), as nodes of a graph."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.statements.driver import Row
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.lineage.keys import key_of_claim, key_of_file, key_of_job

# For a badge one maker is enough: that of the newest version, by the order of versions. The second
# newest is read too, in case the newest maker is the reading job itself
_RESOLVED = """
SELECT id, file_id, claim_id, job_id, is_sure FROM (
    SELECT i.id, i.file_id, r.claim_id, c.job_id, r.is_sure, row_number() OVER (
        PARTITION BY i.id ORDER BY j.ended_at IS NULL, j.ended_at DESC, j.uuid DESC, c.position DESC
    ) AS place
    FROM identities AS i
    JOIN files AS f ON f.id = i.file_id
    LEFT JOIN producers AS r ON r.identity_id = i.id
    LEFT JOIN claims AS c ON c.id = r.claim_id
    LEFT JOIN jobs AS j ON j.id = c.job_id
    WHERE i.id {among} AND NOT f.is_crowded
) AS few
WHERE place <= 2
ORDER BY id, place
"""
# A crowded name has too many makers to be sorted: the first and the last recorded one will do
_CROWDED = """
SELECT few.id, few.file_id, c.id, c.job_id, few.is_sure FROM (
    SELECT i.id, i.file_id, max(r.claim_id) AS last, min(r.claim_id) AS first,
        max(CASE WHEN r.is_sure THEN 1 ELSE 0 END) AS is_sure
    FROM identities AS i JOIN files AS f ON f.id = i.file_id
    LEFT JOIN producers AS r ON r.identity_id = i.id
    WHERE i.id {among} AND f.is_crowded GROUP BY i.id, i.file_id
) AS few
LEFT JOIN claims AS c ON c.id IN (few.first, few.last)
ORDER BY few.id, c.id DESC
"""


class SharedInput(NamedTuple):
    """An input that a job shared with others, as an edge: keys of the file and of the job."""

    file: str
    job: str
    role: str
    is_sure: bool


class _Maker(NamedTuple):
    """A claim that an identity resolves to, and its job; all None where nobody made the file."""

    identity: int
    file: int
    claim: int | None
    job: int | None
    is_sure: bool | None


def resolve_shared(connection: Connection, mentions: Sequence[Row]) -> Iterator[SharedInput]:
    """Yield the inputs that mentions (job, identity, role) stand for, each with one maker."""
    identities = sorted({mention[1] for mention in mentions})
    makers: dict[int, list[_Maker]] = {}
    for statement in (_RESOLVED, _CROWDED):
        for row in select_among(connection, statement, identities):
            maker = _Maker(*row)
            makers.setdefault(maker.identity, []).append(maker)
    for job, identity, role in mentions:
        file, is_sure = key_of_file(makers[identity][0].file), True
        for maker in makers[identity]:
            # A job's output is never its own input
            if maker.claim is not None and maker.job != job:
                file, is_sure = key_of_claim(maker.claim), bool(maker.is_sure)
                break
        yield SharedInput(file, key_of_job(job), role, is_sure)
