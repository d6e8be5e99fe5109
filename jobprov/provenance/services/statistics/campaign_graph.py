"""The folded graph of a campaign: what it looks like in the large, whatever its size.

Small campaigns, and chosen tasks, are counted when asked for. What was counted for a large one is
kept; it is counted again in the background when somebody asks for it and anything was recorded
since (`counted.py`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import jobs_list
from jobprov.provenance.answers.statistics.campaigns import (
    CampaignGraph,
    ClassEdge,
    ClassNode,
)
from jobprov.provenance.db.changes.kept_answers import keep_graph
from jobprov.provenance.db.queries.kept_answers import KeptAnswer
from jobprov.provenance.db.queries.statistics.campaign_graph import (
    CampaignKey,
    campaign_experiments,
    campaign_of_stage,
    campaign_tasks,
    campaigns_not_kept,
    count_jobs,
    first_stage,
    fold_tasks,
    read_kept,
)
from jobprov.provenance.db.queries.tasks.campaigns import campaign_counts
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import AmbiguousError, LimitError, NotFoundError
from jobprov.provenance.lineage.drawing.sheet import Links
from jobprov.provenance.lineage.quotient import FoldedGraph, bounded
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.search.near_names import nearest
from jobprov.provenance.services.statistics.counted import (
    MOST_COUNTED_AT_ONCE,
    count_now,
    is_current,
    recount_at,
)
from jobprov.provenance.services.work.queue import Parts, enqueue, enqueue_all
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.times import exact_utc_text

FOLD = "fold"
MOST_OF_TASKS = 100_000
MOST_NOT_KEPT = 200_000
"""Jobs that are counted for whoever asks first: one to five seconds.

The graph of more comes from the background alone.
"""


class FoldedCampaign(NamedTuple):
    """A campaign in the large.

    Attributes:
        counted_at: when; aware UTC.
        is_current: False where something was recorded since.
        is_counted: False where that is left to the background; the graph is empty then.
        key: the campaign's, where its graph is kept.
        to_keep: what was counted now and is to be kept; see `follow_up`.
        stages: in the order in which they began, where no file joins them; else none, since files
            give the order.
    """

    experiment: str
    campaign: str
    graph: FoldedGraph
    counted_at: datetime
    is_current: bool = True
    is_counted: bool = True
    key: CampaignKey | None = None
    to_keep: KeptAnswer | None = None
    recount_at: datetime | None = None
    stages: Sequence[str] = ()

    @property
    def needs_follow_up(self) -> bool:
        """Whether `follow_up` has anything to write."""
        return self.to_keep is not None or not self.is_current

    def answer(self) -> "FoldedCampaign":
        """Return the campaign itself.

        Raises:
            LimitError: it is being counted in the background.
        """
        if not self.is_counted:
            raise LimitError(
                f"The campaign has more than {MOST_NOT_KEPT:,} jobs and was not counted yet; that "
                "happens in the background: ask again in some minutes.",
                MOST_NOT_KEPT,
            )
        return self


def listed_tasks(connection: Connection, experiment: str, names: str) -> list[str]:
    """Return the tasks that a query lists, separated by commas.

    A task whose id contains commas has to be listed alone.
    """
    if "," in names and find_tasks(connection, names, experiment):
        return [names]
    return [word for word in names.split(",") if word]


def fold_campaign(
    connection: Connection, experiment: str, campaign: str, *, task_ids: Sequence[str] = ()
) -> FoldedCampaign:
    """Return the folded graph of a campaign, or of some of its tasks.

    That of a large campaign which was never counted is left to the background; see `follow_up`.

    Raises:
        NotFoundError: the experiment has no such campaign, or the campaign no such task.
        LimitError: the tasks have more than 100,000 jobs.
    """
    folded = _fold(connection, experiment, campaign, task_ids)
    if not folded.is_counted or any(flow.source != flow.target for flow in folded.graph.flows):
        return folded
    return folded._replace(stages=_stages_begun(connection, experiment, campaign))


def _stages_begun(connection: Connection, experiment: str, campaign: str) -> list[str]:
    """Return the stages of a campaign in the order in which the pages of campaigns have them."""
    counts = campaign_counts(connection, campaign, experiment)
    return [stage.stage or "" for stage in counts[0].stages] if counts else []


def _fold(
    connection: Connection, experiment: str, campaign: str, task_ids: Sequence[str]
) -> FoldedCampaign:
    key = CampaignKey(find_experiment(connection, experiment), campaign)
    if not task_ids:
        kept = read_kept(connection, key)
        if kept is not None:
            return _from_kept(connection, key, experiment, kept)
    tasks = campaign_tasks(connection, key, task_ids)
    missing = sorted(set(task_ids) - set(tasks.values()))
    if missing:
        raise NotFoundError(
            f"Campaign {campaign} of experiment {experiment} has no task {missing[0]}."
        )
    if not tasks:
        raise NotFoundError(
            f"No task of experiment {experiment} names a campaign {campaign}.",
            nearest(connection, campaign, "campaign"),
        )
    jobs = count_jobs(connection, list(tasks), most=MOST_NOT_KEPT + 1)
    if task_ids and jobs > MOST_OF_TASKS:
        raise LimitError(
            f"The tasks have more than {MOST_OF_TASKS:,} jobs; name fewer, or ask for the whole "
            "campaign.",
            MOST_OF_TASKS,
        )
    if jobs > MOST_NOT_KEPT:
        return _left_to_background(key, experiment)
    graph, counted = _count(connection, list(tasks))
    folded = FoldedCampaign(experiment, campaign, graph, counted.counted_at, key=key)
    if jobs > MOST_COUNTED_AT_ONCE and not task_ids:
        folded = folded._replace(to_keep=counted)
    return folded


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
        raise NotFoundError(
            f"No task names a campaign {campaign}.", nearest(connection, campaign, "campaign")
        )
    if len(experiments) > 1:
        message = f"Several experiments have a campaign {campaign}; say which with experiment=."
        raise AmbiguousError(message, [(name, "") for name in experiments])
    return experiments[0]


def follow_up(writing: Writing, folded: FoldedCampaign) -> None:
    """Keep what was counted for a large campaign, or note that it is to be counted again."""
    connection = writing.connection
    if folded.key is None:
        return
    if folded.to_keep is not None:
        keep_graph(connection, folded.key, folded.to_keep)
    elif stage := first_stage(connection, folded.key):
        enqueue(connection, FOLD, str(stage), due_at=folded.recount_at)


def count_again(parts: Parts, key: str) -> None:
    """Count a campaign, named by its first stage, and keep that: the handler of the work `fold`."""
    with parts.database.reading.connect() as connection:
        campaign = campaign_of_stage(connection, int(key))
        if campaign is None:
            return
        tasks = campaign_tasks(connection, campaign)
        if not tasks:
            return
        _, counted = _count(connection, list(tasks))
    parts.writer.run(lambda writing: keep_graph(writing.connection, campaign, counted))


def enqueue_large(parts: Parts) -> int:
    """Have large campaigns counted that never were, so that nobody has to wait for the first count.

    Return how many there are.
    """
    keys = []
    with parts.database.reading.connect() as connection:
        for campaign in campaigns_not_kept(connection):
            if _is_large(connection, campaign):
                keys.append(str(first_stage(connection, campaign)))  # shorter than its name
    if keys:
        parts.writer.run(lambda writing: enqueue_all(writing.connection, FOLD, keys))
    return len(keys)


def _is_large(connection: Connection, campaign: CampaignKey) -> bool:
    tasks = campaign_tasks(connection, campaign)
    most = MOST_COUNTED_AT_ONCE + 1
    return count_jobs(connection, list(tasks), most=most) == most


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
        counted_at=exact_utc_text(folded.counted_at),
        is_current=folded.is_current,
        nodes=nodes,
        edges=[ClassEdge(flow.source, flow.target, flow.files) for flow in graph.flows],
        omitted=graph.omitted,
    )


def _from_kept(
    connection: Connection, key: CampaignKey, experiment: str, kept: KeptAnswer
) -> FoldedCampaign:
    graph = msgspec.json.decode(kept.document, type=FoldedGraph)
    return FoldedCampaign(
        experiment,
        key.campaign,
        graph,
        kept.counted_at,
        is_current(connection, kept),
        key=key,
        recount_at=recount_at(kept),
    )


def _left_to_background(key: CampaignKey, experiment: str) -> FoldedCampaign:
    now, nothing = datetime.now(UTC), bounded([], [])
    return FoldedCampaign(
        experiment, key.campaign, nothing, now, is_current=False, is_counted=False, key=key
    )


def _count(connection: Connection, tasks: Sequence[int]) -> tuple[FoldedGraph, KeptAnswer]:
    return count_now(connection, lambda: fold_tasks(connection, tasks))
