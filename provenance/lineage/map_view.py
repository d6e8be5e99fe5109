"""A picture as plain values, for a script that draws it in the browser and lets people walk about in it.

The script decides nothing: which boxes there are, what they say, how large they are, what opens them and which facts stand beside
them comes from here, the same as in the server's own drawing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from provenance.lineage.folding import Box, View
from provenance.lineage.graph import FileNode, JobNode, Node
from provenance.lineage.quotient import FoldedGraph, JobClass
from provenance.lineage.sentences import full_name, known_fully
from provenance.lineage.sheet import Item, Links, Sheet, sheet_of, sheet_of_classes
from provenance.lineage.svg import CLASS_WIDTH, LABEL_WIDTH, item_size
from provenance.lineage.words import counted, day, number, shown, size

MOST_MEMBERS = 1000
"""Members of a folded box that are named, so that a search finds them: as many as a picture holds; more are counted."""

_NAME_DIGITS = 10

_Fact = tuple[str, ...]
"""Name, value, and where it leads, if anywhere."""


def map_of_view(view: View, links: Links) -> dict[str, Any]:
    """A folded graph: `{words, notes, focus, boxes, arrows, order, states, shapes}`; a box's `open` and `close` are handles for `fold`."""
    sheet = sheet_of(view, links, label_width=LABEL_WIDTH)
    nodes = view.graph.by_key()
    boxes = {box.key: box for box in view.boxes}
    drawn = [
        {**_drawn(key, item), **(_of_box(boxes[key], nodes) if key in boxes else _of_stub(item))}
        for key, item in sheet.items.items()
    ]
    counts = {(arrow.source, arrow.target): arrow.count for arrow in view.arrows}
    return _map(sheet, drawn, counts)


def map_of_classes(folded: FoldedGraph, links: Links, *, stages: Sequence[str] = ()) -> dict[str, Any]:
    """A campaign's folded graph in the same words; a box leads to the list of its jobs, an arrow says how many files it is."""
    sheet = sheet_of_classes(folded, links, label_width=CLASS_WIDTH, stages=stages)
    counts = {(str(flow.source), str(flow.target)): flow.files for flow in folded.flows}
    names = {str(index): name_of_class(some) for index, some in enumerate(folded.classes)}
    drawn = []
    for key, item in sheet.items.items():
        some = folded.classes[int(key)]
        facts = [("Stage", some.stage), ("State", some.state), ("Code", some.code_version), ("Jobs", number(some.jobs))]
        action = f"List {'this' if some.jobs == 1 else 'these'} {counted(some.jobs, 'job')}"
        drawn.append({**_drawn(key, item), "id": names[key], "action": action, "facts": _said(facts)})
    made = _map(sheet, drawn, counts)
    arrows = [[names[source], names[target], *rest] for source, target, *rest in made["arrows"]]
    order = [[names[before], names[after]] for before, after in made["order"]]
    return {**made, "focus": names.get(made["focus"], ""), "arrows": arrows, "order": order, "unit": "file"}


def name_of_class(some: JobClass) -> str:
    """What a link to the picture calls these jobs: their place among others moves as soon as one stage, version or state more is there."""
    said = f"{some.stage}\0{some.code_version}\0{some.state}"
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:_NAME_DIGITS]


def _map(sheet: Sheet, boxes: list[dict[str, Any]], counts: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    arrows = [[*ends, counts.get(ends, 1), is_sure] for ends, is_sure in sheet.arrows.items()]
    return {
        "words": sheet.words,
        "notes": list(sheet.notes),
        "focus": sheet.first,
        "boxes": boxes,
        "arrows": arrows,
        "order": list(sheet.order),
        "states": sheet.states(),
        "shapes": sheet.shapes(),
    }


def _drawn(key: str, item: Item) -> dict[str, Any]:
    text, room = item.text, item_size(item)
    found = {
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
    return {name: value for name, value in found.items() if value not in ("", None, False)}


def _of_stub(item: Item) -> dict[str, Any]:
    return {"action": "Show more", "facts": [["Not shown", item.text.title]]}


def _of_box(box: Box, nodes: Mapping[str, Node]) -> dict[str, Any]:
    members = [nodes[key] for key in box.members]
    found: dict[str, Any] = {"keys": list(box.members)}
    if box.handle:
        found |= {"open": box.handle, "facts": _said(_facts_of_many(members)), "members": _listed(members)}
    else:
        found |= _one(members[0])
    if box.opened_by:
        found["close"] = box.opened_by
    if box.badges:
        found["shared"] = _listed([nodes[key] for key in box.badges])
    found["more"] = max(0, len(members) - MOST_MEMBERS) if box.handle else 0
    return found


def _one(node: Node) -> dict[str, Any]:
    facts = _file_facts(node) if isinstance(node, FileNode) else _job_facts(node)
    action = "Open the file's page" if isinstance(node, FileNode) else "Open the job's page"
    found: dict[str, Any] = {"name": _name(node), "action": action, "facts": _said(facts)}
    if isinstance(node, FileNode) and node.url:
        found["lineage"] = node.url.replace("/files/", "/lineage/", 1)
    return found


def _file_facts(file: FileNode) -> list[_Fact]:
    return [
        ("File", full_name(file)),
        ("Experiment", file.experiment),
        ("Data tier", file.data_tier or ""),
        ("Size", "" if file.size_bytes is None else size(file.size_bytes)),
        ("Known", known_fully(file), *([file.writer.url] if file.writer else [])),
    ]


def _job_facts(job: JobNode) -> list[_Fact]:
    return [
        ("State", job.state),
        ("Stage", job.stage or ""),
        ("Job", job.label or job.job_id),
        ("Task", job.task_id or "", f"/tasks/{quote(job.task_id)}" if job.task_id else ""),
        ("Campaign", job.campaign or ""),
        ("Code", job.code_version or ""),
        ("Started", day(job.started_at)),
    ]


def _facts_of_many(members: Sequence[Node]) -> list[_Fact]:
    files = [node for node in members if isinstance(node, FileNode)]
    jobs = [node for node in members if isinstance(node, JobNode)]
    sizes = [file.size_bytes for file in files if file.size_bytes is not None]
    counts = [counted(len(some), word) for some, word in ((files, "file"), (jobs, "job")) if some]
    return [
        ("Holds", " and ".join(counts)),
        ("Stage", ", ".join(dict.fromkeys(job.stage or "no stage" for job in jobs))),
        ("State", ", ".join(dict.fromkeys(job.state for job in jobs))),
        ("Code", ", ".join(dict.fromkeys(job.code_version for job in jobs if job.code_version))),
        ("Data tier", ", ".join(dict.fromkeys(file.data_tier for file in files if file.data_tier))),
        ("Size", size(sum(sizes)) if files and len(sizes) == len(files) else ""),
    ]


def _said(facts: Sequence[_Fact]) -> list[list[str]]:
    return [[name, shown(value), *where] for name, value, *where in facts if value]


def _listed(nodes: Sequence[Node]) -> list[list[str]]:
    """The first members, each as (words, address)."""
    return [[_name(node), node.url or ""] for node in nodes[:MOST_MEMBERS]]


def _name(node: Node) -> str:
    return shown(
        full_name(node) if isinstance(node, FileNode) else f"{node.stage or 'job'} {node.label or node.job_id}"
    )
