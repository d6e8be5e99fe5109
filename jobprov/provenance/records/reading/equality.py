"""Whether two JSON texts have the same values, however they are written.

Not whether they mean the same.
"""

import json
import math
from decimal import Decimal
from typing import Any

_MOST_DIGITS = 4000


def have_equal_values(left_body: bytes, right_body: bytes) -> bool:
    """Return whether two JSON documents have equal values.

    The order of keys does not count, nor how a number is written (`1`, `1.0` and `1e0`); true and
    false equal no number. Numbers with a fraction or an exponent are equal if they are equal as
    doubles, since most programs that write records use doubles; numbers beyond doubles are compared
    as they are written.
    """
    pairs = [(_values(left_body), _values(right_body))]
    while pairs:  # no recursion: records may nest deeply
        left, right = pairs.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            pairs += [(value, right[key]) for key, value in left.items()]
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            pairs += zip(left, right, strict=True)
        elif not _are_equal(left, right):
            return False
    return True


def _are_equal(left: Any, right: Any) -> bool:
    # To Python, True equals 1
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def _values(body: bytes) -> Any:
    return json.loads(body, parse_float=_number, parse_int=_integer)


def _integer(text: str) -> int | Decimal:
    # Python refuses to read longer ones as int
    return int(text) if len(text) <= _MOST_DIGITS else Decimal(text)


def _number(text: str) -> float | Decimal:
    number = float(text)
    return number if math.isfinite(number) else Decimal(text)
