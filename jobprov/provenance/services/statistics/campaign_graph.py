"""The folded graph of a campaign: what it looks like in the large, whatever its size.

It is kept where the campaign is large, as other counts are (`services/kept_answers`).
"""

from collections.abc import Sequence

from msgspec.structs import asdict
from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import jobs_list
from jobprov.provenance.answers.counted import CountedAt
from jobprov.provenance.answers.statistics.campaigns import (
    CampaignGraph,
    ClassEdge,
    ClassNode,
)
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.statistics.campaign_graph import (
    CampaignKey,
    campaign_experiments,
    campaign_tasks,
    count_jobs,
    fold_tasks,
)
from jobprov.provenance.db.queries.tasks.campaigns import campaign_counts
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import AmbiguousError, LimitError, NotFoundError
from jobprov.provenance.lineage.drawing.sheet import Links
from jobprov.provenance.lineage.quotient import FoldedGraph
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.search.near_names import nearest

MOST_OF_TASKS = 100_000


class FoldedCampaign(CountedAt, frozen=True, kw_only=True):
    """A campaign in the large, or some of its tasks.

    Attributes:
        stages: in the order in which they began, where no file joins them; else none, since files
            give the order.
    """

    experiment: str
    campaign: str
    graph: FoldedGraph
    stages: list[str]

    @property
    def jobs(self) -> int:
        """How many jobs were counted."""
        return sum(job_class.jobs for job_class in self.graph.classes) + self.graph.omitted.jobs


def listed_tasks(connection: Connection, experiment: str, names: str) -> list[str]:
    """Return the tasks that a query lists, separated by commas.

    A task whose id contains commas has to be listed alone.
    """
    if "," in names and find_tasks(connection, names, experiment):
        return [names]
    return [word for word in names.split(",") if word]


def fold_campaign(
    connection: Connection,
    experiment: str,
    campaign: str,
    *,
    task_ids: Sequence[str] = (),
    seconds: float = SECONDS,
) -> FoldedCampaign:
    """Return the folded graph of a campaign, or of some of its tasks, counted now.

    Args:
        connection: to read with.
        experiment: that of the campaign.
        campaign: its name.
        task_ids: the tasks, all of the campaign's if none are given.
        seconds: that counting may take.

    Raises:
        NotFoundError: the experiment has no such campaign, or the campaign no such task.
        LimitError: the tasks have more than 100,000 jobs, or counting takes too long.
    """
    key = CampaignKey(find_experiment(connection, experiment), campaign)
    tasks = _tasks_of(connection, key, experiment, task_ids)
    if task_ids and count_jobs(connection, tasks, most=MOST_OF_TASKS + 1) > MOST_OF_TASKS:
        raise LimitError(
            f"The tasks have more than {MOST_OF_TASKS:,} jobs; name fewer, or ask for the whole "
            "campaign.",
            MOST_OF_TASKS,
        )
    with time_limit(connection, "ask for some of its tasks", seconds=seconds):
        graph = fold_tasks(connection, tasks)
        stages: list[str] = []
        if all(flow.source == flow.target for flow in graph.flows):
            stages = _stages_begun(connection, experiment, campaign)
    return FoldedCampaign(experiment=experiment, campaign=campaign, graph=graph, stages=stages)


def _tasks_of(
    connection: Connection, key: CampaignKey, experiment: str, task_ids: Sequence[str]
) -> list[int]:
    """Return the keys of the tasks of a campaign, or of those that are named.

    Raises:
        NotFoundError: there is no such campaign or task.
    """
    tasks = campaign_tasks(connection, key, task_ids)
    missing = sorted(set(task_ids) - set(tasks.values()))
    if missing:
        raise NotFoundError(
            f"Campaign {key.campaign} of experiment {experiment} has no task {missing[0]}."
        )
    if not tasks:
        raise NotFoundError(
            f"No task of experiment {experiment} names a campaign {key.campaign}.",
            nearest(connection, key.campaign, "campaign"),
        )
    return list(tasks)


def _stages_begun(connection: Connection, experiment: str, campaign: str) -> list[str]:
    """Return the stages of a campaign in the order in which the pages of campaigns have them."""
    counts = campaign_counts(connection, campaign, experiment)
    return [stage.stage or "" for stage in counts[0].stages] if counts else []


def experiment_of_campaign(
    connection: Connection, campaign: str, *, experiment: str | None = None
) -> str:
    """Return the one experiment that has a campaign of this name, or the given one if it has.

    Raises:
        NotFoundError: none has, or the given one has not.
        AmbiguousError: several have.
    """
    experiments = campaign_experiments(connection, campaign)
    if experiment is not None:
        experiments = [name for name in experiments if name == experiment]
    if not experiments:
        of_experiment = f" of experiment {experiment}" if experiment is not None else ""
        raise NotFoundError(
            f"No job or task{of_experiment} names a campaign {campaign}.",
            nearest(connection, campaign, "campaign"),
        )
    if len(experiments) > 1:
        message = f"Several experiments have a campaign {campaign}; say which with experiment=."
        raise AmbiguousError(message, [(name, "") for name in experiments])
    return experiments[0]


def class_links(folded: FoldedCampaign) -> Links:
    """Return where the boxes of the folded graph lead: to the list of their jobs."""

    def jobs(index: str) -> str:
        job_class = folded.graph.classes[int(index)]
        return jobs_list(
            experiment=folded.experiment,
            campaign=folded.campaign,
            stage=job_class.stage,
            state=job_class.state,
            revision=job_class.revision,
        )

    return Links(expand=jobs)


def campaign_graph(folded: FoldedCampaign) -> CampaignGraph:
    """Return the folded graph as it is answered: each class with the list of its jobs."""
    links, graph = class_links(folded), folded.graph
    nodes = []
    for place, job_class in enumerate(graph.classes):
        nodes.append(ClassNode(**asdict(job_class), url=links.expand(str(place)) or ""))
    return CampaignGraph(
        experiment=folded.experiment,
        campaign=folded.campaign,
        counted_at=folded.counted_at,
        is_current=folded.is_current,
        nodes=nodes,
        edges=[ClassEdge(flow.source, flow.target, flow.files) for flow in graph.flows],
        omitted=graph.omitted,
    )
