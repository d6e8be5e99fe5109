"""The job's command itself: started, signals passed on, its end passed through exactly.

The command gets a process group of its own, so that a signal to the hook reaches everything the
command started; on a terminal it stays in the foreground group, where the terminal's signals reach
it directly.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

from jobprov.provenance.capture.files import stamps
from jobprov.provenance.capture.record.json_objects import Finding
from jobprov.provenance.capture.running import streams as output

# Not passed on: what nobody can catch, what the system sends us for our own doings, and the signals
# of terminals.
_OUR_OWN = [
    "KILL",
    "STOP",
    "CHLD",
    "SEGV",
    "BUS",
    "FPE",
    "ILL",
    "TRAP",
    "SYS",
    "PIPE",
    "XFSZ",
    "TTIN",
    "TTOU",
]
_NOT_PASSED_ON = frozenset(getattr(signal, "SIG" + name) for name in _OUR_OWN)
# a terminal sends these to the whole group
_BY_TERMINAL = frozenset([signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH])
# these do not end a process by themselves
_NO_ENDS = frozenset([signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH, signal.SIGURG])
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
# a limit on processes, memory or open files is reached
_NO_ROOM = frozenset([errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE])
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # exit codes of shells
_SIGNALLED = 128  # what shells add to a signal's number
_NOTICE_SECONDS = 0.2  # until a signal is passed on, at worst
_DRAIN_SECONDS = 1.0  # for children that were left behind and still hold the output
# commands that were started: from then on nobody else may start them
began: List[Sequence[str]] = []


class Outcome:
    """How a command ended.

    Attributes:
        code: what a shell shows: the exit code, 128 + signal, 127 not found, 126 not executable.
        signal: number of the signal that ended it, or None.
        usage: its resource usage with that of its children, or None where it never ran.
        began, ended, wall_seconds: when, in seconds since 1970, and how long.
        logs: [(name, content, whether cut)].
        held: streams that a process left behind still writes to.
        error: why it could not be started, or None.
        was_told: whether a signal was passed on to it.
        received: numbers of these signals, and of those that came later: a batch system may signal
            the command a moment before the hook.
        finding: why it failed, once that was read; see provenance.capture.logs.failure.
    """

    def __init__(self) -> None:
        self.finding: Optional[Finding] = None
        self.code = 0
        self.signal: Optional[int] = None
        self.usage: Any = None
        self.error: Optional[str] = None
        self.began, self.ended, self.wall_seconds = stamps.now(), 0.0, 0.0
        self.logs: List[Tuple[str, bytes, bool]] = []
        self.held: List[output.Stream] = []
        self.was_told = False
        self.received: List[int] = []

    def set_status(self, status: int) -> None:
        """Take code and signal from what os.wait4 gives."""
        if os.WIFSIGNALED(status):
            self.signal = os.WTERMSIG(status)
            self.code = _SIGNALLED + self.signal
        else:
            self.code = os.WEXITSTATUS(status)

    def killing_signal(self) -> Optional[int]:
        """Return the signal that ended the command or, as its exit code has it, a program of it."""
        if self.signal is None and self.code > _SIGNALLED:
            return self.code - _SIGNALLED
        return self.signal

    def set_error(self, argv: List[str], error: OSError) -> None:
        """Note why a command could not be started, as a shell would print it."""
        is_found = error.errno in (errno.ENOEXEC, errno.EACCES)
        self.code = _NOT_EXECUTABLE if is_found else _NOT_FOUND
        self.error = "{}: {}".format(argv[0], error.strerror)
        self.logs = [("stderr", self.error.encode("utf-8", "replace") + b"\n", False)]


class Signals:
    """Passes signals on to the command.

    Before it runs they are kept, after it they only end the waiting; but not the one that ended the
    command too: a batch system signals both, in whatever order.
    """

    def __init__(self) -> None:
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.has_group = self.is_foreground = False
        self.pending: List[int] = []
        self.received: List[int] = []
        self.is_over, self.asked_to_stop = False, False
        self.ended_by: Optional[int] = None
        self.ignores_children = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN

    def install(self) -> None:
        """Take over every signal that is not ignored already.

        An ignored one stays ignored for the command too.
        """
        if self.ignores_children:  # else the system tells nobody how the command ended
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in set(range(1, signal.NSIG)).difference(_NOT_PASSED_ON):
            try:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    signal.signal(number, self._handle)
            except (OSError, ValueError):
                continue  # the C library's own

    def give_back(self) -> None:
        """Ignore in the command's process what we were started to ignore."""
        if self.ignores_children:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def attach(
        self, process: "subprocess.Popen[bytes]", *, has_group: bool, is_foreground: bool
    ) -> None:
        """Pass on what came early, and from now on everything."""
        self.process, self.has_group, self.is_foreground = process, has_group, is_foreground
        pending, self.pending = self.pending, []
        for number in pending:
            self._send(process, number)

    def _handle(self, number: int, _frame: Any) -> None:
        if self.is_over:
            if number not in _NO_ENDS:
                is_second = number != self.ended_by or number in self.received
                self.asked_to_stop = self.asked_to_stop or is_second
                self.received.append(number)
        elif self.process is None:
            self.pending.append(number)
        elif not self.is_foreground or number not in _BY_TERMINAL:
            self._send(self.process, number)
        elif number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)  # together with the command, as the terminal asked

    def _send(self, process: "subprocess.Popen[bytes]", number: int) -> None:
        if number not in _NO_ENDS:
            self.received.append(number)
        try:
            if self.has_group:
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)
        except OSError:
            pass


def execute(
    argv: List[str],
    signals: Signals,
    during: Callable[[Dict[int, "output.Stream"]], None],
    tracer: Sequence[str] = (),
) -> Outcome:
    """Run a command and return its Outcome.

    Args:
        argv: the command line.
        signals: what passes signals on to it.
        during: called with the command's streams once it runs; must return at once.
        tracer: words in front of the command line that start the command in their own place.
    """
    began.append(argv)
    outcome = Outcome()
    outcome.received = signals.received
    streams = _open_streams()
    begun = time.monotonic()
    process = _start_or_become(argv, streams, signals, tracer, outcome)
    for stream in set(streams.values()):
        stream.begin()
    if process is not None:
        try:
            during(streams)
        except Exception as error:
            _say(error)
        _, status, outcome.usage = _wait(process)
        process.returncode = 0  # reaped here; subprocess must not wait again
        outcome.set_status(status)
        signals.ended_by = outcome.killing_signal()
    signals.is_over = True
    outcome.ended, outcome.wall_seconds = time.time(), time.monotonic() - begun
    outcome.logs += _collect(streams)
    outcome.held = [stream for stream in set(streams.values()) if stream.is_held()]
    return outcome


def leave(outcome: Outcome) -> NoReturn:
    """End the hook as the command ended: the same exit code, or the same signal."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    for held in outcome.held:
        if os.fork() == 0:
            held.relay()
            os._exit(0)
    if outcome.signal is not None:
        _die_by(outcome.signal)
    os._exit(outcome.code)


def _say(sentence: object) -> None:
    try:
        os.write(2, "jobprov: {}\n".format(sentence).encode("utf-8", "replace"))
    except OSError:
        pass


def _start_or_become(
    argv: List[str],
    streams: Dict[int, "output.Stream"],
    signals: Signals,
    tracer: Sequence[str],
    outcome: Outcome,
) -> "Optional[subprocess.Popen[bytes]]":
    """Start the command; None where that fails, with the reason in the outcome.

    Where there is no room for a second process the command takes our place, and this does not
    return.
    """
    try:
        try:
            return _start(argv, streams, signals, tracer)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _become(argv, error, signals)
    except OSError as error:
        outcome.set_error(argv, error)
        _say(outcome.error)
        return None


def _start(
    argv: List[str],
    streams: Dict[int, "output.Stream"],
    signals: Signals,
    tracer: Sequence[str],
) -> "subprocess.Popen[bytes]":
    is_foreground = _is_foreground()
    # Who leads a session gets a signal alone: HTCondor leaves it to the job what its programs get
    has_group = not is_foreground and os.getsid(0) != os.getpid()
    out, err = output.targets(streams)
    more = {
        "stdout": out,
        "stderr": err,
        "preexec_fn": _preparation(signals, has_group=has_group),
        "close_fds": False,
    }
    process = _start_traced([*tracer, *argv], more) if tracer else None
    if process is None:
        process = _start_plain(argv, more)
    signals.attach(process, has_group=has_group, is_foreground=is_foreground)
    return process


def _preparation(signals: Signals, *, has_group: bool) -> Optional[Callable[[], None]]:
    """Return what the command's process does before the command.

    None for nothing, which starts faster.
    """
    steps: List[Callable[[], None]] = []
    if signals.ignores_children:
        steps.append(signals.give_back)
    if has_group:
        steps.append(os.setpgrp)

    def prepare() -> None:
        for step in steps:
            step()

    return prepare if steps else None


def _start_traced(
    words: Sequence[str], more: Dict[str, Any]
) -> "Optional[subprocess.Popen[bytes]]":
    try:
        return subprocess.Popen(words, **more)
    except OSError:
        return None


def _start_plain(argv: List[str], more: Dict[str, Any]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(argv, **more)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without `#!`, as every shell does
        return subprocess.Popen(["/bin/sh", *argv], **more)


def _become(argv: List[str], error: OSError, signals: Signals) -> NoReturn:
    """Run the command in our own place, unrecorded: alone it needs no second process.

    Raises OSError where it cannot start.
    """
    _say("not recorded: {} beside the hook, so the command runs alone".format(error.strerror))
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    signals.give_back()
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as problem:
        if problem.errno != errno.ENOEXEC:
            raise
        os.execv("/bin/sh", ["/bin/sh", *argv])  # noqa: S606


def _wait(process: "subprocess.Popen[bytes]") -> Tuple[int, int, Any]:
    """Return what os.wait4 gives.

    It is called in a thread: a signal that comes just before the main thread blocks would be lost
    there.
    """
    ended: List[Tuple[int, int, Any]] = []
    waiting = threading.Thread(target=lambda: ended.append(os.wait4(process.pid, 0)))
    waiting.daemon = True
    try:
        waiting.start()
    except RuntimeError:  # no more threads
        return os.wait4(process.pid, 0)
    while waiting.is_alive():
        waiting.join(_NOTICE_SECONDS)
    return ended[0]


def _is_foreground() -> bool:
    """Tell whether a terminal controls us: its signals and input are the foreground group's."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _open_streams() -> Dict[int, "output.Stream"]:
    try:
        return output.open_streams()
    except OSError:
        return {}


def _collect(streams: Dict[int, "output.Stream"]) -> List[Tuple[str, bytes, bool]]:
    try:
        return output.collect(streams, _DRAIN_SECONDS)
    except OSError as error:  # else the record would say that nothing was printed
        return [("stderr", "jobprov: {}\n".format(error).encode(), False)]


def _die_by(number: int) -> None:
    """End by the same signal, so that whoever waits sees the same.

    No core of ours over the job's.
    """
    import resource  # noqa: PLC0415 - only for a job that died

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
        time.sleep(0.2)
    except (OSError, ValueError):
        pass
