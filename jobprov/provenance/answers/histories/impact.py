"""What is touched by something: by a file, a job, code or a configuration."""

from msgspec import Struct

from jobprov.provenance.answers.names import FileName


class InferredCode(Struct, frozen=True):
    """A version of a product whose commit was inferred from the version, not observed.

    Attributes:
        ref: the tag that the version stands for.
        commit: the commit of the tag.
    """

    name: str | None
    version: str | None
    ref: str | None
    commit: str | None


class ImpactedFile(FileName, frozen=True):
    """A file that was made by the jobs in question, or from their files.

    Attributes:
        job_id: of the job that made it.
        job_url: the path of that job's page.
        task_id, stage: of that job, None where no record says it.
        is_direct: the jobs that were asked about made it themselves.
        version: its number, None where the file has only one version.
    """

    job_id: str
    job_url: str
    task_id: str | None
    stage: str | None
    is_direct: bool
    version: int | None = None


class Impact(Struct, frozen=True):
    """What some jobs made, and all that was made from it; counts and a page of the files.

    Attributes:
        jobs: how many jobs pass the filters.
        made: how many files they made.
        touched: how many files these are with all that was made from them, at any depth.
        touched_jobs: how many jobs made those. Of more than 20,000 jobs the last three are None.
        is_truncated: not all was followed.
        inferred: code among what was asked about whose commit was inferred.
        files: touched files; where `made` is None those that the jobs made themselves.
        next: the cursor of the next page, None on the last.
        contents_differ: no recorded job made the file that was asked about, and jobs read different
            contents under its name; a checksum asks for one of them.
    """

    jobs: int
    made: int | None
    touched_jobs: int | None
    touched: int | None
    is_truncated: bool
    inferred: list[InferredCode]
    files: list[ImpactedFile]
    next: str | None
    contents_differ: bool = False
