"""One file, and lists of files."""

from msgspec import Struct

from jobprov.provenance.answers.lookup.jobs import JobSummary, TaskOfJob
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.records.job_record import JsonObject


class ListedFile(FileName, frozen=True):
    """A file in a list. From `size_bytes` on it is its newest version.

    Attributes:
        is_placeholder: no recorded job made it; `job_id`, `state` and `task_id` are None then.
        size_bytes, data_tier, event_count: None also where the record does not say it.
        checksums: such as `adler32:0a1b2c3d`.
        state: of the job that made it.
    """

    is_placeholder: bool
    version_count: int
    size_bytes: int | None
    checksums: list[str]
    data_tier: str | None
    event_count: int | None
    job_id: str | None
    state: str | None
    task_id: str | None


class FileList(Struct, frozen=True):
    """Files in the order of their names.

    Attributes:
        next: what goes into `cursor` of the next call; None at the end.
    """

    files: list[ListedFile]
    next: str | None


class RecordedVersion(Struct, frozen=True):
    """A version of a file as its job recorded it; None for what the record does not say.

    Attributes:
        number: from 1, the oldest.
    """

    number: int
    job: JobSummary
    size_bytes: int | None
    checksums: list[str]
    status: str | None
    data_tier: str | None
    event_count: int | None


class Relative(Struct, frozen=True):
    """A file that another one was made from, or that was made from it.

    Attributes:
        is_sure: False where only the name says so.
        job_id: the job that made it; None where that is not recorded.
        version: its number, None where the file has only one version.
    """

    name: str
    namespace: str
    experiment: str
    is_sure: bool
    job_id: str | None
    url: str
    version: int | None = None


class Consumer(Struct, frozen=True):
    """A job that read a file.

    Attributes:
        role: what it read the file as, such as `primary`; None where the record does not say it.
        is_linked: False where it read another version than any that was made.
    """

    job_id: str
    state: str
    batch_id: str | None
    role: str | None
    stage: str | None
    task_id: str | None
    is_linked: bool
    url: str


class ReadContent(Struct, frozen=True):
    """A content that jobs found when they read a file.

    Attributes:
        job_count: how many jobs read it.
    """

    size_bytes: int | None
    checksums: list[str]
    job_count: int


class FileAnswer(Struct, frozen=True):
    """What made a file, and what was made from it.

    Attributes:
        version: which version all this is about, by default the newest; None of a placeholder.
            Where several campaigns wrote the name, `children` and `consumers` are of its campaign.
        is_placeholder: no recorded job made it.
        is_crowded: more than a thousand jobs wrote the name; its possible links are not walked.
        versions: the newest first.
        producer: the job that made the version.
        written_by: of a placeholder, the job that wrote it last without success.
        parents: of the version, a thousand at most, as `children` are.
        consumers: the first hundred of `consumer_count`.
        locations: where catalogs and transfer services saw it.
        task: that of `producer`; without one, the task that a catalog names, in `prov.task_id`.
        aliases: other names of the same bytes.
        sightings: what catalogs sent, as they sent it, each with `seen_at`; the newest first.
        is_retired: the catalog had it, under whichever name, and has retired it, removed it or
            declared it bad, as `jobprov catalog sync` last saw.
        is_unarrived: `producer` wrote the version, and the catalog never got it, as `jobprov
            catalog sync` last judged.
        read_contents: of a placeholder, what jobs found when they read it, most jobs first, twenty
            at most. Several may be one content, of which each record has another checksum.
    """

    file: FileName
    version: int | None
    is_placeholder: bool
    is_crowded: bool
    versions: list[RecordedVersion]
    producer: JobSummary | None
    written_by: JobSummary | None
    parents: list[Relative]
    children: list[Relative]
    consumers: list[Consumer]
    consumer_count: int
    locations: list[str]
    task: TaskOfJob | None
    aliases: list[str]
    sightings: list[JsonObject]
    is_retired: bool = False
    is_unarrived: bool = False
    read_contents: list[ReadContent] = []
