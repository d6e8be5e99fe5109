r"""Arguments that are not UTF-8.

A record is text. It has `\xff` for such a byte, and the original argument in another field, by its
position. Names of files (inputs, outputs, scripts) have the same escapes in their recorded path, and
are laid out under their original name.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from jobprov.provenance.bundle.fields import mapping, rows, text, texts, to_bytes

_BYTE = re.compile("[\udc80-\udcff]")  # surrogateescape's image of a raw byte
_ESCAPE = re.compile(r"\\x([89a-f][0-9a-f])")


def exact_words(step: Mapping[str, Any]) -> list[str]:
    """The arguments of a step as the job had them; bytes that are not UTF-8 are surrogates."""
    encoded = mapping(step.get("argv_encoded"))
    exact = []
    for place, word in enumerate(texts(step.get("argv"))):
        odd = unquote_to_bytes(text(encoded.get(str(place)))).decode("utf-8", "surrogateescape")
        # Only if the two agree: an argument that was redacted later must stay redacted
        if "\0" not in odd and _escaped(odd) == word:
            exact.append(odd)
        else:
            exact.append(word)
    return exact


def odd_names(record: Mapping[str, Any]) -> dict[str, str]:
    """The original names of files, by their text in the record.

    Those in arguments are whole arguments, and values of `--option=value`.
    """
    names: dict[str, str] = {}
    for kind in ("inputs", "outputs", "scripts"):
        for file in rows(record.get(kind)):
            path = text(file.get("path"))
            names[path] = _unescaped(path)
    for step in rows(mapping(record.get("command")).get("steps")):
        for word, exact in zip(texts(step.get("argv")), exact_words(step), strict=True):
            if word != exact:
                names[word] = exact
                names[word.partition("=")[2]] = exact.partition("=")[2]
    names.pop("", None)
    return names


def _unescaped(path: str) -> str:
    r"""The path with the bytes that it was recorded with.

    It stays as it is if `\xc3\xa9` would be UTF-8, which nobody would have escaped: a name with
    backslashes.
    """
    raw = _ESCAPE.sub(lambda match: chr(0xDC00 + int(match.group(1), 16)), path)
    is_odd = to_bytes(raw).decode("utf-8", "surrogateescape") == raw
    return raw if is_odd else path


def _escaped(word: str) -> str:
    """The word as the hook writes it into a record."""
    return _BYTE.sub(lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", word)
