"""Excerpts of records: stretches that thousands of records of a task have in the same bytes.

Each is sent once. They are kept in memory alone: what is forgotten is sent whole again, and nothing
depends on it. What an experiment sent is known to that experiment alone.

Source: http.md, "Excerpts".
"""

import hashlib
import threading
from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.records.reading.decoding import LIMIT_BYTES

CONTENT_TYPE = "application/vnd.jobprov.excerpts"
MOST_EXCERPTS = 16
"""Of one record."""
HEAD_BYTES = 4096
"""More than the first line of a body needs."""
KNOWN_BYTES = 16 << 20
LONGEST_BYTES = 256 * 1024
_COST_BYTES = 300  # of an entry, besides its content


class UnknownExcerptError(BadInputError):
    """A record names an excerpt that is not remembered; it is to be sent whole."""


class _Place(NamedTuple):
    """Where an excerpt begins in the whole record, its length, and whether its bytes came along."""

    start: int
    length: int
    sha256: str
    is_here: bool


_places = msgspec.json.Decoder(list[tuple[int, int, str, bool]])


class Excerpts:
    """What is remembered, by experiment (None: a service without tokens) and digest.

    It is thread-safe.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[tuple[str | None, str], bytes] = {}
        self._size, self._lock = 0, threading.Lock()

    def known(self, experiment: str | None, digests: Iterable[str]) -> list[str]:
        """Return which of some digests are known, each once."""
        return [sha256 for sha256 in dict.fromkeys(digests) if (experiment, sha256) in self._known]

    def unfold(self, experiment: str | None, body: bytes) -> tuple[bytes, list[bytes]]:
        """Return a record's bytes whole, and the excerpts of it that came along.

        The excerpts are to be remembered once the record is written.

        Raises:
            UnknownExcerptError: one that did not come along is not known.
            BadInputError, LimitError: the head cannot be read, or says what cannot be.
        """
        head, _, rest = body.partition(b"\n")
        parts: list[bytes] = []
        new: list[bytes] = []
        at = 0  # in what came
        end = 0  # of the excerpt before, in the whole record
        size = 0
        for place in _read(head):
            gap = place.start - end
            if gap < 0 or place.length < 0 or at + gap > len(rest):
                raise _bad("excerpts lie one behind the other, inside the record")
            parts.append(rest[at : at + gap])
            at += gap
            if place.is_here:
                content = rest[at : at + place.length]
                at += place.length
                new.append(content)
            else:
                content = self._take(experiment, place)
            parts.append(content)
            end = place.start + place.length
            size += gap + len(content)
            # A few bytes may name excerpts of any length
            if size > LIMIT_BYTES:
                raise LimitError(
                    f"The record is longer than {LIMIT_BYTES} bytes, the limit of this call.",
                    LIMIT_BYTES,
                )
        return b"".join([*parts, rest[at:]]), new

    def remember(
        self, experiment: str | None, contents: Iterable[bytes], missing: Collection[str]
    ) -> None:
        """Remember excerpts of a recorded job, except those that name missing blobs.

        The oldest go first.
        """
        for content in contents:
            names_missing = any(sha256.encode() in content for sha256 in missing)
            if len(content) > LONGEST_BYTES or names_missing:
                continue
            key = (experiment, hashlib.sha256(content).hexdigest())
            with self._lock:
                if key not in self._known:
                    self._known[key] = content
                    self._size += len(content) + _COST_BYTES
                while self._size > KNOWN_BYTES:
                    self._size -= len(self._known.pop(next(iter(self._known)))) + _COST_BYTES

    def _take(self, experiment: str | None, place: _Place) -> bytes:
        content = self._known.get((experiment, place.sha256))
        if content is None:
            raise UnknownExcerptError(
                f"Excerpt {place.sha256[:64]} is not remembered here; send the record whole.",
                {place.sha256[:64]: ["not remembered"]},
            )
        if len(content) != place.length:
            raise _bad(f"{place.sha256} has {len(content)} bytes")
        return content


def _read(head: bytes) -> list[_Place]:
    try:
        places = [_Place(*place) for place in _places.decode(head)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _bad("a list of [start, length, sha256, is_here]") from None
    if len(places) > MOST_EXCERPTS:
        raise _bad(f"{MOST_EXCERPTS} at most")
    return places


def _bad(problem: str) -> BadInputError:
    return BadInputError(
        "The first line of the body, a record's excerpts, cannot be read.", {"excerpts": [problem]}
    )
