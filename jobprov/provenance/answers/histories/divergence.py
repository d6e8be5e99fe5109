"""Where the histories of two files part."""

from msgspec import Struct

from jobprov.provenance.answers.lookup.jobs import JobSummary


class DivergedJob(JobSummary, frozen=True):
    """A job in short, and its recipe; None where its record does not say enough for one."""

    recipe_id: str | None


class Divergence(Struct, frozen=True):
    """Where the histories of two files part.

    Attributes:
        common_jobs: how many jobs made both.
        stage: the earliest stage in which jobs of different recipes made them: empty for jobs that
            name none, None where the histories part nowhere.
        a, b: the first of these jobs for each file, as in a list of jobs, with its `recipe_id`;
            None where only the other file has such a job.
    """

    common_jobs: int
    stage: str | None
    a: DivergedJob | None
    b: DivergedJob | None
