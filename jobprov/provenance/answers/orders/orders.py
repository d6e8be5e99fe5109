"""Answers about orders and retries: what is to be submitted, and what became of it."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from jobprov.provenance.answers.lookup.jobs import Failure
from jobprov.provenance.records.job_record import JsonObject

OrderWord = Annotated[str, Meta(min_length=1, max_length=3000)]
"""An id, unit or other word of an order."""

FullJobId = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""The id of a job or order; all digits of it, in lower case."""


class StagePolicy(Struct, frozen=True):
    """What is retried without asking.

    Attributes:
        times: how often one unit is retried.
        transient_only: whether the error must be of a transient class; otherwise every failure is
            retried.
        memory_factor: each try gets so many times the memory of the one before.
        other_site: whether sites where the unit failed are avoided.
    """

    times: Annotated[int, Meta(ge=0, le=20)] = 2
    transient_only: bool = True
    memory_factor: Annotated[float, Meta(ge=1, le=10)] = 1.0
    other_site: bool = False


class RetryPolicies(Struct, frozen=True):
    """What an experiment has retried without asking.

    Attributes:
        stages: the policy of each stage; that of `*` is for all stages not named here.
    """

    experiment: str
    stages: dict[str, StagePolicy]


class Part(Struct, omit_defaults=True):
    """Which events of its input a job does.

    Attributes:
        skip: how many events to leave out first.
        events: how many to do then.
        part: the number of the part, from 1.
    """

    skip: int
    events: int
    part: int


class NewOrder(Struct, kw_only=True, omit_defaults=True):
    """What one job is to do.

    Attributes:
        inputs: names of the files that it reads.
        workflow: name and version of the workflow that its stage is part of; None for the retry of
            a recorded job.
        retry_of: the job that it tries again.
        bundle_of: the recorded job whose bundle it runs; None where a workflow says what to run.
        part: the events to do; None for all.
        memory_bytes: what to ask for; None for the default.
        avoided_sites: sites not to run at.
    """

    task_id: OrderWord
    unit: OrderWord
    attempt: int
    stage: OrderWord | None = None
    campaign: OrderWord | None = None
    inputs: list[OrderWord] = []
    workflow: tuple[str, int] | None = None
    retry_of: FullJobId | None = None
    bundle_of: FullJobId | None = None
    part: Part | None = None
    memory_bytes: int | None = None
    avoided_sites: list[str] = []


class EnteredOrder(Struct, kw_only=True, omit_defaults=True):
    """An order as its ledger entry has it, members in alphabetical order; see `NewOrder`.

    Attributes:
        part: `skip`, `events` and `part`; see `Part`.
    """

    attempt: int
    avoided_sites: list[str] = []
    bundle_of: str | None = None
    campaign: str | None = None
    inputs: list[str] = []
    memory_bytes: int | None = None
    order_id: str
    part: dict[str, int] | None = None
    retry_of: str | None = None
    stage: str | None = None
    task_id: str
    unit: str
    workflow: tuple[str, int] | None = None


class TakenOrder(EnteredOrder, kw_only=True, omit_defaults=True):
    """An order that is to be submitted, leased to whoever took it.

    Attributes:
        leased_until: when others may take it.
    """

    leased_until: str


class TakenOrders(Struct, frozen=True):
    """Orders that are to be submitted, leased to the holder; the oldest first."""

    orders: list[TakenOrder]


class OrdersReported(Struct, frozen=True):
    """How many orders of a report were newly placed, and newly over."""

    placed: int
    ended: int


class OrderInFlight(Struct, frozen=True):
    """An order that was placed and is not over.

    Attributes:
        batch_id: the batch system's id for its job.
        placed_at: when the service was told.
    """

    order_id: str
    batch_id: str
    placed_at: str | None


class OrdersInFlight(Struct, frozen=True):
    """The orders of an experiment that were placed and are not over."""

    orders: list[OrderInFlight]


class FailedJob(Struct, frozen=True, kw_only=True):
    """A job that somebody may want to try again.

    Attributes:
        task_id, stage, unit, site, exit_code, signal, message: None where its record does not name
            them.
    """

    job_id: str
    task_id: str | None
    stage: str | None
    unit: str | None
    state: str
    site: str | None
    exit_code: int | None
    signal: int | None
    message: str | None


class OutsideInput(Struct, frozen=True, kw_only=True):
    """An input that the bundle of a job lacks, so that a retry has to fetch it.

    Attributes:
        places: where it may be: paths and addresses; empty where nothing names a place that
            outlives a worker node.
    """

    job_id: str
    name: str
    namespace: str
    sha256: str | None
    size_bytes: int | None
    places: list[str]


class OutsideInputs(Struct, frozen=True):
    """Inputs that the bundles of jobs lack.

    Attributes:
        problem: why the catalog does not tell where (all of) them are; None where it was not
            needed, or told.
    """

    inputs: list[OutsideInput]
    problem: str | None = None


class RecordedSubmission(Struct, frozen=True, kw_only=True):
    """How a job was submitted, as far as the records and the declaration of its task tell.

    Attributes:
        batch_id: `cluster.process@schedd`.
        ad: attributes of its job ad.
        command: the arguments of the jobsub_submit of its task.
        section: its number in that submission, where the batch id has none (`--maxConcurrent`).
    """

    job_id: str
    batch_id: str | None
    ad: JsonObject | None
    command: list[str] | None
    section: str | None = None


class RecordedSubmissions(Struct, frozen=True):
    """How jobs were submitted."""

    submissions: list[RecordedSubmission]


class Retry(FailedJob, frozen=True, kw_only=True):
    """A job that is to be tried again, and how.

    Attributes:
        attempt: number of the new attempt at the unit, from 1.
        retry_of: the job that it tries again.
        made_from: `from`: the workflow's order, or the recorded job's bundle; its submission where
            no job of the unit ever began, so that there is nothing else.
        memory_bytes: what it asks for; None for the default.
        memory_factor: so many times the memory of the last attempt; 1 where memory was not the
            cause of its failure.
        outside_inputs: those that its bundle lacks; none for an order of a workflow.
        runs_out_again: it failed for want of memory, and gets no more than it had.
        failure: `class`: what the failure was; None where the job did not fail.
        order: what is to be submitted.
        order_id: only where it was ordered.
        is_waived: the task goes on without its unit; no older service says so.
    """

    attempt: int
    retry_of: str | None
    made_from: Literal["workflow", "bundle", "submission"] = field(name="from")
    memory_bytes: int | None
    memory_factor: float
    runs_out_again: bool
    avoided_sites: list[str]
    failure: Failure | None = field(name="class")
    outside_inputs: list[OutsideInput]
    order: NewOrder
    order_id: str | UnsetType = UNSET
    is_waived: bool = False


class SkippedJob(FailedJob, frozen=True, kw_only=True):
    """A job that is not tried again, and the reason."""

    reason: str


class RetryChoice(Struct, frozen=True):
    """Which jobs are tried again, and which are not.

    Attributes:
        by_class: how many of `tries` failed in each class, the most frequent first.
    """

    tries: list[Retry]
    skipped: list[SkippedJob]
    by_class: dict[str, int]
