"""Answers about files in catalogs, and about events that name files and tasks."""

from msgspec import Struct


class JobStatement(Struct, frozen=True):
    """What a job reports of a file that it wrote; `size_bytes` is None where it does not say."""

    size_bytes: int | None
    checksums: list[str]


class CatalogStatement(Struct, frozen=True):
    """What the catalog has of a file; `size_bytes` and `task_id` are None where it does not say."""

    size_bytes: int | None
    checksums: list[str]
    task_id: str | None


class Replica(Struct, frozen=True, kw_only=True):
    """Where a copy of a file is now, as its catalog says.

    Attributes:
        address: a path or URL.
        storage: the storage element, an RSE of Rucio; None where the catalog does not name it.
        medium: `disk` or `tape`; None where the catalog does not tell.
    """

    address: str
    storage: str | None = None
    medium: str | None = None


class LocatedFile(Struct, frozen=True, kw_only=True):
    """A file, and the copies that its catalog knows; none where it does not know the file.

    Attributes:
        size_bytes, checksums: as the catalog has them, where it tells.
    """

    name: str
    namespace: str
    experiment: str
    size_bytes: int | None = None
    checksums: list[str]
    replicas: list[Replica]


class LocatedFiles(Struct, frozen=True):
    """Where files are now, as Rucio or SAM said when it was asked.

    Attributes:
        files: in the order in which they were asked for.
        problem: why not all could be looked up, as a sentence; None where they were.
    """

    files: list[LocatedFile]
    problem: str | None = None


class DifferingFile(Struct, frozen=True):
    """A file on which the jobs of a task and its catalog do not agree, or a unit without a file.

    Attributes:
        name: with its namespace where the catalog has one; of a unit without a file the unit, or
            the job that names none.
        url: the path of its page, None for a file that no record mentions; of a unit without a file
            that of the list of its jobs.
        unit: None where neither side names one.
        job_id: the job that wrote it; None where nobody knows.
        job_url: the path of the job's page; None for a job that only the catalog names.
        process_id: the process of the SAM project that wrote it.
        batch_id, node: as the job reports them, else as the catalog does.
        job_says: None for a file that only the catalog knows.
        catalog_says: None for a file that only a job reports.
    """

    name: str
    url: str | None
    unit: str | None
    job_id: str | None
    job_url: str | None
    process_id: int | None
    batch_id: str | None
    node: str | None
    job_says: JobStatement | None
    catalog_says: CatalogStatement | None


class CatalogDifference(Struct, frozen=True):
    """The files that differ in one way.

    Attributes:
        kind: `no-output`, `never-arrived`, `not-in-catalog`, `retired`, `no-job`, `size-differs`,
            `checksum-differs`, `task-id-lost` or `no-parent`.
        meaning: the kind in a sentence.
        count: how many files there are.
        files: the first thousand of them.
    """

    kind: str
    meaning: str
    count: int
    files: list[DifferingFile]


class CatalogUnits(Struct, frozen=True):
    """The units of a task as its catalog knows them.

    Attributes:
        expected: None where the task does not declare how many there are.
        in_catalog: units with as many outputs in the catalog as they need, at least one.
        without: listed units with neither these outputs in the catalog nor a waiver; None for a
            task without a list.
        by_catalog: those of them with no recorded job that succeeded.
    """

    expected: int | None
    in_catalog: int
    without: int | None
    by_catalog: int


class SilentUnit(Struct, frozen=True):
    """A unit that a process was given, without the end of a job or an output since.

    Attributes:
        status: of the process, in SAM's word.
    """

    unit: str
    process_id: int
    batch_id: str | None
    node: str | None
    status: str | None


class CatalogComparison(Struct, frozen=True):
    """Where the jobs of a task and its catalog differ.

    Attributes:
        synced_at: when the comparison last went through all units, ISO 8601; None before the first
            time.
        asked_at: when the catalog was last asked, ISO 8601; None where it never was.
        problem: what the catalog could not be asked the last time, and why.
        not_compared: why the task was never compared as a whole; None where it was.
        differences: one entry for each kind that occurs, the most important kind first.
        silent: the first thousand units whose process was not heard of again.
        processes: how many processes of the SAM project have each status.
        draining_query: selects the unprocessed inputs in the catalog's own language; None where the
            list was not made from a catalog, or no catalog is set up.
    """

    task_id: str
    experiment: str
    synced_at: str | None
    asked_at: str | None
    problem: str | None
    not_compared: str | None
    units: CatalogUnits
    differences: list[CatalogDifference]
    silent: list[SilentUnit]
    processes: dict[str, int]
    draining_query: str | None


class DrainingUnits(Struct, frozen=True):
    """Listed inputs without an output in the catalog and without a waiver, in the list's order."""

    draining: list[str]


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


class SightingAnswer(Struct, frozen=True):
    """What became of a file that a catalog or transfer service saw.

    Attributes:
        change: `created`, or `same` where exactly this was seen before.
        namespace: empty where the file has none.
        url: the path of the file's page.
        job_id: the job that made the file; None while no job claims it.
        job_url: the path of the job's page.
        joined_by: `job` where the sighting names the job, else `checksum` or `name`; None without a
            job.
        is_sure: False where the job only may have made the file.
        aliases: the file's names at birth.
    """

    change: str
    name: str
    namespace: str
    experiment: str
    url: str
    job_id: str | None
    job_url: str | None
    joined_by: str | None
    is_sure: bool
    aliases: list[str]


class EventFile(Struct, frozen=True):
    """A file that an event names; `url` is the path of its page."""

    name: str
    namespace: str
    url: str


class EventAnswer(Struct, frozen=True):
    """What became of an OpenLineage event of a job or dataset alone.

    Attributes:
        change: `created`, or `same` where all of it was known.
        task_id: the task that the job is; None for a dataset.
    """

    change: str
    task_id: str | None
    files: list[EventFile]
