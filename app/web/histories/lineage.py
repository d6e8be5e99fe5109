"""The page of a file's history: how many files and jobs, the picture, the table, the exports."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.page import answer, asked, asked_file, asked_number, here
from jobprov.app.web.frame.pictures import asked_drawing, draw_picture
from jobprov.app.web.lookup.jobs import asked_time
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.folding import fold
from jobprov.provenance.lineage.graph import FileNode, Graph
from jobprov.provenance.lineage.map_view import map_of_view
from jobprov.provenance.lineage.sentences import known_briefly, summary
from jobprov.provenance.lineage.sheet import Links
from jobprov.provenance.lineage.svg import draw_view
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
_NOT_OF_THE_GRAPH = frozenset({"picture", "whole", "from", "at", "start", "end", "find"})


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/lineage/<path:name>", view_func=show_page, endpoint="lineage")


def show_page(name: str) -> Response:
    """Show a file's history, or with `picture=` its drawing alone."""
    said = {word for word, value in asked_file().items() if value is not None}
    direction, depth = asked("direction") or "ancestors", asked_number("depth", least=1, most=1000)
    limit = asked_number("limit", least=1, most=MOST_NODES) or LIMITS[0]
    words = {word: asked(word) or "" for word in FILTERS}
    file: dict[str, Any] = {**asked_file(), "version": asked_number("version", least=1, most=10**6)}
    with get_service().reading() as connection:
        graph = trace_lineage(
            connection,
            name,
            **file,
            direction=direction,
            depth=depth,
            limit=limit,
            filters=_asked_filters(words),
            as_of=asked_time("as_of"),
        )
        is_empty = len(graph.nodes) == 1 and not any(words.values())
        other = is_empty and has_other_side(connection, name, **file, direction=direction)
    first_line = _first_line(graph, is_filtered=any(words.values()))
    directions = {
        word: (title, here(direction=word, expanded=None)) for word, title in DIRECTIONS.items()
    }
    view, links = (
        fold(graph, expanded=frozenset(request.args.getlist("expanded"))),
        _links(graph, depth, limit),
    )

    def draw(direction: str) -> str:
        return draw_view(view, direction="down" if direction == "down" else "right", links=links)

    if (
        drawing := asked_drawing(draw, lambda: {**map_of_view(view, links), "words": first_line})
    ) is not None:
        return drawing
    return answer(
        "histories/lineage.html",
        **_addresses(name, graph, {"direction": direction, "depth": str(depth or ""), **words}),
        name=name,
        graph=graph,
        first_line=first_line,
        other_side=directions["descendants" if direction == "ancestors" else "ancestors"]
        if other
        else None,
        picture=draw_picture(draw, len(view.boxes)),
        map_url=_drawing_address("map"),
        right_url=_drawing_address("right"),
        down_url=_drawing_address("down"),
        nodes=cut_rows("nodes", graph.nodes, _ROWS),
        filters=words,
        kept={word: asked(word) or "" for word in _OF_THE_FILE if asked(word) or word in said},
        known_briefly=known_briefly,
        is_filtered=any(words.values()),
        everything=here(expanded=None, **dict.fromkeys(FILTERS)),
        direction=direction,
        depth=depth,
        directions=directions,
        depths=[(step, here(depth=str(step), expanded=None)) for step in DEPTHS],
        limit=limit,
        limits=[(step, here(limit=str(step), expanded=None)) for step in LIMITS]
        if len(graph.nodes) >= LIMITS[0]
        else [],
        all_depths=here(depth=None, expanded=None),
        is_expanded="expanded" in request.args,
        folded_again=here(expanded=None),
    )


def _first_line(graph: Graph, *, is_filtered: bool) -> str:
    if is_filtered and len(graph.nodes) == 1:
        return "Nothing of this file's history passes these filters."
    return summary(graph)


def _asked_filters(words: dict[str, str]) -> NodeFilters:
    """Return what of the history is shown.

    Raises:
        BadInputError: a word that is none, or a time that cannot be read.
    """
    if words["kind"] not in ("", "file", "job"):
        raise BadInputError(
            f"kind: {words['kind'][:40]!r} is neither file nor job.", {"kind": ["file or job"]}
        )
    times = {word: asked_time(word) for word in ("started_after", "started_before")}
    said = {word: value for word, value in words.items() if value and word != "as_of"}
    return take_filters(
        {**said, **{word: time for word, time in times.items() if time is not None}}
    )


def _addresses(name: str, graph: Graph, query: dict[str, str]) -> dict[str, Any]:
    """Return the page's JSON twin, the same graph in other forms, and the file's own page."""
    focus = graph.by_key()[graph.focus]
    words = (
        {"experiment": focus.experiment, "namespace": focus.namespace}
        if isinstance(focus, FileNode)
        else {}
    )
    same = {**words, "version": asked("version") or "", "limit": asked("limit") or "", **query}
    twin = f"/files/{quote(name, safe='')}/lineage"
    return {
        "twin": twin + address("", same),
        "exports": {
            title: f"/api/v1{twin}{address('', {**same, 'format': kind})}"
            for kind, title in FORMATS.items()
        },
        "file": focus,
        "file_url": f"/files/{quote(name, safe='')}{address('', words)}",
    }


def _links(graph: Graph, depth: int | None, limit: int) -> Links:
    """Return where folded boxes lead (the same page, opened) and where stubs do (more of it, a level more, or that file's own page)."""
    nodes = graph.by_key()
    larger = next((step for step in LIMITS if len(graph.nodes) >= limit and step > limit), None)

    def expand(key: str) -> str:
        words = [
            (name, value) for name, value in request.args.items(multi=True) if name != "picture"
        ]
        return f"{quote(request.path)}?{_query([*words, ('expanded', key)])}"

    def more(key: str) -> str | None:
        if larger is not None:
            return here(limit=str(larger), picture=None, expanded=None)
        if depth is not None:
            return here(depth=str(depth + 1), picture=None)
        node = nodes.get(key)
        return (
            node.url.replace("/files/", "/lineage/", 1) if node is not None and node.url else None
        )

    return Links(expand=expand, more=more)


def _drawing_address(form: str) -> str:
    """Return where a drawing of this graph is.

    The script of the map adds itself which boxes are opened.
    """
    dropped = _NOT_OF_THE_GRAPH | ({"expanded"} if form == "map" else set())
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in dropped]
    return f"{quote(request.path)}?{_query([*kept, ('picture', form)])}"


def _query(words: list[tuple[str, str]]) -> str:
    return "&".join(
        f"{quote(name)}={quote(value, safe='')}" for name, value in dict.fromkeys(words)
    )
