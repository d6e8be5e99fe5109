"""Answers to verdicts on reruns."""

from msgspec import Struct


class VerdictPosted(Struct, frozen=True):
    """A verdict that was appended to a job.

    Attributes:
        level: `R7` to `R0`, or `R1=`.
        meaning: the same for people.
    """

    job_id: str
    level: str
    meaning: str
