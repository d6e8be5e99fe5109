"""The picture of a graph as SVG, which works as a file of its own and inside a page.

There is no script, no `<style>` and no `style` attribute, since the pages' Content-Security-Policy
forbids them. Elements have presentation attributes, for the file of its own, and classes, for a
page's stylesheet, which overrides them. There are no ids, so that a page may have several pictures.
Only an image (`as_image`), which the page's stylesheet does not reach, has a `<style>`, for dark
pages; printed, it keeps its light colours.

Classes: `lineage` on the root with `lineage-right` (`is-wide`) or `lineage-down`;
`lineage-background`, `lineage-edges` (paths in it may be `is-possible`), `lineage-node` with
`lineage-KIND` (file, job, files, jobs, chain, cycle, stub; `is-focus`, `is-placeholder`, `is-STATE`
where jobs did not end well), in it `lineage-sheet`, `lineage-shape`, `lineage-label`,
`lineage-detail`, `lineage-badge`, `lineage-mark` with `is-STATE`; `lineage-count` at arrows; below,
`lineage-note` and `lineage-legend` with `lineage-sign` and `lineage-line`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple
from xml.etree import ElementTree as ET

from jobprov.provenance.lineage.drawing.layout import BoxPlace, Layout, Size, Spacing, lay_out
from jobprov.provenance.lineage.drawing.pencil import (
    BADGE_CHAR,
    COLOURS,
    DETAIL_CHAR,
    FILE_FILL,
    FOCUS,
    FOCUS_FILL,
    LABEL_CHAR,
    LINE_COLOUR,
    MARK_ROOM,
    MUTED,
    PAPER,
    UNKNOWN_COLOUR,
    Legend,
    Point,
    add_mark,
    draw_legend,
    edge_group,
    edge_path,
    frame,
    is_unhappy,
    legend_height,
    node_element,
    number_text,
    point_text,
    text_width,
    write_count,
    write_lines,
)
from jobprov.provenance.lineage.drawing.rows import rows_element
from jobprov.provenance.lineage.drawing.sheet import Item, Links, Sheet, sheet_of, sheet_of_classes
from jobprov.provenance.lineage.folding import View, fold
from jobprov.provenance.lineage.graph import Graph
from jobprov.provenance.lineage.quotient import FoldedGraph

Direction = Literal["right", "down"]

LABEL_WIDTH = 28
CLASS_WIDTH = 38
"""Columns of a label at most. There are few classes of jobs, so these may have more text."""
PADDING = 10.0
LINE = 16.0
LEAST_WIDTH = 340.0
WIDE = 1_500.0
"""Wider pictures have a class of their own: a page scrolls them, instead of scaling them down."""
SHEET_SHIFT = 3.0
PLAIN, COUNTED = Spacing(38.0, 14.0), Spacing(106.0, 14.0)
COUNT_AT = 36.0
"""Distance of the middle of a count from the end of its arrow."""
COUNT_LINE = 11.0
DARK = {
    ".lineage": "fill:#e6edf3",
    ".lineage-background": "fill:#0d1117",
    ".lineage-edges,.lineage-line": "stroke:#6e7681",
    ".lineage-shape,.lineage-sheet,.lineage-sign": "fill:#0d1117;stroke:#6e7681",
    ".lineage-file .lineage-shape,.lineage-files .lineage-shape,.lineage-sign.is-file": (
        "fill:#1b222b"
    ),
    ".is-placeholder .lineage-shape,.lineage-sign.is-mentioned": "fill:#0d1117;stroke:#9da7b1",
    ".is-focus .lineage-shape,.lineage-sign.is-focus": "fill:#12304a;stroke:#56b4e9",
    ".is-focus .lineage-row": "fill:#12304a",
    ".lineage-down .is-focus .lineage-shape": "fill:#56b4e9",
    ".lineage-detail": "fill:#9da7b1",
    ".lineage-count": "fill:#9da7b1;stroke:#0d1117",
    ".lineage-badge rect": "fill:#262d36",
    ".lineage-mark.is-succeeded": "fill:#20c997",
    ".lineage-mark.is-failed": "fill:#ff7b39",
    ".lineage-mark.is-unknown": "fill:#9da7b1",
    ".lineage-mark.is-running": "stroke:#4aa8e0",
    ".lineage-node.is-failed .lineage-shape": "stroke:#ff7b39",
}
"""Rules for dark pages by selector, in this order. Other states keep their light colours."""

_RULES = "".join(f"{selector}{{{look}}}" for selector, look in DARK.items())
_STYLE = f"<style>@media screen and (prefers-color-scheme:dark){{{_RULES}}}</style>"


def draw(graph: Graph) -> str:
    """The graph as an `<svg>` element, for wide pages."""
    return draw_view(fold(graph))


def draw_view(view: View, *, direction: Direction = "right", links: Links | None = None) -> str:
    """A folded graph as an `<svg>` element.

    `right` is for wide pages: history runs from left to right. `down` is for phones: one row for
    each box, the newest first, with lines beside them.
    """
    chosen = links or Links()
    return _drawn(lambda width: sheet_of(view, chosen, label_width=width), direction)


def draw_classes(
    folded: FoldedGraph,
    *,
    direction: Direction = "right",
    links: Links | None = None,
    stages: Sequence[str] = (),
) -> str:
    """A campaign's folded graph as an `<svg>` element.

    A box for each stage, code version and state.

    If no file joins its classes, they stand in the order of `stages`.
    """
    chosen = links or Links()
    least = CLASS_WIDTH if direction == "right" else 0

    def sheet_for(width: int) -> Sheet:
        return sheet_of_classes(folded, chosen, label_width=max(width, least), stages=stages)

    return _drawn(sheet_for, direction)


def _drawn(sheet_for: Callable[[int], Sheet], direction: Direction) -> str:
    if direction == "down":
        return ET.tostring(rows_element(sheet_for), encoding="unicode")
    return ET.tostring(_columns_element(sheet_for(LABEL_WIDTH)), encoding="unicode")


def _columns_element(sheet: Sheet) -> ET.Element:
    sizes = {key: item_size(item) for key, item in sheet.items.items()}
    spacing = COUNTED if sheet.counts else PLAIN
    layout = lay_out(sizes, [*sheet.arrows, *sheet.order], spacing=spacing)
    width = max(layout.along, LEAST_WIDTH)
    legend_top = layout.across + LINE
    legend = Legend(sheet.notes, sheet.states(), sheet.shapes())
    height = legend_top + legend_height(legend, width)
    classes = "lineage-right is-wide" if width > WIDE else "lineage-right"
    root, body = frame(classes, width, height, sheet.words)
    _draw_edges(body, sheet, layout)
    for key in _reading_order(sheet, layout):
        _draw_item(body, sheet.items[key], layout.places[key])
    draw_legend(body, legend, legend_top, width)
    return root


def _reading_order(sheet: Sheet, layout: Layout) -> list[str]:
    """Return the keys of the boxes layer by layer, so that a keyboard walks along history."""
    places = layout.places
    return sorted(sheet.items, key=lambda key: (places[key].layer, places[key].across))


def item_size(item: Item) -> Size:
    """The room that a box of the picture takes, in pixels."""
    text = item.text
    room = 2 * PADDING
    if text.state:
        room += MARK_ROOM
    if item.kind == "stub":
        return Size(text_width(text.label, LABEL_CHAR) + room, 22.0)
    widths = [text_width(text.label, LABEL_CHAR), text_width(text.detail, DETAIL_CHAR)]
    height = LINE + 12
    if text.detail:
        height += LINE
    if text.badge:
        widths.append(text_width(text.badge, BADGE_CHAR) + 12)
        height += 20
    return Size(max(widths) + room, height)


def _draw_edges(body: ET.Element, sheet: Sheet, layout: Layout) -> None:
    """Draw the arrows, round boxes in between, and their counts."""
    edges = edge_group(body)
    for ends, is_sure in sheet.arrows.items():
        source, target = layout.places[ends[0]], layout.places[ends[1]]
        if source.layer == target.layer:
            points = [source.exit, target.exit]
        else:
            points = [source.exit, *layout.passed_points(ends), target.entry]
        edge_path(edges, _path(points), is_sure=is_sure)
    _draw_counts(body, sheet, layout)


def _draw_counts(body: ET.Element, sheet: Sheet, layout: Layout) -> None:
    """Write the counts of arrows so that they do not hide each other.

    A count stands at the end of its arrow where fewer arrows meet. Those at one end are stacked.
    """
    leaving = Counter(source for source, _ in sheet.arrows)
    arriving = Counter(target for _, target in sheet.arrows)
    counts_at_exit = defaultdict[str, list[_Count]](list)  # by box, like those at its entry
    counts_at_entry = defaultdict[str, list[_Count]](list)
    for (source, target), text in sheet.counts.items():
        is_target_crowded = arriving[target] > 1 and arriving[target] >= leaving[source]
        if is_target_crowded:
            counts_at_exit[source].append(_Count(layout.places[target].across, text))
        else:
            counts_at_entry[target].append(_Count(layout.places[source].across, text))
    for box, counts in counts_at_exit.items():
        x, y = layout.places[box].exit
        _write_stack(body, counts, (x + COUNT_AT, y))
    for box, counts in counts_at_entry.items():
        x, y = layout.places[box].entry
        _write_stack(body, counts, (x - COUNT_AT, y))


class _Count(NamedTuple):
    """The text at an arrow, and how far across the arrow's other end is."""

    other_end: float
    text: str


def _write_stack(body: ET.Element, counts: Sequence[_Count], middle: Point) -> None:
    """Write counts below each other, around a point, in the order of their arrows' other ends."""
    x, y = middle
    top = y - 4 - COUNT_LINE * (len(counts) - 1) / 2
    for line, count in enumerate(sorted(counts)):
        write_count(body, count.text, (x, top + COUNT_LINE * line))


def _draw_item(body: ET.Element, item: Item, place: BoxPlace) -> None:
    corner = (place.along, place.across)
    node = node_element(body, f"lineage-{item.kind}", item.text, corner, is_focus=item.is_focus)
    _draw_shape(node, item, place.size)
    left = PADDING
    if item.text.state:
        add_mark(node, item.text.state, PADDING + 6, 6 + LINE / 2)
        left += MARK_ROOM
    base = 15.0 if item.kind == "stub" else 18.0
    write_lines(node, item.text, (left, base), is_bold=item.is_focus or item.text.state is not None)


def _draw_shape(node: ET.Element, item: Item, size: Size) -> None:
    is_job = item.text.state is not None
    radius = "3" if is_job else "9"
    if item.kind == "stub":
        radius = "11"
    if item.is_folded:
        fill = PAPER if is_job else FILE_FILL
        for shift in (2 * SHEET_SHIFT, SHEET_SHIFT):
            corner = {"x": number_text(shift), "y": number_text(shift)}
            look = {**corner, "stroke": LINE_COLOUR, "fill": fill}
            _rect(node, "lineage-sheet", size, radius, look)
    _rect(node, "lineage-shape", size, radius, _look(item, is_job=is_job))


def _look(item: Item, *, is_job: bool) -> dict[str, str]:
    if item.kind == "stub":
        return {"stroke": LINE_COLOUR, "stroke-dasharray": "3 3", "fill": PAPER}
    if item.is_focus:
        return {"stroke": FOCUS, "stroke-width": "2.5", "fill": FOCUS_FILL}
    if item.text.is_placeholder:
        return {"stroke": MUTED, "stroke-dasharray": "4 3", "fill": PAPER}
    if is_unhappy(item.text.state):
        colour = COLOURS.get(item.text.state or "", UNKNOWN_COLOUR)
        return {"stroke": colour, "stroke-width": "2.5", "fill": PAPER}
    return {"stroke": LINE_COLOUR, "fill": PAPER if is_job else FILE_FILL}


def _rect(node: ET.Element, name: str, size: Size, radius: str, look: Mapping[str, str]) -> None:
    extent = {"width": number_text(size.along), "height": number_text(size.across), "rx": radius}
    ET.SubElement(node, "rect", {"class": name, **extent, **look})


def _path(points: list[Point]) -> str:
    """A smooth line through the points with an open arrow head at its end."""
    parts = [f"M{point_text(*points[0])}"]
    for (x, y), (next_x, next_y) in pairwise(points):
        if y == next_y:
            parts.append(f"L{point_text(next_x, next_y)}")
        else:
            middle = (x + next_x) / 2
            leaving, arriving = point_text(middle, y), point_text(middle, next_y)
            parts.append(f"C{leaving} {arriving} {point_text(next_x, next_y)}")
    x, y = points[-1]
    above = point_text(x - 6, y - 3.5)
    tip = point_text(x - 0.5, y)
    below = point_text(x - 6, y + 3.5)
    parts.append(f"M{above}L{tip}L{below}")
    return "".join(parts)


def as_image(drawing: str) -> str:
    """An `<svg>` element for use as an image, dark for people who prefer dark pages."""
    opening, bracket, rest = drawing.partition(">")
    return f"{opening}{bracket}{_STYLE}{rest}"
