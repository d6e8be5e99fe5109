"""What a box of a view says: two short lines, the whole story as tooltip, its state, link and badge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provenance.lineage.folding import Box, View
from provenance.lineage.graph import UNHAPPY_STATES, FileNode, JobNode, Node
from provenance.lineage.words import counted, elided, known_briefly, number, shown, size, title

DETAIL_MORE = 4
"""Details are set smaller, so more columns of them fit under a label."""
CODE_WIDTH = 20
TITLES_AT_MOST = 12
FEW = 2


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


def captions(view: View, *, label_width: int) -> dict[str, Caption]:
    """The text of each box, by its key; labels at most `label_width` columns wide."""
    every = _Captions(view.graph.by_key(), label_width)
    return {box.key: every.of(box) for box in view.boxes}


class _Captions:
    def __init__(self, nodes: Mapping[str, Node], width: int) -> None:
        self.nodes = nodes
        self.width = width

    def of(self, box: Box) -> Caption:
        members = [self.nodes[key] for key in box.members]
        files = [node for node in members if isinstance(node, FileNode)]
        jobs = [node for node in members if isinstance(node, JobNode)]
        badges = [node for key in box.badges if isinstance(node := self.nodes[key], FileNode)]
        label, detail = self._lines(box, files, jobs)
        return Caption(
            label=elided(label, self.width),
            detail=elided(detail, self.width + DETAIL_MORE),
            title=_titles(members),
            state=worst_state(jobs) if jobs else None,
            url=safe_url(members[0].url) if len(members) == 1 else None,
            badge=elided(_badge(badges), self.width),
            badge_title=_titles(badges),
            is_placeholder=bool(files) and not jobs and not files[0].is_made,
        )

    def _lines(self, box: Box, files: Sequence[FileNode], jobs: Sequence[JobNode]) -> tuple[str, str]:
        if box.kind == "file":
            return files[0].name, _file_detail(files[0])
        if box.kind == "job":
            return jobs[0].stage or jobs[0].label or jobs[0].job_id, _job_detail(jobs[0])
        if box.kind == "files":
            return f"{number(box.lanes)} × {name_pattern([file.name for file in files])}", _files_detail(files)  # noqa: RUF001
        if box.kind == "jobs":
            return f"{number(box.lanes)} × {jobs[0].stage or 'jobs'}", _jobs_detail(jobs)  # noqa: RUF001
        if box.kind == "cycle":
            return f"cycle of {number(len(box.members))}", "these lead to each other"
        stages = " → ".join(_ends(list(dict.fromkeys(job.stage or "job" for job in jobs))))
        times = f"{number(box.lanes)} × " if box.lanes > 1 else ""  # noqa: RUF001
        return f"{times}{stages}", f"{counted(len(jobs), 'job')} in a row" if box.lanes == 1 else counted(
            len(jobs), "job"
        )


def worst_state(jobs: Sequence[JobNode]) -> str:
    """The state that most needs attention among these jobs."""
    states = [job.state for job in jobs]
    return next((state for state in UNHAPPY_STATES if state in states), states[0])


def name_pattern(names: Sequence[str]) -> str:
    """What names have in common, `*` for the rest: `reco_r*.root`."""
    start = _common_start(names)
    end = _common_start([name[len(start) :][::-1] for name in names])[::-1]
    return f"{start}*{end}"


def _common_start(names: Sequence[str]) -> str:
    low, high = min(names), max(names)
    return low[: next((i for i, char in enumerate(low) if high[i : i + 1] != char), len(low))]


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


def _joined(parts: Sequence[str | None]) -> str:
    return " · ".join(part for part in parts if part)


def _file_detail(file: FileNode) -> str:
    if not file.is_made:
        return _joined([known_briefly(file), file.data_tier])
    version = None if file.version is None else f"version {file.version}"
    return _joined([file.data_tier, None if file.size_bytes is None else size(file.size_bytes), version])


def _files_detail(files: Sequence[FileNode]) -> str:
    sizes = [file.size_bytes for file in files if file.size_bytes is not None]
    total = size(sum(sizes)) if len(sizes) == len(files) else None
    return _joined([known_briefly(files[0]), files[0].data_tier, total])


def _job_detail(job: JobNode) -> str:
    state = None if job.state == "succeeded" else job.state
    batch_id = (job.label or job.job_id[:12]).partition("@")[0]  # the schedd is in the title
    return _joined([state, batch_id if job.stage else None, elided(job.code_version or "", CODE_WIDTH)])


def _jobs_detail(jobs: Sequence[JobNode]) -> str:
    return _joined([None if jobs[0].state == "succeeded" else jobs[0].state, jobs[0].code_version])


def _badge(files: Sequence[FileNode]) -> str:
    if len(files) <= FEW:
        return ", ".join(file.name for file in files)
    return f"{number(len(files))} shared inputs"
