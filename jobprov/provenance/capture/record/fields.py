"""Fields of a record: moments, and what is not known."""

import re
from datetime import datetime, timezone
from typing import Any, Optional

from jobprov.provenance.capture.record.json_objects import JsonObject

_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z$")
_YEAR_2200 = 7258118400


def now() -> str:
    """Return the present moment as RFC 3339 text in UTC, to the microsecond."""
    return moment(datetime.now(timezone.utc).timestamp())


def moment(seconds: float) -> str:
    """Return seconds since 1970 as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(moment: str) -> float:
    """Return what `moment` made into text; raises ValueError."""
    match = _MOMENT.match(moment)  # `strptime` would load the locale for it
    if match is None:
        raise ValueError("{} is no moment".format(moment))
    year, month, day, hour, minute, second, microsecond = map(int, match.groups())
    utc = datetime(year, month, day, hour, minute, second, microsecond, timezone.utc)
    return utc.timestamp()


def moment_if_kept(value: Any) -> Optional[str]:
    """Return seconds since 1970 as `moment` does.

    None for anything else, and outside the years of a record.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return moment(value) if 0 <= value < _YEAR_2200 else None


def without_empty(fields: JsonObject) -> JsonObject:
    """Return the fields that are known: None stays out, it is never invented."""
    return {name: value for name, value in fields.items() if value is not None}
