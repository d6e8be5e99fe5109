"""Campaigns over HTTP: one in the large, as a graph of classes of jobs."""

from typing import Any

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_word, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.campaigns import CampaignGraph
from jobprov.provenance.lineage.drawing.dot import classes_to_dot
from jobprov.provenance.lineage.drawing.svg import draw_classes
from jobprov.provenance.schemas.production_queries import CampaignGraphQuery, FoldedQuery
from jobprov.provenance.services.statistics.campaign_graph import (
    campaign_graph,
    class_links,
    experiment_of_campaign,
    fold_campaign,
    follow_up,
    listed_tasks,
)

section = Section("campaigns", "Campaigns in the large.")


@section.call(
    "GET",
    "/campaigns/<path:name>/graph",
    answers={200: CampaignGraph},
    parameters=parameters(CampaignGraphQuery),
    errors=(401, 404, 413, 422),
)
def get_graph(name: str) -> Response:
    """Return a campaign folded to stage, code version and state, with counts of jobs and of the files between them."""
    query = asked(CampaignGraphQuery)
    return _folded(checked_word(query.get("campaign", name), "campaign"), query)


@section.call(
    "GET",
    "/lineage/folded",
    answers={200: CampaignGraph},
    parameters=parameters(FoldedQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_folded() -> Response:
    """Return the same graph; the experiment may be left out where only one has a campaign of that name."""
    query = asked(FoldedQuery)
    return _folded(checked_word(query["campaign"], "campaign"), query)


def _folded(campaign: str, query: dict[str, Any]) -> Response:
    service = get_service()
    with service.reading() as connection:
        experiment = query.get("experiment") or experiment_of_campaign(connection, campaign)
        tasks = listed_tasks(connection, experiment, query.get("task_id", ""))
        folded = fold_campaign(connection, experiment, campaign, task_ids=tasks)
    if folded.needs_follow_up:
        service.write(lambda writing: follow_up(writing, folded))
    if query["format"] == "dot":
        return Response(
            classes_to_dot(folded.graph), content_type="text/vnd.graphviz; charset=utf-8"
        )
    if query["format"] == "svg":
        picture = draw_classes(folded.graph, links=class_links(folded), stages=folded.stages)
        return Response(picture, content_type="image/svg+xml; charset=utf-8")
    return json_answer(campaign_graph(folded))
