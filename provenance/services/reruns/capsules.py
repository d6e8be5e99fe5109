"""Capsules that an operator registered with a release.

The archive holds them, and the bundles of the jobs they serve name them.

A capsule serves the jobs of its experiment that have the same software list, in a stage of the same
name, as a job that it was registered for. The registration is a ledger entry; where several serve a
job, the newest counts, and a next plan is made.
"""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.queries.reruns.capsules import Use, capsules_of, use_of
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.tables import CapsuleRow, CapsuleUse, Experiment, LedgerEntry
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.work.notices import capsule_registered
from jobprov.provenance.services.writing import Writing

IMAGE, FILES = "image", "files"
_PIECE = 1 << 20


class StoredCapsule(NamedTuple):
    """A capsule whose bytes lie in the archive.

    `kind` is `image`, or `files` (the tar of a folder that `capsule make` made).
    """

    kind: str
    sha256: str
    size_bytes: int


def store_capsule(store: Store, path: Path) -> StoredCapsule:
    """Put a capsule's folder, or an image in one file, into the archive.

    Raises:
        BadInputError: the folder is no capsule.
    """
    if path.is_dir() and not (path / "data" / "root").is_dir():
        raise BadInputError(
            f"{path} is no capsule: it has no data/root; make one with `jobprov capsule make`.",
            {"path": ["no capsule"]},
        )
    kind = FILES if path.is_dir() else IMAGE
    with _one_file(path) as file:
        seen = hashlib.sha256()
        for piece in _pieces(file):
            seen.update(piece)
        size = file.tell()
        store.put_stream(_pieces(file), expected=seen.hexdigest())
    return StoredCapsule(kind, seen.hexdigest(), size)


def register_capsule(
    writing: Writing,
    stored: StoredCapsule,
    *,
    name: str,
    jobs: Sequence[str],
    experiment: str | None = None,
) -> dict[str, Any]:
    """Register a capsule for the release of these jobs.

    Return `{name, kind, sha256, size_bytes, experiment, stages, is_new}`.

    Raises:
        BadInputError: the jobs are of several experiments, or one of them names no software.
        NotFoundError: no such job.
    """
    connection = writing.connection
    records = [
        read_job(connection, writing.store, job, experiment=experiment).reading.record
        for job in jobs
    ]
    experiments = sorted({record.experiment for record in records})
    if len(experiments) != 1:
        raise BadInputError(
            "A capsule serves one experiment, but these jobs are of "
            f"{', '.join(experiments) or 'none'}.",
            {"job": ["of several experiments"]},
        )
    uses = sorted(
        {_use(record_use, job) for record_use, job in zip(map(use_of, records), jobs, strict=True)}
    )
    [owner] = experiments
    document = {
        "name": name,
        **stored._asdict(),
        "serves": [{"software_set": software_set, "stage": stage} for software_set, stage in uses],
    }
    serving = capsules_of(connection, [owner])
    held = {
        (capsule.name, capsule.sha256)
        for use in uses
        if (capsule := serving.get((owner, use))) is not None
    }
    is_new = held != {(name, stored.sha256)} or any((owner, use) not in serving for use in uses)
    if is_new:
        key = intern_experiments(writing, {owner})[owner]
        settle_blob(writing, owner, stored.sha256)
        entry = enter_document(writing.by(None), key, "capsule", {"capsule": document})
        write_capsule_rows(connection, key, entry, document)
        capsule_registered(connection, entry)
    stages = sorted({stage for _, stage in uses})
    return {
        "name": name,
        **stored._asdict(),
        "experiment": owner,
        "stages": stages,
        "is_new": is_new,
    }


def write_capsule_rows(
    connection: Connection, experiment: int, entry: int, document: Mapping[str, Any]
) -> None:
    """Write the rows of a registration whose ledger entry is there."""
    row = {field: document[field] for field in ("name", "kind", "sha256", "size_bytes")}
    connection.execute(
        table_of(CapsuleRow).insert(), [{"entry_id": entry, "experiment_id": experiment, **row}]
    )
    uses = [
        {"entry_id": entry, "software_set_sha256": software_set, "stage": stage}
        for software_set, stage in uses_in(document)
    ]
    connection.execute(table_of(CapsuleUse).insert(), uses)


def uses_in(document: Mapping[str, Any]) -> list[Use]:
    """Return what the capsule of a registration serves."""
    return [(use["software_set"], use["stage"]) for use in document["serves"]]


def list_capsules(connection: Connection) -> list[dict[str, Any]]:
    """Return the registrations, newest first.

    Each is `{experiment, name, kind, sha256, size_bytes, stages, registered_at}`.
    """
    stages: dict[int, set[str]] = {}
    for entry, stage in connection.execute(select(CapsuleUse.entry_id, CapsuleUse.stage)):
        stages.setdefault(entry, set()).add(stage)
    query = (
        select(
            Experiment.name.label("experiment"),
            CapsuleRow.name,
            CapsuleRow.kind,
            CapsuleRow.sha256,
            CapsuleRow.size_bytes,
            CapsuleRow.entry_id,
            LedgerEntry.received_at,
        )
        .join(Experiment, Experiment.id == CapsuleRow.experiment_id)
        .join(LedgerEntry, LedgerEntry.id == CapsuleRow.entry_id)
        .order_by(CapsuleRow.entry_id.desc())
    )
    return [
        {
            "experiment": row.experiment,
            "name": row.name,
            "kind": row.kind,
            "sha256": row.sha256,
            "size_bytes": row.size_bytes,
            "stages": sorted(stages[row.entry_id]),
            "registered_at": row.received_at.isoformat(),
        }
        for row in connection.execute(query)
    ]


def find_capsule(connection: Connection, name: str) -> dict[str, Any]:
    """Return the newest registration of this name.

    Raises:
        NotFoundError: there is none.
    """
    for capsule in list_capsules(connection):
        if capsule["name"] == name:
            return capsule
    raise NotFoundError(f"No capsule {name} is registered.")


def _use(found: Use | None, job: str) -> Use:
    if found is None:
        raise BadInputError(
            f"The record of job {job} names no software, by which a capsule is found; name "
            "another job of the release.",
            {"job": ["names no software"]},
        )
    return found


@contextmanager
def _one_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file, or the tar of a folder: the same bytes from the same files."""
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
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
