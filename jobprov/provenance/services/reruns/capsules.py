"""Capsules that an operator registered for a release: stored in the archive, and named by bundles.

A capsule serves all jobs of its experiment with the same software list and the same stage as a job
that it was registered for. The registration is a ledger entry. If several capsules serve a job, the
newest counts. A new one changes the ingredients of the job's bundle, so that a new plan is made.
"""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.reruns.capsules import CapsuleRegistered, RegisteredCapsule
from jobprov.provenance.db.changes.reruns import add_capsule
from jobprov.provenance.db.queries.reruns.capsules import (
    HeldCapsule,
    Use,
    capsules_of,
    registered_capsules,
    use_of,
)
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.ledger.documents import CapsuleRegistration, ServedJobs
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.work.notices import capsule_registered
from jobprov.provenance.services.writing import Writing

IMAGE, FILES = "image", "files"
_PIECE = 1 << 20


class StoredCapsule(NamedTuple):
    """A capsule whose bytes are in the archive.

    Attributes:
        kind: `image`, or `files`: the tar of a folder that `capsule make` made.
    """

    kind: str
    sha256: str
    size_bytes: int


def store_capsule(store: Store, path: Path) -> StoredCapsule:
    """Put a capsule's folder, or an image in one file, into the archive.

    Raises:
        BadInputError: the folder is not a capsule.
    """
    if path.is_dir() and not (path / "data" / "root").is_dir():
        raise BadInputError(
            f"{path} is not a capsule: it has no data/root; make one with `jobprov capsule make`.",
            {"path": ["no capsule"]},
        )
    kind = FILES if path.is_dir() else IMAGE
    with _one_file(path) as file:
        # It is read twice: the archive wants the digest of a stream in advance
        digest = hashlib.sha256()
        for piece in _pieces(file):
            digest.update(piece)
        size = file.tell()
        store.put_stream(_pieces(file), expected=digest.hexdigest())
    return StoredCapsule(kind, digest.hexdigest(), size)


def register_capsule(
    writing: Writing,
    stored: StoredCapsule,
    *,
    name: str,
    jobs: Sequence[str],
    experiment: str | None = None,
) -> CapsuleRegistered:
    """Register a capsule for the release of these jobs.

    Raises:
        BadInputError: the jobs are of several experiments, or one of them names no software.
        NotFoundError: no such job.
    """
    records = _records_of(writing, jobs, experiment)
    owner = _owner_of(records.values())
    uses = sorted({_use_of(record, job) for job, record in records.items()})
    is_new = not _is_served(writing.connection, owner, uses, name=name, sha256=stored.sha256)
    if is_new:
        _enter_capsule(writing, stored, name=name, experiment=owner, uses=uses)
    return CapsuleRegistered(
        name=name,
        kind=stored.kind,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        experiment=owner,
        stages=sorted({use.stage for use in uses}),
        is_new=is_new,
    )


def _records_of(
    writing: Writing, jobs: Sequence[str], experiment: str | None
) -> dict[str, JobRecord]:
    """Return the records of jobs, by their ids as given.

    One read for each job: an operator names a few on the command line.
    """
    records = {}
    for job_id in jobs:
        job = read_job(writing.connection, writing.store, job_id, experiment=experiment)
        records[job_id] = job.reading.record
    return records


def _owner_of(records: Iterable[JobRecord]) -> str:
    """Return the one experiment of these records.

    Raises:
        BadInputError: there is not exactly one.
    """
    experiments = sorted({record.experiment for record in records})
    if len(experiments) != 1:
        raise BadInputError(
            "A capsule serves one experiment, but these jobs are of "
            f"{', '.join(experiments) or 'none'}.",
            {"job": ["of several experiments"]},
        )
    return experiments[0]


def _use_of(record: JobRecord, job_id: str) -> Use:
    use = use_of(record)
    if use is None:
        raise BadInputError(
            f"The record of job {job_id} names no software, by which a capsule is found; name "
            "another job of the release.",
            {"job": ["names no software"]},
        )
    return use


def _is_served(
    connection: Connection, experiment: str, uses: Iterable[Use], *, name: str, sha256: str
) -> bool:
    """Return whether this very capsule already serves each of these uses."""
    newest = capsules_of(connection, [experiment])
    for use in uses:
        capsule = newest.get((experiment, use))
        if capsule is None or (capsule.name, capsule.sha256) != (name, sha256):
            return False
    return True


def _enter_capsule(
    writing: Writing,
    stored: StoredCapsule,
    *,
    name: str,
    experiment: str,
    uses: Iterable[Use],
) -> None:
    """Write the ledger entry of a registration, and its rows."""
    registration = CapsuleRegistration(
        name=name,
        kind=stored.kind,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        serves=[ServedJobs(use.software_set, use.stage) for use in uses],
    )
    key = intern_experiments(writing, {experiment})[experiment]
    settle_blob(writing, experiment, stored.sha256)
    document = {"capsule": msgspec.to_builtins(registration)}
    entry = enter_document(writing.by(None), key, "capsule", document)
    write_capsule_rows(writing.connection, key, entry, registration)
    capsule_registered(writing.connection, entry)


def write_capsule_rows(
    connection: Connection, experiment: int, entry: int, registration: CapsuleRegistration
) -> None:
    """Write the rows of a registration whose ledger entry exists."""
    capsule = HeldCapsule(
        entry, registration.name, registration.kind, registration.sha256, registration.size_bytes
    )
    add_capsule(connection, experiment, capsule, uses_in(registration))


def uses_in(registration: CapsuleRegistration) -> list[Use]:
    """Return the uses that a registration's capsule serves."""
    return [Use(served.software_set, served.stage) for served in registration.serves]


def find_capsule(connection: Connection, name: str) -> RegisteredCapsule:
    """Return the newest registration of this name.

    Raises:
        NotFoundError: there is none.
    """
    for capsule in registered_capsules(connection):
        if capsule.name == name:
            return capsule
    raise NotFoundError(f"No capsule {name} is registered.")


@contextmanager
def _one_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file, or the tar of a folder. The same files always give the same bytes."""
    if path.is_file():
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile(prefix="jobprov-capsule-") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for inner in sorted(path.rglob("*")):
                archive.add(inner, str(inner.relative_to(path)), recursive=False, filter=_anonymous)
        yield file


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    # Owner and time depend on who ran the command, and when; the digest must not
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
