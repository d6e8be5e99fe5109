"""Bodies that came with a valid token but could not be decoded.

They are kept, and replayed once the service can read them. A hook takes 422 as final and gives up:
without this, a bug in the hook or in the service would lose records.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.db.changes.recording import NewLetter, add_letters, remove_letters
from jobprov.provenance.db.queries.intake import jobs_of_other_tasks
from jobprov.provenance.db.queries.recording.dead_letters import (
    PackedLetter,
    StoredLetter,
    find_letter,
    kept_bytes,
    known_letters,
)
from jobprov.provenance.db.recording.packing import pack_all
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import ConflictError, NotFoundError, RecordError, UnreachableError
from jobprov.provenance.records.reading.decoding import DecodedRecord, decode_record
from jobprov.provenance.services.intake.tokens import Grant
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Outcome, Submission
from jobprov.provenance.services.writing import Writing

QUOTA_BYTES = 256 << 20
"""Of the dead letters of an experiment, packed."""
_SUM_SECONDS = 60.0
_JOB_ID_LENGTH = 200
"""What the column takes; the job id of a body that cannot be read is whatever was sent."""


class Undecoded(NamedTuple):
    """A body that could not be decoded.

    Attributes:
        job_id: as the address or the batch named it, '' where it did not.
        reason: the sentence that the client got.
        body: a record, or a revision with its record.
    """

    job_id: str
    reason: str
    received_at: datetime
    body: bytes


class _Revision(msgspec.Struct):
    """A letter that holds a corrected record.

    A job record has neither field, and always a version.
    """

    record: msgspec.Raw
    reason: str
    schema_version: msgspec.UnsetType | msgspec.Raw = msgspec.UNSET


@dataclass
class _KeptBytes:
    """What the letters of an experiment take, and when that was summed."""

    size_bytes: int
    summed_at: float


class LetterQuota:
    """How many bytes of dead letters each experiment may have; thread-safe.

    What an experiment has is summed once a minute, since other processes keep and remove letters,
    too. In between, what this process keeps is added.
    """

    def __init__(self) -> None:
        self._kept: dict[str | None, _KeptBytes] = {}
        self._lock = threading.Lock()

    def check(self, connection: Connection, experiment: str | None) -> None:
        """Check that the experiment may have more letters.

        Raises:
            UnreachableError: it may not; the hook keeps its record meanwhile.
        """
        kept = self._kept.get(experiment)
        if kept is None or time.monotonic() - kept.summed_at > _SUM_SECONDS:
            kept = _KeptBytes(kept_bytes(connection, experiment), time.monotonic())
            with self._lock:
                self._kept[experiment] = kept
        if kept.size_bytes > QUOTA_BYTES:
            raise UnreachableError(
                f"{experiment or 'This service'} has {QUOTA_BYTES >> 20} MiB of dead letters, and "
                "takes no more: an operator looks at them with `jobprov dead-letter list`."
            )

    def add(self, experiment: str | None, size_bytes: int) -> None:
        """Count bytes that were kept."""
        with self._lock:
            if (kept := self._kept.get(experiment)) is not None:
                kept.size_bytes += size_bytes


def keep_letters(writing: Writing, grant: Grant, letters: Sequence[Undecoded]) -> int:
    """Keep bodies that came with a token; return how many bytes they take.

    A body is not kept again for the same job, from one who may write the same.
    """
    experiment = None
    if grant.experiment is not None:
        experiment = intern_experiments(writing, {grant.experiment})[grant.experiment]
    packed_bodies = pack_all([letter.body for letter in letters])
    came: dict[PackedLetter, Undecoded] = {}
    for letter, packed in zip(letters, packed_bodies, strict=True):
        came[PackedLetter(letter.job_id[:_JOB_ID_LENGTH], packed)] = letter
    known = known_letters(writing.connection, experiment, grant.task_id, came.keys())
    new = []
    for (job_id, packed), letter in came.items():
        if (job_id, packed) not in known:
            new.append(
                NewLetter(
                    experiment_id=experiment,
                    task_id=grant.task_id,
                    received_at=letter.received_at,
                    job_id=job_id,
                    reason=letter.reason,
                    body=packed,
                )
            )
    add_letters(writing.connection, new)
    return sum(len(letter.body) for letter in new)


def read_letter(connection: Connection, number: int) -> bytes:
    """Return the exact bytes of a dead letter.

    Raises:
        NotFoundError: there is no such letter.
    """
    return _find(connection, number).body


def replay_letter(writing: Writing, number: int) -> Outcome:
    """Take a dead letter as if it came now, under the time it came and the token it came with.

    Then it is gone.

    Raises:
        NotFoundError: there is no such letter.
        RecordError: it cannot be decoded even now, or is not what its token or ticket may record.
        ConflictError: another final record of the job is stored; the letter stays.
    """
    connection = writing.connection
    letter = _find(connection, number)
    decoded, reason = _read(letter.body)
    _check_grant(connection, Grant(letter.experiment, None, letter.task_id), decoded)
    submission = Submission(decoded, letter.received_at, "dead letter", reason)
    [outcome] = record_jobs(writing, [submission])
    if outcome.change == "conflict":
        raise ConflictError(
            f"Another final record of job {outcome.job_id} is held; the letter {number} stays."
        )
    remove_letters(connection, [number])
    return outcome


def _find(connection: Connection, number: int) -> StoredLetter:
    letter = find_letter(connection, number)
    if letter is None:
        raise NotFoundError(
            f"There is no dead letter {number}; `jobprov dead-letter list` shows them."
        )
    return letter


def _read(body: bytes) -> tuple[DecodedRecord, str | None]:
    """Return the record in a letter, and why it is a revision where it is one.

    Raises:
        RecordError: it cannot be decoded.
    """
    try:
        revision = msgspec.json.decode(body, type=_Revision)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decode_record(body), None
    if revision.schema_version is not msgspec.UNSET:
        return decode_record(body), None
    decoded = decode_record(bytes(revision.record))
    if decoded.record is None:
        raise RecordError(
            "A record of a later version cannot be a revision yet.",
            {"schema_version": ["not read yet"]},
        )
    return decoded, revision.reason.strip()


def _check_grant(connection: Connection, grant: Grant, decoded: DecodedRecord) -> None:
    """Check that what the letter came with would have recorded it.

    Raises:
        RecordError: it would not.
    """
    experiment, task_id = decoded.experiment, decoded.task_id
    if not grant.allows_record(experiment, task_id):
        raise RecordError(
            f"The letter came with a token of {grant.names()}; its record is of "
            f"{experiment}, task {task_id or '(none)'}."
        )
    if grant.task_id is None:
        return
    if jobs_of_other_tasks(connection, experiment, grant.task_id, [decoded.job_id]):
        raise RecordError(
            f"The letter came with a ticket of {grant.names()}; job {decoded.job_id} is known as "
            "one of another task."
        )
