"""Answers about two jobs side by side, jobs that one would compare, and recipes."""

from typing import Any

from msgspec import Struct, field

from jobprov.provenance.answers.lookup.jobs import HostOfJob, JobSummary, TaskOfJob


class Place(Struct, frozen=True, omit_defaults=True):
    """The line of a file that wrote a value.

    Attributes:
        url: the path of the page of that file, at the line.
    """

    file: str
    line: int
    url: str | None = None


class Difference(Struct, frozen=True, omit_defaults=True):
    """One thing that is not the same in both jobs.

    Attributes:
        kind: `changed`, `added` (only in the second), `removed` (only in the first) or `renamed`.
        key: what differs: `physics.producers.smear.width`, `toyexp.commit`, `TZ`.
        before: in the first job; text is shortened past 4,000 characters.
        after: in the second.
        key_before: its key in the first, where that is another: a table was renamed, an element
            moved.
        part: the step whose configuration or the file whose fact it is, where the facet has
            several.
        origin_before: line of the file that set it in the first.
        origin_after: line of the file that set it in the second.
        lines: of a text, a unified difference.
        lines_omitted: how many of its lines are left out.
        url_before: page of what is meant, in the first.
        url_after: page of what is meant, in the second.
    """

    kind: str
    key: str
    before: Any = None
    after: Any = None
    key_before: str | None = None
    part: str | None = None
    origin_before: Place | None = None
    origin_after: Place | None = None
    lines: list[str] = field(default_factory=list)
    lines_omitted: int = 0
    url_before: str | None = None
    url_after: str | None = None


class Facet(Struct):
    """One side of the two jobs.

    Attributes:
        name: a word for addresses: `code`, `configuration`.
        title: for people.
        matters: `recipe` (decides what comes out), `result` (what came out) or `circumstance`
            (differs in any two runs).
        said: how many facts both jobs say here; where that is 0, nothing was compared.
        count: how many differences there are.
        differences: the first of them.
        omitted: how many are left out.
        problems: why something could not be compared.
        notes: what is the same although it looks different.
    """

    name: str
    title: str
    matters: str
    said: int
    count: int
    differences: list[Difference]
    omitted: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ComparedJob(Struct, frozen=True):
    """One of the two jobs of a comparison, in short, with times in UTC (`2026-11-24T16:00:00Z`).

    Attributes:
        state: `running`, `succeeded`, `failed`, `killed` or `lost`.
        batch_id: `cluster.process@schedd`.
        code: name and version of the first software entry, as people call it.
        received_at: when its first record came.
        url: the path of its page.
        recipe_id, result_id: None where its record does not say enough.
        output: the full name of the first output that it kept; None where it kept none.
    """

    job_id: str
    experiment: str
    state: str
    batch_id: str | None
    task: TaskOfJob
    code: str | None
    received_at: str
    started_at: str | None
    host: HostOfJob
    url: str
    recipe_id: str | None
    result_id: str | None
    output: str | None


class JobComparison(Struct, frozen=True):
    """What differs from job `a` to job `b`.

    Attributes:
        first_line: a sentence for people.
        is_same: all that decides the outcome is the same, and all that came out.
        facets: what decides the outcome first.
    """

    a: ComparedJob
    b: ComparedJob
    first_line: str
    is_same: bool
    facets: list[Facet]


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
