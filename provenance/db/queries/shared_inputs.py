"""Inputs that jobs share with many others by role (calibration, geometry): which nodes of a graph they are."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from provenance.db.driver import Row
from provenance.db.selecting import select_among

# one maker is enough for a badge, the newest as versions are counted, whichever was recorded first; the one before it as well, since
# what a job made itself is not what it read
_RESOLVED = """
SELECT id, file_id, claim_id, job_id, is_sure FROM (
    SELECT i.id, i.file_id, r.claim_id, c.job_id, r.is_sure, row_number() OVER (
        PARTITION BY i.id ORDER BY j.ended_at IS NULL, j.ended_at DESC, j.uuid DESC, c.position DESC
    ) AS place
    FROM identities AS i
    LEFT JOIN producers AS r ON r.identity_id = i.id
    LEFT JOIN claims AS c ON c.id = r.claim_id
    LEFT JOIN jobs AS j ON j.id = c.job_id
    WHERE i.id {among}
) AS few
WHERE place <= 2
ORDER BY id, place
"""


def resolve_shared(connection: Connection, mentions: Sequence[Row]) -> Iterator[tuple[str, str, str, bool]]:
    """Yield (file key, job key, role, whether that file is it surely) for mentions (job, identity, role)."""
    made: dict[int, list[Row]] = {}
    for row in select_among(connection, _RESOLVED, sorted({mention[1] for mention in mentions})):
        made.setdefault(row[0], []).append(row)
    for job, identity, role in mentions:
        file = made[identity][0][1]
        outside = next(
            ((claim, is_sure) for *_, claim, maker, is_sure in made[identity] if maker not in (None, job)), None
        )
        yield (
            (f"f{file}", f"j{job}", role, True)
            if outside is None
            else (f"c{outside[0]}", f"j{job}", role, bool(outside[1]))
        )
