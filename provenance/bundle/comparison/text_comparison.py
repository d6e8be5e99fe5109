"""text-masked-1 and numeric-1 of text: lines with declared parts taken out, and numbers in them within a tolerance.

Standard library alone, Python 3.6: part of a bundle's verify.py.
"""

# ruff: noqa: UP006, UP035, UP045, PTH123 - Python 3.6, and read by people who have no linter
import math
import re
from typing import Any, Dict, List, Optional

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_SEPARATOR = re.compile(r"([\s,;:=()\[\]{}<>\"']+)")


def masked_text(path: str, masks: List[str]) -> str:
    """The text of a file, line ends made LF, with whatever a mask matches in a line replaced by one sign.

    Masks are regular expressions (Python), applied in order to each line.
    """
    with open(path, "rb") as file:
        text = (
            file.read().decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
        )
    compiled = [re.compile(mask) for mask in masks]
    lines = text.split("\n")
    for mask in compiled:
        lines = [mask.sub("\x00", line) for line in lines]
    return "\n".join(lines)


def is_near_text(one: str, other: str, rule: Dict[str, Any]) -> bool:
    """Whether two texts have the same words, numbers among them equal within the rule's tolerance."""
    words, others = _SEPARATOR.split(one), _SEPARATOR.split(other)
    return len(words) == len(others) and all(
        map(lambda a, b: a == b or _is_near_word(a, b, rule), words, others)
    )


def _is_near_word(one: str, other: str, rule: Dict[str, Any]) -> bool:
    left, right = _number(one), _number(other)
    if left is None or right is None:
        return False
    return (math.isnan(left) and math.isnan(right)) or is_near(left, right, rule)


def _number(word: str) -> Optional[float]:
    """The number that a word is; an integer of any length exactly.

    None for what is none, or has no place among floating-point numbers.

    The latter is no number that was measured but a name that looks like one: 12e345 and 98e765, of
    two commits, are not both infinite.
    """
    try:
        number = float(word)
        if math.isinf(number) and any(letter.isdigit() for letter in word):
            return None
        return int(word) if _INTEGER.match(word) else number
    except ValueError:
        return None


def is_near(one: float, recorded: float, rule: Dict[str, Any]) -> bool:
    """Whether a number is within `absolute` + `relative` x the recorded one.

    Infinities are near themselves alone.
    """
    if one == recorded or math.isinf(one) or math.isinf(recorded):
        return one == recorded
    return bool(
        abs(one - recorded) <= rule.get("absolute", 0.0) + rule.get("relative", 0.0) * abs(recorded)
    )
