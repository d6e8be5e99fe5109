"""The picture of a graph: SVG that stands alone, and that a page's stylesheet may colour.

There is no script, no `<style>` and no `style` attribute (the pages' Content-Security-Policy forbids them). Elements
have classes for a stylesheet, and presentation attributes, which any stylesheet overrides, for a file that stands
alone. There are no ids, so several pictures fit on one page. ElementTree escapes every name.

Classes: `lineage` on the root with `lineage-right` or `lineage-down`; `lineage-background`, `lineage-edge`
(`is-possible`), `lineage-node` with `lineage-KIND` (file, job, files, jobs, chain, cycle, stub; `is-focus`,
`is-placeholder`), in it `lineage-sheet`, `lineage-shape`, `lineage-label`, `lineage-detail`, `lineage-badge`,
`lineage-mark` with `is-STATE`; below, `lineage-note` and `lineage-legend`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal
from xml.etree import ElementTree as ET  # noqa: S405 - only writes

from provenance.lineage.captions import Caption, captions, safe_url
from provenance.lineage.folding import View, fold
from provenance.lineage.graph import Graph
from provenance.lineage.layout import Layout, Place, Size, Spacing, lay_out
from provenance.lineage.marks import add_mark
from provenance.lineage.words import columns, counted, number, omissions, shown, summary

Direction = Literal["right", "down"]

LABEL_CHAR = 7.25
"""Width of a monospaced character at 12 px; an em of 0.6 and a little for faces that are wider."""
DETAIL_CHAR = 6.3
BADGE_CHAR = 6.1
PADDING = 10.0
MARK_ROOM = 22.0
LINE = 16.0
MARGIN = 14.0
LEGEND_LINE = 20.0
SHEETS = 3.0
NARROW = 340.0
WIDE_LABEL = 28
NARROW_LABEL = 22
"""Columns of a label on a wide page and on a phone, where two boxes lie side by side."""
STUB = "\0stub "

MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
SANS = "system-ui, 'DejaVu Sans', sans-serif"
INK, MUTED, LINE_COLOUR, PAPER, FOCUS = "#1b1f24", "#57606a", "#8c959f", "#ffffff", "#0072b2"
HAIR, FILE_FILL, FOCUS_FILL, BADGE_FILL = "#d0d7de", "#f3f5f8", "#ddeefa", "#eceff2"


@dataclass(frozen=True, slots=True)
class Links:
    """Where folded things lead: `expand` and `more` take the key of a box or node and return a URL or None."""

    expand: Callable[[str], str | None] = lambda _key: None
    more: Callable[[str], str | None] = lambda _key: None


def draw(
    graph: Graph, *, direction: Direction = "right", expanded: Collection[str] = (), links: Links | None = None
) -> str:
    """The graph as an `<svg>` element; `right` suits a wide page, `down` a phone."""
    return draw_view(fold(graph, expanded=expanded), direction=direction, links=links)


def draw_view(view: View, *, direction: Direction = "right", links: Links | None = None) -> str:
    """A folded graph as an `<svg>` element."""
    return ET.tostring(_Picture(view, direction, links or Links()).element(), encoding="unicode")


@dataclass(frozen=True, slots=True)
class _Thing:
    """A box to draw: caption, kind, classes and size on paper."""

    caption: Caption
    kind: str
    width: float
    height: float
    is_focus: bool = False


class _Picture:
    def __init__(self, view: View, direction: Direction, links: Links) -> None:
        self.view = view
        self.is_right = direction == "right"
        self.links = links
        self.things = self._things()
        self.arrows = {(arrow.source, arrow.target): arrow.is_sure for arrow in view.arrows}
        self._add_stubs()
        self.layout = self._lay_out()

    def element(self) -> ET.Element:
        width, height = self._extent()
        notes = [line for note in omissions(self.view.graph) for line in wrap(note, int(width / DETAIL_CHAR))]
        legend = _legend_rows(self._states(), width)
        total = height + LEGEND_LINE * (len(notes) + len(legend))
        root = _root(width + 2 * MARGIN, total + 2 * MARGIN, self.is_right, summary(self.view.graph))
        body = ET.SubElement(root, "g", {"transform": f"translate({_n(MARGIN)} {_n(MARGIN)})"})
        edges = ET.SubElement(body, "g", {"aria-hidden": "true"})
        for ends, is_sure in self.arrows.items():
            self._draw_edge(edges, ends, is_sure=is_sure)
        for key in sorted(self.things, key=self._reading_order):
            _draw_thing(body, self.things[key], self._corner(key))
        _draw_notes(body, notes, height)
        _draw_legend(body, legend, height + LEGEND_LINE * len(notes))
        return root

    def _things(self) -> dict[str, _Thing]:
        texts = captions(self.view, label_width=WIDE_LABEL if self.is_right else NARROW_LABEL)
        things = {}
        for box in self.view.boxes:
            text = texts[box.key]
            if len(box.members) > 1:
                text = _with_url(text, safe_url(self.links.expand(box.key)))
            things[box.key] = _thing(text, box.kind, is_focus=box.key == self.view.focus)
        return things

    def _add_stubs(self) -> None:
        omitted = self.view.graph.omitted
        for box in list(self.view.boxes):
            self._add_stub(box.key, box.members, omitted.inputs_of, "before")
            self._add_stub(box.key, box.members, omitted.outputs_of, "after")

    def _add_stub(self, key: str, members: Sequence[str], counts: Mapping[str, int], side: str) -> None:
        left_out = sum(counts.get(member, 0) for member in members)
        if not left_out:
            return
        stub = f"{STUB}{side} {key}"
        url = safe_url(self.links.more(key)) or self.things[key].caption.url
        words = f"{counted(left_out, 'neighbour')} {side} this, not shown"
        text = Caption(label=f"+{number(left_out)}", detail="", title=words, url=url)
        self.things[stub] = _Thing(text, "stub", _text_width(text.label, LABEL_CHAR) + 2 * PADDING, 22.0)
        self.arrows[(stub, key) if side == "before" else (key, stub)] = True

    def _lay_out(self) -> Layout:
        sizes = {
            key: Size(thing.width, thing.height) if self.is_right else Size(thing.height, thing.width)
            for key, thing in self.things.items()
        }
        return lay_out(sizes, self.arrows, spacing=Spacing(38.0, 14.0) if self.is_right else Spacing(34.0, 12.0))

    def _extent(self) -> tuple[float, float]:
        along, across = self.layout.along, self.layout.across
        width, height = (along, across) if self.is_right else (across, along)
        return max(width, NARROW), height + LINE

    def _states(self) -> list[str]:
        return list(dict.fromkeys(thing.caption.state for thing in self.things.values() if thing.caption.state))

    def _reading_order(self, key: str) -> tuple[int, float]:
        place = self.layout.places[key]
        return place.layer, place.across

    def _corner(self, key: str) -> tuple[float, float]:
        place = self.layout.places[key]
        return (place.along, place.across) if self.is_right else (place.across, place.along)

    def _draw_edge(self, parent: ET.Element, ends: tuple[str, str], *, is_sure: bool) -> None:
        source, target = (self.layout.places[key] for key in ends)
        points = [_exit(source), *self.layout.bends.get(ends, ()), _entry(target)]
        if source.layer == target.layer:
            points = [_exit(source), _exit(target)]
        elif source.layer_end > points[0][0]:  # straight to where the layer ends, so as not to cross wider boxes
            points.insert(1, (source.layer_end, points[0][1]))
        path = _path(points, is_right=self.is_right)
        name = "lineage-edge" if is_sure else "lineage-edge is-possible"
        dashes = {} if is_sure else {"stroke-dasharray": "4 4"}
        ET.SubElement(
            parent, "path", {"class": name, "d": path, "fill": "none", "stroke": LINE_COLOUR, "stroke-width": "1.4", **dashes}
        )


def _thing(text: Caption, kind: str, *, is_focus: bool) -> _Thing:
    room = MARK_ROOM if text.state else 0.0
    lines = [_text_width(text.label, LABEL_CHAR) + room, _text_width(text.detail, DETAIL_CHAR) + room]
    lines.append(_text_width(text.badge, BADGE_CHAR) + room + 12 if text.badge else 0.0)
    height = LINE * (1 + bool(text.detail)) + (20 if text.badge else 0) + 12
    return _Thing(text, kind, max(lines) + 2 * PADDING, height, is_focus)


def _with_url(text: Caption, url: str | None) -> Caption:
    return Caption(
        text.label, text.detail, text.title, text.state, url, text.badge, text.badge_title, text.is_placeholder
    )


def _root(width: float, height: float, is_right: bool, words: str) -> ET.Element:  # noqa: FBT001
    name = "lineage lineage-right" if is_right else "lineage lineage-down"
    frame = {"width": _n(width), "height": _n(height)}
    attributes = {"xmlns": "http://www.w3.org/2000/svg", "class": name, "viewBox": f"0 0 {_n(width)} {_n(height)}"}
    root = ET.Element("svg", {**attributes, **frame, "role": "group", "aria-label": words, "font-family": SANS})
    ET.SubElement(root, "rect", {"class": "lineage-background", **frame, "fill": PAPER})
    return root


def _draw_thing(parent: ET.Element, thing: _Thing, corner: tuple[float, float]) -> None:
    text = thing.caption
    place = {"transform": f"translate({_n(corner[0])} {_n(corner[1])})"}
    states = " is-focus" * thing.is_focus + " is-placeholder" * text.is_placeholder
    words = " ".join(f"{text.title}{', the file asked for' * thing.is_focus}".split("\n"))
    named = {"class": f"lineage-node lineage-{thing.kind}{states}", **place, "aria-label": words}
    node = ET.SubElement(parent, "a", {**named, "href": text.url}) if text.url else _image(parent, named)
    ET.SubElement(node, "title").text = text.title
    _draw_shape(node, thing)
    _draw_lines(node, thing)


def _image(parent: ET.Element, named: dict[str, str]) -> ET.Element:
    return ET.SubElement(parent, "g", {**named, "role": "img"})


def _draw_shape(node: ET.Element, thing: _Thing) -> None:
    is_job = thing.caption.state is not None
    edge = {"stroke": LINE_COLOUR, "stroke-width": "1", "fill": PAPER if is_job else FILE_FILL}
    radius = "3" if is_job else "9"
    if thing.kind in {"files", "jobs", "chain", "cycle"}:
        for sheet in (2, 1):
            _rect(node, "lineage-sheet", thing, radius, edge, shift=sheet * SHEETS)
    if thing.kind == "stub":
        edge, radius = {"stroke": LINE_COLOUR, "stroke-dasharray": "3 3", "fill": PAPER}, "11"
    elif thing.is_focus:
        edge = {"stroke": FOCUS, "stroke-width": "2.5", "fill": FOCUS_FILL}
    elif thing.caption.is_placeholder:
        edge = {"stroke": MUTED, "stroke-dasharray": "4 3", "fill": PAPER}
    elif thing.kind == "job":
        edge = {"stroke": HAIR, "fill": PAPER}
    _rect(node, "lineage-shape", thing, radius, edge)


def _rect(
    node: ET.Element, name: str, thing: _Thing, radius: str, edge: Mapping[str, str], shift: float = 0.0
) -> None:
    place = {"x": _n(shift), "y": _n(shift), "width": _n(thing.width), "height": _n(thing.height), "rx": radius}
    ET.SubElement(node, "rect", {"class": name, **place, **edge})


def _draw_lines(node: ET.Element, thing: _Thing) -> None:
    text, left, top = thing.caption, PADDING, 6 + LINE - 4
    if text.state:
        add_mark(node, text.state, PADDING + 6, 6 + LINE / 2)
        left += MARK_ROOM
    weight = {"font-weight": "700"} if thing.is_focus or text.state else {}
    _text(node, "lineage-label", text.label, (left, top), {"font-family": MONO, "font-size": "12", "fill": INK, **weight})
    if text.detail:
        top += LINE
        _text(node, "lineage-detail", text.detail, (left, top), {"font-size": "11", "fill": MUTED})
    if text.badge:
        _draw_badge(node, text, (left, top + 7))


def _draw_badge(node: ET.Element, text: Caption, corner: tuple[float, float]) -> None:
    badge = ET.SubElement(node, "g", {"class": "lineage-badge"})
    ET.SubElement(badge, "title").text = f"Shared inputs:\n{text.badge_title}"
    place = {"x": _n(corner[0]), "y": _n(corner[1]), "height": "16", "rx": "8"}
    width = _n(_text_width(text.badge, BADGE_CHAR) + 12)
    ET.SubElement(badge, "rect", {**place, "width": width, "fill": BADGE_FILL})
    _text(badge, "lineage-detail", text.badge, (corner[0] + 6, corner[1] + 12), {"font-size": "10", "fill": MUTED})


def _draw_notes(parent: ET.Element, notes: Sequence[str], top: float) -> None:
    for row, note in enumerate(notes):
        at = (0.0, top + LEGEND_LINE * (row + 1) - 4)
        _text(parent, "lineage-note", note, at, {"font-size": "12", "fill": INK})


_Item = tuple[str, float, float]


def _legend_rows(states: Sequence[str], width: float) -> list[list[_Item]]:
    """Items (state, left, width) in as many rows as the width needs."""
    rows: list[list[_Item]] = []
    left = width
    for state in states:
        need = MARK_ROOM + _text_width(state, DETAIL_CHAR) + 14
        if left + need > width:
            rows.append([])
            left = 0.0
        rows[-1].append((state, left, need))
        left += need
    return rows


def _draw_legend(parent: ET.Element, rows: Sequence[Sequence[_Item]], top: float) -> None:
    legend = ET.SubElement(parent, "g", {"class": "lineage-legend", "aria-hidden": "true"})
    for row, items in enumerate(rows):
        middle = top + LEGEND_LINE * row + 10
        for state, left, _ in items:
            add_mark(legend, state, left + 8, middle)
            at = (left + MARK_ROOM, middle + 4)
            _text(legend, "lineage-detail", shown(state), at, {"font-size": "11", "fill": MUTED})


def _text(
    parent: ET.Element, name: str, text: str, at: tuple[float, float], look: Mapping[str, str]
) -> None:
    ET.SubElement(parent, "text", {"class": name, "x": _n(at[0]), "y": _n(at[1]), **look}).text = text


def _entry(place: Place) -> tuple[float, float]:
    return place.along, place.across + place.size.across / 2


def _exit(place: Place) -> tuple[float, float]:
    return place.along + place.size.along, place.across + place.size.across / 2


def _path(points: Sequence[tuple[float, float]], *, is_right: bool) -> str:
    """A smooth line through the points with an open arrow head at its end."""

    def at(along: float, across: float) -> str:
        return f"{_n(along)} {_n(across)}" if is_right else f"{_n(across)} {_n(along)}"

    parts = [f"M{at(*points[0])}"]
    for (along, across), (next_along, next_across) in zip(points, points[1:], strict=False):
        middle = (along + next_along) / 2
        curve = f"C{at(middle, across)} {at(middle, next_across)} {at(next_along, next_across)}"
        parts.append(f"L{at(next_along, next_across)}" if across == next_across else curve)
    along, across = points[-1]
    parts.append(f"M{at(along - 6, across - 3.5)}L{at(along - 0.5, across)}L{at(along - 6, across + 3.5)}")
    return "".join(parts)


def _text_width(text: str, char: float) -> float:
    return columns(text) * char


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
