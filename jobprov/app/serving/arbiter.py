"""The process that starts workers, tells them to end, and replaces those that died.

It is gunicorn's, with one defect mended. For a moment, a worker that was just forked still has the
signal handlers of the arbiter. A SIGTERM in that moment went into the worker's copy of the queue of
signals, which is never read: the service ended 30 s later, when the arbiter killed that worker.
"""

import signal
from typing import Any

from gunicorn.arbiter import Arbiter

_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


class WaitingArbiter(Arbiter):  # type: ignore[misc]  # the package has no types
    """gunicorn's arbiter, which signals its workers only once they can handle it."""

    def spawn_worker(self) -> Any:
        """Start a worker; return its process id. In the worker this never returns."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            return super().spawn_worker()
        finally:
            hear_signals()


def hear_signals() -> None:
    """Have what ends a process reach this one: called where its handlers are in place."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
