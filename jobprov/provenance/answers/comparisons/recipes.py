"""Answers about recipes whose jobs have more than one result."""

from typing import Any

from msgspec import Struct

from jobprov.provenance.answers.lookup.jobs import JobSummary


class ExampleOfResult(Struct, frozen=True):
    """Jobs of one recipe that have one result.

    Attributes:
        result_id: None for jobs without one: they failed, or nothing they made can be compared.
        example: the job that was recorded first.
    """

    result_id: str | None
    job_count: int
    example: JobSummary


class DivergentRecipe(Struct, frozen=True):
    """A recipe whose jobs have more than one result.

    Attributes:
        job_count: how many jobs have it.
        results: the most frequent first, at most 20.
        url: the path of its page.
    """

    recipe_id: str
    job_count: int
    results: list[ExampleOfResult]
    url: str


class DivergentRecipes(Struct, frozen=True):
    """A page of the recipes whose jobs have more than one result, in the order of their ids.

    Attributes:
        next: what goes into `cursor` of the next call; None at the end.
    """

    recipes: list[DivergentRecipe]
    next: str | None


class JobsOfResult(Struct, frozen=True):
    """Jobs of one recipe that have one result.

    Attributes:
        result_id: None for jobs without one: they failed, or nothing they made can be compared.
        jobs: those that were recorded first, at most 20.
    """

    result_id: str | None
    job_count: int
    jobs: list[JobSummary]


class DifferingOutput(Struct, frozen=True):
    """An output that is not the same in the first jobs of all results.

    Attributes:
        position: among the outputs of the record, from 0.
        names: its name by result; None where the job has fewer outputs.
        digests: by result, the digest of its content where the record has it, else of its bytes,
            else a checksum; None where it has none.
    """

    position: int
    names: dict[str, str | None]
    digests: dict[str, str | None]


class DifferingFact(Struct, frozen=True):
    """A fact that the recipe leaves out and that the first jobs of the results do not agree in.

    Attributes:
        field: its path in the record, such as `host.cpu_model`.
        values: by result; None where the record does not say it.
    """

    field: str
    values: dict[str, Any]


class RecipeAnswer(Struct, frozen=True):
    """The results of a recipe, and in what the jobs that had them differ.

    Attributes:
        job_count: how many jobs have the recipe.
        result_count: how many results they have.
        is_divergent: two results differ that can be compared.
        results: the most frequent first, at most 20.
        url: the path of its page.
    """

    recipe_id: str
    job_count: int
    result_count: int
    is_divergent: bool
    results: list[JobsOfResult]
    outputs: list[DifferingOutput]
    differences: list[DifferingFact]
    url: str
