"""Values as people read them: numbers, sizes, durations, times, signals.

Records are what clients sent, so every function here takes any JSON value: what it cannot read as a
number is shown as it is, and what is missing is an en dash, never 0 or None.
"""

import math
import signal
from datetime import UTC, datetime
from typing import Any

from jinja2 import Undefined

from jobprov.provenance.lineage import words
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.times import minute_text, second_text

MISSING = words.MISSING
THIN = words.THIN_SPACE
percent = words.percent
_KILO = 1000
_LEAST_AMOUNT = 0.0001
_DAY = 86400
_SHORT = 12
_DIGITS_AT_MOST = 30
_SIGNALLED = 128
"""What shells add to the number of the signal that ended a process."""


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number that can be counted with."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e18  # noqa: PLR2004
        and math.isfinite(value)
    )


def is_missing(value: Any) -> bool:
    """Return whether there is no value; templates pass what a record lacks as `Undefined`."""
    return value is None or isinstance(value, Undefined) or (isinstance(value, str) and not value)


def text(value: Any) -> str:
    """Return any value as one safe line of text: control and direction characters are replaced."""
    if is_missing(value):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return words.shown(value if isinstance(value, str) else _plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**_DIGITS_AT_MOST:
        return f"an integer of {value.bit_length()} bits"
    return str(value)


def number(value: Any) -> str:
    """Return a number with thin-spaced thousands, at most three decimals."""
    if not is_number(value):
        return text(value)
    if isinstance(value, int) or value == int(value):
        return words.number(int(value))
    return (
        f"{value:,.3f}".rstrip("0").removesuffix(".").replace(",", THIN)
        if abs(value) < _KILO
        else words.number(round(value))
    )


def amount(value: Any, decimals: int) -> str:
    """Return a number with at most so many decimals; a smaller one with two digits, not as 0.

    What is even smaller is told as `under 0.0001`: nobody reads an exponent at a glance.
    """
    if is_number(value) and 0 < value < _LEAST_AMOUNT:
        return f"under {_LEAST_AMOUNT}"
    if is_number(value) and 0 < abs(value) < 10**-decimals:
        return f"{value:.2g}"
    return number(round(value, decimals)) if is_number(value) else text(value)


def size(value: Any) -> str:
    """Return bytes in powers of ten with their unit; no line breaks within it."""
    if not is_number(value) or value < 0:
        return text(value)
    return words.unbroken(words.size(int(value)))


def duration(value: Any) -> str:
    """Return seconds as `1 h 12 min`, `4 min 3 s`, `12.5 s` or `35 ms`: two units at most.

    No line breaks within it, on a phone either.
    """
    if not is_number(value) or value < 0:
        return text(value)
    return words.unbroken(words.duration(value))


def period(seconds: int) -> str:
    """Return what follows *every*: `hour`, `day`, or `6 h`; no line breaks within it."""
    return words.unbroken(words.period(seconds))


def rate(value: Any) -> str:
    """Return events a second as `2.5/s`, or as `4.2/min` or `3.1/h` where they are fewer."""
    if not is_number(value) or value < 0:
        return text(value)
    for unit, seconds in (("s", 1), ("min", 60)):
        if value * seconds >= 1:
            return f"{value * seconds:.3g}/{unit}"
    return f"{value * 3600:.3g}/h"


def counted(value: int, word: str, plural: str | None = None) -> str:
    """Return `1 file`, `12 files`; words with a plural of their own bring it."""
    if plural is None or value == 1:
        return words.counted(value, word)
    return f"{words.number(value)} {plural}"


def with_full_stop(sentence: str) -> str:
    """Return a sentence with a full stop, unless what it quotes ends it already."""
    return sentence if sentence.endswith((".", "?", "!", "…")) else f"{sentence}."


def short(value: Any, width: int = _SHORT) -> str:
    """Return the first characters of an id or digest."""
    return text(value)[:width]


def day(value: Any) -> str:
    """Return `2026-11-24`, in UTC."""
    time = read_time(value)
    return f"{time:%Y-%m-%d}" if time else MISSING


def minute(value: Any) -> str:
    """Return `2026-11-24 16:01 UTC`."""
    time = read_time(value)
    return minute_text(time) if time else MISSING


def second(value: Any) -> str:
    """Return `2026-11-24 16:01:07 UTC`; a text that is not a time is returned as it is."""
    time = read_time(value)
    return second_text(time) if time else text(value)


def asked_minute(value: Any) -> str:
    """Return a time that an address asks about as `2026-11-24 16:01 UTC`.

    A day alone, or what is no time, stays as it was typed.
    """
    return minute(value) if read_time(value) else text(value)


def signal_name(value: Any) -> str:
    """Return `9 (SIGKILL)`."""
    try:
        return f"{value} ({signal.Signals(value).name})"
    except (ValueError, TypeError):
        return text(value)


def exit_code(value: Any) -> str:
    """Return an exit code with the signal that a shell gives it for: `137 (SIGKILL)`, else `1`."""
    try:
        return f"{value} ({signal.Signals(value - _SIGNALLED).name})"
    except (ValueError, TypeError):
        return number(value)


def shown_state(state: Any, heard_at: Any) -> str:
    """Return the state of a job.

    A running job of which nothing was heard for a day is silent (glossary.md).
    """
    heard = read_time(heard_at)
    if (
        state == "running"
        and heard is not None
        and (datetime.now(UTC) - heard).total_seconds() > _DAY
    ):
        return "silent"
    return str(state)
