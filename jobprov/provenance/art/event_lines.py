"""How far art is: the lines of its log that say which event begins.

Source: art's event reports, `Begin processing the 57th record. run: 1 subRun: 0 event: 57 at
28-Nov-2026 18:00:00 UTC`. Not each event has a line where art was asked to report fewer. A job that
runs art more than once begins again with the 1st record.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LINE = re.compile(
    rb"^Begin processing the (\d{1,18})\w\w record\..*? at "
    rb"(\d{1,2})-([A-Z][a-z]{2})-(\d{4}) (\d\d):(\d\d):(\d\d) ?\w*\r?$",
    re.MULTILINE,
)


class EventSpan(NamedTuple):
    """The first and the last event that begin in a part of a log.

    Attributes:
        first, last: art's numbers of them, from 1.
        first_clock, last_clock: what the log's clock shows, whatever its zone: only differences
            mean something. None where it shows no time.
    """

    first: int
    last: int
    first_clock: datetime | None
    last_clock: datetime | None

    @property
    def events_per_second(self) -> float | None:
        """How fast events begin; None where no time passed."""
        if self.first_clock is None or self.last_clock is None:
            return None
        seconds = (self.last_clock - self.first_clock).total_seconds()
        return (self.last - self.first) / seconds if seconds > 0 else None


def events_in(content: bytes) -> EventSpan | None:
    """Return the events of a part of a log; None where none begins in it."""
    spans = []
    for number, *time_parts in _LINE.findall(content):
        clock = _clock([part.decode() for part in time_parts])
        spans.append(EventSpan(int(number), int(number), clock, clock))
    return join_spans(spans)


def join_spans(spans: Iterable[EventSpan]) -> EventSpan | None:
    """Return the events of the parts of a log together, only those of the last run of art."""
    whole: EventSpan | None = None
    for span in spans:
        if whole is None or span.first == 1:
            whole = span
        elif span.last >= whole.last:
            whole = whole._replace(last=span.last, last_clock=span.last_clock)
    return whole


def _clock(time_parts: list[str]) -> datetime | None:
    day, month, *numbers = time_parts
    if month not in _MONTHS:
        return None
    year, hour, minute, second = map(int, numbers)
    try:
        return datetime(year, _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
