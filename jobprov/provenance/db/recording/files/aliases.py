"""Renamed files: what a catalog saw under another name becomes a claim of the job.

This is the job that made the file; the new claim stands beside the claim of its birth.

Recomputed file by file from all its sightings and all claims, so that it does not matter which came
first. A sighting that names its job (`prov.job_id`) joins that job's output of the name at birth
(`prov.output`), else the one with its checksum; one that names only its task joins the outputs of
the task with its checksum and size, unless its own name has such a claim.

Source: record.md, "Files and edges".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Select, select

from jobprov.provenance.db.recording.files.linking import link_files
from jobprov.provenance.db.recording.files.rows import unlink_claims
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.statements.driver import Row, fetch
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Claim, File, Identity, Job, Parent, Sighting
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.keys import allocate_keys, chunks
from jobprov.provenance.db.writer.turns import take_files

_BIRTHS = """
SELECT id, job_id, position, status, data_tier, event_count FROM claims WHERE id {among}
"""
_PARENTS = "SELECT claim_id, identity_id FROM parents WHERE claim_id {among}"
_OF_FILE = "SELECT DISTINCT file_id FROM sightings WHERE file_id {among}"
_OF_JOB = "SELECT DISTINCT file_id FROM sightings WHERE job_uuid {among}"
_OF_TASK = """
SELECT DISTINCT file_id FROM sightings
WHERE job_uuid IS NULL AND task_id IN (SELECT task_id FROM jobs WHERE id {among})
"""
_OF_CLAIM = """
SELECT DISTINCT file_id FROM sightings
WHERE file_id IN (SELECT file_id FROM claims WHERE alias_of IS NULL AND job_id {among})
"""
_BirthQuery = Select[int, int, int, str, int | None, str]


class _Seen(NamedTuple):
    """A sighting of a file."""

    file: int
    experiment: int
    identity: int
    size_bytes: int | None
    checksums: frozenset[str]
    task: int | None
    job_uuid: str | None
    output: str | None

    @property
    def rank(self) -> tuple[int, int, list[str]]:
        """Order among sightings of one file: the one that knows most goes last.

        That is the same one in whatever order they came.
        """
        size_bytes = -1 if self.size_bytes is None else self.size_bytes
        return len(self.checksums), size_bytes, sorted(self.checksums)


class _Birth(NamedTuple):
    """A claim under the name at birth."""

    claim: int
    file: int
    job: int
    name: str
    size_bytes: int | None
    checksums: frozenset[str]

    def equals(self, seen: _Seen) -> bool:
        """Return whether both share a checksum and contradict each other in no size."""
        if None not in (self.size_bytes, seen.size_bytes) and self.size_bytes != seen.size_bytes:
            return False
        return not self.checksums.isdisjoint(seen.checksums)


class Alias(NamedTuple):
    """A claim under another name: its file, its birth and its identity."""

    file: int
    birth: int
    identity: int


def is_anything_sighted(connection: Connection) -> bool:
    """Whether there is any sighting at all, which spares most services a look at each batch."""
    return bool(fetch(connection, "SELECT entry_id FROM sightings LIMIT 1"))


def join_sightings(
    connection: Connection, jobs: Mapping[int, str], unclaimed: Iterable[int]
) -> None:
    """Join what was seen before to jobs that were just written.

    Args:
        connection: in a transaction.
        jobs: job ids by key.
        unclaimed: files that an earlier reading of these jobs claimed; others may be their birth
            now.
    """
    alias_files(connection, _concerned_files(connection, jobs, sorted(unclaimed)))


def _concerned_files(
    connection: Connection, jobs: Mapping[int, str], unclaimed: Sequence[int]
) -> set[int]:
    """Return the sighted files that may be outputs of these jobs, or were."""
    files: set[int] = set()
    files.update(row[0] for row in select_among(connection, _OF_FILE, unclaimed))
    files.update(row[0] for row in select_among(connection, _OF_JOB, jobs.values()))
    for statement in (_OF_TASK, _OF_CLAIM):
        files.update(row[0] for row in select_among(connection, statement, jobs))
    return files


def alias_files(connection: Connection, files: Iterable[int]) -> None:
    """Bring the aliases of these sighted files, and the edges of their names, up to date."""
    for part in chunks(sorted(files)):
        take_files(connection, part)
        desired: dict[tuple[int, int], Alias] = {}
        for seen in sorted(_sightings(connection, part), key=lambda seen: seen.rank):
            for birth in _births(connection, seen):
                desired[seen.file, birth.claim] = Alias(seen.file, birth.claim, seen.identity)
        stored = _stored_aliases(connection, part)
        wanted = set(desired.values())
        gone = [claim for alias, claim in stored.items() if alias not in wanted]
        unlink_claims(connection, gone)
        fresh = [alias for alias in desired.values() if alias not in stored]
        link_files(connection, part, _insert(connection, fresh))


def _sightings(connection: Connection, files: Sequence[int]) -> list[_Seen]:
    query = (
        select(
            Sighting.file_id, File.experiment_id, Sighting.identity_id,
            Identity.size_bytes, Identity.checksums,
            Sighting.task_id, Sighting.job_uuid, Sighting.output,
        )
        .join(File, File.id == Sighting.file_id)
        .join(Identity, Identity.id == Sighting.identity_id)
        .where(Sighting.file_id.in_(files))
    )  # fmt: skip
    sightings = []
    for file, experiment, identity, size, checksums, task, job, output in connection.execute(query):
        words = frozenset(checksums.split())
        sightings.append(_Seen(file, experiment, identity, size, words, task, job, output))
    return sightings


def _births(connection: Connection, seen: _Seen) -> list[_Birth]:
    """Return the claims under other names that the sighting joins."""
    if seen.job_uuid is not None:
        return _births_of_job(connection, seen)
    if seen.task is None or seen.size_bytes is None or not seen.checksums:
        return []
    return _births_of_task(connection, seen)


def _births_of_job(connection: Connection, seen: _Seen) -> list[_Birth]:
    """Return the job's output that had the name at birth, else those equal to what was seen."""
    of_job = _birth_query().where(Job.uuid == seen.job_uuid, Job.experiment_id == seen.experiment)
    births = _read_births(connection, of_job)
    named = [birth for birth in births if birth.name == seen.output]
    joined = named or [birth for birth in births if birth.equals(seen)]
    return [birth for birth in joined if birth.file != seen.file]


def _births_of_task(connection: Connection, seen: _Seen) -> list[_Birth]:
    """Return the outputs of the task that equal what was seen.

    None where the name itself has such a claim.
    """
    of_name = _birth_query().where(Claim.file_id == seen.file)
    if any(birth.equals(seen) for birth in _read_births(connection, of_name)):
        return []
    of_task = _birth_query().where(
        Job.task_id == seen.task, Job.state == SUCCEEDED, Identity.size_bytes == seen.size_bytes
    )
    return [birth for birth in _read_births(connection, of_task) if birth.equals(seen)]


def _birth_query() -> _BirthQuery:
    return (
        select(
            Claim.id,
            Claim.file_id,
            Claim.job_id,
            File.name,
            Identity.size_bytes,
            Identity.checksums,
        )
        .join(Job, Job.id == Claim.job_id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(Claim.alias_of.is_(None), Job.rerun_of.is_(None))
    )


def _read_births(connection: Connection, query: _BirthQuery) -> list[_Birth]:
    births = []
    for claim, file, job, name, size_bytes, checksums in connection.execute(query):
        births.append(_Birth(claim, file, job, name, size_bytes, frozenset(checksums.split())))
    return births


def _stored_aliases(connection: Connection, files: Sequence[int]) -> dict[Alias, int]:
    """Return the keys of the alias claims to these files."""
    query = select(Claim.file_id, Claim.alias_of, Claim.identity_id, Claim.id).where(
        Claim.file_id.in_(files), Claim.alias_of.is_not(None)
    )
    aliases: dict[Alias, int] = {}
    for file, birth, identity, claim in connection.execute(query):
        if birth is not None:
            aliases[Alias(file, birth, identity)] = claim
    return aliases


def _insert(connection: Connection, aliases: Sequence[Alias]) -> list[int]:
    """Insert alias claims with what the claim of the birth says, its parents among it.

    Return their keys.
    """
    births: dict[int, Row] = {}
    parents: dict[int, list[int]] = {}
    for part in chunks(sorted({alias.birth for alias in aliases})):
        for claim, *columns in select_among(connection, _BIRTHS, part):
            births[claim] = tuple(columns)
        for claim, identity in select_among(connection, _PARENTS, part):
            parents.setdefault(claim, []).append(identity)
    numbers = allocate_keys(connection, table_of(Claim), len(aliases))
    claim_rows: list[dict[str, ColumnValue]] = []
    parent_rows: list[dict[str, int]] = []
    for number, alias in zip(numbers, aliases, strict=True):
        job, position, status, data_tier, event_count = births[alias.birth]
        row: dict[str, ColumnValue] = {
            "id": number,
            "file_id": alias.file,
            "identity_id": alias.identity,
            "alias_of": alias.birth,
            "job_id": job,
            "position": position,
            "status": status,
            "data_tier": data_tier,
            "event_count": event_count,
        }
        claim_rows.append(row)
        for identity in parents.get(alias.birth, ()):
            parent_rows.append({"claim_id": number, "identity_id": identity})
    insert_rows(connection, table_of(Claim), claim_rows)
    insert_rows(connection, table_of(Parent), parent_rows)
    return numbers
