"""The picture for phones: a row for each box, newest first, and lines beside the rows.

Each box with inputs opens a lane, a vertical line down to the last of its inputs. So the picture is
only as wide as its text and a few lanes, however wide the graph is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
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
    point_text,
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


class _RowPlace(NamedTuple):
    """Where a row begins, and the middle of its lane."""

    top: float
    lane: float

    @property
    def mark(self) -> Point:
        """The middle of the mark in the lane."""
        return self.lane, self.top + 14


def rows_element(sheet_for: Callable[[int], Sheet]) -> ET.Element:
    """The picture as an `<svg>` element; `sheet_for` gives the sheet for a width of labels."""
    sheet = sheet_for(LABEL_WIDTH)
    rows = arrange(list(sheet.items), list(sheet.arrows), first=sheet.first, order=sheet.order)
    lane_width = min(LANE, GUTTER_AT_MOST / max(1, rows.lanes))
    text_left = lane_width * rows.lanes + 8
    label_width = int((WIDTH - text_left) / LABEL_CHAR)
    if label_width > LABEL_WIDTH:
        sheet = sheet_for(label_width)

    places: dict[str, _RowPlace] = {}
    height = 0.0
    for key in rows.order:
        places[key] = _RowPlace(height, lane_width * rows.lane_of[key] + 9)
        height += _height(sheet.items[key])
    height += 8

    # Here a job is drawn only as the mark of its state, so there is no shape of a job to explain
    shapes = [shape for shape in sheet.shapes() if shape.name != "job"]
    legend = Legend(sheet.notes, sheet.states(), shapes)
    whole_height = height + legend_height(legend, WIDTH)
    root, body = frame("lineage-down", WIDTH, whole_height, sheet.words)
    _draw_edges(body, sheet, places)
    for key, place in places.items():
        _draw_row(body, sheet.items[key], place, text_left)
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
    last_source_row: dict[str, int] = {}
    for source, target in links:
        # Within a cycle, a source may be above what was made from it: no lane leads there
        if row_of[source] > row_of[target]:
            last_source_row[target] = max(row_of[source], last_source_row.get(target, 0))
    lane_of: dict[str, int] = {}
    busy_until: list[int] = []
    for row, key in enumerate(order):
        lane = _first_free(busy_until, row)
        if lane == len(busy_until):
            busy_until.append(row)
        busy_until[lane] = last_source_row.get(key, row + 1)
        lane_of[key] = lane
    return Rows(order, lane_of, len(busy_until))


def _first_free(busy_until: Sequence[int], row: int) -> int:
    """Return the first lane that is free from a row on; the number of lanes if none is."""
    for lane, until in enumerate(busy_until):
        if until <= row:  # a lane that ends in a row can be used again from it on
            return lane
    return len(busy_until)


def _order(keys: Sequence[str], links: Sequence[tuple[str, str]], first: str) -> list[str]:
    """The keys in order: each after all that was made from it, and `first` as early as possible."""
    after, before = neighbours(links)
    # A box without sources counts as the shortest branch
    depth_of = dict.fromkeys(keys, -1)
    for key, layer in layers(keys, links).items():
        if key in before:
            depth_of[key] = layer
    unplaced_products = {key: len(after.get(key, ())) for key in keys}
    ready: list[str] = []  # a stack
    for key in reversed(keys):
        if unplaced_products[key] == 0 and key != first:
            ready.append(key)
    if unplaced_products.get(first) == 0:
        ready.append(first)

    order: list[str] = []
    unplaced = dict.fromkeys(keys)
    while unplaced:
        if ready:
            key = ready.pop()
        else:
            key = next(iter(unplaced))  # in a cycle everything waits for something else
        del unplaced[key]
        order.append(key)
        shortest_first = sorted(before.get(key, ()), key=depth_of.__getitem__)
        for source in reversed(shortest_first):  # the last one pushed is placed next
            unplaced_products[source] -= 1
            if unplaced_products[source] == 0 and source in unplaced:
                ready.append(source)
    return order


def _height(item: Item) -> float:
    if item.kind == "stub":
        return STUB_ROW
    return ROW + BADGE_ROOM if item.text.badge else ROW


def _draw_edges(body: ET.Element, sheet: Sheet, places: Mapping[str, _RowPlace]) -> None:
    edges = edge_group(body)
    for (source, target), is_sure in sheet.arrows.items():
        edge_path(edges, _edge(places[source].mark, places[target].mark), is_sure=is_sure)


def _edge(source: Point, target: Point) -> str:
    """Return the line of an arrow: down the lane of its target, and round a bend to its source."""
    source_lane, source_y = source
    lane, top = target
    line = f"M{point_text(lane, top + 10)}"
    if lane == source_lane:
        line += f"V{number_text(source_y - 9)}"
    else:
        bend = BEND if source_y > top else -BEND
        line += f"V{number_text(source_y - bend)}"
        line += f"Q{point_text(lane, source_y)} {point_text(source_lane, source_y)}"
    left = point_text(lane - 3.5, top + 16)
    tip = point_text(lane, top + 10.5)
    right = point_text(lane + 3.5, top + 16)
    return f"{line}M{left}L{tip}L{right}"


def _draw_row(body: ET.Element, item: Item, place: _RowPlace, text_left: float) -> None:
    """Draw the box of one row; its whole width can be touched."""
    corner = (0, place.top)
    node = node_element(body, f"lineage-{item.kind}", item.text, corner, is_focus=item.is_focus)
    attributes = {
        "x": number_text(text_left - 6),
        "y": "-3",
        "width": number_text(WIDTH - text_left + 6),
        "height": number_text(_height(item) - 4),
        "rx": "4",
    }
    look = {"fill": PAPER, "fill-opacity": "0"}
    if item.is_focus:
        look = {"fill": FOCUS_FILL, "fill-opacity": "1"}
    ET.SubElement(node, "rect", {"class": "lineage-row", **attributes, **look})
    if item.text.state:
        add_mark(node, item.text.state, place.lane, 14)
    elif item.kind == "stub":
        circle = {"cx": number_text(place.lane), "cy": "14", "r": "5"}
        outline = {"fill": PAPER, "stroke": LINE_COLOUR, "stroke-dasharray": "2 2"}
        ET.SubElement(node, "circle", {"class": "lineage-shape", **circle, **outline})
    else:
        _draw_file(node, item, place.lane)
    is_bold = item.is_focus or item.text.state is not None
    write_lines(node, item.text, (text_left, 18), is_bold=is_bold)


def _draw_file(node: ET.Element, item: Item, lane: float) -> None:
    """Draw a small rounded box in the lane; two for several files."""
    look = {"fill": FILE_FILL, "stroke": LINE_COLOUR}
    if item.is_focus:
        look = {"fill": FOCUS, "stroke": FOCUS}
    elif item.text.is_placeholder:
        look = {"fill": PAPER, "stroke": MUTED, "stroke-dasharray": "3 2"}
    size = {"width": "14", "height": "10", "rx": "3"}
    shifts = (3.0, 0.0) if item.is_folded else (0.0,)
    for shift in shifts:
        place = {"x": number_text(lane - 7 + shift), "y": number_text(9 + shift), **size}
        ET.SubElement(node, "rect", {"class": "lineage-shape", **place, **look})
