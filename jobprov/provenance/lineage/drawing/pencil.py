"""What all pictures share: text, badges, marks of states, frame, notes and legend.

Looks are presentation attributes, which any stylesheet overrides. ElementTree escapes every text.
Each state has a shape as well as a colour, for readers who cannot tell the colours apart.

Source: colours of M. Okabe and K. Ito, Color universal design, 2008.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import NamedTuple
from xml.etree import ElementTree as ET

from jobprov.provenance.lineage.drawing.captions import Caption
from jobprov.provenance.lineage.drawing.sheet import Shape
from jobprov.provenance.lineage.words import columns, shown

COLOURS = {
    "succeeded": "#009e73",
    "failed": "#d55e00",
    "killed": "#cc79a7",
    "running": "#0072b2",
    "silent": "#e69f00",
    "lost": "#56b4e9",
}
UNKNOWN_COLOUR = "#767676"
MARK_RADIUS = 7.0
LABEL_CHAR = 7.25
"""Width of a monospaced character at 12 px: 0.6 em, and a little more for wider fonts."""
DETAIL_CHAR = 6.3
BADGE_CHAR = 6.1
MARK_ROOM = 22.0
MARGIN = 14.0
LEGEND_LINE = 20.0

MONO = "ui-monospace, monospace"
SANS = "system-ui, 'DejaVu Sans', sans-serif"
INK, MUTED, LINE_COLOUR, PAPER, FOCUS = "#1b1f24", "#57606a", "#8c959f", "#ffffff", "#0072b2"
FILE_FILL, FOCUS_FILL, BADGE_FILL = "#f3f5f8", "#ddeefa", "#eceff2"

Point = tuple[float, float]


def add_mark(parent: ET.Element, state: str, x: float, y: float) -> None:
    """Adds the mark of a state with its middle at (x, y).

    A state without a mark of its own gets a diamond.
    """
    draw = _MARKS.get(state, _diamond)
    name = state if state in COLOURS else "unknown"
    draw(parent, f"lineage-mark is-{name}", COLOURS.get(state, UNKNOWN_COLOUR), (x, y))


@dataclass(frozen=True, slots=True)
class Legend:
    """The text below a picture: notes, then the meaning of the shapes and marks that occur."""

    notes: Sequence[str]
    states: Sequence[str]
    shapes: Sequence[Shape] = ()

    def signs(self) -> list["Sign"]:
        """Shapes and marks in their order."""
        shapes = [Sign(shape.name, shape.meaning, is_state=False) for shape in self.shapes]
        marks = [Sign(state, shown(state), is_state=True) for state in self.states]
        return shapes + marks


class Sign(NamedTuple):
    """One entry of a legend: a shape or the mark of a state, and its meaning in words."""

    name: str
    words: str
    is_state: bool


class _PlacedSign(NamedTuple):
    """A sign, its line of the legend, from 0, and where it begins in that line."""

    sign: Sign
    line: int
    left: float


def number_text(value: float) -> str:
    """A coordinate to a tenth, as short as can be."""
    return f"{value:.1f}".removesuffix(".0")


def point_text(x: float, y: float) -> str:
    """A point as the path of a line has it."""
    return f"{number_text(x)} {number_text(y)}"


def text_width(text: str, char: float) -> float:
    """The width of a text in characters of this width, wide ones counted twice."""
    return columns(text) * char


def frame(name: str, width: float, height: float, words: str) -> tuple[ET.Element, ET.Element]:
    """The `<svg>` of this inner size, and the group to draw in."""
    outer_width, outer_height = number_text(width + 2 * MARGIN), number_text(height + 2 * MARGIN)
    size = {"width": outer_width, "height": outer_height}
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {outer_width} {outer_height}",
        **size,
        "class": f"lineage {name}",
        "role": "group",
        "aria-label": words,
        "font-family": SANS,
        "font-size": "12",
        "fill": INK,
    }
    root = ET.Element("svg", attributes)
    ET.SubElement(root, "rect", {"class": "lineage-background", **size, "fill": PAPER})
    shift = f"translate({number_text(MARGIN)} {number_text(MARGIN)})"
    return root, ET.SubElement(root, "g", {"transform": shift})


def node_element(
    parent: ET.Element, name: str, text: Caption, corner: Point, *, is_focus: bool
) -> ET.Element:
    """The group of one box; a link if the box has a page. Screen readers read its tooltip."""
    classes = ["lineage-node", name]
    title = text.title
    if is_focus:
        classes.append("is-focus")
        title += ", the one asked for"
    if text.is_placeholder:
        classes.append("is-placeholder")
    if is_unhappy(text.state):
        known_state = text.state if text.state in COLOURS else "unknown"
        classes.append(f"is-{known_state}")
    place = f"translate({number_text(corner[0])} {number_text(corner[1])})"
    attributes = {"class": " ".join(classes), "transform": place}
    if text.url:
        node = ET.SubElement(parent, "a", {**attributes, "href": text.url})
    else:
        node = ET.SubElement(parent, "g", {**attributes, "role": "img"})
    ET.SubElement(node, "title").text = title
    return node


def is_unhappy(state: str | None) -> bool:
    """True for jobs that did not end well, or in an unknown state.

    Their boxes have a frame in the state's colour.
    """
    return state is not None and state not in {"succeeded", "running"}


def write(parent: ET.Element, name: str, text: str, at: Point, look: Mapping[str, str]) -> None:
    """Adds a text that starts at a point of its base line."""
    place = {"x": number_text(at[0]), "y": number_text(at[1])}
    ET.SubElement(parent, "text", {"class": name, **place, **look}).text = text


def write_lines(node: ET.Element, text: Caption, at: Point, *, is_bold: bool) -> None:
    """Adds label, detail and badge, the label's base line at the point."""
    left, top = at
    weight = {"font-weight": "700"} if is_bold else {}
    write(node, "lineage-label", text.label, at, {"font-family": MONO, **weight})
    if text.detail:
        top += 16
        write(node, "lineage-detail", text.detail, (left, top), {"font-size": "11", "fill": MUTED})
    if text.badge:
        _badge(node, text, (left, top + 7))


def edge_group(parent: ET.Element) -> ET.Element:
    """The group that edges go into, which gives them their look."""
    look = {"fill": "none", "stroke": LINE_COLOUR, "stroke-width": "1.4"}
    return ET.SubElement(parent, "g", {"class": "lineage-edges", "aria-hidden": "true", **look})


def edge_path(parent: ET.Element, path: str, *, is_sure: bool) -> None:
    """Adds an edge; dashed where it is only possible."""
    look = {} if is_sure else {"class": "is-possible", "stroke-dasharray": "4 4"}
    ET.SubElement(parent, "path", {"d": path, **look})


def write_count(parent: ET.Element, words: str, at: Point) -> None:
    """Add the count of an arrow beside it, with a rim that keeps it readable on other lines."""
    look = {
        "font-size": "10",
        "text-anchor": "middle",
        "fill": MUTED,
        "stroke": PAPER,
        "stroke-width": "3",
    }
    write(parent, "lineage-count", words, at, {**look, "paint-order": "stroke"})


def legend_height(legend: Legend, width: float) -> float:
    """The room that `draw_legend` needs."""
    lines = len(_note_lines(legend, width))
    signs = _placed_signs(legend, width)
    if signs:
        lines += signs[-1].line + 1
    return LEGEND_LINE * lines


def draw_legend(parent: ET.Element, legend: Legend, top: float, width: float) -> None:
    """Add the notes and the marks with their words, wrapped to the width."""
    notes = _note_lines(legend, width)
    for line, note in enumerate(notes):
        write(parent, "lineage-note", note, (0, top + LEGEND_LINE * line + 14), {})
    marks = ET.SubElement(parent, "g", {"class": "lineage-legend", "aria-hidden": "true"})
    for sign, line, left in _placed_signs(legend, width):
        middle = top + LEGEND_LINE * (len(notes) + line) + 10
        if sign.is_state:
            add_mark(marks, sign.name, left + 8, middle)
        else:
            _add_shape(marks, sign.name, left, middle)
        words_at = (left + MARK_ROOM, middle + 4)
        write(marks, "lineage-detail", sign.words, words_at, {"font-size": "11", "fill": MUTED})


def _badge(node: ET.Element, text: Caption, corner: Point) -> None:
    badge = ET.SubElement(node, "g", {"class": "lineage-badge"})
    ET.SubElement(badge, "title").text = f"Shared inputs:\n{text.badge_title}"
    place = {"x": number_text(corner[0]), "y": number_text(corner[1]), "height": "16", "rx": "8"}
    width = number_text(text_width(text.badge, BADGE_CHAR) + 12)
    ET.SubElement(badge, "rect", {**place, "width": width, "fill": BADGE_FILL})
    write(
        badge,
        "lineage-detail",
        text.badge,
        (corner[0] + 6, corner[1] + 12),
        {"font-size": "10", "fill": MUTED},
    )


def _note_lines(legend: Legend, width: float) -> list[str]:
    lines: list[str] = []
    for note in legend.notes:
        lines += wrap(note, int(width / (DETAIL_CHAR + 0.6)))
    return lines


def _add_shape(parent: ET.Element, name: str, left: float, middle: float) -> None:
    """A small picture of a shape, as boxes and lines of the picture have it."""
    if name == "unsure":
        line = {
            "stroke": LINE_COLOUR,
            "stroke-width": "1.4",
            "stroke-dasharray": "4 4",
            "fill": "none",
        }
        path = f"M{number_text(left)} {number_text(middle)}h16"
        ET.SubElement(parent, "path", {"class": "lineage-line", "d": path, **line})
        return
    if name == "stack":  # of three sheets
        shifts = [4.0, 2.0, 0.0]
        extent = {"width": "12", "height": "8"}
    else:
        shifts = [0.0]
        extent = {"width": "15", "height": "11"}
    look = {"class": f"lineage-sign is-{name}", "fill": PAPER, "stroke": LINE_COLOUR}
    look |= _SIGNS.get(name, {})
    radius = {"rx": _RADII.get(name, "4")}
    for shift in shifts:
        place = {"x": number_text(left + 0.5 + shift), "y": number_text(middle - 5.5 + shift)}
        ET.SubElement(parent, "rect", {**place, **extent, **radius, **look})


_RADII = {"job": "1", "stack": "2", "stub": "5"}
_SIGNS: Mapping[str, Mapping[str, str]] = {
    "file": {"fill": FILE_FILL},
    "focus": {"fill": FOCUS_FILL, "stroke": FOCUS, "stroke-width": "2"},
    "mentioned": {"stroke": MUTED, "stroke-dasharray": "4 3"},
    "stub": {"stroke-dasharray": "3 3"},
}


def _placed_signs(legend: Legend, width: float) -> list[_PlacedSign]:
    """The signs in as many lines as the width needs."""
    placed: list[_PlacedSign] = []
    line, left = 0, 0.0
    for sign in legend.signs():
        sign_width = MARK_ROOM + text_width(sign.words, DETAIL_CHAR) + 14
        if placed and left + sign_width > width:
            line += 1
            left = 0.0
        placed.append(_PlacedSign(sign, line, left))
        left += sign_width
    return placed


def _triangle(parent: ET.Element, name: str, colour: str, at: Point) -> None:
    x, y = at
    points = [(x, y - MARK_RADIUS), (x + MARK_RADIUS, y + 6), (x - MARK_RADIUS, y + 6)]
    _polygon(parent, name, colour, points)


def _diamond(parent: ET.Element, name: str, colour: str, at: Point) -> None:
    x, y = at
    r = MARK_RADIUS
    _polygon(parent, name, colour, [(x, y - r), (x + r, y), (x, y + r), (x - r, y)])


def _polygon(parent: ET.Element, name: str, colour: str, points: list[Point]) -> None:
    text = " ".join(f"{number_text(x)},{number_text(y)}" for x, y in points)
    ET.SubElement(parent, "polygon", {"class": name, "points": text, "fill": colour})


def _square(parent: ET.Element, name: str, colour: str, at: Point) -> None:
    x, y = at
    half = MARK_RADIUS - 1
    place = {"x": number_text(x - half), "y": number_text(y - half)}
    extent = {"width": number_text(2 * half), "height": number_text(2 * half)}
    ET.SubElement(parent, "rect", {"class": name, **place, **extent, "fill": colour})


def _ring(parent: ET.Element, name: str, colour: str, at: Point, dashes: str = "none") -> None:
    x, y = at
    circle = {"cx": number_text(x), "cy": number_text(y), "r": number_text(MARK_RADIUS - 2)}
    stroke = {"fill": "none", "stroke": colour, "stroke-width": "2.5", "stroke-dasharray": dashes}
    ET.SubElement(parent, "circle", {"class": f"{name} is-ring", **circle, **stroke})


def _dashed_ring(parent: ET.Element, name: str, colour: str, at: Point) -> None:
    _ring(parent, name, colour, at, dashes="3.5 2.8")


def _question(parent: ET.Element, name: str, colour: str, at: Point) -> None:
    x, y = at
    place = {"x": number_text(x), "y": number_text(y + 6), "text-anchor": "middle"}
    look = {"font-size": "17", "font-weight": "700", "fill": colour}
    ET.SubElement(parent, "text", {"class": name, **place, **look}).text = "?"


def _disc(parent: ET.Element, name: str, colour: str, at: Point) -> None:
    x, y = at
    circle = {"cx": number_text(x), "cy": number_text(y), "r": number_text(MARK_RADIUS - 1)}
    ET.SubElement(parent, "circle", {"class": name, **circle, "fill": colour})


_MARKS = {
    "succeeded": _disc,
    "failed": _triangle,
    "killed": _square,
    "running": _ring,
    "silent": _dashed_ring,
    "lost": _question,
}
