"""How far a campaign is: its stages in the order of production, and its tasks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.statistics.campaigns import (
    CampaignList,
    CampaignProgress,
    CampaignStages,
    StageJobs,
    StageProgress,
    TaskUnits,
    UnitCounts,
)
from jobprov.provenance.answers.tasks.backlogs import Backlog
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.tasks.campaigns import campaign_counts
from jobprov.provenance.db.queries.tasks.tasks import FoundTask, tasks_of_campaigns
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.lookup.gaps import count_proofs
from jobprov.provenance.services.search.near_names import nearest
from jobprov.provenance.services.tasks.backlogs import backlog_of
from jobprov.provenance.services.tasks.burn_downs import DoneLately, ExpectedUnits
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    read_declaration,
    read_task_documents,
)
from jobprov.provenance.services.tasks.time_left import TimeLeft, time_left
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.tasks.units import Units, in_order, sum_if_known, units_of_tasks

MOST_LISTED = 1000
MOST_NEWEST = 20
"""Campaigns that the first page shows."""


def show_campaign(
    connection: Connection, store: Store, experiment: str, campaign: str
) -> CampaignProgress:
    """Return how far a campaign is, with the newest thousand of its tasks.

    Raises:
        NotFoundError: no task or job names the campaign.
    """
    tasks = tasks_of_campaigns(connection, [(experiment, campaign)])
    campaigns = campaign_counts(connection, campaign, experiment)
    if not tasks and not campaigns:
        find_experiment(connection, experiment)
        raise NotFoundError(
            f"No job or task of experiment {experiment} names a campaign {campaign}.",
            nearest(connection, campaign, "campaign"),
        )
    declared = _declared(connection, store, tasks)
    units_by_task = list(units_of_tasks(connection, declared))
    task_units = []
    for task, units in zip(tasks, units_by_task, strict=True):
        task_units.append(_task_units(task, units))
    counts_by_stage = campaigns[0].stages if campaigns else []
    needed = {task.key: outputs_needed(declaration) for task, declaration in declared}
    expected = _expected(tasks, units_by_task)
    left = time_left(connection, needed, units_by_task)
    stages = _stages(counts_by_stage, task_units)
    seconds_left, seconds_left_low, seconds_left_high = None, None, None
    if left is not None and left.seconds:
        seconds_left, seconds_left_low, seconds_left_high = left
    return CampaignProgress(
        experiment=experiment,
        campaign=campaign,
        stages=stages,
        task_count=len(task_units),
        tasks=task_units[-MOST_LISTED:],
        proof=count_proofs(connection, JobFilters(experiment=experiment, campaign=campaign)),
        seconds_left=seconds_left,
        seconds_left_low=seconds_left_low,
        seconds_left_high=seconds_left_high,
        backlog=_backlog(connection, (experiment, campaign), stages, expected, left),
    )


def _backlog(
    connection: Connection,
    name: tuple[str, str],
    stages: Sequence[StageProgress],
    expected: Sequence[ExpectedUnits],
    left: TimeLeft | None,
) -> Backlog | None:
    """Return what is left of a campaign, and when it may be gone."""
    declared = [stage for stage in stages if stage.units.expected is not None]
    if not declared:
        return None
    now = datetime.now(UTC)
    burn_down = DoneLately(connection, now, expected, of=name).burn_down(name, stages)
    return backlog_of(burn_down, [stage.units.states for stage in declared], left, now)


def list_campaigns(connection: Connection, store: Store) -> CampaignList:
    """Return the newest campaigns with their stages, whose units are those of `show_campaign`."""
    campaigns = campaign_counts(connection)
    newest = campaigns[:MOST_NEWEST]
    units_by_campaign: dict[tuple[str, str], list[TaskUnits]] = {}
    for campaign in newest:
        units_by_campaign[campaign.experiment, campaign.campaign] = []
    tasks = tasks_of_campaigns(connection, list(units_by_campaign))
    units_by_task = list(units_of_tasks(connection, _declared(connection, store, tasks)))
    for task, units in zip(tasks, units_by_task, strict=True):
        name = (task.experiment, task.campaign or "")
        units_by_campaign[name].append(_task_units(task, units))

    done = DoneLately(connection, datetime.now(UTC), _expected(tasks, units_by_task))
    shown = []
    for campaign in newest:
        name = (campaign.experiment, campaign.campaign)
        stages = _stages(campaign.stages, units_by_campaign[name])
        shown.append(
            CampaignStages(*name, stages, done.burn_down(name, stages), done.last_ends(name))
        )
    job_count = sum(campaign.job_count for campaign in campaigns)
    return CampaignList(shown, len(campaigns), job_count)


def _declared(
    connection: Connection, store: Store, tasks: Sequence[FoundTask]
) -> list[tuple[FoundTask, Declaration | None]]:
    """Return the tasks with their declarations, None where nobody declared one."""
    documents = read_task_documents(connection, store, tasks)
    declared = []
    for task in tasks:
        document = documents.get(task.key)
        declared.append((task, None if document is None else read_declaration(document)))
    return declared


def _expected(tasks: Sequence[FoundTask], units: Sequence[Units]) -> list[ExpectedUnits]:
    """Return how many units each task has."""
    expected = []
    for task, units_of_task in zip(tasks, units, strict=True):
        expected.append(ExpectedUnits(task, units_of_task.expected))
    return expected


def _task_units(task: FoundTask, units: Units) -> TaskUnits:
    return TaskUnits(
        task.task_id,
        task.stage,
        dict(units.states),
        units.expected,
        units.produced,
        units.running,
        units.failed,
        units.no_output,
        units.waived,
        units.missing,
    )


def _stages(begun: Sequence[StageJobs], tasks: Iterable[TaskUnits]) -> list[StageProgress]:
    """Return the stages that have jobs, then those that only have tasks, with sums over tasks."""
    tasks_by_stage: dict[str | None, list[TaskUnits]] = {}
    for task in tasks:
        tasks_by_stage.setdefault(task.stage, []).append(task)
    stages = []
    for stage in begun:
        units = sum_units(tasks_by_stage.pop(stage.stage, []))
        stages.append(
            StageProgress(stage=stage.stage, states=stage.states, first=stage.first, units=units)
        )
    for name, tasks_to_come in tasks_by_stage.items():
        stages.append(StageProgress(stage=name, states={}, units=sum_units(tasks_to_come)))
    return stages


def sum_units(tasks: Sequence[TaskUnits]) -> UnitCounts:
    """Return the counts of several tasks together; None for what one of them does not know."""
    states: Counter[UnitState] = Counter()
    for task in tasks:
        states.update(task.states)
    return UnitCounts(
        expected=sum_if_known([task.expected for task in tasks]),
        produced=sum(task.produced for task in tasks),
        running=sum(task.running for task in tasks),
        failed=sum(task.failed for task in tasks),
        no_output=sum(task.no_output for task in tasks),
        waived=sum(task.waived for task in tasks),
        missing=sum_if_known([task.missing for task in tasks]),
        states=in_order(states),
    )
