"""How many of some jobs have each state, site, stage and so on."""

from msgspec import Struct

JOB_FACETS = (
    "state",
    "experiment",
    "campaign",
    "stage",
    "task_id",
    "site",
    "host",
    "exit_code",
    "failed_step",
    "error_class",
    "failure_class",
)
"""What jobs are counted by; each is a filter of the same name."""


class FacetValue(Struct, frozen=True):
    """How many jobs have a value; None where nothing is known."""

    value: str | int | None
    count: int


class JobFacet(Struct, frozen=True):
    """How many of the jobs that pass all filters but this one have each of its values.

    Attributes:
        by: the filter.
        values: the most frequent ones first.
        more: how many further values there are.
        is_exact: whether all jobs were counted; else there may be more jobs of each value, and
            further values.
    """

    by: str
    values: list[FacetValue]
    more: int
    is_exact: bool


class JobFacets(Struct, frozen=True):
    """How many jobs pass some filters, and what they have.

    Attributes:
        total: how many were counted.
        is_exact: whether all were; else there are more.
        recorded: where no filter is set, how many are recorded, or a few more than that; else None.
        counted_of: how many jobs are looked at where not all are, mostly the newest.
    """

    total: int
    is_exact: bool
    recorded: int | None
    counted_of: int
    facets: list[JobFacet]
