"""How much lies on each side of a file: what a bounded picture of its history is a part of.

Counted is what `neighbourhood` would draw without a limit: files by name, the jobs that made them, and after the file jobs of no
output too.
"""

from sqlalchemy import Connection, func, select, text

from provenance.db.queries.walking import ANCESTORS, DESCENDANTS, Counts, start_of, time_limit
from provenance.db.tables import Claim, Identity, Mention, Parent, Producer

_USES_A_FILE = 2
"""Uses that are counted for each file that is."""

_MAKERS = (
    ANCESTORS
    + """
SELECT
    count(DISTINCT CASE WHEN r.claim_id = :claim THEN NULL ELSE i.file_id END),
    count(DISTINCT CASE WHEN c.job_id = own.job_id THEN NULL ELSE c.job_id END),
    count(DISTINCT i.id)
FROM up
CROSS JOIN identities AS i
CROSS JOIN claims AS own
LEFT JOIN producers AS r ON r.identity_id = up.identity_id
LEFT JOIN claims AS c ON c.id = r.claim_id
WHERE i.id = up.identity_id AND own.id = :claim
"""
)

_USERS = (
    DESCENDANTS  # noqa: S608 - texts of this module
    + """,
used AS (
    SELECT r.identity_id, c.job_id
    FROM claims AS c
    CROSS JOIN producers AS r
    WHERE c.id = :claim AND r.claim_id = c.id
    UNION ALL
    SELECT id, -1 FROM identities WHERE file_id = :file
    UNION ALL
    SELECT r.identity_id, c.job_id
    FROM down
    CROSS JOIN claims AS c
    CROSS JOIN producers AS r
    WHERE c.id = down.claim_id AND r.claim_id = c.id
),
readers AS (
    SELECT m.job_id
    FROM used
    CROSS JOIN mentions AS m
    WHERE m.identity_id = used.identity_id AND m.job_id <> used.job_id
    LIMIT :uses
),
met_jobs AS (
    SELECT c.job_id FROM down CROSS JOIN claims AS c WHERE c.id = down.claim_id
    UNION
    SELECT job_id FROM readers
)
SELECT
    (SELECT count(DISTINCT c.file_id) FROM down CROSS JOIN claims AS c WHERE c.id = down.claim_id AND c.id <> :claim),
    (SELECT count(*) FROM met_jobs),
    (SELECT count(*) FROM down),
    (SELECT count(*) FROM readers)
"""
)


def count_makers(connection: Connection, claim: int, *, most: int) -> Counts:
    """Return how many files the claim was made from, and how many jobs made these and itself; at most `most` are walked.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    with time_limit(connection):
        files, jobs, met = connection.execute(text(_MAKERS), {"claim": claim, "most": most}).one()
    return Counts(files, jobs + 1, met >= most)


def count_users(connection: Connection, claim: int | None, file: int, *, most: int) -> Counts:
    """Return how many files came of the claim, or of a `file` that nobody claims, and how many jobs read or made any of these.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    uses = _USES_A_FILE * most
    with time_limit(connection):
        row = connection.execute(text(_USERS), {**start_of(claim, file, most), "uses": uses}).one()
    return Counts(row[0], row[1], row[2] >= most or row[3] >= uses)


def is_used(connection: Connection, claim: int | None, file: int) -> bool:
    """Return whether a job read the claim, or a `file` that nobody claims, or made another file from it."""
    if claim is None:
        seen = select(Identity.id).where(Identity.file_id == file)
    else:
        seen = select(Producer.identity_id).where(Producer.claim_id == claim)
    maker = select(Claim.job_id).where(Claim.id == (-1 if claim is None else claim)).scalar_subquery()
    read = select(Mention.job_id).where(Mention.identity_id.in_(seen), Mention.job_id != func.coalesce(maker, -1))
    made = select(Parent.claim_id).where(Parent.identity_id.in_(seen))
    return any(connection.execute(query.limit(1)).first() is not None for query in (read, made))
