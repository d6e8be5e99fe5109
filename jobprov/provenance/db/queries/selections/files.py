"""Answers to catalog clients about selected files: number, sums, names and standing versions.

The *standing version* of a file is the last one: `queries/lookup/files/versions.py` has the order. Lists
of keys come in pages of a few thousand, one value of a statement each.
"""

from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from jobprov.provenance.answers.selections import FileReference
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.versions import LAST_FIRST, is_version
from jobprov.provenance.db.queries.selections.statements import FileKeys
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Claim, File, Host, Identity, Job, Sighting, Stage, TaskRow

_ROWS_AT_ONCE = 10_000
_file = Claim.file_id + 0
"""Not the column: SQLite would read all claims in its order rather than those of a few files."""
_ranked = (
    select(
        Claim.file_id,
        Claim.id.label("claim_id"),
        Claim.job_id,
        Claim.identity_id,
        Claim.event_count,
        Claim.data_tier,
        Claim.position,
        func.row_number()
        .over(partition_by=_file, order_by=(*LAST_FIRST, Claim.position.desc()))
        .label("place"),
    )
    .join(Job, Job.id == Claim.job_id)
    .where(Job.rerun_of.is_(None), is_version(Job.state))
)
_asked = _ranked.where(Claim.file_id.in_(bindparam("files", expanding=True))).subquery()
_SIZES = (
    select(_asked.c.file_id, Identity.size_bytes, _asked.c.event_count)
    .join(Identity, Identity.id == _asked.c.identity_id)
    .where(_asked.c.place == 1)
)
_VERSIONS = (
    select(
        _asked.c.file_id, _asked.c.claim_id, _asked.c.job_id, _asked.c.event_count,
        _asked.c.data_tier, _asked.c.position, Identity.size_bytes, Identity.checksums, Job.uuid,
        Job.started_at, Job.ended_at, Job.received_at, Job.unit, Job.batch_id,
        TaskRow.task_id, Stage.campaign, Stage.name.label("stage"), Host.hostname, Host.site,
    )
    .join(Identity, Identity.id == _asked.c.identity_id)
    .join(Job, Job.id == _asked.c.job_id)
    .outerjoin(TaskRow, TaskRow.id == Job.task_id)
    .outerjoin(Stage, Stage.id == func.coalesce(Job.stage_id, TaskRow.stage_id))
    .outerjoin(Host, Host.id == Job.host_id)
    .where(_asked.c.place == 1)
)  # fmt: skip
_NAMES = "SELECT id, namespace, name FROM files WHERE id {among}"
_KNOWN = (
    select(File.id, File.namespace, File.name)
    .where(File.experiment_id == bindparam("experiment"), is_named())
    .order_by(File.namespace, File.id)
)
_BY_NAME = _KNOWN.where(File.name.in_(bindparam("names", expanding=True)))
_BY_KEY = _KNOWN.where(File.id.in_(bindparam("files", expanding=True)))
_SEEN_SIZES = (
    select(Identity.file_id, func.max(Identity.size_bytes))
    .where(Identity.file_id.in_(bindparam("files", expanding=True)))
    .group_by(Identity.file_id)
)
_SIGHTINGS = (
    select(Sighting.file_id, Sighting.document)
    .where(Sighting.file_id.in_(bindparam("files", expanding=True)))
    .order_by(Sighting.entry_id)
)


class FileSize(NamedTuple):
    """The size and number of events of a file; None where it is not known."""

    size_bytes: int | None
    event_count: int | None


class FileSums(NamedTuple):
    """How many files there are, their bytes and events together."""

    files: int
    size_bytes: int
    event_count: int


class StandingVersion(NamedTuple):
    """The standing version of a file, and the job that made it."""

    file_id: int
    claim_id: int
    job_key: int
    event_count: int | None
    data_tier: str | None
    position: int
    size_bytes: int | None
    checksums: str
    job_id: str
    started_at: datetime | None
    ended_at: datetime | None
    received_at: datetime
    unit: str | None
    batch_id: str | None
    task_id: str | None
    campaign: str | None
    stage: str | None
    host: str | None
    site: str | None


def count_keys(connection: Connection, keys: FileKeys) -> int:
    """Return how many files a query finds."""
    query = select(func.count()).select_from(keys.subquery())
    return connection.execute(query).scalar_one()


def fetch_keys(connection: Connection, keys: FileKeys) -> "array[int]":
    """Return the keys that a query finds, in their order: eight bytes each."""
    numbers: list[int] = []
    for rows in connection.execute(keys).partitions(_ROWS_AT_ONCE):
        numbers.extend(row[0] for row in rows)
    # Sorted here: in their order, SQLite would read all claims rather than those of a task
    return array("q", sorted(numbers))


def sum_files(connection: Connection, keys: FileKeys) -> FileSums:
    """Return the sums over the standing versions of all files that a query finds."""
    ranked = _ranked.where(Claim.file_id.in_(keys)).subquery()
    query = (
        select(func.sum(Identity.size_bytes), func.sum(ranked.c.event_count))
        .select_from(ranked)
        .join(Identity, Identity.id == ranked.c.identity_id)
        .where(ranked.c.place == 1)
    )
    size_bytes, event_count = connection.execute(query).one()
    return FileSums(count_keys(connection, keys), int(size_bytes or 0), int(event_count or 0))


def named(connection: Connection, keys: Sequence[int]) -> list[FileReference]:
    """Return what names files, in the order of their keys."""
    # Sorted here: in the order of keys, SQLite would read all files
    return [FileReference(*row) for row in sorted(select_among(connection, _NAMES, keys))]


def sizes_of(connection: Connection, keys: Sequence[int]) -> dict[int, FileSize]:
    """Return the size and events of files, of those without a version the size that readers saw."""
    sizes: dict[int, FileSize] = {}
    for file, size_bytes in run(connection, _SEEN_SIZES, {"files": keys}):
        sizes[file] = FileSize(size_bytes, None)
    for file, size_bytes, event_count in run(connection, _SIZES, {"files": keys}):
        sizes[file] = FileSize(size_bytes, event_count)
    return sizes


def standing_versions(connection: Connection, keys: Sequence[int]) -> dict[int, StandingVersion]:
    """Return the standing version of each file; files without one are left out."""
    rows = run(connection, _VERSIONS, {"files": keys})
    return {row[0]: StandingVersion(*row) for row in rows}


def sightings(connection: Connection, keys: Sequence[int]) -> dict[int, str]:
    """Return the newest sighting of each file by a catalog or transfer service, as JSON."""
    return dict(run(connection, _SIGHTINGS, {"files": keys}))


def find_by_name(
    connection: Connection, experiment: int, names: Sequence[str]
) -> dict[str, list[FileReference]]:
    """Return the files of an experiment by their names, whatever their namespaces."""
    # PostgreSQL takes no NUL, and no name has one
    possible = [name for name in names if "\0" not in name]
    files: dict[str, list[FileReference]] = {}
    for row in run(connection, _BY_NAME, {"experiment": experiment, "names": possible}):
        file = FileReference(*row)
        files.setdefault(file.name, []).append(file)
    return files


def find_by_key(
    connection: Connection, experiment: int, keys: Sequence[int]
) -> dict[int, FileReference]:
    """Return the files of an experiment by their keys."""
    files: dict[int, FileReference] = {}
    for row in run(connection, _BY_KEY, {"experiment": experiment, "files": keys}):
        files[row[0]] = FileReference(*row)
    return files


def namespaces_of(connection: Connection, experiment: int) -> list[str]:
    """Return the namespaces of an experiment's files, '' for those without one."""
    query = select(File.namespace).where(File.experiment_id == experiment).distinct()
    return list(connection.execute(query).scalars())
