"""The content of a picture, before anything has a place: boxes with text, stubs, arrows, notes.

A stub is a small box for neighbours that are left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from jobprov.provenance.lineage.drawing.captions import (
    DETAIL_MORE,
    Caption,
    captions,
    fitted,
    safe_url,
)
from jobprov.provenance.lineage.folding import Box, View
from jobprov.provenance.lineage.quotient import FoldedGraph, JobClass
from jobprov.provenance.lineage.sentences import omissions, summary
from jobprov.provenance.lineage.words import counted, elided, number, shown


class Shape(NamedTuple):
    """A shape of boxes or arrows, as the stylesheet and the legend name it, and its meaning."""

    name: str
    meaning: str


STUB = "\0stub "
MANY = 9_000
"""From so many neighbours on, a stub says "or more".

Only the first ten thousand of a picture are counted (`db/queries/histories/hidden_neighbours.py`).
"""
_STATES = ("succeeded", "running", "silent", "failed", "killed", "lost")
"""The order of states in every legend; others follow."""
_SHAPES = (
    Shape("file", "file"),
    Shape("job", "job"),
    Shape("stack", "several as one"),
    Shape("focus", "the file asked for"),
    Shape("mentioned", "no recorded job made it"),
    Shape("unsure", "only possible"),
    Shape("stub", "more, not shown"),
)
NO_FLOW = "No job here read a file that another of this campaign made."
FOLDED = frozenset({"files", "jobs", "chain", "cycle"})


def _nowhere(_key: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Links:
    """Where boxes link to.

    Attributes:
        expand: returns the URL that opens a folded box, by its handle; None for no link.
        more: returns the URL that shows what is left out beside a node, by its key.
    """

    expand: Callable[[str], str | None] = _nowhere
    more: Callable[[str], str | None] = _nowhere


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to draw; `kind` is a box's kind, or `stub`."""

    text: Caption
    kind: str
    is_focus: bool = False

    @property
    def is_folded(self) -> bool:
        """True where it stands for several nodes."""
        return self.kind in FOLDED


@dataclass(frozen=True, slots=True)
class Sheet:
    """Items by key, arrows between them (True where sure), and the text around them.

    Attributes:
        words: the whole in a sentence, for screen readers.
        notes: what a reader must know about it, below the picture.
        first: key of the item that the picture is about; empty if there is none.
        counts: text at arrows, if they have counts.
        order: pairs to place one after the other although no arrow joins them.
    """

    items: dict[str, Item] = field(default_factory=dict)
    arrows: dict[tuple[str, str], bool] = field(default_factory=dict)
    words: str = ""
    notes: Sequence[str] = ()
    first: str = ""
    counts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    order: Sequence[tuple[str, str]] = ()

    def states(self) -> list[str]:
        """The states whose marks occur, always in the same order."""
        states = [item.text.state for item in self.items.values() if item.text.state]
        known = [state for state in _STATES if state in states]
        others = [state for state in dict.fromkeys(states) if state not in _STATES]
        return known + others

    def shapes(self) -> list[Shape]:
        """The shapes that occur, always in the same order."""
        occurring: set[str] = set()
        for item in self.items.values():
            occurring.update(_shapes_of(item))
        if not all(self.arrows.values()):
            occurring.add("unsure")
        return [shape for shape in _SHAPES if shape.name in occurring]


def sheet_of(view: View, links: Links, *, label_width: int) -> Sheet:
    """The items and arrows of a view."""
    texts = captions(view, label_width=label_width)
    sheet = Sheet(
        arrows={(arrow.source, arrow.target): arrow.is_sure for arrow in view.arrows},
        words=summary(view.graph),
        notes=omissions(view.graph),
        first=view.focus,
    )
    for box in view.boxes:
        text = texts[box.key]
        if len(box.members) > 1:
            text = replace(text, url=safe_url(links.expand(box.handle)))
        sheet.items[box.key] = Item(text, box.kind, box.key == view.focus)
    omitted = view.graph.omitted
    for box in view.boxes:
        _add_stub(sheet, box, omitted.inputs_of, "before", links)
        _add_stub(sheet, box, omitted.outputs_of, "after", links)
    return sheet


def sheet_of_classes(
    folded: FoldedGraph, links: Links, *, label_width: int, stages: Sequence[str] = ()
) -> Sheet:
    """The items and arrows of a campaign's folded graph.

    `links.expand` takes a class's index as text.

    If no file joins its classes, they are placed in the order of `stages`. A code version that all
    have in common is a note: in each box, it would make the boxes half as wide again.
    """
    counts: dict[tuple[str, str], str] = {}
    for flow in folded.flows:
        if flow.source != flow.target:
            counts[str(flow.source), str(flow.target)] = counted(flow.files, "file")
    common_version = _common_version(folded)
    items: dict[str, Item] = {}
    for index, job_class in enumerate(folded.classes):
        text = Caption(
            label=elided(job_class.stage or "no stage", label_width),
            detail=_detail_of_class(job_class, common_version, label_width + DETAIL_MORE),
            title=_title_of_class(job_class),
            state=job_class.state,
            url=safe_url(links.expand(str(index))),
        )
        kind = "job" if job_class.jobs == 1 else "jobs"
        items[str(index)] = Item(text, kind)
    job_count = sum(job_class.jobs for job_class in folded.classes)
    return Sheet(
        items=items,
        arrows=dict.fromkeys(counts, True),
        words=f"{counted(job_count, 'job')} by stage, code version and state",
        notes=_notes_of_classes(folded, common_version, has_flow=bool(counts)),
        counts=counts,
        order=[] if counts else _stage_order(folded, stages),
    )


def _detail_of_class(job_class: JobClass, common_version: str | None, width: int) -> str:
    """The state unless it is success, the number of jobs, and the version unless all have it."""
    parts: list[str] = []
    if job_class.state != "succeeded":
        parts.append(job_class.state)
    parts.append(counted(job_class.jobs, "job"))
    if common_version is None:
        parts.append(job_class.code_version)
    return fitted(parts, width)


def _common_version(folded: FoldedGraph) -> str | None:
    """The code version that all of several classes have, None if they differ."""
    versions = {job_class.code_version for job_class in folded.classes}
    return versions.pop() if len(versions) == 1 < len(folded.classes) else None


def _notes_of_classes(
    folded: FoldedGraph, common_version: str | None, *, has_flow: bool
) -> list[str]:
    notes = []
    if folded.omitted.nodes:
        jobs, classes = counted(folded.omitted.jobs, "job"), number(folded.omitted.nodes)
        notes.append(f"Not shown: {jobs} of {classes} smaller classes.")
    if not has_flow and len(folded.classes) > 1:
        notes.append(NO_FLOW)
    if common_version:
        notes.append(f"All ran with {shown(common_version)}.")
    return notes


def _title_of_class(job_class: JobClass) -> str:
    stage = job_class.stage or "no stage"
    version = job_class.code_version or "no code said"
    return shown(f"{counted(job_class.jobs, 'job')} of {stage}, {job_class.state}, {version}")


def _shapes_of(item: Item) -> Iterator[str]:
    """Names of the shapes that an item is drawn with."""
    if item.kind == "stub":
        yield "stub"
        return
    yield "job" if item.text.state else "file"
    if item.is_folded:
        yield "stack"
    if item.is_focus:
        yield "focus"
    if item.text.is_placeholder:
        yield "mentioned"


def _stage_order(folded: FoldedGraph, stages: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs that put the classes of each stage after the first class of the stage before."""
    classes_of: dict[str, list[str]] = {stage: [] for stage in stages}
    for index, job_class in enumerate(folded.classes):
        if job_class.stage in classes_of:
            classes_of[job_class.stage].append(str(index))
    occurring_stages = [classes for classes in classes_of.values() if classes]
    pairs: list[tuple[str, str]] = []
    for earlier_classes, classes in pairwise(occurring_stages):
        for job_class_key in classes:
            pairs.append((earlier_classes[0], job_class_key))
    return pairs


def _add_stub(sheet: Sheet, box: Box, counts: Mapping[str, int], side: str, links: Links) -> None:
    """Add a stub for the neighbours of a box that are not shown on one side."""
    left_out = sum(counts.get(member, 0) for member in box.members)
    if left_out <= 0:
        return
    more = ""
    if left_out >= MANY:
        more = " or more"
    stub = f"{STUB}{side} {box.key}"
    caption = Caption(
        label=f"+{number(left_out)}{more}",
        detail="",
        title=f"{counted(left_out, 'neighbour')}{more} {side} this, not shown",
        url=safe_url(links.more(box.key)) or sheet.items[box.key].text.url,
    )
    sheet.items[stub] = Item(caption, "stub")
    if side == "before":
        sheet.arrows[stub, box.key] = True
    else:
        sheet.arrows[box.key, stub] = True
