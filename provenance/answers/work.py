"""Answers about background work."""

from msgspec import Struct


class WaitingItem(Struct, frozen=True):
    """A piece of background work that waits.

    Attributes:
        attempts: how often it was tried.
        last_error: why it failed last, None where it was not tried yet or did not fail.
        due_at: when it is tried next.
    """

    kind: str
    key: str
    attempts: int
    last_error: str | None
    due_at: str
