"""Files whose links changed because a job read them.

A reader's record may hold a checksum that links versions of a file, or tells them apart. The edges
of a name depend only on its identities and claims (`recording/edges.py`), so the edges of an
earlier moment can be computed again, from what was known then. Crowded names are left out: they
link only equal identities, which no reader changes.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.recording.edges import ClaimFacts, IdentityFacts, Link, resolve_name
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.recording.linking import mark_readers
from jobprov.provenance.db.selecting import select_among
from jobprov.provenance.records.files.checksums import unpack_checksums

_IDENTITIES = """
SELECT f.id, f.name, i.id, i.size_bytes, i.checksums, i.campaign,
    (SELECT min(m.job_id) FROM mentions AS m WHERE m.identity_id = i.id)
FROM files AS f CROSS JOIN identities AS i
WHERE f.id {among} AND i.file_id = f.id AND NOT f.is_crowded
"""
_CLAIMS = """
SELECT c.file_id, c.id, c.identity_id, j.state, j.received_at, coalesce(s.campaign, '')
FROM files AS f CROSS JOIN claims AS c CROSS JOIN jobs AS j LEFT JOIN stages AS s ON s.id = j.stage_id
WHERE f.id {among} AND c.file_id = f.id AND j.id = c.job_id
AND j.rerun_of IS NULL AND NOT f.is_crowded
"""
_RECEIVED = "SELECT id, received_at FROM jobs WHERE id {among}"
_SUCCEEDED = STATES.index("succeeded")


class _Name(NamedTuple):
    """The identities of one file.

    Attributes:
        read_then: those that a job had read at the moment.
        read: those that any job has read until now.
    """

    identities: list[IdentityFacts]
    read_then: set[int]
    read: set[int]


def relinked_by_readers(connection: Connection, files: Sequence[int], limit: Any) -> set[str]:
    """Return the names of files whose makers changed because jobs read them since a moment.

    Args:
        connection: to read from.
        files: their keys.
        limit: the moment, in the form in which the database driver returns times.
    """
    claims: defaultdict[int, list[ClaimFacts]] = defaultdict(list)
    for file, claim, identity, state, received, campaign in select_among(
        connection, _CLAIMS, files
    ):
        if received <= limit:
            claims[file].append(ClaimFacts(claim, identity, state == _SUCCEEDED, campaign))
    rows = select_among(connection, _IDENTITIES, sorted(claims))
    received_at: dict[int, Any] = dict(
        select_among(connection, _RECEIVED, sorted({row[6] for row in rows if row[6] is not None}))
    )
    known: dict[int, _Name] = {}
    names: dict[int, str] = {}
    for file, name, identity, size, checksums, campaign, reader in rows:
        names[file] = name
        facts = known.setdefault(file, _Name([], set(), set()))
        words = unpack_checksums(checksums)
        facts.identities.append(IdentityFacts(identity, size, words, campaign))
        if reader is not None:
            facts.read.add(identity)
            if received_at[reader] <= limit:
                facts.read_then.add(identity)
    mark_readers(connection, claims, {file: facts.identities for file, facts in known.items()})
    return {names[file] for file, facts in known.items() if _is_relinked(facts, claims[file])}


def _is_relinked(facts: _Name, claims: Sequence[ClaimFacts]) -> bool:
    """Whether the edges of a name were others, or other versions counted, before the last readers."""
    if facts.read == facts.read_then:
        return False
    claimed = {claim.identity_id for claim in claims}
    read_since = facts.read - facts.read_then
    then = [
        identity
        for identity in facts.identities
        if identity.id not in read_since or identity.id in claimed
    ]
    before, now = resolve_name(then, claims), resolve_name(facts.identities, claims)
    # Edges of identities that are new since are no change: the history of then has none of these
    known_then = {identity.id for identity in then}
    if before != {link for link in now if link.identity_id in known_then}:
        return True
    return _versions(before, facts.read_then, claims) != _versions(now, facts.read, claims)


def _versions(
    links: Collection[Link], read: Collection[int], claims: Sequence[ClaimFacts]
) -> set[int]:
    """Return the claims of failed jobs that count as versions, because a job surely read them."""
    failed = {claim.id for claim in claims if not claim.has_succeeded}
    return {
        link.claim_id
        for link in links
        if link.is_sure and link.claim_id in failed and link.identity_id in read
    }
