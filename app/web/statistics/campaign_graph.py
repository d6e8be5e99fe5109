"""The page of a campaign in the large, as a picture.

It shows the jobs by stage, code version and state, and the files between them.
"""

from collections import Counter
from collections.abc import Sequence

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, asked, here
from jobprov.app.web.frame.pictures import asked_drawing, draw_picture
from jobprov.app.web.tasks import campaigns
from jobprov.app.web.tasks.campaigns import twin_of
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.drawing.map_view import map_of_classes, name_of_class
from jobprov.provenance.lineage.drawing.svg import Direction, draw_classes
from jobprov.provenance.lineage.graph import UNHAPPY_STATES
from jobprov.provenance.lineage.layers import layers
from jobprov.provenance.lineage.quotient import FoldedGraph, JobClass
from jobprov.provenance.services.statistics.campaign_graph import (
    class_links,
    fold_campaign,
    follow_up,
    listed_tasks,
)

_ROWS = 100
_FORMATS = {"json": "JSON", "dot": "DOT", "svg": "SVG"}


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    rule = "/campaigns/<experiment>/<path:name>/lineage"
    blueprint.add_url_rule(rule, view_func=show_page, endpoint="campaign_lineage")


def show_page(experiment: str, name: str) -> Response:
    """Show a campaign in the large, or with `picture=` its drawing alone."""
    service, name = get_service(), asked("campaign") or name
    try:
        with service.reading() as connection:
            tasks = listed_tasks(connection, experiment, asked("task_id") or "")
            folded = fold_campaign(connection, experiment, name, task_ids=tasks)
    except NotFoundError as problem:
        try:
            return campaigns.show_page(experiment, f"{name}/lineage")  # a campaign may be called so
        except NotFoundError:
            raise problem from None
    if folded.needs_follow_up:
        service.write(lambda writing: follow_up(writing, folded))
    graph, links = folded.graph, class_links(folded)

    def draw(direction: str) -> str:
        way: Direction = "down" if direction == "down" else "right"
        return draw_classes(graph, direction=way, links=links, stages=folded.stages)

    if (
        drawing := asked_drawing(draw, lambda: map_of_classes(graph, links, stages=folded.stages))
    ) is not None:
        return drawing
    words = {"experiment": experiment, "task_id": ",".join(tasks)}
    files_in, files_out = _files(graph)
    rows = [
        {
            "key": name_of_class(some),
            "some": some,
            "url": links.expand(str(index)),
            "read": files_in[index],
            "made": files_out[index],
        }
        for index, some in _in_order(graph, folded.stages)
    ]
    return answer(
        "statistics/campaign_lineage.html",
        twin=twin_of(name, "/graph", words),
        exports={
            title: f"/api/v1{twin_of(name, '/graph', {**words, 'format': kind})}"
            for kind, title in _FORMATS.items()
        },
        experiment=experiment,
        name=name,
        tasks=tasks,
        folded=folded,
        first_line=first_line(graph),
        picture=draw_picture(draw, len(graph.classes)),
        map_url=here(picture="map"),
        right_url=here(picture="right"),
        down_url=here(picture="down"),
        classes=cut_rows("classes", rows, _ROWS),
    )


def first_line(graph: FoldedGraph) -> str:
    """Return how many jobs of how many stages there are, and how many did not end well."""
    states: Counter[str] = Counter()
    for some in graph.classes:
        states[some.state] += some.jobs
    total = sum(states.values()) + graph.omitted_jobs
    stages = len({some.stage for some in graph.classes})
    versions = len({some.code_version for some in graph.classes if some.code_version})
    mishaps = ", ".join(
        f"{number(states[state])} {state}" for state in UNHAPPY_STATES if states[state]
    )
    with_code = f" with {counted(versions, 'code version')}" if versions else ""
    return f"{counted(total, 'job')} in {counted(stages, 'stage')}{with_code}" + (
        f"; {mishaps}." if mishaps else "."
    )


def _in_order(graph: FoldedGraph, begun: Sequence[str]) -> list[tuple[int, JobClass]]:
    """Return the classes with their places, in the order of production.

    Where no file tells that order, they come as their stages began.
    """
    stages = list(dict.fromkeys(some.stage for some in graph.classes))
    named = (
        (graph.classes[flow.source].stage, graph.classes[flow.target].stage) for flow in graph.flows
    )
    layer = layers(stages, list(dict.fromkeys(ends for ends in named if ends[0] != ends[1])))
    rank = {stage: place for place, stage in enumerate(begun)}

    def place(one: tuple[int, JobClass]) -> tuple[int, int, str, int]:
        stage = one[1].stage
        return layer[stage], rank.get(stage, len(rank)), stage, -one[1].jobs

    return sorted(enumerate(graph.classes), key=place)


def _files(graph: FoldedGraph) -> tuple[Counter[int], Counter[int]]:
    """Return how many files each class of jobs got from the campaign's others, and gave to them."""
    read: Counter[int] = Counter()
    made: Counter[int] = Counter()
    for flow in graph.flows:
        read[flow.target] += flow.files
        made[flow.source] += flow.files
    return read, made
