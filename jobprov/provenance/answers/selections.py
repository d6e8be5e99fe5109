"""What clients of catalogs are told, before SAM's or MetaCat's form is given to it."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from jobprov.provenance.records.job_record import JsonObject


class FileReference(Struct, frozen=True):
    """What names a file to a catalog client: its id, namespace ('' for none) and name."""

    key: int
    namespace: str
    name: str


class Application(Struct, frozen=True):
    """The program that made a file, as its metadata say."""

    family: str | None = None
    name: str | None = None
    version: str | None = None


class FileMetadata(Struct, frozen=True):
    """What is known of a file: of its standing version, the job that made it, and its relatives.

    None stands for what nobody says.

    Attributes:
        checksums: as `kind:value`.
        runs: as the job says them: run, or [run, subrun], or [run, subrun, type].
        made_at: when the job that made it ended.
        seen_at: when its record came.
        provenance: `prov.*` keys with what we hold of the job.
        metadata: what the job and the catalog say besides, by dotted keys.
        parents, children: files, each once, in the order of their ids.
        locations: addresses of copies, as catalogs and jobs say them.
    """

    file: FileReference
    experiment: str
    size_bytes: int | None
    checksums: list[str]
    event_count: int | None
    data_tier: str | None
    file_type: str | None
    file_format: str | None
    data_stream: str | None
    first_event: int | None
    last_event: int | None
    runs: list[Any]
    started_at: datetime | None
    made_at: datetime | None
    seen_at: datetime | None
    submitter: str | None
    application: Application | None
    provenance: dict[str, str]
    metadata: JsonObject
    parents: list[FileReference]
    children: list[FileReference]
    locations: list[str]


class RelatedFile(Struct):
    """A file in a tree of relatives; one that was shown before has no relatives of its own."""

    key: int
    namespace: str
    name: str
    relatives: list["RelatedFile"]


class Process(Struct, frozen=True):
    """A job as a consumer process of a project; `counts` are the files that it read, by status."""

    key: int
    status: str
    batch_id: str | None
    host: str | None
    counts: dict[str, int]


class Project(Struct, frozen=True):
    """A task as a project.

    Attributes:
        files: how many files its jobs read.
        file_counts: those by SAM's status of a consumed file.
        process_counts: jobs by SAM's status of a process.
        processes: the first of them.
    """

    name: str
    key: int
    campaign: str | None
    stage: str | None
    files: int
    file_counts: dict[str, int]
    process_counts: dict[str, int]
    processes: list[Process]
