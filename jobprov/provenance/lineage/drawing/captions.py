"""The text of a box in a view: two short lines, a tooltip with everything, state, link and badge.

Names are cut to the width of a box in such a way that different names look different. A production
names thousands of files alike: `fardet_genie_…_prod7_003_of_006.caf.root`. A cut in the middle
would remove exactly the part that differs, so the parts that names share are left out first.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jobprov.provenance.lineage.folding import Box, View
from jobprov.provenance.lineage.graph import UNHAPPY_STATES, FileNode, JobNode, Node
from jobprov.provenance.lineage.sentences import known_briefly, title
from jobprov.provenance.lineage.words import columns, counted, elided, leading, number, shown, size

DETAIL_MORE = 4
"""Details are printed smaller, so more columns of them fit under a label."""
CODE_WIDTH = 20
SEPARATOR = " · "
TITLES_AT_MOST = 12
FEW = 2
CUTS_AT_MOST = 6
"""Rounds of cutting. Each tells apart names that still have the same label.

Names that differ in several places need several rounds.
"""
CONTEXT = 9
"""Columns shown before what differs, if the end of the name must be cut as well."""
LEAST = 4
"""With fewer columns, an end of a name is useless."""


@dataclass(frozen=True, slots=True)
class Caption:
    """The text of one box.

    Attributes:
        title: everything in full, a line per member; for tooltips and screen readers.
        state: whose mark to draw; None for files.
        badge: text of the badge, empty if there is none; `badge_title` names each shared input.
    """

    label: str
    detail: str
    title: str
    state: str | None = None
    url: str | None = None
    badge: str = ""
    badge_title: str = ""
    is_placeholder: bool = False


class _Uncut(NamedTuple):
    """The text of a box before it is cut.

    Attributes:
        times: how many nodes the box stands for, with a multiplication sign; empty for one.
        parts: of the second line.
    """

    times: str
    name: str
    parts: Sequence[str | None]


def captions(view: View, *, label_width: int) -> dict[str, Caption]:
    """The text of each box, by its key.

    Labels have at most `label_width` columns, and differ if the names do.
    """
    nodes = view.graph.by_key()
    uncut_texts: dict[str, _Uncut] = {}
    names_by_times: dict[str, list[str]] = {}
    for box in view.boxes:
        uncut = _uncut(box, [nodes[key] for key in box.members])
        uncut_texts[box.key] = uncut
        names_by_times.setdefault(uncut.times, []).append(uncut.name)
    labels: dict[str, dict[str, str]] = {}
    for times, names in names_by_times.items():
        labels[times] = tell_apart(names, label_width - columns(times))
    texts: dict[str, Caption] = {}
    for box in view.boxes:
        uncut = uncut_texts[box.key]
        label = f"{uncut.times}{labels[uncut.times][uncut.name]}"
        detail = fitted(uncut.parts, label_width + DETAIL_MORE)
        texts[box.key] = _caption(box, nodes, label, detail, label_width)
    return texts


def fitted(parts: Sequence[str | None], width: int) -> str:
    """The parts joined to a line. Parts that do not fit are left out; only the first may be cut."""
    line = ""
    for part in filter(None, parts):
        longer = elided(part, width)
        if line:
            longer = f"{line}{SEPARATOR}{shown(part)}"
        if columns(longer) > width:
            break
        line = longer
    return line


def _caption(
    box: Box, nodes: Mapping[str, Node], label: str, detail: str, label_width: int
) -> Caption:
    members = [nodes[key] for key in box.members]
    badges = _files_among([nodes[key] for key in box.badges])
    first = members[0]
    state = None
    jobs = _jobs_among(members)
    if jobs:
        state = worst_state(jobs)
    url = None
    if len(members) == 1:
        url = safe_url(first.url)
    return Caption(
        label,
        detail,
        title=_titles(members),
        state=state,
        url=url,
        badge=_badge(badges, label_width),
        badge_title=_titles(badges),
        is_placeholder=not jobs and isinstance(first, FileNode) and not first.is_made,
    )


def _uncut(box: Box, members: Sequence[Node]) -> _Uncut:
    # A multiplication sign, as in the drawing
    times = f"{number(box.lanes)} × " if box.lanes > 1 else ""  # noqa: RUF001
    if box.kind in {"file", "files"}:
        return _uncut_files(times, _files_among(members))
    jobs = _jobs_among(members)
    if box.kind == "job":
        job = jobs[0]
        return _Uncut("", job.stage or job.label or job.job_id, _job_parts(job))
    if box.kind == "jobs":
        return _Uncut(times, jobs[0].stage or "jobs", _jobs_parts(jobs))
    if box.kind == "cycle":
        return _Uncut("", f"cycle of {number(len(box.members))}", ["these lead to each other"])
    return _uncut_chain(times, jobs)


def _uncut_files(times: str, files: Sequence[FileNode]) -> _Uncut:
    if len(files) == 1:
        return _Uncut("", files[0].name, _file_parts(files[0]))
    return _Uncut(times, name_pattern([file.name for file in files]), _files_parts(files))


def _uncut_chain(times: str, jobs: Sequence[JobNode]) -> _Uncut:
    stages = list(dict.fromkeys(job.stage or "job" for job in jobs))
    if len(stages) > FEW + 1:
        stages = [stages[0], "…", stages[-1]]
    count = counted(len(jobs), "job")
    if not times:
        count += " in a row"
    return _Uncut(times, " → ".join(stages), [count])


def _files_among(nodes: Sequence[Node]) -> list[FileNode]:
    return [node for node in nodes if isinstance(node, FileNode)]


def _jobs_among(nodes: Sequence[Node]) -> list[JobNode]:
    return [node for node in nodes if isinstance(node, JobNode)]


def worst_state(jobs: Sequence[JobNode]) -> str:
    """The state that most needs attention among these jobs."""
    states = [job.state for job in jobs]
    return next((state for state in UNHAPPY_STATES if state in states), states[0])


def safe_url(url: str | None) -> str | None:
    """The URL if it leads to a page, None if a browser might run it."""
    if not url:
        return None
    # Browsers read `//host` and `/\host` as addresses of another host
    is_local = url[0] in {"/", "?", "#"} and url[1:2] not in {"/", "\\"}
    if is_local or url.startswith(("http://", "https://")):
        return shown(url)
    return None


def _titles(nodes: Sequence[Node]) -> str:
    lines = [title(node) for node in nodes[:TITLES_AT_MOST]]
    if len(nodes) > TITLES_AT_MOST:
        lines.append(f"and {number(len(nodes) - TITLES_AT_MOST)} more")
    return "\n".join(lines)


def _file_parts(file: FileNode) -> list[str | None]:
    if not file.is_made:
        return [known_briefly(file), file.data_tier]
    version = None if file.version is None else f"version {file.version}"
    file_size = None if file.size_bytes is None else size(file.size_bytes)
    return [file.data_tier, file_size, version]


def _files_parts(files: Sequence[FileNode]) -> list[str | None]:
    sizes = [file.size_bytes for file in files if file.size_bytes is not None]
    total_size = None
    if len(sizes) == len(files):
        total_size = size(sum(sizes))
    first = files[0]
    return [known_briefly(first), first.data_tier, total_size]


def _job_parts(job: JobNode) -> list[str | None]:
    """State, id and code. In this order: if not all fit, the id of a failed job helps more."""
    state = None if job.state == "succeeded" else job.state
    batch_id = None
    if job.stage:
        batch_id = (job.label or job.job_id[:12]).partition("@")[0]  # the schedd is in the title
    return [state, batch_id, elided(job.code_version or "", CODE_WIDTH)]


def _jobs_parts(jobs: Sequence[JobNode]) -> list[str | None]:
    first = jobs[0]
    state = None if first.state == "succeeded" else first.state
    return [state, first.code_version]


def _badge(files: Sequence[FileNode], width: int) -> str:
    names = ", ".join(shown(file.name) for file in files)
    if len(files) > 1 and (len(files) > FEW or columns(names) > width):
        return f"{number(len(files))} shared inputs"
    return elided(names, width)


def tell_apart(names: Iterable[str], width: int) -> dict[str, str]:
    """Each name in at most `width` columns; different names look different wherever possible."""
    labels = {name: _cut(shown(name), width) for name in names}
    for _ in range(CUTS_AT_MOST):
        crowds = [crowd for crowd in _by_label(labels).values() if len(crowd) > 1]
        if not crowds:
            break
        for crowd in crowds:
            start, end = _shared_ends(crowd)
            labels.update({name: _around(shown(name), start, end, width) for name in crowd})
    return labels


def name_pattern(names: Sequence[str]) -> str:
    """What names have in common, `*` for the rest: `reco_r*.root`."""
    start, end = _shared_ends(names)
    return f"{names[0][:start]}*{names[0][len(names[0]) - end :]}"


def _cut(name: str, width: int) -> str:
    """Both ends of a name; for a pattern what is around its `*`, where its members differ."""
    star = name.find("*")
    if star < 0 or columns(name) <= width:
        return elided(name, width)
    return _around(name, star, len(name) - star - 1, width)


def _by_label(labels: dict[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, label in labels.items():
        names.setdefault(label, []).append(name)
    return names


def _shared_ends(names: Sequence[str]) -> tuple[int, int]:
    """How many first characters all names share, and how many last ones of the rest."""
    start = _common_start(names)
    return start, _common_start([name[start:][::-1] for name in names])


def _common_start(names: Sequence[str]) -> int:
    # What the first and the last name in sorted order share, all names between them share as well
    low, high = min(names), max(names)
    for place, char in enumerate(low):
        if high[place : place + 1] != char:
            return place
    return len(low)


def _around(name: str, start: int, end: int, width: int) -> str:
    """The name cut around its own part, which differs from other names.

    What is far before that part is left out. If the rest is too long, the part after it is cut,
    too.

    Args:
        name: the name.
        start: how many first characters it shares with others.
        end: how many last ones.
        width: columns for the result.
    """
    before = name[:start]
    own = name[start : len(name) - end]
    after = name[len(name) - end :]
    room = width - columns(own) - 1
    if room < LEAST:
        if not before:
            return elided(own + after, width)
        return f"…{elided(own + after, width - 1)}"
    room_before = room - columns(after)
    if room_before >= 0:
        return f"…{_last_words(before, room_before)}{own}{after}"
    lead = _last_words(before, min(CONTEXT, room // 2))
    room_after = room - columns(lead) - 1
    if room_after < LEAST:
        return f"…{_trailing(before, room - 1)}{own}…"
    return f"…{lead}{own}…{_trailing(after, room_after)}"


def _last_words(text: str, width: int) -> str:
    """The end of a text, from the beginning of a word if one begins in it."""
    end = _trailing(text, width)
    _, *rest = re.split("[_.-]", end, maxsplit=1)
    return rest[0] if rest and rest[0] else end


def _trailing(text: str, width: int) -> str:
    return leading(text[::-1], width)[::-1]
