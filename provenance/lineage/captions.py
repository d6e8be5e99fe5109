"""What a box of a view says: two short lines, the whole story as tooltip, its state, link and badge."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from provenance.lineage.folding import Box, View
from provenance.lineage.graph import UNHAPPY_STATES, FileNode, JobNode, Node
from provenance.lineage.sentences import known_briefly, title
from provenance.lineage.words import columns, counted, elided, leading, number, shown, size

DETAIL_MORE = 4
"""Details are set smaller, so more columns of them fit under a label."""
CODE_WIDTH = 20
SEPARATOR = " · "
TITLES_AT_MOST = 12
FEW = 2
ROUNDS = 6
"""Each parts names that are still cut to the same label; names that differ in several places need several."""
CONTEXT = 9
"""Columns before what differs that are shown where the end of the name must be cut as well."""
LEAST = 4
"""An end of a name in fewer columns says nothing."""


@dataclass(frozen=True, slots=True)
class Caption:
    """The text of one box.

    Attributes:
        title: everything in full, a line a member; for tooltips and screen readers.
        state: whose mark to draw; None for files.
        badge: text of the badge, empty where there is none; `badge_title` names each shared input.
    """

    label: str
    detail: str
    title: str
    state: str | None = None
    url: str | None = None
    badge: str = ""
    badge_title: str = ""
    is_placeholder: bool = False


class _Said(NamedTuple):
    """What a box says before it is cut: how many it stands for, whose name, and the parts of the second line."""

    times: str
    name: str
    parts: Sequence[str | None]


def captions(view: View, *, label_width: int) -> dict[str, Caption]:
    """The text of each box, by its key; labels at most `label_width` columns wide, and different where names are."""
    nodes = view.graph.by_key()
    said = {box.key: _said(box, [nodes[key] for key in box.members]) for box in view.boxes}
    names: dict[str, list[str]] = {}
    for one in said.values():
        names.setdefault(one.times, []).append(one.name)
    labels = {times: tell_apart(some, label_width - columns(times)) for times, some in names.items()}
    return {
        box.key: _caption(box, nodes, said[box.key], labels[said[box.key].times], label_width) for box in view.boxes
    }


def fitted(parts: Sequence[str | None], width: int) -> str:
    """Parts of a line, joined: what does not fit is left out from the end, so that no two parts are cut into one word."""
    line = ""
    for part in filter(None, parts):
        longer = f"{line}{SEPARATOR}{shown(part)}" if line else elided(part, width)
        if columns(longer) > width:
            break
        line = longer
    return line


def _caption(box: Box, nodes: Mapping[str, Node], said: _Said, labels: Mapping[str, str], width: int) -> Caption:
    members = [nodes[key] for key in box.members]
    jobs = [node for node in members if isinstance(node, JobNode)]
    badges = [node for key in box.badges if isinstance(node := nodes[key], FileNode)]
    first = members[0]
    return Caption(
        label=f"{said.times}{labels[said.name]}",
        detail=fitted(said.parts, width + DETAIL_MORE),
        title=_titles(members),
        state=worst_state(jobs) if jobs else None,
        url=safe_url(first.url) if len(members) == 1 else None,
        badge=_badge(badges, width),
        badge_title=_titles(badges),
        is_placeholder=not jobs and isinstance(first, FileNode) and not first.is_made,
    )


def _said(box: Box, members: Sequence[Node]) -> _Said:
    files = [node for node in members if isinstance(node, FileNode)]
    jobs = [node for node in members if isinstance(node, JobNode)]
    times = f"{number(box.lanes)} × " if box.lanes > 1 else ""  # noqa: RUF001 - the sign of the drawing
    if box.kind == "file":
        return _Said("", files[0].name, _file_parts(files[0]))
    if box.kind == "job":
        return _Said("", jobs[0].stage or jobs[0].label or jobs[0].job_id, _job_parts(jobs[0]))
    if box.kind == "files":
        return _Said(times, name_pattern([file.name for file in files]), _files_parts(files))
    if box.kind == "jobs":
        return _Said(times, jobs[0].stage or "jobs", _jobs_parts(jobs))
    if box.kind == "cycle":
        return _Said("", f"cycle of {number(len(box.members))}", ["these lead to each other"])
    stages = " → ".join(_ends(list(dict.fromkeys(job.stage or "job" for job in jobs))))
    return _Said(times, stages, [f"{counted(len(jobs), 'job')}{' in a row' if box.lanes == 1 else ''}"])


def worst_state(jobs: Sequence[JobNode]) -> str:
    """The state that most needs attention among these jobs."""
    states = [job.state for job in jobs]
    return next((state for state in UNHAPPY_STATES if state in states), states[0])


def safe_url(url: str | None) -> str | None:
    """The URL where it leads to a page, None where a browser might run it."""
    is_local = url is not None and url[:1] in {"/", "?", "#"} and url[1:2] not in {"/", "\\"}
    return shown(url) if url and (is_local or url.startswith(("http://", "https://"))) else None


def _ends(stages: list[str]) -> list[str]:
    return stages if len(stages) <= FEW + 1 else [stages[0], "…", stages[-1]]


def _titles(nodes: Sequence[Node]) -> str:
    lines = [title(node) for node in nodes[:TITLES_AT_MOST]]
    if len(nodes) > TITLES_AT_MOST:
        lines.append(f"and {number(len(nodes) - TITLES_AT_MOST)} more")
    return "\n".join(lines)


def _file_parts(file: FileNode) -> list[str | None]:
    if not file.is_made:
        return [known_briefly(file), file.data_tier]
    version = None if file.version is None else f"version {file.version}"
    return [file.data_tier, None if file.size_bytes is None else size(file.size_bytes), version]


def _files_parts(files: Sequence[FileNode]) -> list[str | None]:
    sizes = [file.size_bytes for file in files if file.size_bytes is not None]
    total = size(sum(sizes)) if len(sizes) == len(files) else None
    return [known_briefly(files[0]), files[0].data_tier, total]


def _job_parts(job: JobNode) -> list[str | None]:
    """State, id and code: where there is no room for all, the id of a job that failed is worth more than its code."""
    state = None if job.state == "succeeded" else job.state
    batch_id = (job.label or job.job_id[:12]).partition("@")[0]  # the schedd is in the title
    return [state, batch_id if job.stage else None, elided(job.code_version or "", CODE_WIDTH)]


def _jobs_parts(jobs: Sequence[JobNode]) -> list[str | None]:
    return [None if jobs[0].state == "succeeded" else jobs[0].state, jobs[0].code_version]


def _badge(files: Sequence[FileNode], width: int) -> str:
    names = ", ".join(shown(file.name) for file in files)
    if len(files) > 1 and (len(files) > FEW or columns(names) > width):
        return f"{number(len(files))} shared inputs"
    return elided(names, width)


def tell_apart(names: Iterable[str], width: int) -> dict[str, str]:
    """Each name in at most `width` columns; those that differ read differently wherever that is possible."""
    labels = {name: _cut(shown(name), width) for name in names}
    for _ in range(ROUNDS):
        crowds = [some for some in _by_label(labels).values() if len(some) > 1]
        if not crowds:
            break
        for some in crowds:
            start, end = _shared(some)
            labels.update({name: _around(shown(name), start, end, width) for name in some})
    return labels


def name_pattern(names: Sequence[str]) -> str:
    """What names have in common, `*` for the rest: `reco_r*.root`."""
    start, end = _shared(names)
    return f"{names[0][:start]}*{names[0][len(names[0]) - end :]}"


def _cut(name: str, width: int) -> str:
    """Both ends of a name; of a pattern what is around its `*`, which says where its members differ."""
    star = name.find("*")
    if star < 0 or columns(name) <= width:
        return elided(name, width)
    return _around(name, star, len(name) - star - 1, width)


def _by_label(labels: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, label in labels.items():
        found.setdefault(label, []).append(name)
    return found


def _shared(names: Sequence[str]) -> tuple[int, int]:
    """How many characters all names begin with, and how many of the others they end with."""
    start = _common_start(names)
    return start, _common_start([name[start:][::-1] for name in names])


def _common_start(names: Sequence[str]) -> int:
    low, high = min(names), max(names)
    return next((place for place, char in enumerate(low) if high[place : place + 1] != char), len(low))


def _around(name: str, start: int, end: int, width: int) -> str:
    """The name without what stands far before its own part, and before its end where that is too long as well."""
    before, own, after = name[:start], name[start : len(name) - end], name[len(name) - end :]
    room = width - columns(own) - 1
    if room < LEAST:
        return f"…{elided(own + after, width - 1)}" if before else elided(own + after, width)
    if columns(after) <= room:
        return f"…{_last_words(before, room - columns(after))}{own}{after}"
    lead = _last_words(before, min(CONTEXT, room // 2))
    left = room - columns(lead) - 1
    if left < LEAST:
        return f"…{_trailing(before, room - 1)}{own}…"
    return f"…{lead}{own}…{_trailing(after, left)}"


def _last_words(text: str, width: int) -> str:
    """The end of a text, from where a word of it begins if one does."""
    end = _trailing(text, width)
    words = re.split("[_.-]", end, maxsplit=1)
    return words[1] if len(words) > 1 and words[1] else end


def _trailing(text: str, width: int) -> str:
    return leading(text[::-1], width)[::-1]
