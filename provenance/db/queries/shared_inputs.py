"""Inputs that jobs share with many others by role (calibration, geometry): which nodes of a graph they are."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from provenance.db.driver import Row
from provenance.db.queries.focus import jobs_of_claims
from provenance.db.selecting import select_among

# one maker is enough for a badge; the last one as well, since what a job made itself is not what it read
_RESOLVED = """
SELECT i.id, i.file_id, min(r.claim_id), max(r.claim_id), max(CASE WHEN r.is_sure THEN 1 ELSE 0 END)
FROM identities AS i LEFT JOIN producers AS r ON r.identity_id = i.id
WHERE i.id {among} GROUP BY i.id, i.file_id
"""


def resolve_shared(connection: Connection, mentions: Sequence[Row]) -> Iterator[tuple[str, str, str, bool]]:
    """Yield (file key, job key, role, whether that file is it surely) for mentions (job, identity, role)."""
    rows = select_among(connection, _RESOLVED, sorted({mention[1] for mention in mentions}))
    resolved = {row[0]: row[1:] for row in rows}
    claims = sorted({claim for row in rows for claim in row[2:4] if claim is not None})
    maker = jobs_of_claims(connection, claims)
    for job, identity, role in mentions:
        file, first, last, is_sure = resolved[identity]
        claim = _made_outside((first, last), maker, job)
        yield (f"f{file}", f"j{job}", role, True) if claim is None else (f"c{claim}", f"j{job}", role, bool(is_sure))


def _made_outside(claims: Iterable[int | None], maker: dict[int, int], job: int) -> int | None:
    return next((claim for claim in claims if claim is not None and maker[claim] != job), None)
