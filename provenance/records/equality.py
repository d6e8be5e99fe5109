"""Whether two JSON texts say the same values, in whatever words; not whether they mean the same."""

import json
import math
from decimal import Decimal
from typing import Any

_MOST_DIGITS = 4000


def have_equal_values(one: bytes, other: bytes) -> bool:
    """Return whether two JSON documents have equal values.

    The order of keys does not count, nor how a number is written (`1`, `1.0` and `1e0`); a truth
    value is no number. Numbers with a fraction or an exponent are equal where they are as doubles,
    as most who write records hold them so; those that no double holds are compared as they are
    written.
    """
    pairs = [(_values(one), _values(other))]
    while pairs:  # no recursion: records may nest deeply
        mine, its = pairs.pop()
        if isinstance(mine, dict) and isinstance(its, dict):
            if mine.keys() != its.keys():
                return False
            pairs += [(value, its[key]) for key, value in mine.items()]
        elif isinstance(mine, list) and isinstance(its, list):
            if len(mine) != len(its):
                return False
            pairs += zip(mine, its, strict=True)
        elif isinstance(mine, bool) is not isinstance(its, bool) or mine != its:
            return False
    return True


def _values(body: bytes) -> Any:
    return json.loads(body, parse_float=_number, parse_int=_integer)


def _integer(text: str) -> int | Decimal:
    return (
        int(text) if len(text) <= _MOST_DIGITS else Decimal(text)
    )  # Python refuses to read longer ones


def _number(text: str) -> float | Decimal:
    number = float(text)
    return number if math.isfinite(number) else Decimal(text)
