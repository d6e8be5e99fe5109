"""Words for people: the first line of a lineage page, labels, sizes, and names made safe to show.

Source: pages.md (first lines, units, missing values) and facts about names: they may hold any Unicode.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from provenance.lineage.graph import UNHAPPY_STATES, FileNode, Graph, JobNode, Node
from provenance.lineage.past import Past

MISSING = "–"  # noqa: RUF001 - the en dash is what pages show for a missing value
THIN_SPACE = "\u2009"
KILO = 1000
TEN = 10
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
"""Control characters, direction marks and lone surrogates: they would drive a terminal, break XML or hide a name."""


def shown(name: str) -> str:
    """A name as it may be shown anywhere: what could drive a terminal or deceive an eye is a replacement mark."""
    return _UNSAFE.sub("\ufffd", name)


def elided(text: str, width: int) -> str:
    """The text, its middle left out where it is wider than `width` columns; both ends tell names apart."""
    text = shown(text)
    if columns(text) <= width:
        return text
    head, tail = (width - 1) // 2, width - 1 - (width - 1) // 2
    return f"{leading(text, head)}…{leading(text[::-1], tail)[::-1]}"


def columns(text: str) -> int:
    """Columns that a monospaced face needs: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def number(value: int) -> str:
    """An integer with thin-spaced thousands."""
    return f"{value:,}".replace(",", THIN_SPACE)


def counted(value: int, word: str) -> str:
    """`1 file`, `12 files`."""
    return f"{number(value)} {word}" if value == 1 else f"{number(value)} {word}s"


def size(size_bytes: int | None) -> str:
    """A size in powers of ten with its unit; an en dash where it is unknown."""
    if size_bytes is None:
        return MISSING
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if round(value) < KILO:
            break
        value, unit = value / KILO, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= TEN else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds as `1 h 12 min`, `4 min 3 s`, `12.5 s`, `35 ms` or `40 µs`: two units at most."""
    if 0 < seconds < 1 / KILO:
        return f"{max(1, round(seconds * KILO * KILO))} \N{MICRO SIGN}s"
    if seconds < 1:
        return "0 s" if seconds == 0 else f"{max(1, round(seconds * KILO))} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, name, less, lesser in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // less
            return f"{number(whole // unit)} {name}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def day(moment: datetime | None) -> str:
    """A date in UTC, as `24 Nov 2026 16:01 UTC`; empty where it is unknown."""
    return "" if moment is None else f"{moment.astimezone(UTC):%d %b %Y %H:%M} UTC".removeprefix("0")


def full_name(file: FileNode) -> str:
    """`namespace:name`, bare without a namespace, with its version where there are several."""
    name = f"{file.namespace}:{file.name}" if file.namespace else file.name
    return name if file.version is None else f"{name} (version {file.version})"


def title(node: Node) -> str:
    """Everything known of a node in one line, names in full."""
    return shown(
        ", ".join(part for part in (_file_parts(node) if isinstance(node, FileNode) else _job_parts(node)) if part)
    )


def summary(graph: Graph) -> str:
    """The first line of the lineage page, for example "114 files and 96 jobs made this; 3 failed on the way."""
    after, before = graph.neighbours()
    known = graph.by_key()
    makers = [known[key] for key in reached(graph.focus, before)]
    users = [known[key] for key in reached(graph.focus, after)]
    sentences = []
    if makers:
        more = {} if users or graph.omitted.descendants else _left_out(graph)
        sentences.append(f"{_files_and_jobs(makers, more)} made this{_mishaps(graph)}.")
    if users:
        more = {} if makers or graph.omitted.ancestors else _left_out(graph)
        made = _files_and_jobs(users, {}) if makers else f"{_files_and_jobs(users, more)} came of this{_mishaps(graph)}"
        sentences.append(f"{made}." if not makers else f"{made} came of it.")
    if not sentences:
        sentences.append("No job is known that made or used this file.")
    return " ".join([*sentences, *omissions(graph), *_of_the_past(graph.past)])


def _of_the_past(past: Past | None) -> list[str]:
    """When a graph was known so, and how much of it is told as it is today, a sentence each."""
    if past is None:
        return []
    said = [f"This is what had been recorded on {day(past.as_of)}."]
    if past.changed_count:
        said.append(f"Of {counted(past.changed_count, 'job')} more was recorded since, which is shown.")
    if past.relinked_count:
        said.append(f"What {counted(past.relinked_count, 'file')} came from may have been found out since.")
    return said


def omissions(graph: Graph) -> list[str]:
    """What the graph leaves out, a sentence each; empty when it leaves out nothing."""
    omitted = graph.omitted
    parts = [counted(omitted.ancestors, "node") + " before"] * (omitted.ancestors > 0)
    parts += [counted(omitted.descendants, "node") + " after"] * (omitted.descendants > 0)
    if not parts:
        return ["A limit ended the walk; there is more."] if graph.is_truncated else []
    stages = [
        f"{number(count)} {shown(stage) or 'without a stage'}" for stage, count in _largest_first(omitted.by_stage)
    ]
    of_which = f" (jobs: {', '.join(stages)})" if stages else ""
    least = "at least " if omitted.is_least else ""
    return [f"Not shown: {least}{' and '.join(parts)}{of_which}."]


def reached(start: str, links: Mapping[str, Sequence[str]]) -> list[str]:
    """Keys that the links lead to from `start`, itself left out, nearest first."""
    seen = {start: None}
    for key in (queue := [start]):
        for other in links.get(key, ()):
            if other not in seen:
                seen[other] = None
                queue.append(other)
    return list(seen)[1:]


def leading(text: str, width: int) -> str:
    """As much of the beginning of a text as `width` columns hold."""
    used, kept = 0, []
    for char in text:
        used += columns(char)
        if used > width:
            break
        kept.append(char)
    return "".join(kept)


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _left_out(graph: Graph) -> Mapping[str, int]:
    """What is left out by kind, where each of them is counted there."""
    omitted = graph.omitted
    is_whole = sum(omitted.by_kind.values()) == omitted.ancestors + omitted.descendants
    return omitted.by_kind if is_whole and not omitted.is_least else {}


def _files_and_jobs(nodes: Iterable[Node], more: Mapping[str, int]) -> str:
    """How many files and jobs these are, and those of `more` with them, which are not shown."""
    nodes = list(nodes)
    jobs = sum(isinstance(node, JobNode) for node in nodes)
    files = len(nodes) - jobs + more.get("file", 0)
    jobs += more.get("job", 0)
    return " and ".join(counted(count, word) for count, word in ((files, "file"), (jobs, "job")) if count)


def _mishaps(graph: Graph) -> str:
    states = [job.state for job in graph.jobs()]
    said = [f"{number(count)} {state}" for state in UNHAPPY_STATES if (count := states.count(state))]
    return f"; {', '.join(said)} on the way" if said else ""


def _file_parts(file: FileNode) -> list[str]:
    return [
        full_name(file),
        file.experiment,
        file.data_tier or "",
        size(file.size_bytes) if file.size_bytes is not None else "",
        "only mentioned, never recorded" if file.is_placeholder else "",
    ]


def _job_parts(job: JobNode) -> list[str]:
    return [
        f"{job.stage or 'job'} {job.label or job.job_id}",
        job.state,
        f"code {job.code_version}" if job.code_version else "",
        f"task {job.task_id}" if job.task_id else "",
        f"campaign {job.campaign}" if job.campaign else "",
        f"started {day(job.started_at)}" if job.started_at else "",
    ]
