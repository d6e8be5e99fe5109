r"""Arguments that are not UTF-8.

A record is text: it has `\xff` for such a byte, and beside it, by position, what the argument was.

What these arguments name (inputs, outputs, scripts) has the same escapes in its path, and is laid
out under its own bytes.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from jobprov.provenance.bundle.fields import mapping, rows, text, texts

_BYTE = re.compile("[\udc80-\udcff]")  # surrogateescape's image of a raw byte


def exact_words(step: Mapping[str, Any]) -> list[str]:
    """The arguments of a step as the job had them, bytes that are no UTF-8 as surrogates.

    Only what the argument list says too is taken: a word that was redacted later stays redacted.
    """
    words, encoded = texts(step.get("argv")), mapping(step.get("argv_encoded"))
    exact = [
        unquote_to_bytes(text(encoded.get(str(place)))).decode("utf-8", "surrogateescape")
        for place in range(len(words))
    ]
    return [
        odd if "\0" not in odd and _escaped(odd) == word else word
        for word, odd in zip(words, exact, strict=True)
    ]


def odd_names(record: Mapping[str, Any]) -> dict[str, str]:
    """What such arguments were, by how they read in the record.

    These are whole arguments, and values of `--option=value`.
    """
    found: dict[str, str] = {}
    for step in rows(mapping(record.get("command")).get("steps")):
        for word, exact in zip(texts(step.get("argv")), exact_words(step), strict=True):
            if word != exact:
                found[word] = exact
                found[word.partition("=")[2]] = exact.partition("=")[2]
    found.pop("", None)
    return found


def _escaped(word: str) -> str:
    """The word as the hook writes it into a record."""
    return _BYTE.sub(lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", word)
