"""The page of a file's history: how many files and jobs, the picture, the table, the exports."""

from urllib.parse import quote

from flask import Blueprint, Response, request

from app.web.cuts import address, cut_rows
from app.web.frame import answer, asked, asked_number, here
from app.web.pictures import asked_drawing, draw_picture
from app.wiring import get_service
from provenance.lineage.folding import fold
from provenance.lineage.graph import FileNode, Graph
from provenance.lineage.map_view import map_of_view
from provenance.lineage.sheet import Links
from provenance.lineage.svg import draw_view
from provenance.lineage.words import summary
from provenance.services.trace_lineage import trace_lineage

DIRECTIONS = {"ancestors": "What made it", "descendants": "What came of it", "both": "Both"}
DEPTHS = (1, 2, 3, 5)
FORMATS = {"json": "JSON", "dot": "DOT", "svg": "SVG", "prov-json": "PROV-JSON", "prov-n": "PROV-N", "text": "text"}
_ROWS = 60
_NOT_OF_THE_GRAPH = frozenset({"picture", "whole", "from", "at", "start", "end", "find"})


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/lineage/<path:name>", view_func=show_page, endpoint="lineage")


def show_page(name: str) -> Response:
    """Show a file's history, or with `picture=` its drawing alone."""
    direction, depth = asked("direction") or "ancestors", asked_number("depth", least=1, most=1000)
    limit = asked_number("limit", least=1, most=1000) or 200
    with get_service().reading() as connection:
        graph = trace_lineage(
            connection,
            name,
            experiment=asked("experiment"),
            namespace=asked("namespace"),
            version=asked_number("version", least=1, most=10**6),
            direction=direction,
            depth=depth,
            limit=limit,
        )
    expanded = frozenset(request.args.getlist("expanded"))
    view, links = fold(graph, expanded=expanded), _links(graph, depth)

    def draw(direction: str) -> str:
        return draw_view(view, direction="down" if direction == "down" else "right", links=links)

    if (drawing := asked_drawing(draw, lambda: map_of_view(view, links))) is not None:
        return drawing
    focus = graph.by_key()[graph.focus]
    words = {"experiment": focus.experiment, "namespace": focus.namespace} if isinstance(focus, FileNode) else {}
    query = {**words, "direction": direction, "depth": str(depth or "")}
    twin = f"/files/{quote(name, safe='')}/lineage"
    return answer(
        "lineage.html",
        twin=twin + address("", query),
        exports={title: f"/api/v1{twin}{address('', {**query, 'format': kind})}" for kind, title in FORMATS.items()},
        name=name,
        file=focus,
        file_url=f"/files/{quote(name, safe='')}{address('', words)}",
        graph=graph,
        first_line=summary(graph),
        picture=draw_picture(draw, len(view.boxes)),
        map_url=_drawing_address("map"),
        right_url=_drawing_address("right"),
        down_url=_drawing_address("down"),
        nodes=cut_rows("nodes", graph.nodes, _ROWS),
        direction=direction,
        depth=depth,
        directions={word: (title, here(direction=word, expanded=None)) for word, title in DIRECTIONS.items()},
        depths=[(step, here(depth=str(step), expanded=None)) for step in DEPTHS],
        all_depths=here(depth=None, expanded=None),
        is_expanded=bool(expanded),
        folded_again=here(expanded=None),
    )


def _links(graph: Graph, depth: int | None) -> Links:
    """Return where folded boxes lead (the same page, opened) and where stubs do (one level more, or that file's own page)."""
    nodes = graph.by_key()

    def expand(key: str) -> str:
        words = [(name, value) for name, value in request.args.items(multi=True) if name != "picture"]
        return f"{quote(request.path)}?{_query([*words, ('expanded', key)])}"

    def more(key: str) -> str | None:
        if depth is not None:
            return here(depth=str(depth + 1), picture=None)
        node = nodes.get(key)
        return node.url.replace("/files/", "/lineage/", 1) if node is not None and node.url else None

    return Links(expand=expand, more=more)


def _drawing_address(form: str) -> str:
    """Return where a drawing of this graph is; the script of the map adds itself which boxes are opened."""
    dropped = _NOT_OF_THE_GRAPH | ({"expanded"} if form == "map" else set())
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in dropped]
    return f"{quote(request.path)}?{_query([*kept, ('picture', form)])}"


def _query(words: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in dict.fromkeys(words))
