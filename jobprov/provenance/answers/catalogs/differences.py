"""Answers about a task and its catalog: where they differ, and which units are left."""

from msgspec import Struct


class JobStatement(Struct, frozen=True):
    """What a job reports of a file that it wrote; `size_bytes` is None where it does not say."""

    size_bytes: int | None
    checksums: list[str]


class CatalogStatement(Struct, frozen=True):
    """What the catalog says about a file; fields that it does not fill are None."""

    size_bytes: int | None
    checksums: list[str]
    task_id: str | None


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
