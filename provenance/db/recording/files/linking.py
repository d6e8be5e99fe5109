"""Brings the stored edges of names up to date.

`edges.resolve_name` says what they are, this writes the difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Table

from jobprov.provenance.db.recording.files.edges import (
    CROWD,
    ClaimFacts,
    IdentityFacts,
    Link,
    crowded_links,
    resolve_name,
)
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import change_among, select_among
from jobprov.provenance.db.tables import Producer
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.turns import take_files
from jobprov.provenance.records.files.checksums import unpack_checksums

_PRODUCERS: Table = Producer.__table__  # type: ignore[assignment]

_CROWDED = "SELECT id FROM files WHERE is_crowded AND id {among}"
_IDENTITIES = """
SELECT file_id, id, size_bytes, checksums, campaign FROM identities WHERE file_id {among}
"""
_MENTIONED = "SELECT DISTINCT identity_id FROM mentions WHERE identity_id {among}"
_PARENTS = "SELECT DISTINCT identity_id FROM parents WHERE identity_id {among}"
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
_SIGHTED = "SELECT identity_id FROM sightings WHERE file_id {among}"
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
        crowded = {row[0] for row in select_among(connection, _CROWDED, part)}
        _relink(connection, [number for number in part if number not in crowded])
        if crowded:
            _link_in_crowd(connection, crowded, new_claims)


def link_new_files(
    connection: Connection,
    identities: Mapping[int, Sequence[IdentityFacts]],
    claims: Mapping[int, Sequence[ClaimFacts]],
) -> None:
    """Write the edges of files that nobody had named before.

    What was just written of them is all there is of them.
    """
    links: set[Link] = set()
    for file, file_claims in claims.items():
        links |= resolve_name(identities[file], file_claims)
    insert_rows(connection, _PRODUCERS, [link._asdict() for link in sorted(links)])


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
    if not files:
        return
    take_files(connection, files)
    claims = _claims(connection, files)
    crowds = [file for file, file_claims in claims.items() if is_crowd(file_claims)]
    change_among(connection, "UPDATE files SET is_crowded = TRUE WHERE id {among}", crowds)
    identities = _used(connection, _identities(connection, list(claims)), claims)
    mark_readers(connection, claims, identities)
    desired: set[Link] = set()
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


def _identities(connection: Connection, files: Sequence[int]) -> dict[int, list[IdentityFacts]]:
    identities: dict[int, list[IdentityFacts]] = defaultdict(list)
    for file, identity, size_bytes, checksums, campaign in select_among(
        connection, _IDENTITIES, files
    ):
        facts = IdentityFacts(identity, size_bytes, unpack_checksums(checksums), campaign)
        identities[file].append(facts)
    return identities


def _used(
    connection: Connection,
    identities: dict[int, list[IdentityFacts]],
    claims: dict[int, list[ClaimFacts]],
) -> dict[int, list[IdentityFacts]]:
    """Return the identities that somebody still names.

    What only a replaced reading of a job named (a provisional record, an earlier revision, the
    lists of another witness) must not tie others together: it is there in one order of arrival and
    not in another.
    """
    claimed: set[int] = set()
    for file_claims in claims.values():
        claimed.update(claim.identity_id for claim in file_claims)
    file_of: dict[int, int] = {}
    for file, facts in identities.items():
        file_of.update((identity.id, file) for identity in facts if identity.id not in claimed)
    used = claimed | _named_elsewhere(connection, file_of)
    still_named: dict[int, list[IdentityFacts]] = {}
    for file, facts in identities.items():
        still_named[file] = [identity for identity in facts if identity.id in used]
    return still_named


def _named_elsewhere(connection: Connection, file_of: Mapping[int, int]) -> set[int]:
    """Return which of these identities an input, a parent or a sighting names.

    `file_of` gives their files.
    """
    named: set[int] = set()
    for statement in (_MENTIONED, _PARENTS):
        named.update(row[0] for row in select_among(connection, statement, sorted(file_of)))
    files = {file for identity, file in file_of.items() if identity not in named}
    for part in chunks(sorted(files)):
        named.update(row[0] for row in select_among(connection, _SIGHTED, part))
    return named


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


def _stored_links(connection: Connection, files: Sequence[int]) -> set[Link]:
    return {Link(row[0], row[1], bool(row[2])) for row in select_among(connection, _LINKS, files)}


def _write_difference(connection: Connection, desired: set[Link], stored: set[Link]) -> None:
    gone = sorted(stored - desired)
    if gone:
        change_many(connection, _UNLINK, [(link.identity_id, link.claim_id) for link in gone])
    fresh = sorted(desired - stored)
    insert_rows(connection, _PRODUCERS, [link._asdict() for link in fresh])
