"""Keys of all nodes that whole walks meet: against them a bounded picture tells how much it leaves out."""

from collections.abc import Collection

from sqlalchemy import Connection

from provenance.db.queries.focus import Focus, identities_of, jobs_of_claims
from provenance.db.queries.walking import met_claims, met_identities, readers_of_descendants, time_limit
from provenance.db.selecting import select_among

_TWO_READERS = "SELECT DISTINCT job_id FROM mentions WHERE identity_id {among} LIMIT 2"
_TWO_MAKERS = """
SELECT DISTINCT c.job_id FROM parents AS p JOIN claims AS c ON c.id = p.claim_id WHERE p.identity_id {among} LIMIT 2
"""
_READERS = "SELECT DISTINCT job_id FROM mentions WHERE identity_id {among} LIMIT {most}"


def met_above(connection: Connection, focus: Focus, *, most: int) -> set[str]:
    """Return the keys of all that a walk back meets, files and the jobs that made them: of at most `most` files.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    if focus.claim_id is None:
        return set()
    with time_limit(connection):
        rows = met_identities(connection, focus.claim_id, most=most)
    files = {f"f{row.file_id}" if row.claim_id is None else f"c{row.claim_id}" for row in rows}
    makers = {row.job_id for row in rows if row.job_id is not None} | _maker_of(connection, focus)
    return files | {f"j{job}" for job in makers}


def met_below(connection: Connection, focus: Focus, *, most: int) -> set[str]:
    """Return the keys of all that a walk on meets, files, and jobs that made or read them: of at most `most` files, and as many readers.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    with time_limit(connection):
        made = met_claims(connection, focus.claim_id, file=focus.file_id, most=most)
        readers = readers_of_descendants(connection, focus.claim_id, file=focus.file_id, most=most)
        seen = sorted(identities_of(connection, focus))
        readers |= {row[0] for row in select_among(connection, _READERS.format(most=most, among="{among}"), seen)}
    jobs = (readers - _maker_of(connection, focus)) | set(made.values())  # what a job read was not what it made
    return {f"c{claim}" for claim in made} | {f"j{job}" for job in jobs}


def is_used(connection: Connection, focus: Focus) -> bool:
    """Return whether a job read the file, but for the one that made it, or made another from it."""
    seen = sorted(identities_of(connection, focus))
    users = select_among(connection, _TWO_READERS, seen) + select_among(connection, _TWO_MAKERS, seen)
    maker = _maker_of(connection, focus)
    return any(row[0] not in maker for row in users)


def is_cut(keys: Collection[str], *, most: int) -> bool:
    """Return whether a walk ended early, and there is more than these keys."""
    jobs = sum(key[0] == "j" for key in keys)
    return max(jobs, len(keys) - jobs) >= most


def _maker_of(connection: Connection, focus: Focus) -> set[int]:
    return set() if focus.claim_id is None else set(jobs_of_claims(connection, [focus.claim_id]).values())
