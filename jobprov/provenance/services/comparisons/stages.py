"""Two campaigns or releases stage by stage: what their jobs ran, and how many ran it.

Compared are code, configurations as run, software with qualifiers, and variables that decide
physics. A stage differs where the two productions do not have the same values. What each job has
for itself, such as seeds and names of files, is left to the comparison of two jobs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import campaign_page, jobs_list
from jobprov.provenance.answers.comparisons.stages import (
    ComparedProduction,
    ComparedStage,
    CountedValue,
    ProductionComparison,
    StageDifference,
    StageFacet,
)
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.comparisons.stages import (
    MOST_CLASSES,
    JobClass,
    classes_of_tasks,
    classes_with_software,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.campaign_graph import CampaignKey, campaign_tasks
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.comparisons.stage_counts import (
    ConfigurationCounts,
    Counts,
    SharedLists,
    code_counts,
    configuration_counts,
    product_counts,
    variable_counts,
)
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.lookup.named_filters import name_software, products_at
from jobprov.provenance.services.statistics.campaign_graph import experiment_of_campaign

CAMPAIGN, RELEASE = "campaign", "release"
DIFFERENCES_A_FACET = 200
_MOST_VALUES = 20
_TITLES = {
    "code": "Code",
    "configuration": "Configuration as run",
    "products": "Software",
    "variables": "Variables that decide physics",
}
_WORDS = {
    "code": "code",
    "configuration": "configuration",
    "products": "software",
    "variables": "variables",
}
_STAGES_IN_SENTENCE = 6
_SLOW = "compare stages of smaller campaigns"


def compare_productions(
    connection: Connection,
    by: str,
    before: str,
    after: str,
    *,
    experiment: str | None = None,
    limit: int = DIFFERENCES_A_FACET,
) -> ProductionComparison:
    """Return what differs from the first campaign or release to the second, by stage.

    Args:
        by: `campaign`; or `release`: a ref, a commit, or `NAME=VERSION:QUALIFIERS` of a product;
            a version alone is that of the experiment's product, such as sbndcode.
        experiment: the one that has them, where several do.
        limit: differences of one side of a stage at most.

    Raises:
        NotFoundError: one of them has no jobs.
        AmbiguousError: several experiments have a campaign of this name.
        LimitError: it took more than five seconds.
    """
    with time_limit(connection, _SLOW):
        if by != CAMPAIGN:
            before = _named_release(connection, before, experiment)
            after = _named_release(connection, after, experiment)
        side_before = _side(connection, by, before, experiment)
        side_after = _side(connection, by, after, experiment)
        classes = [*side_before.classes, *side_after.classes]
        shared = SharedLists.of(connection, classes)
        stages = []
        for stage in _stage_names(classes):
            of_before, of_after = side_before.classes_of(stage), side_after.classes_of(stage)
            stages.append(
                _compared_stage(connection, stage, of_before, of_after, shared, limit=limit)
            )
    return ProductionComparison(
        by=by,
        a=_production(side_before, by, experiment),
        b=_production(side_after, by, experiment),
        first_line=_sentence(stages),
        is_same=not any(_differs(stage) or _is_not_compared(stage) for stage in stages),
        is_whole=side_before.is_whole and side_after.is_whole,
        stages=stages,
    )


class _Side(NamedTuple):
    """One of the two productions: its most frequent kinds of jobs, and whether these are all."""

    name: str
    classes: list[JobClass]
    is_whole: bool

    def classes_of(self, stage: str | None) -> list[JobClass]:
        """Return the kinds of jobs of a stage; None is for jobs without one."""
        return [jobs for jobs in self.classes if jobs.stage == stage]


def _side(connection: Connection, by: str, name: str, experiment: str | None) -> _Side:
    """Return a production to be compared.

    Raises:
        NotFoundError: it has no jobs.
    """
    if by == CAMPAIGN:
        classes = _of_campaign(connection, name, experiment)
    else:
        classes = _of_release(connection, name, experiment)
    if not classes:
        raise NotFoundError(f"No job of {by} {name} is recorded.")
    return _Side(name, classes[:MOST_CLASSES], is_whole=len(classes) <= MOST_CLASSES)


def _production(side: _Side, by: str, experiment: str | None) -> ComparedProduction:
    job_count = _job_count(side.classes)
    return ComparedProduction(side.name, job_count, _page(by, side.name, experiment))


def _of_campaign(connection: Connection, campaign: str, experiment: str | None) -> list[JobClass]:
    owner = experiment_of_campaign(connection, campaign, experiment=experiment)
    key = CampaignKey(find_experiment(connection, owner), campaign)
    tasks = campaign_tasks(connection, key)
    return classes_of_tasks(connection, tasks)


def _named_release(connection: Connection, release: str, experiment: str | None) -> str:
    """Return a release with the product that it is a version of, where nobody calls a commit so.

    Raises:
        NotFoundError: several products have this version.
    """
    commits = JobFilters(revision=release, experiment=experiment)
    if "=" in release or classes_with_software(connection, commits):
        return release
    products = [f"{name}={release}" for name in products_at(connection, release)]
    if len(products) > 1:
        message = f"Several products have a version {release}; say which is meant."
        raise NotFoundError(message, products)
    return products[0] if products else release


def _of_release(connection: Connection, release: str, experiment: str | None) -> list[JobClass]:
    filters = JobFilters(revision=release, experiment=experiment)
    if "=" in release:
        product = JobFilters(software=release, experiment=experiment)
        filters = name_software(connection, product)
    return classes_with_software(connection, filters)


def _page(by: str, name: str, experiment: str | None) -> str:
    if by == CAMPAIGN and experiment is not None:
        return campaign_page(name, experiment)
    if by == CAMPAIGN:
        return jobs_list(campaign=name)
    field = "software" if "=" in name else "revision"
    return jobs_list(**{field: name, "experiment": experiment})


def _stage_names(classes: Sequence[JobClass]) -> list[str | None]:
    """Return the stages of these jobs by name; jobs without one come last."""
    names = {jobs.stage for jobs in classes}
    return sorted(names, key=lambda name: (name is None, name or ""))


def _compared_stage(
    connection: Connection,
    name: str | None,
    before: Sequence[JobClass],
    after: Sequence[JobClass],
    shared: SharedLists,
    *,
    limit: int,
) -> ComparedStage:
    """Return what differs in one stage; there are no facets of one that only one production has."""
    facets = []
    if before and after:

        def facet(
            name: str, counts: Callable[[Sequence[JobClass], SharedLists], Counts]
        ) -> StageFacet:
            return _facet(name, counts(before, shared), counts(after, shared), limit)

        configurations = configuration_counts(connection, before, after, shared)
        facets = [
            facet("code", code_counts),
            _configuration_facet(configurations, limit),
            facet("products", product_counts),
            facet("variables", variable_counts),
        ]
    return ComparedStage(name, _job_count(before), _job_count(after), facets)


def _job_count(classes: Sequence[JobClass]) -> int:
    return sum(jobs.job_count for jobs in classes)


def _configuration_facet(compared: ConfigurationCounts, limit: int) -> StageFacet:
    """Return how the parameters differ; why some are not compared says more than `_facet` can."""
    facet = _facet("configuration", compared.before, compared.after, limit)
    return replace(facet, problems=compared.problems or facet.problems, notes=compared.notes)


def _facet(name: str, before: Counts, after: Counts, limit: int) -> StageFacet:
    """Return how the values of the two sides of a stage differ."""
    problems = []
    rows: list[StageDifference] = []
    if bool(before.jobs) != bool(after.jobs):
        which = "first" if before.jobs else "second"
        problems.append(f"Only records of the {which} have it: it cannot be compared.")
    else:
        rows = _differing_values(before, after)
    omitted = max(0, len(rows) - limit)
    return StageFacet(name, _TITLES[name], len(rows), rows[:limit], omitted, problems, [])


def _differing_values(before: Counts, after: Counts) -> list[StageDifference]:
    """Return the names whose values differ, by part and name.

    Names for which the two sides have no value in common come first.
    """
    with_common: list[StageDifference] = []
    without_common: list[StageDifference] = []
    for value_name in before.values.keys() | after.values.keys():
        values_before, values_after = before.of(value_name), after.of(value_name)
        is_compared = before.jobs[value_name.part] and after.jobs[value_name.part]
        if not is_compared or values_before.keys() == values_after.keys():
            continue
        difference = StageDifference(
            value_name.key,
            value_name.part,
            _most_frequent(values_before),
            _most_frequent(values_after),
            max(0, len(values_before) - _MOST_VALUES),
            max(0, len(values_after) - _MOST_VALUES),
        )
        if values_before.keys() & values_after.keys():
            with_common.append(difference)
        else:
            without_common.append(difference)
    return sorted(without_common, key=_part_and_name) + sorted(with_common, key=_part_and_name)


def _part_and_name(difference: StageDifference) -> tuple[str, str]:
    return difference.part or "", difference.key


def _most_frequent(values: Mapping[str | None, int]) -> list[CountedValue]:
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0] or ""))
    return [CountedValue(value, job_count) for value, job_count in ordered[:_MOST_VALUES]]


def _differs(stage: ComparedStage) -> bool:
    return not stage.facets or any(facet.count for facet in stage.facets)


def _is_not_compared(stage: ComparedStage) -> bool:
    return any(facet.problems for facet in stage.facets)


def _sentence(stages: Sequence[ComparedStage]) -> str:
    """Return which stages differ, and in what."""
    differing = [stage for stage in stages if _differs(stage)]
    not_compared = ""
    if any(_is_not_compared(stage) for stage in stages):
        not_compared = "; not everything could be compared"
    if not differing:
        return f"No difference in {counted(len(stages), 'stage')}{not_compared}."
    parts = [_stage_in_words(stage) for stage in differing[:_STAGES_IN_SENTENCE]]
    more = len(differing) - len(parts)
    if more:
        parts.append(f"{more} more")
    verb = "differs" if len(differing) == 1 else "differ"
    stages_in_words = counted(len(stages), "stage")
    return f"{len(differing)} of {stages_in_words} {verb}: {'; '.join(parts)}{not_compared}."


def _stage_in_words(stage: ComparedStage) -> str:
    name = stage.stage or "jobs without a stage"
    if not stage.facets:
        only_in = "first" if stage.a_jobs else "second"
        return f"{name} only in the {only_in}"
    *others, last = [_WORDS[facet.name] for facet in stage.facets if facet.count]
    if not others:
        return f"{name} in {last}"
    return f"{name} in {', '.join(others)} and {last}"
