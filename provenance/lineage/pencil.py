"""The strokes that all pictures share: text, badges, the frame, notes and legend, with their looks.

Looks are presentation attributes, which any stylesheet overrides; ElementTree escapes every text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from xml.etree import ElementTree as ET

from provenance.lineage.captions import Caption
from provenance.lineage.marks import add_mark
from provenance.lineage.words import columns, shown

LABEL_CHAR = 7.25
"""Width of a monospaced character at 12 px; an em of 0.6 and a little for faces that are wider."""
DETAIL_CHAR = 6.3
BADGE_CHAR = 6.1
MARK_ROOM = 22.0
MARGIN = 14.0
LEGEND_LINE = 20.0

MONO = "ui-monospace, monospace"
SANS = "system-ui, 'DejaVu Sans', sans-serif"
INK, MUTED, LINE_COLOUR, PAPER, FOCUS = "#1b1f24", "#57606a", "#8c959f", "#ffffff", "#0072b2"
HAIR, FILE_FILL, FOCUS_FILL, BADGE_FILL = "#d0d7de", "#f3f5f8", "#ddeefa", "#eceff2"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Legend:
    """What stands below a picture: notes in words, then the marks of the states that occur."""

    notes: Sequence[str]
    states: Sequence[str]


def number_text(value: float) -> str:
    """A coordinate to a tenth, as short as can be."""
    return f"{value:.1f}".removesuffix(".0")


def text_width(text: str, char: float) -> float:
    """The width of a text in characters of this width, wide ones counted twice."""
    return columns(text) * char


def frame(name: str, width: float, height: float, words: str) -> tuple[ET.Element, ET.Element]:
    """The `<svg>` of this inner size, and the group to draw in."""
    outer_width, outer_height = number_text(width + 2 * MARGIN), number_text(height + 2 * MARGIN)
    size = {"width": outer_width, "height": outer_height}
    view = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {outer_width} {outer_height}"}
    about = {"class": f"lineage {name}", "role": "group", "aria-label": words}
    look = {"font-family": SANS, "font-size": "12", "fill": INK}
    root = ET.Element("svg", {**view, **size, **about, **look})
    ET.SubElement(root, "rect", {"class": "lineage-background", **size, "fill": PAPER})
    shift = f"translate({number_text(MARGIN)} {number_text(MARGIN)})"
    return root, ET.SubElement(root, "g", {"transform": shift})


def node_element(parent: ET.Element, name: str, text: Caption, corner: Point, *, is_focus: bool) -> ET.Element:
    """The group of one box, a link where it has a page, with its tooltip, which names it to screen readers too."""
    states = " is-focus" * is_focus + " is-placeholder" * text.is_placeholder
    place = f"translate({number_text(corner[0])} {number_text(corner[1])})"
    named = {"class": f"lineage-node {name}{states}", "transform": place}
    tag, more = ("a", {"href": text.url}) if text.url else ("g", {"role": "img"})
    node = ET.SubElement(parent, tag, {**named, **more})
    ET.SubElement(node, "title").text = f"{text.title}{', the one asked for' * is_focus}"
    return node


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


def legend_height(legend: Legend, width: float) -> float:
    """The room that `draw_legend` needs."""
    return LEGEND_LINE * (len(_note_lines(legend, width)) + len(_rows(legend.states, width)))


def draw_legend(parent: ET.Element, legend: Legend, top: float, width: float) -> None:
    """Adds the notes and the marks with their words, wrapped to the width."""
    lines = _note_lines(legend, width)
    for row, line in enumerate(lines):
        write(parent, "lineage-note", line, (0, top + LEGEND_LINE * row + 14), {})
    marks = ET.SubElement(parent, "g", {"class": "lineage-legend", "aria-hidden": "true"})
    for row, items in enumerate(_rows(legend.states, width), len(lines)):
        middle = top + LEGEND_LINE * row + 10
        for state, left in items:
            add_mark(marks, state, left + 8, middle)
            at = (left + MARK_ROOM, middle + 4)
            write(marks, "lineage-detail", shown(state), at, {"font-size": "11", "fill": MUTED})


def _badge(node: ET.Element, text: Caption, corner: Point) -> None:
    badge = ET.SubElement(node, "g", {"class": "lineage-badge"})
    ET.SubElement(badge, "title").text = f"Shared inputs:\n{text.badge_title}"
    place = {"x": number_text(corner[0]), "y": number_text(corner[1]), "height": "16", "rx": "8"}
    width = number_text(text_width(text.badge, BADGE_CHAR) + 12)
    ET.SubElement(badge, "rect", {**place, "width": width, "fill": BADGE_FILL})
    write(badge, "lineage-detail", text.badge, (corner[0] + 6, corner[1] + 12), {"font-size": "10", "fill": MUTED})


def _note_lines(legend: Legend, width: float) -> list[str]:
    return [line for note in legend.notes for line in wrap(note, int(width / (DETAIL_CHAR + 0.6)))]


def _rows(states: Sequence[str], width: float) -> list[list[tuple[str, float]]]:
    """States with their left ends, in as many rows as the width needs."""
    rows: list[list[tuple[str, float]]] = []
    left = width
    for state in states:
        need = MARK_ROOM + text_width(state, DETAIL_CHAR) + 14
        if left + need > width:
            rows.append([])
            left = 0.0
        rows[-1].append((state, left))
        left += need
    return rows
