"""Answers about the share of recipes that reruns reproduced."""

from msgspec import Struct


class RerunsOfAge(Struct, frozen=True):
    """Recipes by how long ago they were last run again.

    Attributes:
        within_days: the age in days that the last verdict is below; None for any older one.
        drilled: recipes whose last verdict has this age.
        reproduced: those of them that came out as recorded.
    """

    within_days: int | None
    drilled: int
    reproduced: int


class RecipeProofs(Struct, frozen=True):
    """How many recipes stand in each way; see `ProofCounts`."""

    proven: int
    failed: int
    differs: int
    unproven: int


class Reproduction(Struct, frozen=True):
    """Which share of recipes was reproduced when last run again, by whomever.

    A job without a recipe counts as one of its own once jobprov reran it.

    Attributes:
        recipes: how many there are.
        drilled: how many were run again.
        reproduced: how many came out as recorded the last time.
        share: `reproduced` / `drilled`; None where nothing was drilled.
        by_level: recipes by the level of their last verdict, the best first; no level with 0;
            `none` where the verdict compared nothing.
        by_age: recipes by the age of their last verdict, the youngest first; no age with 0.
        proofs: recipes by what their last rerun by `jobprov prove` or a drill proved.
    """

    recipes: int
    drilled: int
    reproduced: int
    share: float | None
    by_level: dict[str, int]
    by_age: list[RerunsOfAge]
    proofs: RecipeProofs
