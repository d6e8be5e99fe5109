"""Reports the progress of long work to a watcher; without one it costs nothing.

Work passes its items through `watched`, or reports by `tell`; a command watches with `watching`.
The reports are for people: no work depends on them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Progress(NamedTuple):
    """How far a part of the work is.

    Attributes:
        what: what is counted, as `blobs copied`.
        done: how many.
        total: of how many; None where nobody knows.
    """

    what: str
    done: int
    total: int | None


Watcher = Callable[[Progress], None]
_WATCHER: ContextVar[Watcher | None] = ContextVar("jobprov_progress", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Report the progress of this block to a watcher, which is called often and must be quick."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def is_watched() -> bool:
    """Return whether somebody watches, so that a total is worth counting."""
    return _WATCHER.get() is not None


def tell(what: str, done: int = 0, total: int | None = None) -> None:
    """Tell whoever watches how far a part of the work is."""
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(Progress(what, done, total))


def watched(what: str, items: Iterable[T], total: Callable[[], int] | None = None) -> Iterable[T]:
    """Return the items, and report each one to the watcher when its work is done.

    Args:
        what: what is counted.
        items: of the work.
        total: returns how many there are; asked only where somebody watches.
    """
    watcher = _WATCHER.get()
    if watcher is None:
        return items
    return _told(watcher, what, items, None if total is None else total())


def _told(watcher: Watcher, what: str, items: Iterable[T], total: int | None) -> Iterator[T]:
    done = 0
    watcher(Progress(what, done, total))
    for item in items:
        yield item
        done += 1
        watcher(Progress(what, done, total))
