"""text-masked-1 and numeric-1 of text.

Lines without the parts that a mask matches, and words that are numbers within a tolerance.

Part of a bundle's verify.py: Python 3.6, standard library only.
"""

import math
import re
from typing import List, Optional, Tuple

from jobprov.provenance.bundle.comparison.parameters import Comparator

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_SEPARATOR = re.compile(r"([\s,;:=()\[\]{}<>\"']+)")


def masked_text(path: str, masks: List[str]) -> str:
    """Return the text of a file with line ends made LF, and one sign for all that a mask matches.

    Masks are regular expressions of Python, applied in order to each line.
    """
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", "surrogateescape")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for mask in masks:
        pattern = re.compile(mask)
        lines = [pattern.sub("\x00", line) for line in lines]
    return "\n".join(lines)


def is_near_text(text: str, recorded: str, comparator: Comparator) -> bool:
    """Return whether two texts have the same words, or numbers within the tolerance."""
    words, recorded_words = _SEPARATOR.split(text), _SEPARATOR.split(recorded)
    if len(words) != len(recorded_words):
        return False
    for word, recorded_word in zip(words, recorded_words):
        if word != recorded_word and not _is_near_word(word, recorded_word, comparator):
            return False
    return True


def differing_numbers(text: str, recorded: str) -> List[Tuple[float, float]]:
    """Return the numbers that differ, each with the recorded one; none if words differ, too."""
    words, recorded_words = _SEPARATOR.split(text), _SEPARATOR.split(recorded)
    pairs: List[Tuple[float, float]] = []
    if len(words) != len(recorded_words):
        return pairs
    for word, recorded_word in zip(words, recorded_words):
        if word != recorded_word:
            number, recorded_number = _number(word), _number(recorded_word)
            if number is None or recorded_number is None:
                return []
            pairs.append((number, recorded_number))
    return pairs


def _is_near_word(word: str, recorded: str, comparator: Comparator) -> bool:
    number, recorded_number = _number(word), _number(recorded)
    if number is None or recorded_number is None:
        return False
    if math.isnan(number) and math.isnan(recorded_number):
        return True
    return _is_near_number(number, recorded_number, comparator)


def _number(word: str) -> Optional[float]:
    """Return the number that a word is, an integer of any length exactly; else None.

    A word beyond the largest floating-point number is a name that looks like a number: the commits
    12e345 and 98e765 are not both infinite.
    """
    try:
        number = float(word)
        if math.isinf(number) and any(letter.isdigit() for letter in word):
            return None
        return int(word) if _INTEGER.match(word) else number
    except ValueError:
        return None


def _is_near_number(number: float, recorded: float, comparator: Comparator) -> bool:
    """Return whether a number is within `absolute` + `relative` x the recorded one."""
    if number == recorded:
        return True
    if math.isinf(number) or math.isinf(recorded):
        return False
    tolerance = comparator.absolute + comparator.relative * abs(recorded)
    return abs(number - recorded) <= tolerance
