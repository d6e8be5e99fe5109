"""Answers to what is sent: records, blobs, the ends of logs, and wishes for tickets."""

from datetime import datetime

from msgspec import Struct

from jobprov.provenance.records.gaps.gaps import Gap


class RecordAnswer(Struct, frozen=True):
    """What became of a record."""

    job_id: str
    change: str
    url: str
    grade: str
    gaps: list[Gap]
    missing_blobs: list[str]


class BatchResult(Struct, frozen=True, omit_defaults=True):
    """What became of one record of a batch; `errors` and `detail` where it was refused."""

    job_id: str
    status: int
    url: str | None = None
    change: str | None = None
    grade: str | None = None
    gaps: list[Gap] | None = None
    missing_blobs: list[str] | None = None
    detail: str | None = None
    errors: dict[str, list[str]] | None = None


class BatchAnswer(Struct, frozen=True):
    """What became of each record of a batch, in order."""

    results: list[BatchResult]


class MissingAnswer(Struct, frozen=True, omit_defaults=True):
    """Digests of blobs that are not here yet, and of known ones among the excerpts asked for.

    Attributes:
        missing: the blobs that are to be sent.
        excerpts: the known ones; None where none were asked about.
        batch_bytes: the longest body of `POST /blobs/batch`; left out where nothing is missing.
    """

    missing: list[str]
    excerpts: list[str] | None = None
    batch_bytes: int | None = None


class BlobAnswer(Struct, frozen=True, omit_defaults=True):
    """A blob that is here now, or that was erased on purpose.

    In the second case `change` is `erased`, and the blob is not stored again.
    """

    sha256: str
    size_bytes: int
    is_new: bool
    change: str | None = None


class BlobResult(Struct, frozen=True, omit_defaults=True):
    """What became of one blob of a batch; `errors` and `detail` where it was refused.

    `change` is `erased` where it was erased on purpose, and is not stored again.
    """

    sha256: str
    status: int
    change: str | None = None
    detail: str | None = None
    errors: dict[str, list[str]] | None = None


class BlobBatchAnswer(Struct, frozen=True):
    """What became of each blob of a batch, in order."""

    results: list[BlobResult]


class PartAnswer(Struct, frozen=True):
    """How much of a half-sent blob is here, from the first byte on."""

    sha256: str
    received_bytes: int


class TailAnswer(Struct, frozen=True):
    """Up to which position the service has the log."""

    job_id: str
    name: str
    received_bytes: int


class UsedByKind(Struct, frozen=True):
    """What the traced job of a kind used although nobody named it.

    Attributes:
        files: paths of data and settings; those below the working directory are relative to it.
        code: likewise of programs, libraries and modules.
        hosts: `address:port` of what it connected to.
        folders: absolute paths of folders that were there, outside of the working directory.
        own: paths of files that only this job used, since another job made them or its unit is in
            their names; other jobs of the kind use others, or others under the same name.
        copies: paths of further such files, with the content of one of `own`, of a shared file or of
            an input that somebody named: a job that has that one lacks nothing.
        absent: paths of files that it looked for in vain; `~` stands for the home folder.
        changed: paths of files that changed, or went, after it read them; what was in them is lost.
        no_parents: those of `files` from which nothing was made, such as files of a listed folder.
        numbers: the numbers in the arguments of its command, in turn: `sim.sh 7` makes another file
            than `sim.sh 8`, and may read another.
        left_out: how many more files there were, of one sort or another.
    """

    files: list[str] = []
    code: list[str] = []
    hosts: list[str] = []
    folders: list[str] = []
    own: list[str] = []
    copies: list[str] = []
    changed: list[str] = []
    absent: list[str] = []
    no_parents: list[str] = []
    numbers: list[str] = []
    left_out: int = 0


class TraceAnswer(Struct, frozen=True):
    """Whether the job that asks is to be traced.

    Attributes:
        is_wanted: whether this one is.
        is_pending: no record of a traced job of its kind has come, and one may: jobs are traced.
        used: what the traced job of its kind used; None where there is none.
    """

    is_wanted: bool
    is_pending: bool = False
    used: UsedByKind | None = None


class TicketAnswer(Struct, frozen=True):
    """The ticket, this once: only its SHA-256 is kept."""

    ticket: str
    experiment: str
    task_id: str
    expires_at: datetime
