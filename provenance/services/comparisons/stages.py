"""Two campaigns or releases stage by stage: what their jobs ran, and how many ran it.

Compared are code, configurations as run, software with qualifiers, and variables that decide
physics. A stage differs where the two productions do not have the same values. What each job has
for itself, such as seeds and names of files, is left to the comparison of two jobs.
"""

from collections.abc import Mapping, Sequence

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
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.campaign_graph import (
    CampaignKey,
    campaign_experiments,
    campaign_tasks,
)
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.comparisons.stage_counts import (
    Counts,
    SharedLists,
    configuration_counts,
    software_counts,
    variable_counts,
)
from jobprov.provenance.services.lookup.near_names import nearest
from jobprov.provenance.services.lookup.software_filters import name_software, products_at

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
        connection: where from.
        by: `campaign`; or `release`: a ref, a commit, or `NAME=VERSION:QUALIFIERS` of a product;
            a version alone is that of the experiment's product, such as sbndcode.
        before: the first.
        after: the second.
        experiment: whose they are, where several have them.
        limit: differences of one side of a stage at most.

    Raises:
        NotFoundError: one of them has no jobs.
        AmbiguousError: several experiments have a campaign of this name.
        LimitError: it took more than five seconds.
    """
    with time_limit(connection, _SLOW):
        names = [before, after]
        if by != CAMPAIGN:
            names = [_named_release(connection, name, experiment) for name in names]
        found = [_classes(connection, by, name, experiment) for name in names]
        classes = [each[:MOST_CLASSES] for each in found]
        shared = SharedLists.of(connection, [*classes[0], *classes[1]])
        stages = []
        for name in _stages(classes):
            of_stage = [[jobs for jobs in each if jobs.stage == name] for each in classes]
            stages.append(_compared_stage(connection, name, of_stage, shared, limit))
    productions = []
    for name, each in zip(names, classes, strict=True):
        job_count = sum(jobs.job_count for jobs in each)
        productions.append(ComparedProduction(name, job_count, _page(by, name, experiment)))
    return ProductionComparison(
        by=by,
        a=productions[0],
        b=productions[1],
        first_line=_sentence(stages),
        is_same=not any(_differs(stage) or _is_not_compared(stage) for stage in stages),
        is_whole=all(len(each) <= MOST_CLASSES for each in found),
        stages=stages,
    )


def _classes(connection: Connection, by: str, name: str, experiment: str | None) -> list[JobClass]:
    """Return the kinds of jobs of a production."""
    of_production = _of_campaign if by == CAMPAIGN else _of_release
    classes = of_production(connection, name, experiment)
    if not classes:
        raise NotFoundError(f"No job of {by} {name} is recorded.")
    return classes


def _of_campaign(connection: Connection, campaign: str, experiment: str | None) -> list[JobClass]:
    experiments = campaign_experiments(connection, campaign)
    if experiment is not None:
        experiments = [name for name in experiments if name == experiment]
    if not experiments:
        raise NotFoundError(
            f"No task names a campaign {campaign}.", nearest(connection, campaign, "campaign")
        )
    if len(experiments) > 1:
        message = f"Several experiments have a campaign {campaign}; say which with experiment=."
        raise AmbiguousError(message, [(name, "") for name in experiments])
    key = experiment_key(connection, experiments[0])
    tasks = campaign_tasks(connection, CampaignKey(key or 0, campaign))
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


def _stages(classes: Sequence[Sequence[JobClass]]) -> list[str | None]:
    """Return the stages of both productions by name; jobs without one come last."""
    names = {jobs.stage for each in classes for jobs in each}
    return sorted(names, key=lambda name: (name is None, name or ""))


def _compared_stage(
    connection: Connection,
    name: str | None,
    sides: Sequence[Sequence[JobClass]],
    shared: SharedLists,
    limit: int,
) -> ComparedStage:
    """Return what differs in one stage; of one that only one production has, no more than that."""
    job_counts = [sum(jobs.job_count for jobs in side) for side in sides]
    facets = []
    if all(job_counts):
        code, products = software_counts(sides, shared)
        configuration = configuration_counts(connection, sides, shared)
        facets = [
            _facet("code", code, limit),
            _facet("configuration", configuration.counts, limit),
            _facet("products", products, limit),
            _facet("variables", variable_counts(sides, shared), limit),
        ]
        if configuration.problems:
            facets[1].problems[:] = configuration.problems
        facets[1].notes[:] = configuration.notes
    return ComparedStage(name, job_counts[0], job_counts[1], facets)


def _facet(name: str, counts: Sequence[Counts], limit: int) -> StageFacet:
    """Return how the values of the two sides of a stage differ."""
    differences: list[tuple[bool, str, str, StageDifference]] = []
    problems = []
    silent = [not each.jobs for each in counts]
    if any(silent) and not all(silent):
        which = "second" if silent[0] else "first"
        problems.append(f"Only records of the {which} have it: it cannot be compared.")
        counts = []
    names = {value_name for each in counts for value_name in each.values}
    for value_name in names:
        before, after = (each.of(value_name) for each in counts)
        is_compared = all(each.jobs[value_name.part] for each in counts)
        if is_compared and before.keys() != after.keys():
            has_common = bool(before.keys() & after.keys())
            row = StageDifference(
                value_name.key,
                value_name.part,
                _most_frequent(before),
                _most_frequent(after),
                max(0, len(before) - _MOST_VALUES),
                max(0, len(after) - _MOST_VALUES),
            )
            differences.append((has_common, value_name.part or "", value_name.key, row))
    differences.sort(key=lambda found: found[:3])
    rows = [row for *_, row in differences]
    omitted = max(0, len(rows) - limit)
    return StageFacet(name, _TITLES[name], len(rows), rows[:limit], omitted, problems, [])


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
    not_compared = (
        "; not everything could be compared" if any(map(_is_not_compared, stages)) else ""
    )
    if not differing:
        return f"No difference in {counted(len(stages), 'stage')}{not_compared}."
    parts = [_stage_in_words(stage) for stage in differing[:_STAGES_IN_SENTENCE]]
    more = len(differing) - len(parts)
    if more:
        parts.append(f"{more} more")
    verb = "differs" if len(differing) == 1 else "differ"
    noun = "stage" if len(stages) == 1 else "stages"
    return f"{len(differing)} of {len(stages)} {noun} {verb}: {'; '.join(parts)}{not_compared}."


def _stage_in_words(stage: ComparedStage) -> str:
    name = stage.stage or "jobs without a stage"
    if not stage.facets:
        only_in = "first" if stage.a_jobs else "second"
        return f"{name} only in the {only_in}"
    *others, last = [_WORDS[facet.name] for facet in stage.facets if facet.count]
    if not others:
        return f"{name} in {last}"
    return f"{name} in {', '.join(others)} and {last}"
