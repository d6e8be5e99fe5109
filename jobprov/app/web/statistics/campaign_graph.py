"""The page of a campaign in the large, as a picture.

It shows the jobs by stage, code version and state, and the files between them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flask import Response

from jobprov.app.kept_answers import read_campaign_graph
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
    name = asked("campaign") or name
    task_ids = asked("task_id") or ""
    with get_service().reading() as connection:
        tasks = listed_tasks(connection, experiment, task_ids)
    try:
        folded = read_campaign_graph(experiment, name, tasks)
    except NotFoundError as problem:
        return _page_of_namesake(experiment, name, problem)
    drawable = DrawableCampaign(folded, class_links(folded))
    drawing = asked_drawing(drawable)
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
        first_line=first_line(folded.graph),
        picture=draw_picture(drawable),
        map_url=here(picture="map"),
        right_url=here(picture="right"),
        down_url=here(picture="down"),
        classes=cut_rows("classes", _class_rows(drawable), _ROWS),
    )


def _page_of_namesake(experiment: str, name: str, problem: NotFoundError) -> Response:
    """Show the campaign whose own name ends in `/lineage`, as this page's address does.

    Raises:
        NotFoundError: `problem`, if there is no such campaign either.
    """
    try:
        return campaigns.show_page(experiment, f"{name}/lineage")
    except NotFoundError:
        raise problem from None


class DrawableCampaign(NamedTuple):
    """A folded campaign, and where its boxes lead."""

    folded: FoldedCampaign
    links: Links

    def boxes(self) -> int:
        """Return how many boxes the picture has."""
        return len(self.folded.graph.classes)

    def draw(self, direction: Direction) -> str:
        """Return the picture as an `<svg>` element."""
        return draw_classes(
            self.folded.graph, direction=direction, links=self.links, stages=self.folded.stages
        )

    def map(self, direction: Direction) -> Mapping[str, object]:
        """Return the values of the map."""
        return map_of_classes(
            self.folded.graph, self.links, stages=self.folded.stages, direction=direction
        )


def _class_rows(drawable: DrawableCampaign) -> list[ClassRow]:
    """Return the classes in the order of production."""
    graph = drawable.folded.graph
    files_in = _count_files(graph)
    rows = []
    for index in _production_order(graph, drawable.folded.stages):
        job_class = graph.classes[index]
        url = drawable.links.expand(str(index))
        rows.append(ClassRow(name_of_class(job_class), job_class, url, files_in[index]))
    return rows


def first_line(graph: FoldedGraph) -> str:
    """Return how many jobs of how many stages there are, and how many did not end well."""
    states: Counter[str] = Counter()
    for job_class in graph.classes:
        states[job_class.state] += job_class.jobs
    total = sum(states.values()) + graph.omitted.jobs
    stages = len({job_class.stage for job_class in graph.classes})
    line = f"{counted(total, 'job')} in {counted(stages, 'stage')}"
    versions = {job_class.code_version for job_class in graph.classes if job_class.code_version}
    if versions:
        line += f" with {counted(len(versions), 'code version')}"
    mishaps = [f"{number(states[state])} {state}" for state in UNHAPPY_STATES if states[state]]
    if mishaps:
        line += f"; {', '.join(mishaps)}"
    return f"{line}."


def _production_order(graph: FoldedGraph, begun: Sequence[str]) -> list[int]:
    """Return the indices of the classes in the order of production, the largest of a stage first.

    Stages between which no files went come in the order in which they began.
    """
    stage_flows: list[tuple[str, str]] = []
    for flow in graph.flows:
        source, target = graph.classes[flow.source].stage, graph.classes[flow.target].stage
        if source != target:
            stage_flows.append((source, target))
    stages = list(dict.fromkeys(job_class.stage for job_class in graph.classes))
    layer_of = layers(stages, list(dict.fromkeys(stage_flows)))
    began_as = {stage: place for place, stage in enumerate(begun)}

    def sort_key(index: int) -> tuple[int, int, str, int]:
        job_class = graph.classes[index]
        stage = job_class.stage
        return layer_of[stage], began_as.get(stage, len(began_as)), stage, -job_class.jobs

    return sorted(range(len(graph.classes)), key=sort_key)


def _count_files(graph: FoldedGraph) -> Counter[int]:
    """Return how many files each class of jobs got from the campaign's others."""
    files_in: Counter[int] = Counter()
    for flow in graph.flows:
        files_in[flow.target] += flow.files
    return files_in
