"""Brings the stored edges of names up to date.

`edges.resolve_name` says what they are, this writes the difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Table

from jobprov.provenance.db.recording.files.edges import (
    CROWD,
    ClaimFacts,
    ClaimLink,
    IdentityFacts,
    crowded_links,
    resolve_name,
)
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.inserting import Insertions, insert_rows
from jobprov.provenance.db.statements.selecting import change_among, select_among
from jobprov.provenance.db.tables import Producer
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.turns import take_some_files
from jobprov.provenance.records.files.checksums import unpack_checksums

_PRODUCERS: Table = Producer.__table__  # type: ignore[assignment]

_NOT_CROWDED = "SELECT id FROM files WHERE NOT is_crowded AND id {among}"
# Whether an input, a parent or a sighting names it. Not by EXISTS: PostgreSQL may answer that by
# reading all mentions
_IDENTITIES = """
SELECT i.file_id, i.id, i.size_bytes, i.checksums, i.campaign,
    (SELECT 1 FROM mentions m WHERE m.identity_id = i.id LIMIT 1) IS NOT NULL
    OR (SELECT 1 FROM parents p WHERE p.identity_id = i.id LIMIT 1) IS NOT NULL
    OR (
        SELECT 1 FROM sightings s WHERE s.file_id = i.file_id AND s.identity_id = i.id LIMIT 1
    ) IS NOT NULL
FROM identities i WHERE i.file_id {among}
"""
_CLAIMS = """
SELECT c.file_id, c.id, c.identity_id, j.state, coalesce(s.campaign, '')
FROM claims c JOIN jobs j ON j.id = c.job_id LEFT JOIN stages s ON s.id = j.stage_id
WHERE j.rerun_of IS NULL AND c.file_id {among}
"""
# CROSS JOIN: from the claims on, since a file of calibration has a hundred thousand readers
_READERS = """
SELECT DISTINCT c.id FROM claims c CROSS JOIN mentions m CROSS JOIN identities i
WHERE c.file_id {among} AND m.job_id = c.job_id AND i.id = m.identity_id AND i.file_id = c.file_id
"""
_LINKS = """
SELECT p.identity_id, p.claim_id, p.is_sure
FROM identities i JOIN producers p ON p.identity_id = i.id WHERE i.file_id {among}
"""
_NEW_CLAIMS = """
SELECT c.file_id, c.id, c.identity_id, i.size_bytes, i.checksums
FROM claims c JOIN identities i ON i.id = c.identity_id JOIN jobs j ON j.id = c.job_id
WHERE j.rerun_of IS NULL AND c.id {among}
"""
_UNLINK = "DELETE FROM producers WHERE identity_id = ? AND claim_id = ?"
_UNLINKED = """
SELECT DISTINCT i.file_id FROM identities i WHERE i.id {among}
AND NOT EXISTS (SELECT 1 FROM producers p WHERE p.identity_id = i.id)
AND EXISTS (SELECT 1 FROM claims c WHERE c.file_id = i.file_id)
"""


def link_files(
    connection: Connection, files: Iterable[int], new_claims: Sequence[int] = ()
) -> None:
    """Recompute, set-wise and name by name, which claims the identities of these files resolve to.

    Args:
        connection: in a transaction.
        files: keys of the files of which identities, claims or states of claiming jobs changed.
        new_claims: claims that were just inserted; of a name that was crowded before, only these
            are looked at.
    """
    for part in chunks(sorted(files)):
        linked = take_some_files(connection, _NOT_CROWDED, part)
        _relink(connection, linked)
        if crowded := set(part) - set(linked):
            _link_in_crowd(connection, crowded, new_claims)


def link_new_files(
    insertions: Insertions,
    identities: Mapping[int, Sequence[IdentityFacts]],
    claims: Mapping[int, Sequence[ClaimFacts]],
) -> None:
    """Have the edges written of files that nobody had named before.

    What was just written of them is all there is of them.
    """
    links: set[ClaimLink] = set()
    for file, file_claims in claims.items():
        links |= resolve_name(identities[file], file_claims)
    insertions.add(_PRODUCERS, [link._asdict() for link in sorted(links)])


def is_crowd(claims: Sequence[ClaimFacts]) -> bool:
    """Return whether a file has so many claims that only equal identities link."""
    return len(claims) > CROWD


def unlinked_files(connection: Connection, identities: Iterable[int]) -> set[int]:
    """Return the files that somebody claims and whose identities here resolve to no claim.

    An identity that only a replaced reading named has lost its edges; named again, it has them
    again, and ties others together.
    """
    return {row[0] for row in select_among(connection, _UNLINKED, sorted(identities))}


def _relink(connection: Connection, files: Sequence[int]) -> None:
    """Recompute the edges of files, which are taken."""
    if not files:
        return
    claims = _claims(connection, files)
    crowds = [file for file, file_claims in claims.items() if is_crowd(file_claims)]
    change_among(connection, "UPDATE files SET is_crowded = TRUE WHERE id {among}", crowds)
    identities = _used_identities(connection, claims)
    mark_readers(connection, claims, identities)
    desired: set[ClaimLink] = set()
    for file, file_claims in claims.items():
        desired |= resolve_name(identities[file], file_claims)
    _write_difference(connection, desired, _stored_links(connection, files))


def _link_in_crowd(connection: Connection, crowded: set[int], new_claims: Sequence[int]) -> None:
    claims, facts = [], []
    for part in chunks(new_claims):
        for file, claim, identity, size_bytes, checksums in select_among(
            connection, _NEW_CLAIMS, part
        ):
            if file in crowded:
                claims.append(ClaimFacts(claim, identity, has_succeeded=True))
                facts.append(IdentityFacts(identity, size_bytes, unpack_checksums(checksums)))
    _write_difference(connection, crowded_links(facts, claims), set())


def _used_identities(
    connection: Connection, claims: Mapping[int, Sequence[ClaimFacts]]
) -> dict[int, list[IdentityFacts]]:
    """Return the identities that are still named, by file.

    What only a replaced reading of a job named (a provisional record, an earlier revision, the
    lists of another witness) must not tie others together: it is there in one order of arrival and
    not in another.
    """
    claimed: set[int] = set()
    for file_claims in claims.values():
        claimed.update(claim.identity_id for claim in file_claims)
    identities: dict[int, list[IdentityFacts]] = {file: [] for file in claims}
    for file, identity, size_bytes, checksums, campaign, is_named in select_among(
        connection, _IDENTITIES, claims
    ):
        if is_named or identity in claimed:
            facts = IdentityFacts(identity, size_bytes, unpack_checksums(checksums), campaign)
            identities[file].append(facts)
    return identities


def _claims(connection: Connection, files: Sequence[int]) -> dict[int, list[ClaimFacts]]:
    """Return the claims that count: those of reruns do not."""
    claims: dict[int, list[ClaimFacts]] = defaultdict(list)
    for file, claim, identity, state, campaign in select_among(connection, _CLAIMS, files):
        claims[file].append(ClaimFacts(claim, identity, state == SUCCEEDED, campaign))
    return claims


def mark_readers(
    connection: Connection,
    claims: dict[int, list[ClaimFacts]],
    identities: Mapping[int, Sequence[IdentityFacts]],
) -> None:
    """Mark the claims whose jobs also read the name, by file.

    Only where it matters: of files that jobs of a campaign named without a checksum.
    """
    by_campaign = []
    for file, facts in identities.items():
        if file in claims and any(identity.campaign for identity in facts):
            by_campaign.append(file)
    readers = {row[0] for row in select_among(connection, _READERS, by_campaign)}
    if not readers:
        return
    for file in by_campaign:
        claims[file] = [claim._replace(reads_name=claim.id in readers) for claim in claims[file]]


def _stored_links(connection: Connection, files: Sequence[int]) -> set[ClaimLink]:
    rows = select_among(connection, _LINKS, files)
    return {ClaimLink(identity, claim, bool(is_sure)) for identity, claim, is_sure in rows}


def _write_difference(
    connection: Connection, desired: set[ClaimLink], stored: set[ClaimLink]
) -> None:
    gone = sorted(stored - desired)
    if gone:
        change_many(connection, _UNLINK, [(link.identity_id, link.claim_id) for link in gone])
    fresh = sorted(desired - stored)
    insert_rows(connection, _PRODUCERS, [link._asdict() for link in fresh])
