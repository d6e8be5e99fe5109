"""How a file is made again, step by step."""

from msgspec import Struct

from jobprov.provenance.answers.names import FileName


class RebuildStep(Struct, frozen=True):
    """A job of a plan that makes a lost file again.

    Attributes:
        url: the path of its page.
        state, grade: of the job as it was recorded.
        stage: None where no record says it.
        after: ids of the jobs of the plan that must run before it.
        reads, makes: names of files, in the order of its record.
    """

    job_id: str
    url: str
    state: str
    stage: str | None
    grade: str
    after: list[str]
    reads: list[str]
    makes: list[str]


class RebuildCost(Struct, frozen=True):
    """What the jobs of a plan took the first time; None where no job says it."""

    wall_seconds: float | None
    cpu_seconds: float | None


class RebuildPlan(Struct, frozen=True):
    """The smallest set of jobs that makes a lost file again.

    Attributes:
        is_possible: recorded jobs can make it.
        why: why they cannot, as a sentence; None where they can.
        jobs: in an order in which they can run.
        needs: files that are taken as they are.
        beyond: lost files that no recorded job made.
        circle: ids of jobs that read each other's outputs, so that none can be the first.
    """

    file: FileName
    is_possible: bool
    why: str | None
    jobs: list[RebuildStep]
    needs: list[FileName]
    beyond: list[FileName]
    circle: list[str]
    resources: RebuildCost
