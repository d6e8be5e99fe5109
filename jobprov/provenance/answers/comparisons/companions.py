"""Answers about the jobs that one would compare a job with."""

from msgspec import Struct

from jobprov.provenance.answers.lookup.jobs import JobSummary


class CompanionGroup(Struct, frozen=True):
    """A few jobs that one would compare a job with, the newest first.

    Attributes:
        why: `attempt`, `sibling`, `recipe` or `stage`.
        words: the same for people.
    """

    why: str
    words: str
    jobs: list[JobSummary]


class JobCompanions(Struct, frozen=True):
    """Which jobs one would compare a job with."""

    job: JobSummary
    companions: list[CompanionGroup]
