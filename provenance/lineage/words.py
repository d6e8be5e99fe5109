"""Words for people: the first line of a lineage page, labels, sizes, and names made safe to show.

Source: pages.md (first lines, units, missing values) and facts about names: they may hold any
Unicode.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from jobprov.provenance.lineage.graph import (
    UNHAPPY_STATES,
    FileNode,
    Graph,
    JobNode,
    LeftOut,
    Node,
    Omitted,
)
from jobprov.provenance.lineage.past import Past
from jobprov.provenance.lineage.sides import sides_of, tally

MISSING = "–"  # noqa: RUF001 - the en dash is what pages show for a missing value
THIN_SPACE = "\u2009"
KILO = 1000
TEN = 10
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NOTHING = {
    "ancestors": "No recorded job made this file.",
    "descendants": "Nothing is known that came of this file.",
    "both": "No job is known that made or used this file.",
}
"""What is said where a graph holds nothing but its focus: only of the side that was asked for."""

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, direction marks and lone surrogates.

They would drive a terminal, break XML or hide a name.
"""


def shown(name: str) -> str:
    """A name as it may be shown anywhere: what could drive a terminal or deceive an eye is a replacement mark."""
    return _UNSAFE.sub("\ufffd", name)


def elided(text: str, width: int) -> str:
    """The text, its middle left out where it is wider than `width` columns.

    Both ends tell names apart.
    """
    text = shown(text)
    if columns(text) <= width:
        return text
    head, tail = (width - 1) // 2, width - 1 - (width - 1) // 2
    return f"{leading(text, head)}…{leading(text[::-1], tail)[::-1]}"


def columns(text: str) -> int:
    """Columns that a monospaced face needs: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def number(value: int) -> str:
    """An integer with thin-spaced thousands."""
    return f"{value:,}".replace(",", THIN_SPACE)


def percent(share: float, decimals: int = 1, *, sign: str = "") -> str:
    """A share of one as `22.8 %`, as units are written.

    None and all without decimals, and `sign="+"` for changes.
    """
    digits = 0 if share in (0, 1) else decimals
    return f"{100 * share:{sign}.{digits}f} %"


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
    for unit, name, less, lesser in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // less
            return f"{number(whole // unit)} {name}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def day(moment: datetime | None) -> str:
    """A date in UTC, as `24 Nov 2026 16:01 UTC`; empty where it is unknown."""
    return (
        "" if moment is None else f"{moment.astimezone(UTC):%d %b %Y %H:%M} UTC".removeprefix("0")
    )


def full_name(file: FileNode) -> str:
    """`namespace:name`, bare without a namespace, with its version where there are several."""
    name = f"{file.namespace}:{file.name}" if file.namespace else file.name
    return name if file.version is None else f"{name} (version {file.version})"


def title(node: Node) -> str:
    """Everything known of a node in one line, names in full."""
    return shown(
        ", ".join(
            part
            for part in (_file_parts(node) if isinstance(node, FileNode) else _job_parts(node))
            if part
        )
    )


def known_briefly(file: FileNode) -> str:
    """How a file is known that no recorded job made, for a box or a tag; empty for others."""
    if file.writer is not None:
        return shown(file.writer.briefly())
    return "only mentioned" if file.is_placeholder else ""


def known_fully(file: FileNode) -> str:
    """How a file is known that no recorded job made, with the job behind it; empty for others."""
    if file.writer is not None:
        return shown(file.writer.fully())
    return "only mentioned, never recorded" if file.is_placeholder else ""


def summary(graph: Graph) -> str:
    """The first line of the lineage page: the total of each side, of what is not shown too, and what went wrong there.

    For example "114 files and 96 jobs made this; 3 failed on the way. 4 files and 4 jobs came of
    it; 1 failed."
    """
    makers, users = sides_of(graph)
    before, after = graph.omitted.before, graph.omitted.after
    sentences = []
    if makers or _is_any(before):
        tried = _tried(graph, makers, users)
        sentences.append(
            f"{_total(makers, before, graph)} made this{_mishaps(tried, before, graph, ' on the way')}."
        )
    if users or _is_any(after):
        which = "it" if sentences else "this"
        sentences.append(
            f"{_total(users, after, graph)} came of {which}{_mishaps(users, after, graph)}."
        )
    sentences = sentences or [_NOTHING[graph.direction]]
    return " ".join(
        [*sentences, *_of_the_writer(graph), *omissions(graph), *_of_the_past(graph.past)]
    )


def _of_the_writer(graph: Graph) -> list[str]:
    """The job that wrote the focus without success, in a sentence; nothing where there is none."""
    focus = graph.by_key()[graph.focus]
    if not isinstance(focus, FileNode) or focus.writer is None:
        return []
    said = known_fully(focus)
    return [f"It is {said}." if focus.writer.is_other_version else f"It was {said}."]


def _of_the_past(past: Past | None) -> list[str]:
    """When a graph was known so, and how much of it is told as it is today, a sentence each."""
    if past is None:
        return []
    said = [f"This is what had been recorded on {day(past.as_of)}."]
    if past.changed_count:
        said.append(
            f"Of {counted(past.changed_count, 'job')} more was recorded since, which is shown."
        )
    if past.relinked_count:
        said.append(
            f"What {counted(past.relinked_count, 'file')} came from may have been found out since."
        )
    return said


def omissions(graph: Graph) -> list[str]:
    """What the graph leaves out, a sentence each; empty when it leaves out nothing."""
    omitted = graph.omitted
    parts = [
        _left_out(omitted.ancestors, "earlier", omitted.before, omitted),
        _left_out(omitted.descendants, "later", omitted.after, omitted),
    ]
    if not any(parts):
        return ["A limit ended the walk; there is more."] if graph.is_truncated else []
    stages = [
        f"{number(count)} {shown(stage) or 'without a stage'}"
        for stage, count in _largest_first(omitted.by_stage)
    ]
    of_which = f" (jobs: {', '.join(stages)})" if stages else ""
    return [f"Not shown: {', '.join(part for part in parts if part)}{of_which}."]


def _left_out(count: int, when: str, left: LeftOut | None, omitted: Omitted) -> str:
    is_least = omitted.is_least if left is None else left.is_least
    return f"{'at least ' * is_least}{number(count)} {when} {_noun(left, count)}" if count else ""


def _noun(left: LeftOut | None, count: int) -> str:
    """What so many nodes are, as far as they were told apart."""
    if left is None or (left.files and left.jobs):
        return "files and jobs" if count > 1 else "file or job"
    return ("file" if left.files else "job") + "s" * (count > 1)


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


def _is_any(left: LeftOut | None) -> bool:
    return left is not None and bool(left.files or left.jobs)


def _tried(graph: Graph, makers: Sequence[Node], users: Sequence[Node]) -> list[JobNode]:
    """Jobs that led to the focus, and attempts beside them that made nothing.

    What only read the focus is not to blame.
    """
    later = {node.key for node in users} - {node.key for node in makers}
    return [job for job in graph.jobs() if job.key not in later]


def _total(nodes: Sequence[Node], left: LeftOut | None, graph: Graph) -> str:
    """How many files and jobs lie on one side, shown or not.

    `at least` where nobody counted all of them.
    """
    files, jobs = tally(nodes)
    is_least = graph.is_truncated
    if left is not None:
        files, jobs, is_least = files + left.files, jobs + left.jobs, left.is_least
    said = " and ".join(
        counted(count, word) for count, word in ((files, "file"), (jobs, "job")) if count
    )
    return f"At least {said}" if is_least else said


def _mishaps(nodes: Iterable[Node], left: LeftOut | None, graph: Graph, where: str = "") -> str:
    """How many jobs of one side did not end well.

    Of jobs that are left out nobody knows it here.
    """
    states = [node.state for node in nodes if isinstance(node, JobNode)]
    said = [
        f"{number(count)} {state}" for state in UNHAPPY_STATES if (count := states.count(state))
    ]
    is_part = graph.is_truncated if left is None else bool(left.jobs) or left.is_least
    return f"; {'of the jobs shown ' * is_part}{', '.join(said)}{where}" if said else ""


def _file_parts(file: FileNode) -> list[str]:
    return [
        full_name(file),
        file.experiment,
        file.data_tier or "",
        size(file.size_bytes) if file.size_bytes is not None else "",
        known_fully(file),
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
