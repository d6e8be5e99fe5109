"""The page of a file's history: how many files and jobs, the picture, the table, the exports."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from flask import Response, request

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.page import answer, asked, asked_file, asked_number, here, pages
from jobprov.app.web.frame.pictures import asked_drawing, draw_picture
from jobprov.app.web.histories.question import FileQuestion, asked_question, text_of
from jobprov.app.web.histories.sought import answer_sought
from jobprov.app.web.lookup.jobs import asked_time
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import file_page, lineage_of
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.drawing.map_view import map_of_view
from jobprov.provenance.lineage.drawing.sheet import Links
from jobprov.provenance.lineage.drawing.svg import Direction, draw_view
from jobprov.provenance.lineage.folding import View, fold
from jobprov.provenance.lineage.graph import FileNode, Graph, Node
from jobprov.provenance.lineage.sentences import known_briefly, summary
from jobprov.provenance.services.histories.lineage import MOST_NODES, has_other_side, trace_lineage
from jobprov.provenance.services.histories.lineage_filters import NodeFilters, take_filters

DIRECTIONS = {"ancestors": "What made it", "descendants": "What came of it", "both": "Both"}
DEPTHS = (1, 2, 3, 5)
LIMITS = (200, 500, MOST_NODES)
FORMATS = {
    "json": "JSON",
    "csv": "CSV",
    "dot": "DOT",
    "svg": "SVG",
    "prov-json": "PROV-JSON",
    "prov-n": "PROV-N",
    "openlineage": "OpenLineage",
    "text": "text",
}
FILTERS = (
    "kind",
    "role",
    "stage",
    "state",
    "software",
    "revision",
    "started_after",
    "started_before",
    "as_of",
)
_ROWS = 60
_OF_THE_FILE = ("experiment", "namespace", "version", "direction", "depth", "limit")
_NOT_OF_THE_GRAPH = frozenset({"picture", "whole", "from", "at", "start", "end", "find", "sought"})


class LineageQuestion(NamedTuple):
    """What the address asks about the history of a file.

    Attributes:
        depth: jobs away from it at most; None for all.
        limit: files and jobs at most.
        filters: what the form of filters holds, by field; empty where a field is not set.
    """

    file: FileQuestion
    direction: str
    depth: int | None
    limit: int
    filters: dict[str, str]

    @property
    def is_filtered(self) -> bool:
        """Whether only part of the history is asked for."""
        return any(self.filters.values())


def _asked() -> LineageQuestion:
    """Return what the address asks.

    Raises:
        BadInputError: a number or a time cannot be read.
    """
    return LineageQuestion(
        file=asked_question(),
        direction=asked("direction") or "ancestors",
        depth=asked_number("depth", least=1, most=1000),
        limit=asked_number("limit", least=1, most=MOST_NODES) or LIMITS[0],
        filters={name: asked(name) or "" for name in FILTERS},
    )


@pages.get("/lineage/<path:name>", endpoint="lineage")
def show_page(name: str) -> Response:
    """Show a file's history; with `picture=` its drawing alone, with `sought=` what holds words."""
    if words := asked("sought"):
        return answer_sought(name, words)
    question = _asked()
    history = _read_history(name, question)
    graph = history.graph
    drawable = DrawableHistory(
        view=fold(graph, expanded=frozenset(request.args.getlist("expanded"))),
        links=Links(expand=_expanded_address, more=_more_address(graph, question)),
        first_line=_first_line(graph, question),
    )
    drawing = asked_drawing(drawable)
    if drawing is not None:
        return drawing
    return answer(
        "histories/lineage.html",
        **_addresses(name, graph, question)._asdict(),
        name=name,
        graph=graph,
        first_line=drawable.first_line,
        question=question,
        choices=_choices(question, history),
        kept_fields=_kept_fields(),
        is_expanded="expanded" in request.args,
        picture=draw_picture(drawable),
        nodes=cut_rows("nodes", graph.nodes, _ROWS),
        known_briefly=known_briefly,
    )


class History(NamedTuple):
    """The history of a file, and whether it has another side where this one is empty."""

    graph: Graph
    has_other_side: bool


def _read_history(name: str, question: LineageQuestion) -> History:
    file = question.file
    with get_service().reading() as connection:
        graph = trace_lineage(
            connection,
            name,
            **file._asdict(),
            direction=question.direction,
            depth=question.depth,
            limit=question.limit,
            filters=_node_filters(question.filters),
        )
        if len(graph.nodes) > 1 or question.is_filtered:
            return History(graph, has_other_side=False)
        other_side = has_other_side(
            connection,
            name,
            experiment=file.experiment,
            namespace=file.namespace,
            version=file.version,
            direction=question.direction,
        )
    return History(graph, has_other_side=other_side)


class DrawableHistory(NamedTuple):
    """A folded history, where its boxes lead, and the sentence above it."""

    view: View
    links: Links
    first_line: str

    def boxes(self) -> int:
        """Return how many boxes the picture has."""
        return len(self.view.boxes)

    def draw(self, direction: Direction) -> str:
        """Return the picture as an `<svg>` element."""
        return draw_view(self.view, direction=direction, links=self.links)

    def map(self, direction: Direction) -> Mapping[str, object]:
        """Return the values of the map, with the sentence of the page."""
        values = map_of_view(self.view, self.links, direction=direction)
        return {**values, "words": self.first_line}


def _first_line(graph: Graph, question: LineageQuestion) -> str:
    if question.is_filtered and len(graph.nodes) == 1:
        return "Nothing of this file's history passes these filters."
    return summary(graph)


def _node_filters(fields: dict[str, str]) -> NodeFilters:
    """Return what of the history is shown.

    Raises:
        BadInputError: an unknown kind, or a time that cannot be read.
    """
    if fields["kind"] not in ("", "file", "job"):
        raise BadInputError(
            f"kind: {fields['kind'][:40]!r} is neither file nor job.", {"kind": ["file or job"]}
        )
    filters: dict[str, Any] = {}
    for name, value in fields.items():
        if value and name != "as_of":
            filters[name] = value
    for name in ("started_after", "started_before"):
        moment = asked_time(name)
        if moment is not None:
            filters[name] = moment
    return take_filters(filters)


def _kept_fields() -> dict[str, str]:
    """Return the fields of the address that the form of filters keeps, hidden."""
    file = asked_file()
    kept = {}
    for name in _OF_THE_FILE:
        value = asked(name) or ""
        # an empty namespace is one, too: the file has none
        if value or file.get(name) is not None:
            kept[name] = value
    return kept


class LineageChoices(NamedTuple):
    """What else of the history the page offers: titles or numbers, each with its address.

    Attributes:
        other_side: the side that the page does not show, where this one is empty and that is not.
        limits: empty where the graph is small.
        everything: the page without filters.
        folded_again: the page with all boxes folded.
    """

    directions: dict[str, tuple[str, str]]
    other_side: tuple[str, str] | None
    depths: list[tuple[int, str]]
    all_depths: str
    limits: list[tuple[int, str]]
    everything: str
    folded_again: str


def _choices(question: LineageQuestion, history: History) -> LineageChoices:
    directions = {}
    for direction, title in DIRECTIONS.items():
        directions[direction] = (title, here(direction=direction, expanded=None))
    other_side = None
    if history.has_other_side:
        other = "descendants" if question.direction == "ancestors" else "ancestors"
        other_side = directions[other]
    limits = []
    if len(history.graph.nodes) >= LIMITS[0]:
        limits = [(limit, here(limit=str(limit), expanded=None)) for limit in LIMITS]
    return LineageChoices(
        directions=directions,
        other_side=other_side,
        depths=[(depth, here(depth=str(depth), expanded=None)) for depth in DEPTHS],
        all_depths=here(depth=None, expanded=None),
        limits=limits,
        everything=here(expanded=None, **dict.fromkeys(FILTERS)),
        folded_again=here(expanded=None),
    )


class LineageAddresses(NamedTuple):
    """Where else the history is: its JSON twin, other forms by title, drawings, the file's page."""

    twin: str
    exports: dict[str, str]
    file: Node
    file_url: str
    map_url: str
    opened_map_url: str
    right_url: str
    down_url: str


def _addresses(name: str, graph: Graph, question: LineageQuestion) -> LineageAddresses:
    focus = graph.by_key()[graph.focus]
    place = {}
    if isinstance(focus, FileNode):
        place = {"experiment": focus.experiment, "namespace": focus.namespace}
    query = {
        **place,
        "version": asked("version") or "",
        "limit": asked("limit") or "",
        "direction": question.direction,
        "depth": str(question.depth or ""),
        **question.filters,
        "as_of": text_of(question.file.as_of),
    }
    twin = f"/files/{quote(name, safe='')}/lineage"
    exports = {}
    for form, title in FORMATS.items():
        exports[title] = f"/api/v1{twin}{address('', {**query, 'format': form})}"
    map_url = _drawing_address("map")
    return LineageAddresses(
        twin=twin + address("", query),
        exports=exports,
        file=focus,
        file_url=file_page(name, **place),
        map_url=map_url,
        opened_map_url=map_url + _opened_boxes(),
        right_url=_drawing_address("right"),
        down_url=_drawing_address("down"),
    )


def _expanded_address(key: str) -> str:
    """Return the address of this page with one more box opened."""
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "picture"]
    return f"{quote(request.path)}?{_encoded([*query, ('expanded', key)])}"


def _more_address(graph: Graph, question: LineageQuestion) -> Callable[[str], str | None]:
    """Return what gives the address of more of the history beyond a node.

    It is this page with more files, else with one level more, else the page of that file or job.
    """
    nodes = graph.by_key()
    larger = None
    if len(graph.nodes) >= question.limit:
        larger = next((limit for limit in LIMITS if limit > question.limit), None)

    def more(key: str) -> str | None:
        if larger is not None:
            return here(limit=str(larger), picture=None, expanded=None)
        if question.depth is not None:
            return here(depth=str(question.depth + 1), picture=None)
        node = nodes.get(key)
        if node is None or node.url is None:
            return None
        return lineage_of(node.url) if isinstance(node, FileNode) else node.url

    return more


def _drawing_address(form: str) -> str:
    """Return where a drawing of this graph is.

    The script of the map itself adds which boxes are opened.
    """
    dropped = set(_NOT_OF_THE_GRAPH)
    if form == "map":
        dropped.add("expanded")
    query = []
    for name, value in request.args.items(multi=True):
        if name not in dropped:
            query.append((name, value))
    query.append(("picture", form))
    return f"{quote(request.path)}?{_encoded(query)}"


def _opened_boxes() -> str:
    """Return which boxes are opened, as the script of the map adds it to the map's address.

    The page's head asks for the map ahead of the script, by the same address to the letter.
    """
    unescaped = "!~*'()"  # as JavaScript's `encodeURIComponent`
    handles = request.args.getlist("expanded")
    return "".join(f"&expanded={quote(handle, safe=unescaped)}" for handle in handles)


def _encoded(query: list[tuple[str, str]]) -> str:
    """Return a query as text, each pair of a name and a value once."""
    return "&".join(
        f"{quote(name)}={quote(value, safe='')}" for name, value in dict.fromkeys(query)
    )
