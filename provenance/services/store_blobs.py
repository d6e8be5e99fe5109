"""Blobs and who possesses them: an experiment may name, read and bundle what it uploaded itself.

Bytes are stored once, whoever sends them; naming the digest of another experiment's blob gives nothing.

Source: storage.md, "Possession".
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, select

from provenance.capture.redaction import redact
from provenance.db.keys import KnownKeys, chunks
from provenance.db.recording.writing import intern_experiments, table_of
from provenance.db.tables import AwaitedBlob, Experiment, Job, Possession
from provenance.records.decoding import DecodedRecord
from provenance.records.gaps import small_inputs
from provenance.records.references import referenced_blobs
from provenance.services.findings import possessed_blobs
from provenance.services.ledger import Documents

_SEARCHED_BYTES = 8 * 1024 * 1024


class Upload(NamedTuple):
    """A blob whose bytes lie in the archive, and the experiment that sent them."""

    experiment: str
    sha256: str


def grant_possession(connection: Connection, known: KnownKeys, uploads: Sequence[Upload]) -> list[bool]:
    """Note who possesses what; return for each upload, in order, whether that is new."""
    keys = intern_experiments(connection, known, {upload.experiment for upload in uploads})
    held: set[Upload] = set()
    for experiment in keys:
        digests = sorted({upload.sha256 for upload in uploads if upload.experiment == experiment})
        for part in chunks(digests):
            held |= {Upload(experiment, sha256) for sha256 in possessed_blobs(connection, experiment, part)}
    answers: list[bool] = []
    fresh: dict[Upload, None] = {}
    for upload in uploads:
        answers.append(upload not in held and upload not in fresh)
        if answers[-1]:
            fresh[upload] = None
    if fresh:
        rows = [{"experiment_id": keys[upload.experiment], "sha256": upload.sha256} for upload in fresh]
        connection.execute(table_of(Possession).insert(), rows)
    return answers


def missing_of(connection: Connection, experiment: str | None, digests: Sequence[str]) -> list[str]:
    """Return those of the digests that the experiment (any, where None) has not uploaded, in the order asked, each once."""
    distinct = list(dict.fromkeys(digests))
    if experiment is not None:
        held = possessed_blobs(connection, experiment, distinct)
    else:
        held = set()
        for part in chunks(distinct):
            query = select(Possession.sha256).where(Possession.sha256.in_(part))
            held |= {row[0] for row in connection.execute(query)}
    return [sha256 for sha256 in distinct if sha256 not in held]


def holders_of(connection: Connection, sha256: str) -> list[str]:
    """Return the experiments that uploaded the blob, by name."""
    query = (
        select(Experiment.name)
        .join(Possession, Possession.experiment_id == Experiment.id)
        .where(Possession.sha256 == sha256)
        .order_by(Experiment.name)
    )
    return [row[0] for row in connection.execute(query)]


class Presence(Protocol):
    """The part of the archive that knows what lies in it."""

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Those of the digests that are not stored."""


def adopt_blobs(connection: Connection, known: KnownKeys, store: Presence, records: Sequence[DecodedRecord]) -> None:
    """Give experiments what their records name and the archive holds.

    Only for a service without any token: there all that lies in the archive came from this machine, which names the
    experiment first in the record.
    """
    uploads: list[Upload] = []
    for decoded in records:
        experiment = decoded.raw["experiment"]
        wanted = referenced_blobs(decoded.raw)
        if decoded.record is not None:
            wanted |= small_inputs(decoded.record)
        wanted -= known.notes.get(("possessed", experiment), set())
        wanted -= possessed_blobs(connection, experiment, wanted)
        uploads += [Upload(experiment, sha256) for sha256 in sorted(wanted - store.missing(wanted))]
    if uploads:
        grant_possession(connection, known, uploads)


def experiments_awaiting(connection: Connection, sha256: str) -> list[str]:
    """Return the experiments whose jobs wait for the blob, by name."""
    query = (
        select(Experiment.name)
        .join(Job, Job.experiment_id == Experiment.id)
        .join(AwaitedBlob, AwaitedBlob.job_id == Job.id)
        .where(AwaitedBlob.sha256 == sha256)
        .distinct()
        .order_by(Experiment.name)
    )
    return [row[0] for row in connection.execute(query)]


def settle_blob(
    connection: Connection, known: KnownKeys, _store: Documents, experiment: str | None, sha256: str
) -> bool:
    """Note that a blob came, and bring the jobs that waited for it up to date; return whether it is new to the experiment.

    Where no token was needed (None), it is for those whose jobs wait for it; `adopt_blobs` sees to records that come later.
    """
    names = [experiment] if experiment is not None else experiments_awaiting(connection, sha256)
    granted = grant_possession(connection, known, [Upload(name, sha256) for name in names])
    return any(granted)


def find_secret(data: bytes) -> list[str]:
    """Return the rules by which text holds a secret; of binary data, and of more than 8 MiB, none is tried."""
    if len(data) > _SEARCHED_BYTES or b"\0" in data[:8192]:
        return []
    return list(redact(data)[1])
