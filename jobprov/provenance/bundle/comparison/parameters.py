"""A comparator with its parameters, as verify.py is given it.

It is one word, such as `numeric`. Where it has parameters, a blank and a JSON object follow:
`numeric {"relative": 1e-9}`.

Part of a bundle's verify.py: Python 3.6, standard library only.
"""

import hashlib
import json
from typing import List, NamedTuple


class Comparator(NamedTuple):
    """What the experiment declared for an output.

    Attributes:
        word: names the comparator; empty where none is declared.
        digest: tells these parameters from others, in the names that verdicts give.
        mask: regular expressions; text that one of them matches does not count.
        absolute: numbers may differ by so much,
        relative: and by so much times the recorded number.
        p_value: the smallest p-value that is accepted, times the number of tests.
        sigmas: standard deviations by which numbers of entries may differ.
        ignore: patterns of objects (`path`) and branches (`path/branch`) that do not count.
    """

    word: str
    digest: str
    mask: List[str]
    absolute: float
    relative: float
    p_value: float
    sigmas: float
    ignore: List[str]

    def named(self, name: str) -> str:
        """Return the name that a verdict gives: with version and digest of the parameters."""
        return f"{name}-1:{self.digest}"


def read_comparator(text: str) -> Comparator:
    """Return the comparator that a text stands for."""
    word, _blank, parameters = text.partition(" ")
    values = json.loads(parameters) if parameters else {}
    return Comparator(
        word=word,
        digest=hashlib.sha256(text.encode("utf-8")).hexdigest()[:12],
        mask=values.get("mask", []),
        absolute=values.get("absolute", 0.0),
        relative=values.get("relative", 0.0),
        p_value=values.get("p_value", 0.01),
        sigmas=values.get("sigmas", 5.0),
        ignore=values.get("ignore", []),
    )
