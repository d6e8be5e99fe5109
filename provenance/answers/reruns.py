"""Answers about reruns: verdicts on them, how many reproduced the record, and capsules."""

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt


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


class RecipeProofs(Struct, frozen=True):
    """How many recipes stand in each way; see `ProofCounts`."""

    proven: int
    failed: int
    differs: int
    unproven: int


class Reproduction(Struct, frozen=True):
    """Which share of recipes was reproduced when last run again, by whomever.

    A job without a recipe counts as one of its own once jobprov reran it.

    Attributes:
        recipes: how many there are.
        drilled: how many were run again.
        reproduced: how many came out as recorded the last time.
        share: `reproduced` / `drilled`; None where nothing was drilled.
        by_level: recipes by the level of their last verdict, the best first; no level with 0;
            `none` where the verdict compared nothing.
        by_age: recipes by the age of their last verdict, the youngest first; no age with 0.
        proofs: recipes by what their last rerun by `jobprov prove` or a drill proved.
    """

    recipes: int
    drilled: int
    reproduced: int
    share: float | None
    by_level: dict[str, int]
    by_age: list[RerunsOfAge]
    proofs: RecipeProofs


class ProofCounts(Struct, frozen=True):
    """How many jobs ran recipes that a rerun has proven, and how many did not.

    Jobs that are not over, and reruns, count nowhere.

    Attributes:
        proven: the newest rerun of their recipe came out as recorded.
        failed: it did not run, or ended otherwise: the gap `rerun-failed`.
        differs: an output differed: the recipe, or the machine, is nondeterministic.
        unproven: not rerun yet, or not to its end; also where the record lacks the code.
    """

    proven: int
    failed: int
    differs: int
    unproven: int


class JobProof(Struct, frozen=True):
    """How the recipe of a job stands.

    Attributes:
        state: `proven`, `failed`, `differs` or `unproven`.
        message: why it is not proven; None where it is, and where nobody reran it yet.
        level: of the newest verdict that counts, and `proved_at` when that came.
        is_due: something has come since, so that it is rerun soon.
    """

    state: str
    message: str | None
    level: str | None
    proved_at: str | None
    is_due: bool


class CampaignProofs(Struct, frozen=True):
    """How the recipes of a campaign's jobs stand."""

    experiment: str
    campaign: str
    proof: ProofCounts


class NotProvenRecipe(Struct, frozen=True):
    """A recipe that was rerun and did not pass.

    Attributes:
        recipe_id: None where the record of its job has no recipe, so that it is proven by itself.
        state: `failed`, `differs` or `unproven`; `message` says why.
        job_count: how many jobs share it.
        job_id: the one that was rerun.
        comparators: rules that would accept what differs, as lines of TOML; None where none was
            found, or the recorded file is not kept.
        url: the path of the page of its job.
    """

    experiment: str
    recipe_id: str | None
    state: str
    message: str | None
    proved_at: str
    job_count: int
    job_id: str
    comparators: str | None
    url: str


class ProofList(CountedAt, frozen=True):
    """How recipes stand, by campaign, and those that did not pass.

    Attributes:
        campaigns: those that have jobs which are over.
        recipes: at most a hundred, those that most jobs share first.
    """

    campaigns: list[CampaignProofs]
    recipes: list[NotProvenRecipe]


class JobToProve(Struct, frozen=True):
    """A job whose recipe is to be rerun.

    Attributes:
        is_again: the recipe was rerun before and did not pass.
    """

    job_id: str
    experiment: str
    recipe_id: str | None
    is_again: bool


class JobsToProve(Struct, frozen=True):
    """The jobs whose recipes are to be rerun next, in order; `jobprov agent` asks for them."""

    jobs: list[JobToProve]


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
