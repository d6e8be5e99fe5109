"""Answers about two campaigns or releases, stage by stage."""

from msgspec import Struct


class CountedValue(Struct, frozen=True):
    """How many jobs of a stage have a value.

    Attributes:
        value: None for jobs that do not have it.
    """

    value: str | None
    job_count: int


class StageDifference(Struct, frozen=True):
    """One thing in which the jobs of a stage of two productions differ.

    Attributes:
        key: what differs: a checkout, a parameter, a product, a variable.
        part: the step, where jobs of the stage have several.
        a: the values in the first production, the most frequent first, at most 20.
        b: those in the second.
        a_omitted, b_omitted: how many values are left out.
    """

    key: str
    part: str | None
    a: list[CountedValue]
    b: list[CountedValue]
    a_omitted: int = 0
    b_omitted: int = 0


class StageFacet(Struct, frozen=True):
    """One side of a stage of two productions.

    Attributes:
        name: `code`, `configuration`, `products` or `variables`.
        title: for people.
        count: how many differences there are.
        differences: the first of them; those where no value is in both productions come first.
        omitted: how many are left out.
        problems: why something could not be compared.
        notes: what to know of the comparison.
    """

    name: str
    title: str
    count: int
    differences: list[StageDifference]
    omitted: int
    problems: list[str]
    notes: list[str]


class ComparedStage(Struct, frozen=True):
    """A stage of two productions, None for jobs that name none.

    Attributes:
        a_jobs, b_jobs: how many jobs were compared; where one is 0, only the other has the stage.
    """

    stage: str | None
    a_jobs: int
    b_jobs: int
    facets: list[StageFacet]


class ComparedProduction(Struct, frozen=True):
    """One of two productions.

    Attributes:
        name: the campaign, or the release.
        job_count: how many jobs were compared.
        url: the path of the page of the campaign, or of the list of jobs.
    """

    name: str
    job_count: int
    url: str


class ProductionComparison(Struct, frozen=True):
    """Two campaigns or releases, stage by stage.

    Attributes:
        by: `campaign` or `release`.
        first_line: what differs, in words.
        is_same: whether both have the same stages, and all of it was compared and is the same.
        is_whole: whether all kinds of jobs were compared; else the most frequent were.
    """

    by: str
    a: ComparedProduction
    b: ComparedProduction
    first_line: str
    is_same: bool
    is_whole: bool
    stages: list[ComparedStage]
