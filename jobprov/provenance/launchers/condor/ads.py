"""Reads ads from HTCondor's tools and files, without its Python bindings.

It reads the JSON of `-json` and `-jsonl`, and the long form of history files; one ad at a time,
whatever the size of the whole.

Source: HTCondor manual, condor_history (`-json`, `-epochs`), HISTORY and JOB_EPOCH_HISTORY (each ad
is followed by a line that begins with `***`). Expressions are text, `/Expr(...)/` in JSON, also
where a number is expected.
"""

import json
import re
from collections.abc import Iterator
from typing import IO, TypeAlias

from jobprov.provenance.capture.surroundings.condor_ads import parse_ad
from jobprov.provenance.errors import BadInputError

AdValue: TypeAlias = "str | float | bool | list[AdValue] | dict[str, AdValue] | None"
"""A value of an attribute; a nested ad, such as the ticket of execution, is one too."""
Ad = dict[str, AdValue]

_CHUNK_BYTES = 1 << 16
LARGEST_AD_BYTES = 4 << 20
# An attribute of a nested ad, `[ HowCode = 0; Who = "itself" ]`, ends at a `;` in no string
_NESTED = re.compile(r"(?:[^;\"]|\"(?:[^\"\\]|\\.?)*(?:\"|\Z))+")


def text_in(ad: Ad, name: str) -> str | None:
    """Return an attribute that is a text; None where it is missing, empty or something else."""
    value = ad.get(name)
    return value if isinstance(value, str) and value else None


def ticket_of_execution(ad: Ad) -> Ad | None:
    """Return `ToE`, in which HTCondor says how and when the job ended; None if there is none."""
    ticket = ad.get("ToE")
    return ticket if isinstance(ticket, dict) else None


def read_ads(stream: IO[bytes], name: str) -> Iterator[Ad]:
    """Yield the ads of a stream, in order.

    Raises:
        BadInputError: it is neither JSON nor the long form, or one ad is too large; names the file
            and the place.
    """
    first = stream.read(_CHUNK_BYTES)
    if first.lstrip()[:1] in {b"[", b"{"}:
        return _read_json(stream, first, name)
    return _read_long(stream, first, name)


def _read_json(stream: IO[bytes], first: bytes, name: str) -> Iterator[Ad]:
    """Yield the ads of JSON: a list of objects, or one object after the other."""
    decoder = json.JSONDecoder()
    buffer, chunk = "", first
    position, seen = 0, 0
    while chunk:
        buffer, seen = buffer[position:] + chunk.decode("utf-8", "replace"), seen + len(chunk)
        position = 0
        while (start := _next_object(buffer, position)) is not None:
            try:
                ad, position = decoder.raw_decode(buffer, start)
            except ValueError:
                position = start
                break
            except RecursionError:
                raise BadInputError(
                    f"{name}: an ad before byte {seen} is nested too deeply to be one."
                ) from None
            yield ad
        else:
            position = len(buffer) if _is_between(buffer[position:]) else position
        if len(buffer) - position > LARGEST_AD_BYTES:
            raise BadInputError(
                f"{name}: no whole ad in the {LARGEST_AD_BYTES} bytes before byte {seen}."
            )
        chunk = stream.read(_CHUNK_BYTES)
    if not _is_between(buffer[position:]):
        raise BadInputError(
            f"{name}: the JSON breaks off before byte {seen}; "
            "was the program that wrote it stopped?"
        )


def _next_object(buffer: str, position: int) -> int | None:
    start = buffer.find("{", position)
    return start if start >= 0 and _is_between(buffer[position:start]) else None


def _is_between(text: str) -> bool:
    """Return whether a text only separates the ads of a list, or of lines."""
    return not text.strip(" \r\n\t,[]")


def _read_long(stream: IO[bytes], first: bytes, name: str) -> Iterator[Ad]:
    """Yield the ads of the long form, a line for each attribute."""
    lines: list[str] = []
    size = 0
    for number, raw in enumerate(_lines(stream, first), 1):
        line = raw.decode("utf-8", "replace")
        if line.startswith("***") or not line.strip():
            if lines:
                yield _long_ad(lines)
            lines, size = [], 0
            continue
        size += len(raw)
        if size > LARGEST_AD_BYTES or "=" not in line:
            raise BadInputError(
                f"{name}, line {number}: {line.strip()[:60]!r} belongs to no ad "
                "that can be read here."
            )
        lines.append(line)
    if lines:
        yield _long_ad(lines)


def _lines(stream: IO[bytes], first: bytes) -> Iterator[bytes]:
    """Yield lines without reading a line of gigabytes whole."""
    rest, chunk = b"", first
    while chunk:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        # No line of an ad is as long, and there may be gigabytes of it: what comes next refuses it
        if len(rest) > LARGEST_AD_BYTES:
            yield rest
            rest = b""
        chunk = stream.read(_CHUNK_BYTES)
    if rest:
        yield rest


def _long_ad(lines: list[str]) -> Ad:
    ad: Ad = parse_ad("\n".join(lines))
    for name, value in ad.items():
        if isinstance(value, str) and value.startswith("[ ") and value.endswith("]"):
            ad[name] = parse_ad("\n".join(_NESTED.findall(value[1:-1])))
    return ad
