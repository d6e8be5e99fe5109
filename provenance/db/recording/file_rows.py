"""Files of jobs as rows: identities, claims, mentions and parents.

And the end of those that an earlier reading wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import KnownKeys, allocate_keys, chunks
from jobprov.provenance.db.recording.edges import ClaimFacts, IdentityFacts
from jobprov.provenance.db.recording.identities import SeenIdentity
from jobprov.provenance.db.recording.job_rows import ClaimRow, MentionRow, claim_rows, mention_rows
from jobprov.provenance.db.recording.linking import is_crowd, unlinked_files
from jobprov.provenance.db.selecting import change_among, select_among
from jobprov.provenance.db.tables import Claim, File, Identity, Mention, Parent
from jobprov.provenance.db.turns import take_files
from jobprov.provenance.records.job_record import JobRecord

_CLAIMS = "SELECT id, file_id FROM claims WHERE job_id {among}"
_READ = """
SELECT DISTINCT i.file_id FROM mentions m JOIN identities i ON i.id = m.identity_id WHERE m.job_id {among}
"""
_DECLARED = """
SELECT DISTINCT i.file_id FROM claims c JOIN parents p ON p.claim_id = c.id JOIN identities i ON i.id = p.identity_id
WHERE c.job_id {among}
"""


class Touched(NamedTuple):
    """Files whose edges may have changed, and the keys of claims that were just written.

    Of new files all that is known of them.
    """

    files: set[int]
    claims: list[int]
    new_identities: dict[int, list[IdentityFacts]]
    new_claims: dict[int, list[ClaimFacts]]


def write_files(
    connection: Connection,
    known: KnownKeys,
    records: Mapping[int, JobRecord],
    experiments: Mapping[str, int],
) -> Touched:
    """Write the inputs and outputs of jobs, by key of the job."""
    mentions = {job: mention_rows(record, experiments) for job, record in records.items()}
    claims = {
        job: claim_rows(record, mentions[job], experiments) for job, record in records.items()
    }
    seen: dict[bytes, SeenIdentity] = {
        row.identity.key: row.identity for rows in mentions.values() for row in rows
    }
    for rows in claims.values():
        for row in rows:
            seen[row.identity.key] = row.identity
            for parent in row.parents:
                seen[parent.key] = parent
    files, new = known.intern_new(
        connection,
        table_of(File),
        ["name", "namespace", "experiment_id"],
        {
            identity.file: {**identity.file._asdict(), "is_crowded": False}
            for identity in seen.values()
        },
    )
    absent = {key for key, identity in seen.items() if identity.file in new}
    identities, fresh = _intern_identities(connection, known, seen, files, absent)
    touched = {files[seen[key].file] for key in fresh}
    touched |= unlinked_files(
        connection, [number for key, number in identities.items() if key not in fresh]
    )
    _insert_mentions(connection, mentions, identities)
    written = _insert_claims(connection, claims, files, identities)
    touched.update(row["file_id"] for row in written)
    new_files = {files[file] for file in new}
    facts = _facts_of(new_files, written, records)
    named = absent - _of_reruns_alone(claims, mentions, records)
    about = {
        file: [
            IdentityFacts(identities[key], seen[key].size_bytes, seen[key].checksums)
            for key in found
        ]
        for file, found in _keys_of(named, seen, files).items()
        if file in facts
    }
    done = new_files - {file for file, found in facts.items() if is_crowd(found)}
    return Touched(
        touched - done,
        [row["id"] for row in written],
        about,
        {file: found for file, found in facts.items() if file in done},
    )


def _facts_of(
    files: set[int], rows: Sequence[Mapping[str, Any]], records: Mapping[int, JobRecord]
) -> dict[int, list[ClaimFacts]]:
    """Return the claims to these files that count, of those that were just written.

    Those of reruns do not.
    """
    found: dict[int, list[ClaimFacts]] = {}
    for row in rows:
        record = records[row["job_id"]]
        if row["file_id"] in files and record.rerun_of is None:
            claim = ClaimFacts(row["id"], row["identity_id"], record.state == "succeeded")
            found.setdefault(row["file_id"], []).append(claim)
    return found


def _of_reruns_alone(
    claims: Mapping[int, list[ClaimRow]],
    mentions: Mapping[int, list[MentionRow]],
    records: Mapping[int, JobRecord],
) -> set[bytes]:
    """Return the identities that reruns wrote and nobody else names.

    They must not tie others together.
    """
    of_reruns = {
        row.identity.key
        for job, rows in claims.items()
        if records[job].rerun_of is not None
        for row in rows
    }
    if not of_reruns:
        return of_reruns
    named = {row.identity.key for rows in mentions.values() for row in rows}
    for job, rows in claims.items():
        if records[job].rerun_of is None:
            named.update(
                key
                for row in rows
                for key in (row.identity.key, *(parent.key for parent in row.parents))
            )
    return of_reruns - named


def _keys_of(
    keys: set[bytes], seen: Mapping[bytes, SeenIdentity], files: Mapping[Any, int]
) -> dict[int, list[bytes]]:
    """Return these keys of identities by file."""
    found: dict[int, list[bytes]] = {}
    for key in keys:
        found.setdefault(files[seen[key].file], []).append(key)
    return found


def _intern_identities(
    connection: Connection,
    known: KnownKeys,
    seen: Mapping[bytes, SeenIdentity],
    files: Mapping[Any, int],
    absent: set[bytes],
) -> tuple[dict[bytes, int], set[bytes]]:
    """Return the keys of all identities seen, and which of them may be new.

    Those in `absent` surely are.
    """
    table = table_of(Identity)
    natural = {key: (files[identity.file], key) for key, identity in seen.items()}
    fresh = {key for key in seen if known.get(table, natural[key]) is None}
    rows = {
        natural[key]: {
            "file_id": natural[key][0],
            "key": key,
            "size_bytes": identity.size_bytes,
            "checksums": identity.checksums,
        }
        if key in fresh
        else {}
        for key, identity in seen.items()
    }
    found, _ = known.intern_new(
        connection, table, ["file_id", "key"], rows, absent={natural[key] for key in absent}
    )
    return {key: found[natural[key]] for key in seen}, fresh


def _insert_mentions(
    connection: Connection,
    mentions: Mapping[int, list[MentionRow]],
    identities: Mapping[bytes, int],
) -> None:
    rows = [
        {
            "job_id": job,
            "position": row.position,
            "identity_id": identities[row.identity.key],
            "role": row.input.role,
            "status": row.input.status,
        }
        for job, inputs in mentions.items()
        for row in inputs
    ]
    insert_rows(connection, table_of(Mention), rows)


def _insert_claims(
    connection: Connection,
    claims: Mapping[int, list[ClaimRow]],
    files: Mapping[Any, int],
    identities: Mapping[bytes, int],
) -> list[dict[str, Any]]:
    flat = [(job, row) for job, rows in claims.items() for row in rows]
    numbers = allocate_keys(connection, table_of(Claim), len(flat))
    claim_values: list[dict[str, Any]] = []
    parent_values: list[dict[str, int]] = []
    for number, (job, row) in zip(numbers, flat, strict=True):
        claim_values.append(
            {
                "id": number,
                "file_id": files[row.identity.file],
                "job_id": job,
                "identity_id": identities[row.identity.key],
                "position": row.position,
                "status": row.output.status,
                "data_tier": row.output.data_tier,
                "event_count": row.output.event_count,
            }
        )
        parent_values += [
            {"claim_id": number, "identity_id": identities[parent.key]} for parent in row.parents
        ]
    insert_rows(connection, table_of(Claim), claim_values)
    insert_rows(connection, table_of(Parent), parent_values)
    return claim_values


class Removed(NamedTuple):
    """Files that an earlier reading of jobs claimed, and all that it named."""

    claimed: set[int]
    named: set[int]


def remove_files(connection: Connection, jobs: Sequence[int]) -> Removed:
    """Delete what an earlier reading of these jobs wrote of files."""
    claimed: set[int] = set()
    named: set[int] = set()
    for part in chunks(jobs):
        claims = select_among(connection, _CLAIMS, part)
        claimed.update(row[1] for row in claims)
        for statement in (_READ, _DECLARED):
            named.update(row[0] for row in select_among(connection, statement, part))
        take_files(connection, claimed | named)
        unlink_claims(connection, [row[0] for row in claims])
        change_among(connection, "DELETE FROM mentions WHERE job_id {among}", part)
    return Removed(claimed, claimed | named)


def unlink_claims(connection: Connection, claims: Sequence[int]) -> None:
    """Delete claims with their edges."""
    for part in chunks(claims):
        for statement in (
            "DELETE FROM parents WHERE claim_id {among}",
            "DELETE FROM producers WHERE claim_id {among}",
            "DELETE FROM claims WHERE id {among}",
        ):
            change_among(connection, statement, part)
