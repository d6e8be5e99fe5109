"""Reads once what many records share: the same configurations and software lists come with each job of a release.

A part is known by its exact bytes; equal bytes give the very same object, which nobody changes.
What pure functions find out about such an object is remembered with it (`remembered`). Bounded by
the bytes of all parts, those held longest forgotten first.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LONGEST_PART = 256 * 1024
MOST_BYTES = 4 * 1024 * 1024


class _Known(NamedTuple):
    """A shared object, kept so that its id names no other, and what functions said of it."""

    part: Any
    results: dict[Callable[[Any], Any], Any]


_known: dict[int, _Known] = {}


class Part(NamedTuple, Generic[T]):
    """The bytes of a part, what they say, and the blobs that it refers to."""

    body: bytes
    value: T
    references: frozenset[str]


class SharedParts(Generic[T]):
    """Parts of records by their bytes; thread-safe."""

    def __init__(self, read: Callable[[bytes], Part[T] | None]) -> None:
        """Take what reads a part; it returns None for one that has to be read with its record."""
        self._read = read
        self._lock = threading.Lock()
        self._held: dict[bytes, Part[T]] = {}
        self._bytes = 0

    def get(self, body: bytes) -> Part[T] | None:
        """Return the part, the same object for the same bytes; None where it cannot be shared."""
        found = self._held.get(body)
        if found is not None:
            return found
        if len(body) > LONGEST_PART or (made := self._read(body)) is None:
            return None
        with self._lock:
            return self._held.get(body) or self._keep(body, made)

    def _keep(self, body: bytes, part: Part[T]) -> Part[T]:
        self._held[body] = part
        _known[id(part.value)] = _Known(part.value, {})
        self._bytes += len(body)
        while self._bytes > MOST_BYTES:
            oldest = next(iter(self._held))
            gone = self._held.pop(oldest)
            self._bytes -= len(oldest)
            _known.pop(id(gone.value), None)
        return part


def remembered(function: Callable[[T], R]) -> Callable[[T], R]:
    """Return the function with a memory for shared parts.

    Of any other object it computes its answer each time.
    """

    def remember(part: T) -> R:
        known = _known.get(id(part))
        if known is None or known.part is not part:
            return function(part)
        if function not in known.results:
            known.results[function] = function(part)
        return known.results[function]  # type: ignore[no-any-return]

    return remember
