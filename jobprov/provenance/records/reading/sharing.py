"""Reads once what many records share.

The same configurations and software lists come with each job of a release. A part is identified by
its exact bytes; equal bytes give the same object, which nobody changes. Results of pure functions
of such an object are remembered with it (`remembered`). The memory is bounded by the bytes of all
parts; the oldest are forgotten first.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LONGEST_PART = 256 * 1024
MOST_BYTES = 4 * 1024 * 1024


class _SharedObject(NamedTuple):
    """A shared object and the results of functions of it.

    As long as this refers to the object, no other object gets its id.
    """

    part: Any
    results: dict[Callable[[Any], Any], Any]


_shared_objects: dict[int, _SharedObject] = {}
"""By id."""


class Part(NamedTuple, Generic[T]):
    """The bytes of a part, its value, and the blobs that it refers to."""

    body: bytes
    value: T
    references: frozenset[str]


class SharedParts(Generic[T]):
    """Parts of records by their bytes; thread-safe."""

    def __init__(self, read: Callable[[bytes], Part[T] | None]) -> None:
        """Take the function that reads a part.

        It returns None for a part that has to be read with its record.
        """
        self._read = read
        self._lock = threading.Lock()
        self._parts: dict[bytes, Part[T]] = {}
        self._bytes = 0

    def get(self, body: bytes) -> Part[T] | None:
        """Return the part, the same object for the same bytes; None if it cannot be shared."""
        part = self._parts.get(body)
        if part is not None or len(body) > LONGEST_PART:
            return part
        part = self._read(body)
        if part is None:
            return None
        with self._lock:
            # Another thread may have read it meanwhile
            return self._parts.get(body) or self._remember(body, part)

    def _remember(self, body: bytes, part: Part[T]) -> Part[T]:
        self._parts[body] = part
        _shared_objects[id(part.value)] = _SharedObject(part.value, {})
        self._bytes += len(body)
        while self._bytes > MOST_BYTES:
            oldest = next(iter(self._parts))
            forgotten = self._parts.pop(oldest)
            self._bytes -= len(oldest)
            _shared_objects.pop(id(forgotten.value), None)
        return part


def remembered(function: Callable[[T], R]) -> Callable[[T], R]:
    """Return the function with a memory of its results for shared parts.

    The result for any other object is computed each time.
    """

    def remember(part: T) -> R:
        shared = _shared_objects.get(id(part))
        if shared is None or shared.part is not part:
            return function(part)
        if function not in shared.results:
            shared.results[function] = function(part)
        return shared.results[function]  # type: ignore[no-any-return]

    return remember
