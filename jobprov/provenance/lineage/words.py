"""Numbers, sizes and times as people write them, and names made safe to show and cut to a width.

Names may contain any Unicode.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from jobprov.provenance.answers.lookup.job_facets import JobFacets
from jobprov.provenance.answers.reruns.proofs import JobProof, ProofCounts
from jobprov.provenance.records.files.presence import LostFiles
from jobprov.provenance.times import minute_text

MISSING = "–"  # noqa: RUF001 - the en dash is what pages show for a missing value
THIN_SPACE = "\u202f"
"""Between thousands: narrow, and no line is broken there."""
KILO = 1000
TEN = 10
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_DURATION_UNITS = (
    (_DAY, "d", _HOUR, "h"),
    (_HOUR, "h", _MINUTE, "min"),
    (_MINUTE, "min", 1, "s"),
)

_PERIODS = {_MINUTE: "minute", _HOUR: "hour", _DAY: "day", 7 * _DAY: "week"}

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, direction marks and lone surrogates.

They could control a terminal, break XML, or make one name look like another.
"""


def shown(name: str) -> str:
    """A name made safe to show: unsafe characters become replacement marks."""
    return _UNSAFE.sub("\ufffd", name)


def elided(text: str, width: int) -> str:
    """The text in at most `width` columns, cut in the middle, since names differ at both ends."""
    text = shown(text)
    if columns(text) <= width:
        return text
    head = (width - 1) // 2
    tail = width - 1 - head
    return f"{leading(text, head)}…{leading(text[::-1], tail)[::-1]}"


def columns(text: str) -> int:
    """Columns that a monospaced face needs: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    width = 0
    for char in text:
        if not unicodedata.combining(char):
            width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return width


def number(value: int) -> str:
    """An integer with thin-spaced thousands."""
    return f"{value:,}".replace(",", THIN_SPACE)


def digits_due(value: float) -> int:
    """How many decimals a value needs to be read: one, three below 1, two digits below 0.01."""
    if value >= 1:
        return 1
    if 0 < value < 0.01:  # noqa: PLR2004 - three decimals show one digit of it, or none
        return 1 - math.floor(math.log10(value))
    return 3


def percent(share: float, decimals: int = 1, *, sign: str = "") -> str:
    """A share of one as `22.8 %`, as units are written.

    None and all without decimals, and `sign="+"` for changes.
    """
    digits = 0 if share in (0, 1) else decimals
    return f"{100 * share:{sign}.{digits}f} %"


def with_version(name: str, version: int | None) -> str:
    """Return the name of a file, with the number of its version where it has several."""
    return name if version is None else f"{name} (version {version})"


def counted(value: int, word: str) -> str:
    """`1 file`, `12 files`."""
    plural = "" if value == 1 else "s"
    return f"{number(value)} {word}{plural}"


def enumerated(names: Sequence[str], most: int) -> str:
    """`a, b and 3 more`: the first of some names, and how many others there are."""
    listed = ", ".join(names[:most])
    if len(names) > most:
        listed += f" and {len(names) - most} more"
    return listed


def units_of(units: int, total: int | None) -> str:
    """`3 of 12 units`; `3 units` if the total is not known."""
    if total is None:
        return counted(units, "unit")
    return f"{number(units)} of {counted(total, 'unit')}"


def facets_line(facets: JobFacets) -> str:
    """How many jobs were counted, and whether these are all."""
    if facets.is_exact:
        return f"{counted(facets.total, 'job')}."
    looked_at = f"Only {number(facets.counted_of)} of many were looked at, mostly the newest"
    if facets.recorded is not None:
        return f"About {counted(facets.recorded, 'job')}. {looked_at}."
    if not facets.total:
        return f"No job was found. {looked_at}."
    return f"Over {counted(facets.total, 'job')}. {looked_at}."


def size(size_bytes: int | None) -> str:
    """A size in powers of ten with its unit; an en dash where it is unknown."""
    if size_bytes is None:
        return MISSING
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if round(value) < KILO:
            break
        value, unit = value / KILO, larger
    decimals = 1
    if unit == "B" or value >= TEN:
        decimals = 0
    return f"{value:.{decimals}f} {unit}"


def duration(seconds: float) -> str:
    """Seconds as `1 h 12 min`, `4 min 3 s`, `12.5 s`, `35 ms` or `40 µs`: at most two units."""
    if 0 < seconds < 1 / KILO:
        return f"{max(1, round(seconds * KILO * KILO))} \N{MICRO SIGN}s"
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        return f"{max(1, round(seconds * KILO))} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, name, smaller_unit, smaller_name in _DURATION_UNITS:
        if whole >= unit:
            text = f"{number(whole // unit)} {name}"
            rest = whole % unit // smaller_unit
            return f"{text} {rest} {smaller_name}" if rest else text
    return f"{whole} s"


def period(seconds: int) -> str:
    """What follows *every*: `hour`, `day`, or `6 h` where there is no word for it."""
    return _PERIODS.get(seconds) or duration(seconds)


def unbroken(text: str) -> str:
    """A text in which no line is broken."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def duration_with_band(seconds: float, low: float | None, high: float | None) -> str:
    """A duration with the band in which it is, as `3 h (2 h to 4 h 30 min)`."""
    if low is None or high is None:
        return duration(seconds)
    return f"{duration(seconds)} ({duration(low)} to {duration(high)})"


def minute(moment: datetime | None) -> str:
    """A time in UTC, as `2026-11-24 16:01 UTC`; empty if it is unknown."""
    if moment is None:
        return ""
    return minute_text(moment)


def leading(text: str, width: int) -> str:
    """As much of the beginning of a text as `width` columns hold."""
    used = 0
    for place, char in enumerate(text):
        used += columns(char)
        if used > width:
            return text[:place]
    return text


def evidence_words(evidence: str) -> str:
    """What decided against an exit code that a job failed, as `exit.decided_by` names it."""
    known = {"log": "the log", "output-not-there": "an output that is not there"}
    return known.get(evidence, evidence)


def proof_line(proof: ProofCounts) -> str:
    """How many jobs ran recipes that reruns have proven, and what became of the others."""
    rerun = proof.proven + proof.failed + proof.differs
    total = rerun + proof.unproven
    if not total:
        return "No job is over yet."
    if not rerun:
        return f"None of {counted(total, 'job')} has been proven by a rerun yet."
    parts = [f"{number(proof.proven)} of {counted(total, 'job')} proven"]
    others = (
        (proof.failed, "failed when rerun"),
        (proof.differs, "gave other outputs when rerun"),
        (proof.unproven, "not rerun yet"),
    )
    parts += [f"{number(count)} {words}" for count, words in others if count]
    return ", ".join(parts) + "."


def not_reproduced_words(recipes: int) -> str:
    """How many recipes did not pass when the service or its agent last reran them.

    What people saw who reran a bundle is not in it.
    """
    them = "it" if recipes == 1 else "them"
    words = f"failed or gave other outputs when jobprov last reran {them}"
    return f"{counted(recipes, 'recipe')} {words}"


def grade_words(grade: str, proof: JobProof | None) -> str:
    """A grade, and whether a rerun has shown that it holds: `L2, not proven`.

    A grade below L2 promises no rerun, so that nobody waits for its proof.
    """
    if proof is None or (grade < "L2" and proof.state == "unproven"):
        return grade
    words = {"proven": "proven", "failed": "its rerun failed", "differs": "its rerun differs"}
    return f"{grade}, {words.get(proof.state, 'not proven')}"


def lost_words(files: LostFiles) -> str:
    """Return in words what became of the files that a job or unit lost, at least one."""
    reasons = []
    if files.retired:
        verb = "was" if len(files.retired) == 1 else "were"
        reasons.append(f"{_first_of(files.retired)} {verb} retired in the catalog")
    if files.unarrived:
        reasons.append(f"{_first_of(files.unarrived)} never arrived in the catalog")
    return "; ".join(reasons)


def _first_of(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {number(len(files) - 1)} more"


def without_output(files: LostFiles) -> str:
    """Return why no file counts of a job that succeeded: those that it lost, if any."""
    return f", but {lost_words(files)}" if any(files) else " without output"


def hidden_failure_words(units: int) -> str:
    """Return that commands of one submission share a unit, and hide that one of them failed."""
    have = "has" if units == 1 else "have"
    return (
        f"{counted(units, 'unit')} {have} several commands in one batch job or submission, of "
        "which some failed though others succeeded"
    )
