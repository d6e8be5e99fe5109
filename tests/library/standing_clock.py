"""A clock that stands still until it is moved, in the place of `datetime` in the whole package."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar, Self

import pytest

START = datetime(2026, 11, 25, 12, tzinfo=UTC)


class _AnyDatetime(type):
    """Has every datetime be an instance of the clock, as where the clock stands for the class."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


class Clock(datetime, metaclass=_AnyDatetime):
    """A datetime class whose time stands still until it is moved."""

    moment: ClassVar[datetime] = START

    def __new__(cls, *parts: Any, **named: Any) -> Self:
        """Return a plain datetime."""
        return datetime(*parts, **named)  # type: ignore[return-value]  # noqa: DTZ001 - the zone is in the parts

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return the moment at which it stands."""
        return cls.moment.astimezone(tz)  # type: ignore[return-value]


@contextmanager
def standing_clock() -> Iterator[type[Clock]]:
    """Put the clock in the place of `datetime` in every module of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clock, "moment", START)
        for name, module in list(sys.modules.items()):
            if name.startswith("jobprov.") and getattr(module, "datetime", None) is datetime:
                patch.setattr(module, "datetime", Clock)
        yield Clock
