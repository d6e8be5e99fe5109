"""Software entries of records: unresolved ones, those of some commits, and who used them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from jobprov.provenance.db.queries.code.repositories import REPOSITORY_COLUMNS, RegisteredRepository
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.selecting import select_among, select_by
from jobprov.provenance.db.tables import (
    Experiment,
    Job,
    Repository,
    Resolution,
    SoftwareRow,
    SoftwareSetMember,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.records.job_record import Software

# Two queries, each with an index: one query with OR across both tables would read all software
_BY_COMMIT = "SELECT id FROM software WHERE revision {among}"
_BY_RESOLUTION = (
    "SELECT s.id FROM software AS s JOIN resolutions AS r ON r.id = s.resolution_id"
    ' WHERE r."commit" {among}'
)


class UnresolvedEntry(NamedTuple):
    """An entry that is not resolved, and the registered repository that it names."""

    id: int
    software: Software
    repository: RegisteredRepository


class ResolvedEntry(NamedTuple):
    """What a resolved entry asked for."""

    sha256: str
    requested_ref: str | None
    revision: str | None


def unresolved_entry(connection: Connection, sha256: str) -> UnresolvedEntry | None:
    """Return the entry with this digest; None if it is resolved or its repository is unknown."""
    query = (
        select(SoftwareRow.id, SoftwareRow.document, *REPOSITORY_COLUMNS)
        .join(Repository, Repository.match_key == SoftwareRow.match_key)
        .where(SoftwareRow.sha256 == sha256, SoftwareRow.resolution_id.is_(None))
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    key, document, *repository = row
    software = msgspec.json.decode(unpack(document), type=Software)
    return UnresolvedEntry(key, software, RegisteredRepository(*repository))


class CarriedEntry(NamedTuple):
    """An entry whose objects came with its record.

    Attributes:
        repository: the registered repository that it names, or None.
        resolution: the document of its resolution, if it has one.
    """

    id: int
    software: Software
    repository: RegisteredRepository | None
    resolution: str | None


def carried_entry(connection: Connection, sha256: str) -> CarriedEntry | None:
    """Return the entry with this digest if a job sent objects for it."""
    query = (
        select(SoftwareRow.id, SoftwareRow.document, Resolution.document, *REPOSITORY_COLUMNS)
        .outerjoin(Repository, Repository.match_key == SoftwareRow.match_key)
        .outerjoin(Resolution, Resolution.id == SoftwareRow.resolution_id)
        .where(SoftwareRow.sha256 == sha256)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    key, document, resolution, *repository = row
    software = msgspec.json.decode(unpack(document), type=Software)
    if not software.objects_sha256:
        return None
    registered = None if repository[0] is None else RegisteredRepository(*repository)
    return CarriedEntry(key, software, registered, resolution)


def entries_of_jobs(connection: Connection, jobs: Sequence[int]) -> dict[str, Software]:
    """Return the software entries of these jobs, by digest."""
    query = (
        select(SoftwareRow.sha256, SoftwareRow.document)
        .join(SoftwareSetMember, SoftwareSetMember.software_id == SoftwareRow.id)
        .join(Job, Job.software_set_id == SoftwareSetMember.software_set_id)
        .distinct()
    )
    entries: dict[str, Software] = {}
    for sha256, document in rows_among(connection, query, Job.id, jobs):
        entries[sha256] = msgspec.json.decode(unpack(document), type=Software)
    return entries


def unresolved_digests(connection: Connection) -> list[str]:
    """Return the digests of entries that name a registered repository and are not resolved."""
    query = (
        select(SoftwareRow.sha256)
        .join(Repository, Repository.match_key == SoftwareRow.match_key)
        .where(SoftwareRow.resolution_id.is_(None))
    )
    return [row.sha256 for row in connection.execute(query)]


def resolved_entries(connection: Connection, match_key: str) -> list[ResolvedEntry]:
    """Return the resolved entries that name this repository."""
    query = select(SoftwareRow.sha256, SoftwareRow.requested_ref, SoftwareRow.revision).where(
        SoftwareRow.match_key == match_key, SoftwareRow.resolution_id.is_not(None)
    )
    return [ResolvedEntry(*row) for row in connection.execute(query)]


def entries_named(connection: Connection, name: str) -> list[tuple[int, Software]]:
    """Return key and entry of all software entries of this name."""
    query = select(SoftwareRow.id, SoftwareRow.document).where(SoftwareRow.name == name)
    entries = []
    for key, document in connection.execute(query):
        entries.append((key, msgspec.json.decode(unpack(document), type=Software)))
    return entries


def keys_of_commits(connection: Connection, commits: Sequence[str]) -> set[int]:
    """Return the integer keys of the entries that name one of the commits or are resolved to it."""
    keys: set[int] = set()
    for statement in (_BY_COMMIT, _BY_RESOLUTION):
        for (key,) in select_among(connection, statement, commits):
            keys.add(key)
    return keys


def match_keys(connection: Connection, digests: Iterable[str]) -> dict[str, str]:
    """Return the match key of the repository that each entry names, by digest of the entry."""
    rows = select_by(connection, table_of(SoftwareRow), ("match_key",), ("sha256",), list(digests))
    return {digest: row[0] for digest, row in rows.items() if row[0] is not None}


def first_user_of_entry(connection: Connection, key: int) -> int | None:
    """Return the first experiment with a job that used an entry; None if no job did."""
    query = (
        select(func.min(Job.experiment_id))
        .join(SoftwareSetMember, SoftwareSetMember.software_set_id == Job.software_set_id)
        .where(SoftwareSetMember.software_id == key)
    )
    return connection.execute(query).scalar_one()


def first_user_of_repository(connection: Connection, match_key: str) -> int | None:
    """Return the first experiment whose records name a repository.

    If none does, return the first one with a product that was resolved to it, or None.
    """
    query = (
        select(func.min(Job.experiment_id))
        .join(SoftwareSetMember, SoftwareSetMember.software_set_id == Job.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
    )
    by_name = query.where(SoftwareRow.match_key == match_key)
    experiment = connection.execute(by_name).scalar_one()
    if experiment is not None:
        return experiment
    by_product = query.join(Resolution, Resolution.id == SoftwareRow.resolution_id).where(
        Resolution.match_key == match_key
    )
    return connection.execute(by_product).scalar_one()


def first_experiment(connection: Connection) -> int | None:
    """Return the first experiment of all; None while there is none."""
    return connection.execute(select(func.min(Experiment.id))).scalar_one()
