"""What was planned lately, remembered from job to job: bundles of one release share their code."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The values that were used last, by key. Threads may share it.

    Values are made outside of its lock, so that bundles of other releases need not wait.
    """

    def __init__(self, most: int, *, weight_of: Callable[[Value], int] = lambda _value: 1) -> None:
        """Remember values that together weigh no more than `most`; by default, so many values."""
        self._most = most
        self._weight_of = weight_of
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """The remembered value; None if there is none any more."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def keep(self, key: Key, value: Value) -> None:
        """Remember a value, and forget those that were not used for longest."""
        with self._lock:
            self._values[key] = value
            weight = sum(map(self._weight_of, self._values.values()))
            while weight > self._most:
                _, oldest = self._values.popitem(last=False)
                weight -= self._weight_of(oldest)
