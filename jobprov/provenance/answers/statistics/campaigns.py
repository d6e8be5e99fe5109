"""Answers about campaigns: how far they are, their report, and their graph in the large."""

from msgspec import UNSET, Struct, UnsetType

from jobprov.provenance.answers.counted import CountedAt
from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.answers.reruns.proofs import ProofCounts
from jobprov.provenance.answers.statistics.spending import Spending
from jobprov.provenance.answers.tasks.backlogs import Backlog, BurnDown
from jobprov.provenance.answers.tasks.tasks import UnitState


class StageJobs(Struct, frozen=True):
    """The jobs of a stage by state, reruns left out.

    Attributes:
        stage: None for jobs that name none.
        first: grows with the moment when the first job was recorded; it orders campaigns.
    """

    stage: str | None
    states: dict[str, int]
    first: int

    @property
    def job_count(self) -> int:
        """How many jobs the stage has."""
        return sum(self.states.values())


class CampaignJobs(Struct, frozen=True):
    """The jobs of a campaign, by stage in the order of production."""

    experiment: str
    campaign: str
    stages: list[StageJobs]

    @property
    def job_count(self) -> int:
        """How many jobs the campaign has."""
        return sum(stage.job_count for stage in self.stages)


class UnitCounts(Struct, frozen=True):
    """How far the units of some tasks are. A unit counts once, in its one state.

    Attributes:
        expected: None where a task was not declared; so is `missing`.
        states: units by state, those in which there are any.
    """

    expected: int | None
    produced: int
    running: int
    failed: int
    no_output: int
    waived: int
    missing: int | None
    states: dict[UnitState, int]


class StageProgress(Struct, frozen=True, kw_only=True):
    """A stage of a campaign: its jobs by state, and the sums over the units of its tasks.

    Attributes:
        first: as of `StageJobs`; left out where no job of the stage was recorded yet.
    """

    stage: str | None
    states: dict[str, int]
    first: int | UnsetType = UNSET
    units: UnitCounts


class CampaignStages(Struct, frozen=True):
    """The stages of a campaign in the order of production, those that have jobs first.

    Attributes:
        burn_down: None where the units of no stage were declared.
        last_ends: by stage, when its last job ended; stages of which none did in that time are left
            out.
    """

    experiment: str
    campaign: str
    stages: list[StageProgress]
    burn_down: BurnDown | None = None
    last_ends: dict[str, str] = {}


class CampaignList(CountedAt, frozen=True):
    """The newest campaigns, the newest first.

    Attributes:
        campaign_count: how many there are, up to 200.
        job_count: how many jobs these have.
    """

    campaigns: list[CampaignStages]
    campaign_count: int
    job_count: int


class TaskUnits(Struct, frozen=True):
    """How far the units of one task are; see `UnitCounts`."""

    task_id: str
    stage: str | None
    states: dict[UnitState, int]
    expected: int | None
    produced: int
    running: int
    failed: int
    no_output: int
    waived: int
    missing: int | None


class CampaignProgress(CountedAt, frozen=True):
    """How far a campaign is.

    Attributes:
        stages: in the order of production.
        tasks: the newest thousand of `task_count`.
        proof: for how many of its jobs a rerun has shown that it works.
        seconds_left, seconds_left_low, seconds_left_high: as of a task, with the units of all;
            None also where nothing is missing.
        backlog: None where the units of no stage were declared.
    """

    experiment: str
    campaign: str
    stages: list[StageProgress]
    task_count: int
    tasks: list[TaskUnits]
    proof: ProofCounts
    seconds_left: float | None
    seconds_left_low: float | None
    seconds_left_high: float | None
    backlog: Backlog | None = None


class MeasureQuantiles(Struct, frozen=True):
    """The median of a measure, and what nine jobs of ten stay below."""

    median: float
    p90: float


class StageResources(Struct, frozen=True):
    """What the jobs of a stage took: wall time, CPU efficiency, memory.

    Attributes:
        measures: `wall_seconds`, `cpu_efficiency`, `max_rss_bytes`, those that any job has.
    """

    stage: str | None
    jobs: int
    measures: dict[str, MeasureQuantiles]


class TaskWaiver(Struct, frozen=True):
    """A waiver in force: who decided it, and why; `units` are the first hundred of `unit_count`."""

    task_id: str
    who: str
    why: str
    waived_at: str
    unit_count: int
    units: list[str]


class CampaignReport(Struct, frozen=True):
    """A campaign in one document.

    Attributes:
        counted_at: when the oldest of its parts was counted.
        is_current: whether nothing was recorded since.
        last_record_at: when a record came last; None before the first.
        errors: the ten most frequent causes.
        waivers: of at most 20 tasks.
        spending: what its jobs cost; None while so many are counted for the first time.
    """

    made_at: str
    counted_at: str
    is_current: bool
    last_record_at: str | None
    campaign: CampaignProgress
    errors: ErrorCounts
    resources: list[StageResources]
    waivers: list[TaskWaiver]
    spending: Spending | None = None


class ClassNode(Struct, frozen=True):
    """Jobs of one stage that ran one code version and ended in one state.

    Attributes:
        stage, code_version: empty where records name none.
        revision: the ref or commit that finds them among all jobs; empty where none does.
        outputs: how many files they made, whoever read them.
        url: the path of the list of these jobs.
    """

    stage: str
    code_version: str
    state: str
    jobs: int
    revision: str
    outputs: int
    url: str


class ClassEdge(Struct, frozen=True):
    """Files that jobs of one class handed to jobs of another; ends are places in `nodes`."""

    source: int
    target: int
    files: int


class OmittedClasses(Struct, frozen=True):
    """How many classes a large graph leaves out, and how many jobs these have."""

    nodes: int
    jobs: int


class CampaignGraph(Struct, frozen=True):
    """A campaign folded to stage, code version and state.

    Attributes:
        is_current: False where something was recorded since `counted_at`.
    """

    experiment: str
    campaign: str
    counted_at: str
    is_current: bool
    nodes: list[ClassNode]
    edges: list[ClassEdge]
    omitted: OmittedClasses
