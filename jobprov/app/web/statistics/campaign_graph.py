"""The page of a campaign in the large, as a picture.

It shows the jobs by stage, code version and state, and the files between them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flask import Response

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, asked, here, pages
from jobprov.app.web.frame.pictures import asked_drawing, draw_picture
from jobprov.app.web.tasks import campaigns
from jobprov.app.web.tasks.campaigns import twin_of
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.drawing.map_view import map_of_classes, name_of_class
from jobprov.provenance.lineage.drawing.sheet import Links
from jobprov.provenance.lineage.drawing.svg import Direction, draw_classes
from jobprov.provenance.lineage.graph import UNHAPPY_STATES
from jobprov.provenance.lineage.layers import layers
from jobprov.provenance.lineage.quotient import FoldedGraph, JobClass
from jobprov.provenance.services.statistics.campaign_graph import (
    FoldedCampaign,
    class_links,
    fold_campaign,
    follow_up,
    listed_tasks,
)

_ROWS = 100
_FORMATS = {"json": "JSON", "dot": "DOT", "svg": "SVG"}


class ClassRow(NamedTuple):
    """A row of the table of classes: its jobs, their list, and the files that it got.

    The files that it made are the class's own `outputs`: what one class handed to others would
    count a file twice that a job and its retry read.

    Attributes:
        key: names the class in the map.
    """

    key: str
    job_class: JobClass
    url: str | None
    files_in: int


@pages.get("/campaigns/<experiment>/<path:name>/lineage", endpoint="campaign_lineage")
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
    folded = folded.answer()
    graph, links = folded.graph, class_links(folded)

    def draw(direction: str) -> str:
        way: Direction = "down" if direction == "down" else "right"
        return draw_classes(graph, direction=way, links=links, stages=folded.stages)

    def view_map(direction: Direction) -> Mapping[str, object]:
        return map_of_classes(graph, links, stages=folded.stages, direction=direction)

    drawing = asked_drawing(draw, view_map)
    if drawing is not None:
        return drawing
    query = {"experiment": experiment, "task_id": ",".join(tasks)}
    exports = {}
    for form, title in _FORMATS.items():
        exports[title] = f"/api/v1{twin_of(name, '/graph', {**query, 'format': form})}"
    return answer(
        "statistics/campaign_lineage.html",
        twin=twin_of(name, "/graph", query),
        exports=exports,
        experiment=experiment,
        name=name,
        tasks=tasks,
        folded=folded,
        first_line=first_line(graph),
        picture=draw_picture(draw, len(graph.classes)),
        map_url=here(picture="map"),
        right_url=here(picture="right"),
        down_url=here(picture="down"),
        classes=cut_rows("classes", _class_rows(folded, links), _ROWS),
    )


def _class_rows(folded: FoldedCampaign, links: Links) -> list[ClassRow]:
    """Return the classes in the order of production."""
    files_in = _count_files(folded.graph)
    rows = []
    for place, job_class in _in_order(folded.graph, folded.stages):
        key, url = name_of_class(job_class), links.expand(str(place))
        rows.append(ClassRow(key, job_class, url, files_in[place]))
    return rows


def first_line(graph: FoldedGraph) -> str:
    """Return how many jobs of how many stages there are, and how many did not end well."""
    states: Counter[str] = Counter()
    for job_class in graph.classes:
        states[job_class.state] += job_class.jobs
    total = sum(states.values()) + graph.omitted_jobs
    stages = len({job_class.stage for job_class in graph.classes})
    line = f"{counted(total, 'job')} in {counted(stages, 'stage')}"
    versions = {job_class.code_version for job_class in graph.classes if job_class.code_version}
    if versions:
        line += f" with {counted(len(versions), 'code version')}"
    mishaps = [f"{number(states[state])} {state}" for state in UNHAPPY_STATES if states[state]]
    if mishaps:
        line += f"; {', '.join(mishaps)}"
    return f"{line}."


def _in_order(graph: FoldedGraph, begun: Sequence[str]) -> list[tuple[int, JobClass]]:
    """Return the classes with their places, in the order of production.

    Where no file tells that order, they come as their stages began.
    """
    stages = list(dict.fromkeys(job_class.stage for job_class in graph.classes))
    stage_flows: dict[tuple[str, str], None] = {}
    for flow in graph.flows:
        source, target = graph.classes[flow.source].stage, graph.classes[flow.target].stage
        if source != target:
            stage_flows[source, target] = None
    layer = layers(stages, list(stage_flows))
    rank = {stage: place for place, stage in enumerate(begun)}

    def order(placed_class: tuple[int, JobClass]) -> tuple[int, int, str, int]:
        _, job_class = placed_class
        stage = job_class.stage
        return layer[stage], rank.get(stage, len(rank)), stage, -job_class.jobs

    return sorted(enumerate(graph.classes), key=order)


def _count_files(graph: FoldedGraph) -> Counter[int]:
    """Return how many files each class of jobs got from the campaign's others."""
    files_in: Counter[int] = Counter()
    for flow in graph.flows:
        files_in[flow.target] += flow.files
    return files_in
