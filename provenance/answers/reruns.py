"""Answers about reruns: verdicts on them, how many reproduced the record, and capsules."""

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


class RerunsOfAge(Struct, frozen=True):
    """Recipes by how long ago they were last run again.

    Attributes:
        within_days: the age in days that the last verdict is below; None for any older one.
        drilled: recipes whose last verdict has this age.
        reproduced: those of them that came out as recorded.
    """

    within_days: int | None
    drilled: int
    reproduced: int


class Reproduction(Struct, frozen=True):
    """Which share of recipes was reproduced when last run again.

    Attributes:
        recipes: how many there are.
        drilled: how many were run again.
        reproduced: how many came out as recorded the last time.
        share: `reproduced` / `drilled`; None where nothing was drilled.
        by_level: recipes by the level of their last verdict, the best first; no level with 0;
            `none` where the verdict compared nothing.
        by_age: recipes by the age of their last verdict, the youngest first; no age with 0.
    """

    recipes: int
    drilled: int
    reproduced: int
    share: float | None
    by_level: dict[str, int]
    by_age: list[RerunsOfAge]


class CapsuleRegistered(Struct, frozen=True):
    """A capsule that was registered with a release.

    Attributes:
        kind: `image`, or `files` for the tar of a folder.
        stages: names of the stages that it serves; '' stands for jobs without one.
        is_new: False if it served all of them before.
    """

    name: str
    kind: str
    sha256: str
    size_bytes: int
    experiment: str
    stages: list[str]
    is_new: bool


class RegisteredCapsule(Struct, frozen=True):
    """A registration of a capsule; see `CapsuleRegistered`."""

    experiment: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    stages: list[str]
    registered_at: str
