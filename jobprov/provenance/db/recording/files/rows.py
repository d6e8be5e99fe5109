"""Files of jobs as rows: identities, claims, mentions and parents.

They are written here, and removed where an earlier reading of a job wrote them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypedDict

from sqlalchemy import Connection

from jobprov.provenance.db.recording.files.edges import ClaimFacts, IdentityFacts
from jobprov.provenance.db.recording.files.linking import is_crowd, unlinked_files
from jobprov.provenance.db.recording.identities import FileKey, SeenIdentity
from jobprov.provenance.db.recording.job_rows import (
    ClaimRow,
    MentionRow,
    campaign_of,
    claim_rows,
    mention_rows,
)
from jobprov.provenance.db.statements.inserting import Insertions
from jobprov.provenance.db.statements.selecting import change_among, select_among
from jobprov.provenance.db.tables import Claim, File, Identity, Mention, Parent
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.keys import allocate_keys, chunks
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.db.writer.turns import take_files
from jobprov.provenance.records.files.inputs import is_surrounding
from jobprov.provenance.records.job_record import JobRecord

_CLAIMS = "SELECT id, file_id FROM claims WHERE job_id {among}"
_READ = """
SELECT DISTINCT i.file_id FROM mentions m JOIN identities i ON i.id = m.identity_id
WHERE m.job_id {among}
"""
_DECLARED = """
SELECT DISTINCT i.file_id
FROM claims c JOIN parents p ON p.claim_id = c.id JOIN identities i ON i.id = p.identity_id
WHERE c.job_id {among}
"""


class Touched(NamedTuple):
    """The files that a batch of jobs wrote about.

    Attributes:
        files: those whose edges may have changed, without the new ones below.
        claims: keys of the claims that were just written.
        new_identities, new_claims: everything known of each new file, which no earlier batch had
            named; without crowded ones, which are in `files`.
    """

    files: set[int]
    claims: list[int]
    new_identities: dict[int, list[IdentityFacts]]
    new_claims: dict[int, list[ClaimFacts]]


class _ClaimValues(TypedDict):
    """A row of claims."""

    id: int
    file_id: int
    job_id: int
    identity_id: int
    position: int
    status: str | None
    data_tier: str | None
    event_count: int | None


class _Named(NamedTuple):
    """What the records of a batch say of files, by key of the job."""

    mentions: dict[int, list[MentionRow]]
    claims: dict[int, list[ClaimRow]]

    @classmethod
    def in_records(
        cls, records: Mapping[int, JobRecord], experiments: Mapping[str, int]
    ) -> "_Named":
        """Return what these records say."""
        mentions: dict[int, list[MentionRow]] = {}
        claims: dict[int, list[ClaimRow]] = {}
        for job, record in records.items():
            inputs = mention_rows(record, experiments)
            claims[job] = claim_rows(record, inputs, experiments)
            mentions[job] = [mention for mention in inputs if not is_surrounding(mention.input)]
        return cls(mentions, claims)

    def identities(self) -> dict[bytes, SeenIdentity]:
        """Return every identity that is named, by its key."""
        seen: dict[bytes, SeenIdentity] = {}
        for mentions in self.mentions.values():
            for mention in mentions:
                seen[mention.identity.key] = mention.identity
        for claims in self.claims.values():
            for claim in claims:
                seen[claim.identity.key] = claim.identity
                for parent in claim.parents:
                    seen[parent.key] = parent
        return seen

    def read_files(self, files: Mapping[FileKey, int]) -> set[tuple[int, int]]:
        """Return which job read which file, both by key."""
        read: set[tuple[int, int]] = set()
        for job, mentions in self.mentions.items():
            read.update((job, files[mention.identity.file]) for mention in mentions)
        return read

    def of_reruns_alone(self, records: Mapping[int, JobRecord]) -> set[bytes]:
        """Return the identities that reruns wrote and nobody else names."""
        of_reruns: set[bytes] = set()
        others = dict(self.claims)
        for job, record in records.items():
            if record.rerun_of is not None:
                of_reruns.update(claim.identity.key for claim in others.pop(job))
        if not of_reruns:
            return of_reruns
        return of_reruns - _Named(self.mentions, others).identities().keys()


def write_files(
    transaction: Transaction,
    insertions: Insertions,
    records: Mapping[int, JobRecord],
    experiments: Mapping[str, int],
) -> Touched:
    """Write the inputs and outputs of jobs, by key of the job; return what they touched."""
    connection = transaction.connection
    named = _Named.in_records(records, experiments)
    seen = named.identities()
    files, new_names = _intern_files(transaction, seen.values())
    # No identity of a new file can be stored already, so these are not looked for
    absent = {key for key, identity in seen.items() if identity.file in new_names}
    identities, fresh = _intern_identities(transaction, seen, files, absent)
    insertions.add(table_of(Mention), _mention_values(named.mentions, identities))
    claims = _add_claims(connection, insertions, named.claims, files, identities)

    all_new_files = {files[name] for name in new_names}
    claims_to_new = _claims_to(all_new_files, claims, records, named.read_files(files))
    # A crowded file is linked by the slower way, like files that were named before
    crowds = {file for file, facts in claims_to_new.items() if is_crowd(facts)}
    new_claims = {file: claims_to_new[file] for file in claims_to_new if file not in crowds}
    new_identities: dict[int, list[IdentityFacts]] = {file: [] for file in new_claims}
    # Identities that only reruns name must not link other jobs
    for key in absent - named.of_reruns_alone(records):
        identity = seen[key]
        file = files[identity.file]
        if file in new_identities:
            facts = IdentityFacts(
                identities[key], identity.size_bytes, identity.checksums, identity.campaign
            )
            new_identities[file].append(facts)

    stored = [number for key, number in identities.items() if key not in fresh]
    touched = unlinked_files(connection, stored)
    touched.update(files[seen[key].file] for key in fresh)
    touched.update(row["file_id"] for row in claims)
    return Touched(
        files=touched - (all_new_files - crowds),
        claims=[row["id"] for row in claims],
        new_identities=new_identities,
        new_claims=new_claims,
    )


def _intern_files(
    transaction: Transaction, identities: Iterable[SeenIdentity]
) -> tuple[dict[FileKey, int], set[FileKey]]:
    """Return the keys of the files of all identities, and which of them are new."""
    rows: dict[FileKey, dict[str, ColumnValue]] = {}
    for identity in identities:
        rows[identity.file] = {**identity.file._asdict(), "is_crowded": False}
    return transaction.intern_new(table_of(File), ["name", "namespace", "experiment_id"], rows)


def _claims_to(
    files: set[int],
    rows: Sequence[_ClaimValues],
    records: Mapping[int, JobRecord],
    read_files: set[tuple[int, int]],
) -> dict[int, list[ClaimFacts]]:
    """Return the claims to these files, by file; claims of reruns do not count.

    Args:
        files: which files.
        rows: the claims that were just written.
        records: of the jobs, by key.
        read_files: which job read which file.
    """
    claims: dict[int, list[ClaimFacts]] = {}
    for row in rows:
        record = records[row["job_id"]]
        if row["file_id"] in files and record.rerun_of is None:
            claim = ClaimFacts(
                row["id"],
                row["identity_id"],
                record.state == "succeeded",
                campaign_of(record) or "",
                (row["job_id"], row["file_id"]) in read_files,
            )
            claims.setdefault(row["file_id"], []).append(claim)
    return claims


def _intern_identities(
    transaction: Transaction,
    seen: Mapping[bytes, SeenIdentity],
    files: Mapping[FileKey, int],
    absent: set[bytes],
) -> tuple[dict[bytes, int], set[bytes]]:
    """Return the keys of all identities seen, and which of them may be new.

    Args:
        transaction: to look them up and insert them.
        seen: identities by their digest.
        files: keys of the files.
        absent: digests of those that are surely new.
    """
    table = table_of(Identity)
    natural = {key: (files[identity.file], key) for key, identity in seen.items()}
    fresh = {key for key in seen if transaction.known_key(table, natural[key]) is None}
    rows: dict[tuple[int, bytes], dict[str, ColumnValue]] = {}
    for key, identity in seen.items():
        row: dict[str, ColumnValue] = {}  # nothing to insert for one that is known
        if key in fresh:
            row = {
                "file_id": files[identity.file],
                "key": key,
                "size_bytes": identity.size_bytes,
                "checksums": identity.checksums,
                "campaign": identity.campaign,
            }
        rows[natural[key]] = row
    numbers, _ = transaction.intern_new(
        table, ["file_id", "key"], rows, absent={natural[key] for key in absent}
    )
    return {key: numbers[natural[key]] for key in seen}, fresh


def _mention_values(
    mentions: Mapping[int, list[MentionRow]], identities: Mapping[bytes, int]
) -> list[dict[str, ColumnValue]]:
    """Return rows of mentions."""
    rows: list[dict[str, ColumnValue]] = []
    for job, inputs in mentions.items():
        for mention in inputs:
            row: dict[str, ColumnValue] = {
                "job_id": job,
                "position": mention.position,
                "identity_id": identities[mention.identity.key],
                "role": mention.input.role,
                "status": mention.input.status,
            }
            rows.append(row)
    return rows


def _add_claims(
    connection: Connection,
    insertions: Insertions,
    claims: Mapping[int, list[ClaimRow]],
    files: Mapping[FileKey, int],
    identities: Mapping[bytes, int],
) -> list[_ClaimValues]:
    """Insert claims and their parents; return the rows of the claims."""
    numbers = iter(allocate_keys(connection, table_of(Claim), sum(map(len, claims.values()))))
    claim_values: list[_ClaimValues] = []
    parent_values: list[dict[str, int]] = []
    for job, outputs in claims.items():
        for claim in outputs:
            number = next(numbers)
            values: _ClaimValues = {
                "id": number,
                "file_id": files[claim.identity.file],
                "job_id": job,
                "identity_id": identities[claim.identity.key],
                "position": claim.position,
                "status": claim.output.status,
                "data_tier": claim.output.data_tier,
                "event_count": claim.output.event_count,
            }
            claim_values.append(values)
            for parent in claim.parents:
                parent_values.append({"claim_id": number, "identity_id": identities[parent.key]})
    insertions.add(table_of(Claim), claim_values)
    insertions.add(table_of(Parent), parent_values)
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
