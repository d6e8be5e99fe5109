"""One job, lists of jobs, and the gaps of many."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from msgspec import Struct, field

from jobprov.provenance.answers.reruns.proofs import JobProof, ProofCounts
from jobprov.provenance.records.files.presence import LostFiles
from jobprov.provenance.records.gaps.gaps import Gap
from jobprov.provenance.records.job_record import DecidedBy, JsonObject
from jobprov.provenance.records.merging import Disagreement
from jobprov.provenance.records.reading.times import seconds_between

JOB_ORDERS = (
    "received_at",
    "started_at",
    "ended_at",
    "wall_seconds",
    "cpu_seconds",
    "max_rss_bytes",
    "exit_code",
    "output_count",
    "state",
    "stage",
    "task_id",
    "unit",
    "site",
    "host",
)
"""What lists of jobs are sorted by."""
_SHOWN = 10


class TaskOfJob(Struct, frozen=True):
    """The unit of a task that a job was to make; None for what no record says.

    Attributes:
        unit: what another attempt at the same DAG node or batch job names, where the job's own
            record does not know it.
    """

    task_id: str | None
    campaign: str | None
    stage: str | None
    unit: str | None


class HostOfJob(Struct, frozen=True):
    """Where a job ran; None for what no record says."""

    hostname: str | None
    site: str | None


class JobExit(Struct, frozen=True):
    """How a job ended; None for what no record says."""

    code: int | None
    signal: int | None
    failed_step: str | None
    error_class: str | None
    message: str | None


class JobResources(Struct, frozen=True):
    """What a job took; None for what no record says."""

    wall_seconds: float | None
    cpu_seconds: float | None
    max_rss_bytes: int | None


class JobSummary(Struct, frozen=True):
    """A job in short, as lists show it. Times are in UTC, such as `2026-11-24T16:00:00Z`.

    Attributes:
        state: `running`, `succeeded`, `failed`, `killed` or `lost`.
        batch_id: `cluster.process@schedd`.
        code: name and version of the first software entry, as people call it.
        received_at: when its first record came.
        heard_at: of a running job, when a record last said that it runs; else as `received_at`.
        output_count: how many of the files that its record says it made count for its unit, and
            are not gone from the catalog.
        grade: closure level of its record, `L0` to `L4`; at most `L1` where its proof failed.
        proof: whether its recipe passed when it was rerun: `proven`, `failed`, `differs` or
            `unproven`; None of reruns and of jobs that are not over.
        rerun_of: the job that it repeats for a verdict.
        retry_of: the job that it says it tries again.
        url: the path of its page.
    """

    job_id: str
    experiment: str
    state: str
    batch_id: str | None
    task: TaskOfJob
    host: HostOfJob
    code: str | None
    received_at: str
    heard_at: str
    started_at: str | None
    ended_at: str | None
    exit: JobExit
    resources: JobResources
    output_count: int
    grade: str
    proof: str | None
    rerun_of: str | None
    retry_of: str | None
    url: str

    def _repr_html_(self) -> str:
        """Return what a notebook shows of it."""
        return _facts_html(f"Job {self.job_id}: {self.state}", self.facts())

    def took_seconds(self) -> float | None:
        """Return how long it took: as it measured itself, else from its start to its end.

        It is None where either is unknown, or where they are the wrong way round.
        """
        if self.resources.wall_seconds is not None:
            return self.resources.wall_seconds
        return seconds_between(self.started_at, self.ended_at)

    def facts(self) -> list[tuple[str, object]]:
        """Return what there is to say in short, each with its title; None for what is not known."""
        return [
            ("Experiment", self.experiment),
            ("Batch id", self.batch_id),
            ("Campaign", self.task.campaign),
            ("Stage", self.task.stage),
            ("Task", self.task.task_id),
            ("Unit", self.task.unit),
            ("Code", self.code),
            ("Host", self.host.hostname),
            ("Site", self.host.site),
            ("Started", self.started_at),
            ("Ended", self.ended_at),
            ("Exit code", self.exit.code),
            ("Signal", self.exit.signal),
            ("Failed step", self.exit.failed_step),
            ("Error", self.exit.message),
            ("Output files", self.output_count),
            ("Grade", self.grade),
        ]


class MatchedParameter(Struct, frozen=True):
    """A parameter, a variable or a seed that a question holds for.

    Attributes:
        key: the whole path, `a.b[2].c`; `$NAME` of a variable of the environment; `seed of` step,
            module, instance and kind of a random engine, as far as the record names them.
        value: its canonical text; a long one by its beginning and digest.
    """

    key: str
    value: str


class JobList(Struct, frozen=True, omit_defaults=True):
    """Jobs, the newest first, or in the order that was asked for.

    Attributes:
        next: what goes into `cursor` of the next call; None at the end. A page of a sorted list may
            have fewer jobs than its limit, even none, though more come: so many were looked at.
        matched: the first parameters and random engines of each job that the question holds for,
            by job id; absent where it asks for no parameter, variable or seed.
    """

    jobs: list[JobSummary]
    next: str | None
    matched: dict[str, list[MatchedParameter]] = {}


class GapCount(Struct, frozen=True):
    """How many jobs have a gap.

    Attributes:
        code: explained in gaps.md.
        stops: the closure level that the gap leaves incomplete, `L1` to `L4`; None where it stops
            none.
        example: the newest job that has it.
    """

    code: str
    stops: str | None
    job_count: int
    how_to_close: str
    example: JobSummary


class GapCounts(Struct, frozen=True):
    """What would stop reruns of some jobs in ten years, what stops the lowest level first.

    Attributes:
        proof: for how many of them a rerun has shown that it works.
    """

    job_count: int
    gaps: list[GapCount]
    proof: ProofCounts


class Failure(Struct, frozen=True):
    """What a failure was, by the rules of the experiment and the built-in ones.

    Attributes:
        class_name: class of the rule that fits; `unknown` where none does.
        words: what happened, for people; None where no rule fits.
        advice: what to do, where the rule says it.
        transient: whether the same job may succeed when it is tried again; None where nobody knows.
        rule: the rule's name.
        version: of the experiment's table of rules, 0 where it had none.
        log_name, log_at: the log that told, and the byte at which its line begins.
        is_read: whether record and logs were read; else only code, signal, step and message were.
        cause, cause_id: what it has in common with other failures, in words and as the filter of
            jobs; None before it was read.
    """

    class_name: str = field(name="class")
    words: str | None
    advice: str | None
    transient: bool | None
    rule: str | None
    version: int
    log_name: str | None
    log_at: int | None
    is_read: bool
    cause: str | None
    cause_id: str | None


class RecordOfWitness(Struct, frozen=True):
    """A record of a job that a witness sent.

    Attributes:
        revision: 0 for the first, then the number of the correction.
        submitter: whose token sent it; None for a provisional one.
    """

    witness: str
    revision: int
    received_at: str
    submitter: str | None
    is_final: bool


class Witness(RecordOfWitness, frozen=True):
    """The first record of a witness, and what it says of the end, even where another one prevails.

    Attributes:
        state: as the record says it.
        reason: class and message of the error; None where it names none.
    """

    state: Any
    reason: str | None


class JobLinks(Struct, frozen=True):
    """Paths of a job: of this answer, of its page, of its rerun bundle."""

    answer: str = field(name="self")
    page: str
    bundle: str


class LogTail(Struct, frozen=True):
    """The end of a log, as it came while the job ran: from which byte to which."""

    name: str
    start: int
    end: int
    received_at: datetime


class JobAnswer(Struct, frozen=True):
    """Everything recorded of a job, and what the service found out about it.

    Attributes:
        failure: None where the job did not fail.
        decided_by: what decided that it failed although its process returned 0; else None.
        output_count: how many outputs are files with something in them that count for its unit,
            and are not gone from the catalog.
        record: as one witness sent it, the first in precedence unless another one was asked for.
        merged: the records of all witnesses together.
        received_at: when the first record of it came.
        software: the entries of `merged`, each with its `resolution` (the commit that the service
            found) and `moved_ref` (what a tag that moved was seen to name).
        inputs: the entries of `merged`, each with the `url` of its page and its `producers`; with
            `did`, `namespace:name`, where the record names no namespace and its catalog has one.
        outputs: the entries of `merged`, each with the `url` of its page, its `consumer_count`,
            and whether the catalog of the task has retired it (`is_retired`) or never got it
            (`is_unarrived`).
        proof: how its recipe stands; None as in `summary`.
        next_level_needs: codes of gaps, `capsule` or `large-inputs`.
        missing_blobs: digests of blobs and small inputs that its records name and nobody sent.
        revisions: corrected records, the oldest first.
        conflict_count: final records that were refused and kept as evidence.
        verdicts: outcomes of reruns as they were posted, each with `posted_at`; the newest first.
        attempts: jobs at the same unit, this one among them, in order of start.
        retry_of: the attempt before this one.
    """

    failure: Failure | None
    decided_by: DecidedBy | None
    output_count: int
    summary: JobSummary
    record: JsonObject
    merged: JsonObject
    received_at: str
    witnesses: list[Witness]
    contradictions: list[Disagreement]
    software: list[JsonObject]
    configurations: list[JsonObject]
    inputs: list[JsonObject]
    outputs: list[JsonObject]
    grade: str
    level: int
    proof: JobProof | None
    next_level_needs: list[str]
    gaps: list[Gap]
    missing_blobs: list[str]
    recipe_id: str | None
    result_id: str | None
    revisions: list[RecordOfWitness]
    conflict_count: int
    verdicts: list[JsonObject]
    best_verdict: JsonObject | None
    attempts: list[JobSummary]
    retry_of: str | None
    links: JobLinks
    log_tails: list[LogTail]

    def lost_files(self) -> LostFiles:
        """Return the outputs that the catalog retired or never got; 0.1.0 does not say which."""
        retired = [str(file["name"]) for file in self.outputs if file.get("is_retired")]
        unarrived = [str(file["name"]) for file in self.outputs if file.get("is_unarrived")]
        return LostFiles(retired, unarrived)

    def _repr_html_(self) -> str:
        """Return what a notebook shows of it."""
        facts = self.summary.facts()
        facts.append(("Read", _names(self.inputs)))
        facts.append(("Wrote", _names(self.outputs)))
        facts.append(("Gaps", ", ".join(gap.code for gap in self.gaps[:_SHOWN])))
        return _facts_html(f"Job {self.summary.job_id}: {self.summary.state}", facts)


def _names(files: list[JsonObject]) -> str:
    """Return the names of the first files, and how many more there are."""
    names = [str(file.get("name")) for file in files[:_SHOWN]]
    if len(files) > _SHOWN:
        names.append(f"and {len(files) - _SHOWN} more")
    return ", ".join(names)


def _facts_html(heading: str, facts: Sequence[tuple[str, object]]) -> str:
    """Return HTML for a notebook: a heading and the facts that are known; all text is escaped."""
    rows = []
    for title, value in facts:
        if value not in (None, ""):
            rows.append(f"<tr><th>{escape(title)}</th><td>{escape(str(value))}</td></tr>")
    return f"<p><b>{escape(heading)}</b></p><table>{''.join(rows)}</table>"
