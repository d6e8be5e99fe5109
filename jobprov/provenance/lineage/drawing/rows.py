"""The picture for phones: a row for each box, newest first, and lines beside the rows.

Each box with inputs opens a lane, a vertical line down to the last of its inputs. So the picture is
only as wide as its text and a few lanes, however wide the graph is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from jobprov.provenance.lineage.drawing.pencil import (
    FILE_FILL,
    FOCUS,
    FOCUS_FILL,
    LABEL_CHAR,
    LINE_COLOUR,
    MUTED,
    PAPER,
    Legend,
    Point,
    add_mark,
    draw_legend,
    edge_group,
    edge_path,
    frame,
    legend_height,
    node_element,
    number_text,
    write_lines,
)
from jobprov.provenance.lineage.drawing.sheet import Item, Sheet
from jobprov.provenance.lineage.graph import neighbours
from jobprov.provenance.lineage.layers import layers

WIDTH = 332.0
"""With its margins, 360 px: the narrowest screen that pages serve."""
LANE = 18.0
GUTTER_AT_MOST = 126.0
LABEL_WIDTH = 26
"""Columns of a label at least; more if few lanes leave room."""
ROW = 46.0
BADGE_ROOM = 22.0
STUB_ROW = 30.0
BEND = 16.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Keys from top to bottom, the lane of each, and how many lanes there are."""

    order: Sequence[str]
    lane_of: Mapping[str, int]
    lanes: int


def rows_element(sheet_for: Callable[[int], Sheet]) -> ET.Element:
    """The picture as an `<svg>` element; `sheet_for` gives the sheet for a width of labels."""
    sheet = sheet_for(LABEL_WIDTH)
    rows = arrange(list(sheet.items), list(sheet.arrows), first=sheet.first, order=sheet.order)
    step = min(LANE, GUTTER_AT_MOST / max(1, rows.lanes))
    left = step * rows.lanes + 8
    room = int((WIDTH - left) / LABEL_CHAR)
    if room > LABEL_WIDTH:
        sheet = sheet_for(room)
    top_of: dict[str, float] = {}
    mark_of: dict[str, Point] = {}
    height = 0.0
    for key in rows.order:
        top_of[key] = height
        mark_of[key] = (step * rows.lane_of[key] + 9, height + 14)
        height += _height(sheet.items[key])
    height += 8
    # Here a job is drawn only as the mark of its state, so there is no shape of a job to explain
    shapes = [shape for shape in sheet.shapes() if shape[0] != "job"]
    legend = Legend(sheet.notes, sheet.states(), shapes)
    whole_height = height + legend_height(legend, WIDTH)
    root, body = frame("lineage-down", WIDTH, whole_height, sheet.words)
    _draw_edges(body, sheet, mark_of)
    for key in rows.order:
        _draw_row(body, sheet.items[key], mark_of[key][0], left, top_of[key])
    draw_legend(body, legend, height, WIDTH)
    return root


def arrange(
    keys: Sequence[str],
    links: Sequence[tuple[str, str]],
    *,
    first: str,
    order: Sequence[tuple[str, str]] = (),
) -> Rows:
    """Rows in which each box is below everything made from it, and close to what it was made from.

    `order` has pairs that are placed like links, but without a line between them.
    """
    return _with_lanes(_order(keys, [*links, *order], first), links)


def _with_lanes(order: list[str], links: Sequence[tuple[str, str]]) -> Rows:
    """Give each box the first lane that is free, from its row to that of its last source."""
    row_of = {key: row for row, key in enumerate(order)}
    _, before = neighbours(ends for ends in links if row_of[ends[0]] > row_of[ends[1]])
    lane_of: dict[str, int] = {}
    busy_until: list[int] = []
    for row, key in enumerate(order):
        lane = _first_free(busy_until, row)
        if lane == len(busy_until):
            busy_until.append(row)
        sources = before.get(key, ())
        busy_until[lane] = max((row_of[source] for source in sources), default=row + 1)
        lane_of[key] = lane
    return Rows(order, lane_of, len(busy_until))


def _first_free(busy_until: Sequence[int], row: int) -> int:
    """Return the first lane that is free from a row on; one more than there are if none is."""
    for lane, until in enumerate(busy_until):
        if until <= row:  # a lane that ends in a row can be used again from it on
            return lane
    return len(busy_until)


def _order(keys: Sequence[str], links: Sequence[tuple[str, str]], first: str) -> list[str]:
    """The keys in order: each after all that was made from it, and `first` as early as possible."""
    after, before = neighbours(links)
    layer_of = layers(keys, links)

    def depth(key: str) -> int:
        return layer_of[key] if key in before else -1

    waits_for = {key: len(after.get(key, ())) for key in keys}
    ready = [key for key in reversed(keys) if not waits_for[key] and key != first]
    if waits_for.get(first) == 0:
        ready.append(first)
    order: list[str] = []
    unplaced = dict.fromkeys(keys)
    while unplaced:
        # In a cycle everything waits for something else
        key = ready.pop() if ready else next(iter(unplaced))
        del unplaced[key]
        order.append(key)
        short_first = sorted(before.get(key, ()), key=depth)
        for source in reversed(short_first):  # the last that is ready comes next
            waits_for[source] -= 1
            if not waits_for[source] and source in unplaced:
                ready.append(source)
    return order


def _height(item: Item) -> float:
    if item.kind == "stub":
        return STUB_ROW
    return ROW + BADGE_ROOM if item.text.badge else ROW


def _draw_edges(body: ET.Element, sheet: Sheet, mark_of: Mapping[str, Point]) -> None:
    edges = edge_group(body)
    for (source, target), is_sure in sheet.arrows.items():
        edge_path(edges, _edge(mark_of[source], mark_of[target]), is_sure=is_sure)


def _edge(source: Point, target: Point) -> str:
    """Return the line of an arrow: down the lane of its target, and round a bend to its source."""
    (x, y), (lane, top) = source, target
    line = f"M{_at(lane, top + 10)}"
    if lane == x:
        line += f"V{number_text(y - 9)}"
    else:
        bend = BEND if y > top else -BEND
        line += f"V{number_text(y - bend)}"
        line += f"Q{_at(lane, y)} {_at(x, y)}"
    left, tip, right = _at(lane - 3.5, top + 16), _at(lane, top + 10.5), _at(lane + 3.5, top + 16)
    return f"{line}M{left}L{tip}L{right}"


def _at(x: float, y: float) -> str:
    return f"{number_text(x)} {number_text(y)}"


def _draw_row(body: ET.Element, item: Item, x: float, left: float, top: float) -> None:
    """Draw the box of one row; its whole width can be touched."""
    node = node_element(body, f"lineage-{item.kind}", item.text, (0, top), is_focus=item.is_focus)
    attributes = {
        "x": number_text(left - 6),
        "y": "-3",
        "width": number_text(WIDTH - left + 6),
        "height": number_text(_height(item) - 4),
        "rx": "4",
    }
    look = {"fill": PAPER, "fill-opacity": "0"}
    if item.is_focus:
        look = {"fill": FOCUS_FILL, "fill-opacity": "1"}
    ET.SubElement(node, "rect", {"class": "lineage-row", **attributes, **look})
    if item.text.state:
        add_mark(node, item.text.state, x, 14)
    elif item.kind == "stub":
        spot = {"cx": number_text(x), "cy": "14", "r": "5", "fill": PAPER, "stroke": LINE_COLOUR}
        ET.SubElement(node, "circle", {"class": "lineage-shape", **spot, "stroke-dasharray": "2 2"})
    else:
        _draw_file(node, item, x)
    write_lines(node, item.text, (left, 18), is_bold=item.is_focus or item.text.state is not None)


def _draw_file(node: ET.Element, item: Item, x: float) -> None:
    """A small rounded box in the lane; two for several files."""
    look = {"fill": FILE_FILL, "stroke": LINE_COLOUR}
    if item.is_focus:
        look = {"fill": FOCUS, "stroke": FOCUS}
    elif item.text.is_placeholder:
        look = {"fill": PAPER, "stroke": MUTED, "stroke-dasharray": "3 2"}
    size = {"width": "14", "height": "10", "rx": "3"}
    shifts = (3.0, 0.0) if item.is_folded else (0.0,)
    for shift in shifts:
        place = {"x": number_text(x - 7 + shift), "y": number_text(9 + shift), **size}
        ET.SubElement(node, "rect", {"class": "lineage-shape", **place, **look})
