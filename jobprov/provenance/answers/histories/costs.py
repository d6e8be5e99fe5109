"""What a file cost."""

from msgspec import Struct

from jobprov.provenance.answers.names import FileName


class CostSum(Struct, frozen=True):
    """What some jobs took together.

    Attributes:
        silent_jobs: jobs whose records do not say what they took; they count as nothing in the
            sums.
        wall_seconds, cpu_seconds, output_bytes: None where no job says it.
    """

    jobs: int
    silent_jobs: int
    wall_seconds: float | None
    cpu_seconds: float | None
    output_bytes: int | None


class StageCost(Struct, frozen=True):
    """What the jobs of one stage took; `stage` is None for jobs that name none."""

    stage: str | None
    made: CostSum
    failed: CostSum


class FileCost(Struct, frozen=True):
    """What it took to make a file, all its ancestors included.

    The making of inputs that many jobs share, such as calibration, is left out.

    Attributes:
        version: the version that was asked about, None for a file that no recorded job made.
        versions: how many versions of the file there are.
        files: how many files it goes back to, itself included.
        made: the jobs that it goes back to.
        failed: attempts at the same units that did not succeed.
        stages: the same by stage, the most expensive first.
        is_truncated: the history was too long to be summed whole.
    """

    file: FileName
    version: int | None
    versions: int
    files: int
    made: CostSum
    failed: CostSum
    stages: list[StageCost]
    is_truncated: bool
