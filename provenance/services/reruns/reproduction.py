"""The headline: which share of recipes was reproduced when last run again, by level and by age."""

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.reruns.reproduction import last_levels, recipe_count
from jobprov.provenance.records.verdicts import LEVELS, REPRODUCED

AGES = (30, 365)
"""Days: verdicts are counted as younger than a month, than a year, and older."""


_MANY = 20_000
_REMEMBERED_SECONDS = 60.0
_counts: dict[str, tuple[float, int]] = {}


def reproduction_facts(connection: Connection, now: datetime) -> dict[str, Any]:
    """Return figures over the last verdict on each recipe.

    They are `{recipes, drilled, reproduced, share, by_level, by_age}`.

    `share` is reproduced / drilled, None where nothing was drilled. `by_age` counts drilled and
    reproduced within so many days.
    """
    rows = last_levels(connection, [now - timedelta(days=days) for days in AGES])
    by_level = {
        level: sum(count for found, _, count in rows if found == level)
        for level in reversed(LEVELS)
    }
    drilled = sum(by_level.values())
    reproduced = sum(count for level, count in by_level.items() if level in REPRODUCED)
    ages = [
        {
            "within_days": days,
            "drilled": sum(count for _, age, count in rows if age == place),
            "reproduced": sum(
                count for level, age, count in rows if age == place and level in REPRODUCED
            ),
        }
        for place, days in enumerate((*AGES, None))
    ]
    return {
        "recipes": _recipe_count(connection),
        "drilled": drilled,
        "reproduced": reproduced,
        "share": reproduced / drilled if drilled else None,
        "by_level": {level: count for level, count in by_level.items() if count},
        "by_age": [row for row in ages if row["drilled"]],
    }


def _recipe_count(connection: Connection) -> int:
    """Return how many recipes there are; of many, how many there were within the last minute.

    Counting a million takes 0.2 s.
    """
    key = str(connection.engine.url)
    counted_at, count = _counts.get(key, (0.0, 0))
    if count < _MANY or time.monotonic() - counted_at > _REMEMBERED_SECONDS:
        count = recipe_count(connection)
        _counts[key] = time.monotonic(), count
    return count
