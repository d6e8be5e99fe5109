"""Answers about files that jobs wrote, and whether a catalog knows them yet."""

from msgspec import Struct


class ArrivalDay(Struct, frozen=True):
    """The files that jobs of tasks wrote on a day, in UTC.

    Attributes:
        day: as 2026-11-24.
        arrived: known to a catalog or transfer service.
        late: not known, though the hours that a file may take are over.
        waiting: not known yet, within these hours.
    """

    day: str
    written: int
    arrived: int
    late: int
    waiting: int


class LateFile(Struct, frozen=True):
    """A file that a job wrote and that did not arrive in time.

    Attributes:
        namespace: empty where the job says none.
        url, job_url: the paths of the pages of file and job.
        ended_at: when the job ended, ISO 8601.
        compared_at: when its task was last compared with the catalog, ISO 8601; None where it never
            was.
    """

    name: str
    namespace: str
    url: str
    size_bytes: int | None
    job_id: str
    job_url: str
    task_id: str
    stage: str | None
    batch_id: str | None
    node: str | None
    ended_at: str
    compared_at: str | None


class Arrivals(Struct, frozen=True):
    """What jobs of tasks wrote, what of it arrived, and what did not within some hours.

    Attributes:
        hours: that a file may take.
        until: counted as of this moment, ISO 8601.
        compared_at: when any task of the experiment was last compared with the catalog; None where
            none was.
        days: the oldest first.
        files: those that are late, the newest first.
        next: cursor of the next page; None where there is none.
    """

    experiment: str
    hours: int
    until: str
    compared_at: str | None
    days: list[ArrivalDay]
    files: list[LateFile]
    next: str | None
