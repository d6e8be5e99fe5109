"""A picture as plain values, for the browser script that draws the map.

The script decides nothing: boxes, their text, size and place, the points that arrows pass, what
opens boxes and the facts beside them come from here, and are the same as in the server's own
drawing.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jobprov.provenance.answers.addresses import lineage_of, task_page
from jobprov.provenance.lineage.drawing.layout import Layout, Point, Size, lay_out
from jobprov.provenance.lineage.drawing.sheet import Item, Links, Sheet, sheet_of, sheet_of_classes
from jobprov.provenance.lineage.drawing.svg import (
    CLASS_WIDTH,
    COUNTED,
    LABEL_WIDTH,
    PLAIN,
    SHEET_SHIFT,
    Direction,
    item_size,
)
from jobprov.provenance.lineage.folding import Box, View
from jobprov.provenance.lineage.graph import FileNode, JobNode, Node
from jobprov.provenance.lineage.quotient import FoldedGraph, JobClass
from jobprov.provenance.lineage.sentences import full_name, known_fully
from jobprov.provenance.lineage.words import counted, minute, number, shown, size

MOST_MEMBERS = 1000
"""Members of a folded box that are listed, so that a search finds them; others are only counted."""

_NAME_DIGITS = 10
_OUTLINE = 4.0
"""Room around a box for its outline, as `outer` of `map_boxes.js` has it."""

_Fact = tuple[str, ...]
"""Name, value, and the address it links to, if any."""


def map_of_view(view: View, links: Links, *, direction: Direction = "right") -> dict[str, object]:
    """A folded graph: `{words, notes, focus, boxes, arrows, states, shapes}`.

    `x` and `y` of a box are its middle, in pixels; its members `open` and `close` are handles for
    `fold`. An arrow is the ids of its ends, how many it stands for, whether it is sure, and the
    points that it passes. History runs to the right, or `down` on narrow screens.
    """
    sheet = sheet_of(view, links, label_width=LABEL_WIDTH)
    places = _Places.of(sheet, direction)
    nodes = view.graph.by_key()
    boxes = {box.key: box for box in view.boxes}
    drawn_boxes = []
    for key, item in sheet.items.items():
        beside = _of_box(boxes[key], nodes) if key in boxes else _of_stub(item)
        drawn_boxes.append(_drawn(key, item) | places.middle(key) | beside)
    counts = {(arrow.source, arrow.target): arrow.count for arrow in view.arrows}
    return {
        **_words_and_shapes(sheet),
        "focus": sheet.first,
        "boxes": drawn_boxes,
        "arrows": [list(arrow) for arrow in _arrows(sheet, counts, places)],
    }


def map_of_classes(
    folded: FoldedGraph,
    links: Links,
    *,
    stages: Sequence[str] = (),
    direction: Direction = "right",
) -> dict[str, object]:
    """A campaign's folded graph in the same form.

    A box links to the list of its jobs, an arrow counts its files.
    """
    sheet = sheet_of_classes(folded, links, label_width=CLASS_WIDTH, stages=stages)
    places = _Places.of(sheet, direction)
    names: dict[str, str] = {}
    drawn_boxes = []
    for index, job_class in enumerate(folded.classes):
        key = str(index)
        names[key] = name_of_class(job_class)
        drawn = _drawn(key, sheet.items[key]) | places.middle(key)
        drawn_boxes.append(drawn | {"id": names[key]} | _of_class(job_class))
    counts = {(str(flow.source), str(flow.target)): flow.files for flow in folded.flows}
    # By name: the index of a class changes when a stage, version or state is added
    arrows = []
    for arrow in _arrows(sheet, counts, places):
        named = arrow._replace(source=names[arrow.source], target=names[arrow.target])
        arrows.append(list(named))
    return {
        **_words_and_shapes(sheet),
        "focus": names.get(sheet.first, ""),
        "boxes": drawn_boxes,
        "arrows": arrows,
        "unit": "file",
    }


@dataclass(frozen=True, slots=True)
class _Places:
    """Where boxes lie and arrows pass, in pixels of the map."""

    layout: Layout
    direction: Direction

    @classmethod
    def of(cls, sheet: Sheet, direction: Direction) -> "_Places":
        """The places of what a sheet has."""
        sizes: dict[str, Size] = {}
        for key, item in sheet.items.items():
            width, height = _outer_size(item)
            sizes[key] = Size(width, height) if direction == "right" else Size(height, width)
        spacing = COUNTED if sheet.counts else PLAIN
        return cls(lay_out(sizes, [*sheet.arrows, *sheet.order], spacing=spacing), direction)

    def middle(self, key: str) -> dict[str, int]:
        """The middle of a box, `{x, y}`."""
        place = self.layout.places[key]
        along = place.along + place.size.along / 2
        across = place.across + place.size.across / 2
        x, y = self._on_screen((along, across))
        return {"x": x, "y": y}

    def passed_points(self, ends: tuple[str, str]) -> list[tuple[int, int]]:
        """The points (x, y) that an arrow passes between its ends."""
        return [self._on_screen(point) for point in self.layout.passed_points(ends)]

    def _on_screen(self, point: Point) -> tuple[int, int]:
        along, across = round(point[0]), round(point[1])
        return (along, across) if self.direction == "right" else (across, along)


def _outer_size(item: Item) -> tuple[int, int]:
    """Width and height of a box with its outline, and the sheets of a stack behind it."""
    room, around = item_size(item), _OUTLINE
    if item.is_folded:
        around += 2 * SHEET_SHIFT
    return round(room.along) + round(around), round(room.across) + round(around)


def name_of_class(job_class: JobClass) -> str:
    """A name for links to these jobs in the picture.

    It stays when other stages, versions or states are added.
    """
    parts = f"{job_class.stage}\0{job_class.code_version}\0{job_class.state}"
    return hashlib.sha256(parts.encode(errors="surrogatepass")).hexdigest()[:_NAME_DIGITS]


def _words_and_shapes(sheet: Sheet) -> dict[str, object]:
    """Return what stands around the picture, and the legend of its boxes."""
    return {
        "words": sheet.words,
        "notes": list(sheet.notes),
        "states": sheet.states(),
        "shapes": sheet.shapes(),
    }


class _MapArrow(NamedTuple):
    """An arrow as the map has it: its ends, how many it stands for, and the points it passes."""

    source: str
    target: str
    stands_for: int
    is_sure: bool
    points: list[tuple[int, int]]


def _arrows(
    sheet: Sheet, counts: Mapping[tuple[str, str], int], places: _Places
) -> Iterator[_MapArrow]:
    for (source, target), is_sure in sheet.arrows.items():
        stands_for = counts.get((source, target), 1)
        points = places.passed_points((source, target))
        yield _MapArrow(source, target, stands_for, is_sure, points)


def _drawn(key: str, item: Item) -> dict[str, object]:
    text, room = item.text, item_size(item)
    members = {
        "id": key,
        "kind": item.kind,
        "label": text.label,
        "detail": text.detail,
        "title": text.title.partition("\n")[0],
        "state": text.state,
        "badge": text.badge,
        "url": text.url,
        "is_focus": item.is_focus,
        "is_placeholder": text.is_placeholder,
        "is_folded": item.is_folded,
        "width": round(room.along),
        "height": round(room.across),
    }
    return {name: value for name, value in members.items() if value not in ("", None, False)}


def _of_stub(item: Item) -> dict[str, object]:
    return {"action": "Show more", "facts": [["Not shown", item.text.title]]}


def _of_class(job_class: JobClass) -> dict[str, object]:
    these = "this" if job_class.jobs == 1 else "these"
    facts = [
        ("Stage", job_class.stage),
        ("State", job_class.state),
        ("Code", job_class.code_version),
        ("Jobs", number(job_class.jobs)),
    ]
    action = f"List {these} {counted(job_class.jobs, 'job')}"
    return {"action": action, "facts": _known_facts(facts)}


def _of_box(box: Box, nodes: Mapping[str, Node]) -> dict[str, object]:
    """Return what the browser needs of a box besides its look: members, facts and handles."""
    members = [nodes[key] for key in box.members]
    values: dict[str, object] = {"keys": list(box.members)}
    more = 0
    if box.handle:
        facts = _known_facts(_facts_of_many(members))
        values |= {"open": box.handle, "facts": facts, "members": _listed(members)}
        more = max(0, len(members) - MOST_MEMBERS)
    else:
        values |= _of_node(members[0])
    if box.opened_by:
        values["close"] = box.opened_by
    if box.badges:
        values["shared"] = _listed([nodes[key] for key in box.badges])
    values["more"] = more
    return values


def _of_node(node: Node) -> dict[str, object]:
    if not isinstance(node, FileNode):
        action, facts = "Open the job's page", _known_facts(_job_facts(node))
        return {"name": _name(node), "action": action, "facts": facts}
    action, facts = "Open the file's page", _known_facts(_file_facts(node))
    values: dict[str, object] = {"name": _name(node), "action": action, "facts": facts}
    if node.url:
        values["lineage"] = lineage_of(node.url)
    return values


def _file_facts(file: FileNode) -> list[_Fact]:
    writer = [file.writer.url] if file.writer else []
    return [
        ("File", full_name(file)),
        ("Experiment", file.experiment),
        ("Data tier", file.data_tier or ""),
        ("Size", "" if file.size_bytes is None else size(file.size_bytes)),
        ("Known", known_fully(file), *writer),
    ]


def _job_facts(job: JobNode) -> list[_Fact]:
    task = [job.task_id, task_page(job.task_id)] if job.task_id else [""]
    return [
        ("State", job.state),
        ("Stage", job.stage or ""),
        ("Job", job.label or job.job_id),
        ("Task", *task),
        ("Campaign", job.campaign or ""),
        ("Code", job.code_version or ""),
        ("Started", minute(job.started_at)),
    ]


def _facts_of_many(members: Sequence[Node]) -> list[_Fact]:
    files = [node for node in members if isinstance(node, FileNode)]
    jobs = [node for node in members if isinstance(node, JobNode)]
    counts = []
    if files:
        counts.append(counted(len(files), "file"))
    if jobs:
        counts.append(counted(len(jobs), "job"))
    return [
        ("Holds", " and ".join(counts)),
        ("Stage", _distinct(job.stage or "no stage" for job in jobs)),
        ("State", _distinct(job.state for job in jobs)),
        ("Code", _distinct(job.code_version for job in jobs)),
        ("Data tier", _distinct(file.data_tier for file in files)),
        ("Size", _total_size(files)),
    ]


def _distinct(values: Iterable[str | None]) -> str:
    """The values that occur, each once, without missing ones."""
    return ", ".join(dict.fromkeys(filter(None, values)))


def _total_size(files: Sequence[FileNode]) -> str:
    """The size of all files together, empty if that of one is not known."""
    sizes = [file.size_bytes for file in files if file.size_bytes is not None]
    return size(sum(sizes)) if files and len(sizes) == len(files) else ""


def _known_facts(facts: Sequence[_Fact]) -> list[list[str]]:
    return [[name, shown(value), *where] for name, value, *where in facts if value]


def _listed(nodes: Sequence[Node]) -> list[list[str]]:
    """The first members, each as (name, address)."""
    return [[_name(node), node.url or ""] for node in nodes[:MOST_MEMBERS]]


def _name(node: Node) -> str:
    if isinstance(node, FileNode):
        return shown(full_name(node))
    return shown(f"{node.stage or 'job'} {node.label or node.job_id}")
