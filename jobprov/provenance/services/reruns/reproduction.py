"""Figures of reproduction: the share of recipes whose last rerun passed, by level and age."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from jobprov.provenance.answers.reruns.reproduction import RecipeProofs, Reproduction, RerunsOfAge
from jobprov.provenance.db.queries.reruns.proofs import count_recipes
from jobprov.provenance.db.queries.reruns.reproduction import (
    LevelCount,
    last_levels,
    recipe_count,
    rerun_without_recipe,
)
from jobprov.provenance.records.proofs import DIFFERS, FAILED, PROVEN
from jobprov.provenance.records.verdicts import LEVELS, REPRODUCED

AGES = (30, 365)
"""In days: verdicts are counted as younger than a month, younger than a year, or older."""

_MANY = 20_000
_REMEMBERED_SECONDS = 60.0
_counts: dict[str, tuple[float, int]] = {}


def reproduction_facts(connection: Connection, now: datetime) -> Reproduction:
    """Return figures over the last verdict on each recipe."""
    counts = last_levels(connection, [now - timedelta(days=days) for days in AGES])
    by_level = _by_level(counts)
    drilled = sum(by_level.values())
    reproduced = sum(count for level, count in by_level.items() if level in REPRODUCED)
    share = reproduced / drilled if drilled else None
    recipes = _recipe_count(connection) + rerun_without_recipe(connection)
    return Reproduction(
        recipes=recipes,
        drilled=drilled,
        reproduced=reproduced,
        share=share,
        by_level=by_level,
        by_age=_by_age(counts),
        proofs=_proofs(connection, recipes),
    )


def _proofs(connection: Connection, recipes: int) -> RecipeProofs:
    """Return how many recipes are in each state."""
    counts = count_recipes(connection)
    rerun = counts[PROVEN] + counts[FAILED] + counts[DIFFERS]
    return RecipeProofs(
        proven=counts[PROVEN],
        failed=counts[FAILED],
        differs=counts[DIFFERS],
        # The number of recipes may be a minute old
        unproven=max(0, recipes - rerun),
    )


def _by_level(counts: Sequence[LevelCount]) -> dict[str, int]:
    """Return the number of recipes by the level of their last verdict, best level first."""
    recipes = Counter[str]()
    for count in counts:
        recipes[count.level] += count.recipes
    return {level: recipes[level] for level in reversed(LEVELS) if recipes[level]}


def _by_age(counts: Sequence[LevelCount]) -> list[RerunsOfAge]:
    """Return the number of recipes by the age of their last verdict, youngest first."""
    drilled, reproduced = Counter[int](), Counter[int]()
    for count in counts:
        drilled[count.age] += count.recipes
        if count.level in REPRODUCED:
            reproduced[count.age] += count.recipes
    by_age = []
    for age, days in enumerate((*AGES, None)):
        if drilled[age]:
            by_age.append(RerunsOfAge(days, drilled[age], reproduced[age]))
    return by_age


def _recipe_count(connection: Connection) -> int:
    """Return how many recipes there are. A large number may be up to a minute old.

    Counting a million takes 0.2 s.
    """
    key = str(connection.engine.url)
    counted_at, count = _counts.get(key, (0.0, 0))
    if count < _MANY or time.monotonic() - counted_at > _REMEMBERED_SECONDS:
        count = recipe_count(connection)
        _counts[key] = time.monotonic(), count
    return count
