"""What goes on a picture, before anything has a place: boxes with their text, stubs for what is left out, arrows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from provenance.lineage.captions import DETAIL_MORE, Caption, captions, fitted, safe_url
from provenance.lineage.folding import Box, View
from provenance.lineage.quotient import FoldedGraph
from provenance.lineage.sentences import omissions, summary
from provenance.lineage.words import counted, elided, number, shown

STUB = "\0stub "
MANY = 9_000
"""Neighbours of one file: those beyond the first ten thousand of a picture are not counted (`db/queries/hidden_neighbours.py`)."""
_STATES = ("succeeded", "running", "silent", "failed", "killed", "lost")
"""The order of states in every legend; others follow."""
NO_FLOW = "No job here read a file that another of this campaign made."
FOLDED = frozenset({"files", "jobs", "chain", "cycle"})


def _nowhere(_key: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Links:
    """Where folded things lead: `expand` takes the handle of a box, `more` the key of a node; both return a URL or None."""

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
    """Items by key, arrows between them (True where sure), and what to say of them.

    Attributes:
        words: the whole in a sentence, for screen readers.
        notes: what a reader must know of it, below the picture.
        first: key of the item that the picture is about; empty where there is none.
        counts: what is written at arrows, where they say how much they are.
        order: pairs to place one after the other though no arrow joins them.
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
        found = dict.fromkeys(item.text.state for item in self.items.values() if item.text.state)
        return [state for state in _STATES if state in found] + [state for state in found if state not in _STATES]

    def shapes(self) -> list[tuple[str, str]]:
        """The shapes that occur, by name, each with what it means."""
        items = self.items.values()
        nodes = [item for item in items if item.kind != "stub"]
        found = {
            "file": ("file", any(not item.text.state for item in nodes)),
            "job": ("job", any(item.text.state for item in nodes)),
            "stack": ("several as one", any(item.is_folded for item in nodes)),
            "focus": ("the file asked for", any(item.is_focus for item in nodes)),
            "mentioned": ("no recorded job made it", any(item.text.is_placeholder for item in nodes)),
            "unsure": ("only possible", not all(self.arrows.values())),
            "stub": ("more, not shown", len(nodes) < len(items)),
        }
        return [(name, words) for name, (words, occurs) in found.items() if occurs]


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


def sheet_of_classes(folded: FoldedGraph, links: Links, *, label_width: int, stages: Sequence[str] = ()) -> Sheet:
    """The items and arrows of a campaign's folded graph; `links.expand` takes a class's index as text.

    Where no file joins its classes they stand in the order of `stages`. A code version that all have is said once, as a
    note: it would make each box half as wide again.
    """
    total = sum(some.jobs for some in folded.classes)
    words = f"{counted(total, 'job')} by stage, code version and state"
    counts = {
        (str(flow.source), str(flow.target)): counted(flow.files, "file")
        for flow in folded.flows
        if flow.source != flow.target
    }
    left_out = f"Not shown: {counted(folded.omitted_jobs, 'job')} of {number(folded.omitted_classes)} smaller classes."
    notes = [left_out] * (folded.omitted_classes > 0) + [NO_FLOW] * (not counts and len(folded.classes) > 1)
    versions = {some.code_version for some in folded.classes}
    is_said_once = len(versions) == 1 < len(folded.classes)
    notes += [f"All ran with {shown(version)}." for version in versions if is_said_once and version]
    order = [] if counts else _in_order(folded, stages)
    sheet = Sheet(arrows=dict.fromkeys(counts, True), words=words, notes=notes, counts=counts, order=order)
    for index, some in enumerate(folded.classes):
        state = None if some.state == "succeeded" else some.state
        text = Caption(
            label=elided(some.stage or "no stage", label_width),
            detail=fitted(
                [state, counted(some.jobs, "job"), None if is_said_once else some.code_version],
                label_width + DETAIL_MORE,
            ),
            title=shown(
                f"{counted(some.jobs, 'job')} of {some.stage or 'no stage'}, {some.state}, {some.code_version or 'no code said'}"
            ),
            state=some.state,
            url=safe_url(links.expand(str(index))),
        )
        sheet.items[str(index)] = Item(text, "job" if some.jobs == 1 else "jobs")
    return sheet


def _in_order(folded: FoldedGraph, stages: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs that put the classes of each stage after the first class of the stage before."""
    by_stage: dict[str, list[str]] = {stage: [] for stage in stages}
    for index, some in enumerate(folded.classes):
        if some.stage in by_stage:
            by_stage[some.stage].append(str(index))
    columns = [keys for keys in by_stage.values() if keys]
    return [(before[0], key) for before, keys in pairwise(columns) for key in keys]


def _add_stub(sheet: Sheet, box: Box, counts: Mapping[str, int], side: str, links: Links) -> None:
    left_out = sum(counts.get(member, 0) for member in box.members)
    if left_out <= 0:
        return
    stub = f"{STUB}{side} {box.key}"
    url = safe_url(links.more(box.key)) or sheet.items[box.key].text.url
    more = "" if left_out < MANY else " or more"  # where there are so many they are not all counted
    words = f"{counted(left_out, 'neighbour')}{more} {side} this, not shown"
    sheet.items[stub] = Item(Caption(label=f"+{number(left_out)}{more}", detail="", title=words, url=url), "stub")
    sheet.arrows[(stub, box.key) if side == "before" else (box.key, stub)] = True
