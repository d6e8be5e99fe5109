"""Answers about recipes that reruns have proven, or not, and which come next."""

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt


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
