"""Work beside the job, never waited for past its budget, and the line about it at the end."""

import os
import sys
import threading
from typing import Any, Callable, Optional

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options

_BUDGET_SECONDS, _HASH_SECONDS = 20.0, 120.0
_LOOK_SECONDS = 0.1
_SMALL_STACK = 1 << 20  # bytes
_M_ARENA_MAX = -8  # mallopt(3)


def budget(options: Options) -> float:
    """Return the seconds that spooling and sending may take after the command."""
    return options.number("budget-seconds", _BUDGET_SECONDS)


def hash_seconds(options: Options) -> float:
    """Return the seconds that hashing outputs may take, apart from the budget."""
    return options.number("hash-seconds", _HASH_SECONDS)


def save_room() -> None:
    """Where the job's address space is limited (`ulimit -v`), have each thread take little of it.

    It would take 72 MB: its stack, and a part of the heap of its own.
    """
    import resource  # noqa: PLC0415 - with a limit alone the rest is loaded

    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    threading.stack_size(_SMALL_STACK)
    try:
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (ImportError, OSError, AttributeError, MemoryError):
        pass  # another C library, or no room for it


class Speaker:
    """Prints a line on trouble, and more with --verbose; a closed stderr is no reason to fail.

    Standard error is the job's: where all is well, and nobody watches, nothing is printed.
    """

    def __init__(self, options: Options) -> None:
        self.is_verbose = options.verbose

    def say(self, sentence: object) -> None:
        """Write a line."""
        try:
            sys.stderr.write("jobprov: {}\n".format(" ".join(str(sentence).split())))
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            pass

    def write(self, content: bytes) -> None:
        """Write bytes as they are."""
        try:
            sys.stderr.flush()
            os.write(2, content)
        except (OSError, ValueError, AttributeError):
            pass

    def confirm(self, sentence: object) -> None:
        """Write a line to somebody at a terminal, or with --verbose."""
        try:
            is_watched = sys.stderr.isatty()
        except (OSError, ValueError, AttributeError):
            is_watched = False
        if is_watched or self.is_verbose:
            self.say(sentence)

    def detail(self, sentence: object) -> None:
        """Write a line with --verbose only."""
        if self.is_verbose:
            self.say(sentence)


class Background:
    """Work beside the job, in a thread of its own: an error in it never reaches the job.

    Where no thread is to be had, it is not done, which is an error as any other.

    Attributes:
        error, result: what the work raised, or returned.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.error: Optional[BaseException] = None
        self.result: Any = None
        self._function = function
        self.thread = threading.Thread(target=self._run)
        self.thread.daemon = True
        try:
            self.thread.start()
        except (RuntimeError, MemoryError) as error:
            self.error = error

    def join(self) -> None:
        """Wait for it."""
        if self.thread.is_alive():
            self.thread.join()

    def do_here(self) -> None:
        """Do it now, in the thread of the caller, where none was to be had for it."""
        if self.error is not None and self.thread.ident is None:
            self.error = None
            self._run()

    def wait(self, seconds: float, should_stop: Callable[[], bool] = bool) -> bool:
        """Wait at most some seconds; tell whether the work is done."""
        clock = Clock(seconds)
        while self.thread.is_alive() and clock.left() and not should_stop():
            self.thread.join(min(_LOOK_SECONDS, clock.left()))
        return not self.thread.is_alive()

    def _run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error


def tell_failure(work: Background, speaker: Speaker, *, is_done: bool) -> None:
    """Say that a job is not recorded, where work beside it failed or was not done in time."""
    if not is_done:
        speaker.say("not recorded in time")
    elif work.error is not None:
        speaker.say("not recorded: {}: {}".format(type(work.error).__name__, work.error))
