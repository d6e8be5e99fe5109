"""The pieces of the logs of running jobs, as they are stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import Experiment, Job, LogTailPiece
from jobprov.provenance.db.writer.keys import chunks


class PiecePlace(NamedTuple):
    """Where a piece of a log lies: the position of its first byte, and how many bytes it has."""

    start: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        return self.start + self.size_bytes


class Piece(NamedTuple):
    """Bytes of a log without a gap, and the position of the first of them."""

    start: int
    content: bytes

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        return self.start + len(self.content)


class TailExtent(NamedTuple):
    """The positions between which pieces of a log lie, and when the last of them came."""

    name: str
    start: int
    end: int
    received_at: datetime


class TailName(NamedTuple):
    """A log of a running job, by the job's key and by what names the job."""

    job: int
    name: str
    experiment: str
    job_id: str


class TailSize(NamedTuple):
    """What the pieces of all logs of a job take, packed, and when the last of them came."""

    job: int
    received_at: datetime
    packed_bytes: int


def piece_places(connection: Connection, job: int, name: str) -> list[PiecePlace]:
    """Return where the pieces of a log lie, in order."""
    query = (
        select(LogTailPiece.start, LogTailPiece.size_bytes)
        .where(LogTailPiece.job_id == job, LogTailPiece.name == name)
        .order_by(LogTailPiece.start)
    )
    return [PiecePlace(*row) for row in connection.execute(query)]


def pieces_of(connection: Connection, job: int, name: str) -> list[Piece]:
    """Return the pieces of a log, in order."""
    query = (
        select(LogTailPiece.start, LogTailPiece.content)
        .where(LogTailPiece.job_id == job, LogTailPiece.name == name)
        .order_by(LogTailPiece.start)
    )
    return [Piece(start, unpack(content)) for start, content in connection.execute(query)]


def last_received(connection: Connection, job: int, name: str) -> datetime:
    """Return when the last piece of a log came; there must be one."""
    query = select(func.max(LogTailPiece.received_at)).where(
        LogTailPiece.job_id == job, LogTailPiece.name == name
    )
    return connection.execute(query).scalar_one()


def count_logs(connection: Connection, job: int) -> int:
    """Return of how many logs of a job there are pieces."""
    query = select(func.count(LogTailPiece.name.distinct())).where(LogTailPiece.job_id == job)
    return connection.execute(query).scalar_one()


def tail_extents(connection: Connection, experiment: str, job_id: str) -> list[TailExtent]:
    """Return where the pieces of each log of a job begin and end, by name."""
    query = (
        select(
            LogTailPiece.name,
            func.min(LogTailPiece.start),
            func.max(LogTailPiece.start + LogTailPiece.size_bytes),
            func.max(LogTailPiece.received_at),
        )
        .join(Job, Job.id == LogTailPiece.job_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.uuid == job_id, Experiment.name == experiment)
        .group_by(LogTailPiece.name)
        .order_by(LogTailPiece.name)
    )
    return [TailExtent(*row) for row in connection.execute(query)]


def tails_of_jobs(connection: Connection, job_ids: Sequence[str]) -> list[TailName]:
    """Return the logs of these jobs of which there are pieces; any experiment may have the ids."""
    tails: list[TailName] = []
    for part in chunks(job_ids):
        query = (
            select(LogTailPiece.job_id, LogTailPiece.name, Experiment.name, Job.uuid)
            .join(Job, Job.id == LogTailPiece.job_id)
            .join(Experiment, Experiment.id == Job.experiment_id)
            .where(Job.uuid.in_(part))
            .distinct()
        )
        tails.extend(TailName(*row) for row in connection.execute(query))
    return tails


def tail_sizes(connection: Connection, experiment: int) -> list[TailSize]:
    """Return what each job of an experiment takes, the newest first."""
    newest = func.max(LogTailPiece.received_at)
    query = (
        select(LogTailPiece.job_id, newest, func.sum(func.length(LogTailPiece.content)))
        .join(Job, Job.id == LogTailPiece.job_id)
        .where(Job.experiment_id == experiment)
        .group_by(LogTailPiece.job_id)
        .order_by(newest.desc())
    )
    return [TailSize(*row) for row in connection.execute(query)]
