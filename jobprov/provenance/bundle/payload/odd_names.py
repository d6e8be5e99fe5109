r"""File names and arguments that are not UTF-8.

A record is text. It has `\xff` for such a byte, and the original argument in another field, by its
position. Names of files (inputs, outputs, scripts) have the same escapes in their recorded path,
and are laid out under their original name.
"""

import re
from urllib.parse import unquote_to_bytes

from jobprov.provenance.bundle.fields import RecordPart, recorded_files, to_bytes

_BYTE = re.compile("[\udc80-\udcff]")  # surrogateescape's image of a raw byte
_ESCAPE = re.compile(r"\\x([89a-f][0-9a-f])")
_FIRST_SURROGATE = 0xDC00


def exact_arguments(step: RecordPart) -> list[str]:
    """The arguments of a step as the job had them; bytes that are not UTF-8 are surrogates."""
    encoded = step.part("argv_encoded")
    arguments = []
    for position, argument in enumerate(step.texts("argv")):
        raw = unquote_to_bytes(encoded.text(str(position)))
        exact = raw.decode("utf-8", "surrogateescape")
        # Only if the two agree: an argument that was redacted later must stay redacted
        if "\0" not in exact and _escaped(exact) == argument:
            arguments.append(exact)
        else:
            arguments.append(argument)
    return arguments


def odd_names(record: RecordPart) -> dict[str, str]:
    """The original names of files, by their text in the record.

    Those in arguments are whole arguments, and values of `--option=value`.
    """
    names: dict[str, str] = {}
    for file in recorded_files(record):
        path = file.text("path")
        names[path] = _unescaped(path)
    for step in record.part("command").parts("steps"):
        for argument, exact in zip(step.texts("argv"), exact_arguments(step), strict=True):
            if argument != exact:
                names[argument] = exact
                names[argument.partition("=")[2]] = exact.partition("=")[2]
    names.pop("", None)
    return names


def _unescaped(path: str) -> str:
    r"""The path with the bytes that it was recorded with.

    It stays as it is if `\xc3\xa9` would be UTF-8, which nobody would have escaped: a name with
    backslashes.
    """
    raw = _ESCAPE.sub(lambda match: chr(_FIRST_SURROGATE + int(match[1], 16)), path)
    is_odd = to_bytes(raw).decode("utf-8", "surrogateescape") == raw
    return raw if is_odd else path


def _escaped(argument: str) -> str:
    """The argument as the hook writes it into a record."""
    return _BYTE.sub(lambda match: f"\\x{ord(match[0]) - _FIRST_SURROGATE:02x}", argument)
