"""Sums over many jobs, over HTTP: resources, modules, throughput, campaigns as graphs."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from jobprov.app.api.wire.answers import DOT, SVG, json_answer
from jobprov.app.api.wire.asking import asked, checked_campaign
from jobprov.app.api.wire.documenting import Section
from jobprov.app.kept_answers import (
    read_campaign_graph,
    read_filtered,
    read_marked_throughput,
)
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.statistics.campaigns import CampaignGraph
from jobprov.provenance.answers.statistics.modules import ModuleSums
from jobprov.provenance.answers.statistics.resources import ResourceSums
from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.lineage.drawing.dot import classes_to_dot
from jobprov.provenance.lineage.drawing.svg import draw_classes
from jobprov.provenance.schemas.production_queries import CampaignGraphQuery, FoldedQuery
from jobprov.provenance.schemas.queries import ModulesQuery, ResourcesQuery, ThroughputQuery
from jobprov.provenance.services.kept_answers.counting import RESOURCES
from jobprov.provenance.services.statistics.campaign_graph import (
    campaign_graph,
    class_links,
    experiment_of_campaign,
    listed_tasks,
)
from jobprov.provenance.services.statistics.modules import sum_modules

campaigns_section = Section("campaigns", "Campaigns in the large.")
resources_section = Section("resources", "What jobs took, by stage, site, host or version.")
throughput_section = Section("throughput", "What ended when: production over time.")
modules_section = Section("modules", "What art's modules took in jobs.")


@campaigns_section.get(
    "/campaigns/<path:name>/graph",
    CampaignGraph,
    query=CampaignGraphQuery,
    errors=(404, 413),
    other_types=(DOT, SVG),
)
def get_graph(name: str) -> Response:
    """Return a campaign as a graph of classes of jobs, with the number of files between them.

    Jobs of one stage, code version and state are one class.
    """
    query = asked(CampaignGraphQuery)
    return _graph_answer(checked_campaign(query.get("campaign", name)), query)


@campaigns_section.get(
    "/lineage/folded",
    CampaignGraph,
    query=FoldedQuery,
    errors=(300, 404, 413),
    other_types=(DOT, SVG),
)
def get_folded() -> Response:
    """Return the same graph; the experiment is optional if only one has a campaign of this name."""
    query = asked(FoldedQuery)
    return _graph_answer(checked_campaign(query["campaign"]), query)


def _graph_answer(campaign: str, query: Mapping[str, Any]) -> Response:
    with get_service().reading() as connection:
        experiment = query.get("experiment") or experiment_of_campaign(connection, campaign)
        tasks = listed_tasks(connection, experiment, query.get("task_id", ""))
    folded = read_campaign_graph(experiment, campaign, tasks)
    if query["format"] == "dot":
        return Response(classes_to_dot(folded.graph), content_type=DOT)
    if query["format"] == "svg":
        picture = draw_classes(folded.graph, links=class_links(folded), stages=folded.stages)
        return Response(picture, content_type=SVG)
    return json_answer(campaign_graph(folded))


@resources_section.get("/statistics/resources", ResourceSums, query=ResourcesQuery, errors=(413,))
def get_resources() -> Response:
    """Return distributions of what successful jobs took and made."""
    query = asked(ResourcesQuery)
    by = query.pop("by")
    return json_answer(read_filtered(RESOURCES, JobFilters(**query), by=by))


@throughput_section.get("/statistics/throughput", Throughput, query=ThroughputQuery, errors=(413,))
def get_throughput() -> Response:
    """Return what ended in each step of a window of time, and what changed in it."""
    return json_answer(read_marked_throughput(asked(ThroughputQuery)))


@modules_section.get("/statistics/modules", ModuleSums, query=ModulesQuery, errors=(404, 413))
def get_modules() -> Response:
    """Return what art's modules took in successful jobs."""
    query = asked(ModulesQuery)
    how = {name: query.pop(name) for name in ("by", "first", "second") if name in query}
    with get_service().reading() as connection:
        return json_answer(sum_modules(connection, JobFilters(**query), **how))
