"""When sums were counted."""

from msgspec import Struct


class CountedAt(Struct, frozen=True, kw_only=True):
    """When an answer was counted; encoded after the members of the answer itself.

    Attributes:
        counted_at: a time in UTC.
        is_current: False where something was recorded since; the answer is then counted again.
    """

    counted_at: str = ""
    is_current: bool = True
