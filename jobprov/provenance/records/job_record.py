"""The job record, version 1, as typed structs: what the service reads of one execution of one job.

Not here: checks beyond types (`checks.py`), decoding (`decoding.py`). A field that is absent or
null is None: unknown, never zero. Fields that these structs do not name stay in the record's exact
bytes, which are what is kept.

Source: docs/reference/record.md, the published contract.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Instant = Annotated[datetime, Meta(tz=True)]
# `$` alone lets a final newline pass, and `\Z` is no regular expression of JSON Schema.
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Name = Annotated[str, Meta(min_length=1, max_length=1000)]
ExperimentName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)")]
JobId = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$(?!\n)")
]
Word = Annotated[str, Meta(max_length=1000)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
JsonObject = dict[str, Any]
"""A JSON object as somebody sent it, with fields that we do not know."""
State = Literal["running", "succeeded", "failed", "killed", "lost"]

PROVISIONAL: frozenset[str] = frozenset({"running", "lost"})
"""States that a later record of the same witness replaces."""

UNTOLD = frozenset({"seen", "traced"})
"""Evidence of what the hook saw by itself: how much it sees may differ between two equal runs."""

FAILED: frozenset[str] = frozenset({"failed", "killed", "lost"})
"""States of jobs that are over and did not succeed."""


class Task(Struct, kw_only=True):
    """What was submitted; (experiment, task_id) is its identity."""

    task_id: Name | None = None
    campaign: Word | None = None
    stage: Word | None = None
    unit: Word | None = None
    project: Word | None = None
    snapshot_id: Integer | None = None
    sam_process_id: Integer | None = None
    recovers: Word | None = None
    submitted_by: Word | None = None
    submit_command: list[str] | None = None


class Batch(Struct, kw_only=True):
    """The batch job that this was, as its batch system names it."""

    system: Word | None = None
    id: Word | None = None
    global_job_id: Word | None = None
    attempt: Integer | None = None
    part: Integer | None = None
    dag: str | None = None
    dag_node: str | None = None
    section: str | None = None
    queued_at: Instant | None = None
    classad_sha256: Digest | None = None


class Step(Struct, kw_only=True):
    """One program of the job, in order."""

    name: Word
    role: Word | None = None
    within: Word | None = None
    evidence: Word | None = None
    working_directory: str | None = None
    variables: dict[str, str] | None = None
    variables_unset: list[str] | None = None
    argv: list[str] | None = None
    argv_encoded: dict[str, str] | None = None
    stdin_sha256: Digest | None = None
    exit_code: Integer | None = None
    signal: Integer | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None


class Processes(Struct, kw_only=True):
    """What was seen of the processes of a job; `sha256` is a list of them."""

    count: Integer | None = None
    is_complete: bool | None = None
    why_incomplete: str | None = None
    sha256: Digest | None = None
    unknown_programs: list[str] | None = None


class Command(Struct, kw_only=True):
    """What was run and where."""

    argv: list[str] | None = None
    working_directory: str | None = None
    stdin: Word | None = None
    stdin_sha256: Digest | None = None
    steps: list[Step] | None = None
    processes: Processes | None = None


class DecidedBy(Struct, kw_only=True):
    """What decided the state against the exit code: a job may fail and its shell still return 0.

    `evidence` is `log` or `output-not-there`; `text` is what was found.
    """

    evidence: Word | None = None
    text: str | None = None


class Exit(Struct, kw_only=True):
    """How the job ended; a signal is apart from the code."""

    code: Integer | None = None
    signal: Integer | None = None
    failed_step: Word | None = None
    error_class: Word | None = None
    message: str | None = None
    decided_by: DecidedBy | None = None


class SourceFile(Struct, kw_only=True):
    """An fcl file or script whose exact bytes are a blob.

    `name` of an fcl file is its include name.
    """

    name: Name
    path: str | None = None
    sha256: Digest | None = None
    found_in: Integer | None = None
    mode: str | None = None
    modified_at: Instant | None = None
    software: str | None = None
    path_in_repository: str | None = None
    evidence: Word | None = None


class FclConfiguration(Struct, kw_only=True):
    """The FHiCL that one step read: files in the order first opened, each once."""

    step: Word | None = None
    main: str | None = None
    process_name: str | None = None
    search_path: list[str] | None = None
    files: list[SourceFile] | None = None
    parameter_set_id: str | None = None
    final_sha256: Digest | None = None
    overrides: list[str] | None = None


class Submodule(Struct, kw_only=True):
    """A git submodule of a checkout."""

    path: str
    repository: str | None = None
    revision: str | None = None
    is_checked_out: bool | None = None


class GitTag(Struct, kw_only=True):
    """A tag that git needs to describe a commit.

    `object` is the tag object of an annotated tag, the commit of another one.
    """

    name: str
    object: str


class GitHistory(Struct, kw_only=True):
    """The history of a commit, as its checkout had it."""

    commits: Integer | None = None
    is_shallow: bool | None = None


class LeftOut(Struct, kw_only=True):
    """A file of a checkout, or a folder (with `/` at its end), that the hook did not keep."""

    path: str
    why: Word | None = None
    size_bytes: Integer | None = None
    files: Integer | None = None


class Product(Struct, kw_only=True):
    """Installed code: a UPS, Spack, CVMFS, rpm or pip product."""

    manager: str | None = None
    version: str | None = None
    qualifiers: str | None = None
    root_hash: str | None = None
    prefix: str | None = None


class Tarball(Struct, kw_only=True):
    """Code that came as a tar file."""

    sha256: Digest | None = None
    path: str | None = None


class Software(Struct, kw_only=True):
    """One repository, product or tarball that the job used."""

    name: Word | None = None
    evidence: str | None = None
    vcs: str | None = None
    repository: str | None = None
    requested_ref: str | None = None
    ref_kind: str | None = None
    revision: str | None = None
    tree: str | None = None
    describe: str | None = None
    is_dirty: bool | None = None
    worktree_tree: str | None = None
    dirty_patch_sha256: Digest | None = None
    objects_sha256: Digest | None = None
    submodules: list[Submodule] | None = None
    tags: list[GitTag] | None = None
    history: GitHistory | None = None
    converted: list[str] | None = None
    left_out: list[LeftOut] | None = None
    checkout: str | None = None
    product: Product | None = None
    tarball: Tarball | None = None


class Container(Struct, kw_only=True):
    """The container image that the job ran in."""

    image: str | None = None
    digest: str | None = None
    resolved_path: str | None = None
    root_hash: str | None = None
    id: str | None = None
    image_id: str | None = None


class OperatingSystem(Struct, kw_only=True):
    """Distribution, kernel and C library."""

    id: str | None = None
    version: str | None = None
    kernel: str | None = None
    libc: str | None = None


class Environment(Struct, kw_only=True):
    """Variables (those withheld by name only), container and operating system."""

    variables: dict[str, str] | None = None
    withheld: list[str] | None = None
    withheld_read: list[str] | None = None
    container: Container | None = None
    os: OperatingSystem | None = None
    locale: str | None = None
    timezone: str | None = None
    umask: str | None = None
    niceness: Integer | None = None
    limits: JsonObject | None = None
    packages_sha256: Digest | None = None
    system_packages_sha256: Digest | None = None
    libraries_sha256: Digest | None = None
    touched_sha256: Digest | None = None


class Seed(Struct, kw_only=True):
    """The seed of one random engine."""

    step: str | None = None
    module: str | None = None
    instance: str | None = None
    engine: str | None = None
    seed: Integer | None = None
    state_sha256: Digest | None = None
    source: str | None = None


class Condition(Struct, kw_only=True):
    """A conditions tag that the job read."""

    database: str | None = None
    url: str | None = None
    tag: str | None = None
    validity: str | None = None
    payload_sha256: Digest | None = None


class Host(Struct, kw_only=True):
    """Where it ran."""

    hostname: Word | None = None
    facility: Word | None = None
    site: Word | None = None
    slot: Word | None = None
    is_onsite: bool | None = None
    cpu_model: str | None = None
    cpu_flags_sha256: Digest | None = None
    cores: Integer | None = None
    memory_bytes: Integer | None = None


class Resources(Struct, kw_only=True):
    """What it took; durations in seconds, sizes in bytes."""

    wall_seconds: float | None = None
    cpu_user_seconds: float | None = None
    cpu_system_seconds: float | None = None
    max_rss_bytes: Integer | None = None
    max_vsize_bytes: Integer | None = None
    read_bytes: Integer | None = None
    write_bytes: Integer | None = None
    requested_memory_bytes: Integer | None = None
    cores_used: float | None = None


class ModuleTime(Struct, kw_only=True):
    """art's time and memory of one module."""

    step: str | None = None
    path: str | None = None
    label: str | None = None
    type: str | None = None
    events: Integer | None = None
    seconds_total: float | None = None
    seconds_max: float | None = None
    vsize_delta_bytes_max: Integer | None = None
    rss_delta_bytes_max: Integer | None = None


class Input(Struct, kw_only=True):
    """A file that the job consumed: a mention. Its sha256 is identity only."""

    name: Name
    namespace: Word | None = None
    experiment: ExperimentName | None = None
    path: str | None = None
    step: Word | None = None
    mode: str | None = None
    modified_at: Instant | None = None
    size_bytes: Integer | None = None
    checksums: list[str] | None = None
    sha256: Digest | None = None
    location: str | None = None
    role: Word | None = None
    opened_at: Instant | None = None
    closed_at: Instant | None = None
    times_from: Word | None = None
    times_within_seconds: float | None = None
    events_read: Integer | None = None
    status: Word | None = None
    evidence: Word | None = None


class Output(Struct, kw_only=True):
    """A file that the job produced: a claim. Its sha256 is identity only."""

    name: Name
    namespace: Word | None = None
    path: str | None = None
    step: Word | None = None
    status: Word | None = None
    size_bytes: Integer | None = None
    checksums: list[str] | None = None
    sha256: Digest | None = None
    content_digest: str | None = None
    location: str | None = None
    data_tier: Word | None = None
    file_format: Word | None = None
    file_type: Word | None = None
    data_stream: Word | None = None
    event_count: Integer | None = None
    first_event: Integer | None = None
    last_event: Integer | None = None
    runs: list[Any] | None = None
    created_at: Instant | None = None
    closed_at: Instant | None = None
    parents: list[str] | None = None
    metadata: JsonObject | None = None
    evidence: Word | None = None


class NotKept(Struct, kw_only=True):
    """A file that the job used and whose bytes nobody keeps.

    `reason` is `private`, `unreadable`, `large`, `limit`, `link` or `listed`.
    """

    path: str
    reason: Word | None = None


class JobTrace(Struct, kw_only=True):
    """What strace saw of the job that no other field has; or what an untraced job waits for.

    `keys` are those of the kinds of steps that were traced. `waits_for` are the keys of steps that
    were not, where the traced job of their kind had not ended before this one did; `home_settings`
    is then what that one may have looked for in vain.
    """

    keys: list[Digest] | None = None
    waits_for: list[Digest] | None = None
    home_settings: list[str] | None = None
    why_incomplete: str | None = None
    not_kept: list[NotKept] | None = None
    not_kept_count: Integer | None = None
    changed: list[str] | None = None
    absent: list[str] | None = None
    absent_left_out: Integer | None = None
    network: list[str] | None = None


class OutputNotThere(Struct, kw_only=True):
    """An output that was named and that was not there when its step had ended."""

    path: str
    step: Word | None = None
    evidence: Word | None = None


class Log(Struct, kw_only=True):
    """A log whose bytes are a blob."""

    name: Name
    step: Word | None = None
    sha256: Digest | None = None
    size_bytes: Integer | None = None
    is_truncated: bool | None = None


class Hook(Struct, kw_only=True):
    """The hook that wrote the record."""

    version: str | None = None
    python: str | None = None


class FolderLink(Struct, kw_only=True):
    """A symbolic link by which the job reached a folder of a checkout."""

    path: str | None = None
    target: str | None = None


class LayoutEntry(Struct, kw_only=True):
    """What was there before the job and is no file with bytes of its own.

    `kind` is `folder`, `link`, `hard link`, `pipe`, or `sparse file` for one with holes; a
    `new folder` was not there: the job made it.
    """

    path: str
    kind: Word
    target: str | None = None
    mode: str | None = None
    modified_at: Instant | None = None


class Weakness(Struct, kw_only=True):
    """What a rerun will not have, or have otherwise, as the hook knows.

    `kind` is the code of a gap.
    """

    kind: Word
    name: str | None = None
    detail: str | None = None


class JobRecord(Struct, kw_only=True):
    """One execution of one job, as one witness saw it."""

    schema_version: Annotated[int, Meta(ge=1)]
    job_id: JobId
    experiment: ExperimentName
    state: State
    witness: Word | None = None
    task: Task | None = None
    batch: Batch | None = None
    retry_of: JobId | None = None
    rerun_of: JobId | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    sent_at: Instant | None = None
    command: Command | None = None
    exit: Exit | None = None
    configurations: list[FclConfiguration] | None = None
    scripts: list[SourceFile] | None = None
    software: list[Software] | None = None
    folder_links: list[FolderLink] | None = None
    layout: list[LayoutEntry] | None = None
    environment: Environment | None = None
    seeds: list[Seed] | None = None
    threads: Integer | None = None
    conditions: list[Condition] | None = None
    host: Host | None = None
    hosts: list[Any] | None = None
    ranks: list[Any] | None = None
    resources: Resources | None = None
    modules: list[ModuleTime] | None = None
    inputs: list[Input] | None = None
    outputs: list[Output] | None = None
    outputs_not_there: list[OutputNotThere] | None = None
    trace: JobTrace | None = None
    logs: list[Log] | None = None
    weaknesses: list[Weakness] | None = None
    hook: Hook | None = None
    extra: JsonObject | None = None
