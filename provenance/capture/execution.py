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

from jobprov.provenance.capture import logs

# All are passed on but those that nobody can catch, those that the system sends to us for what we
# do ourselves, and those of terminals.
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
# of themselves they end no process
_NO_ENDS = frozenset([signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH, signal.SIGURG])
began = []  # commands that were started: from then on nobody else may start them
# reached: a limit on processes, memory or open files
_NO_ROOM = frozenset([errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE])
_NOTICE_SECONDS = 0.2  # until a signal is passed on, at worst
_DRAIN_SECONDS = 1.0  # for children that were left behind and still hold the output


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
    """

    def __init__(self):
        self.code, self.signal, self.usage, self.error = 0, None, None, None
        self.began, self.ended, self.wall_seconds = time.time(), None, 0.0
        self.logs, self.held = [], []


class Signals:
    """Passes signals on to the command.

    Before it runs they are kept, after it they only end the waiting.
    """

    def __init__(self):
        self.process, self.has_group = None, False
        self.pending, self.passed_on, self.is_over, self.asked_to_stop = [], [], False, False
        self.ignores_children = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
        self._old = {}

    def install(self):
        """Take over every signal that is not ignored already.

        An ignored one stays ignored for the command too.
        """
        if self.ignores_children:  # else the system tells nobody how the command ended
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in set(range(1, signal.NSIG)).difference(_NOT_PASSED_ON):
            try:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._old[number] = signal.signal(number, self._handle)
            except (OSError, ValueError):
                continue  # the C library's own

    def give_back(self):
        """Ignore in the command's process what we were started to ignore."""
        if self.ignores_children:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def attach(self, process, has_group):
        """Pass on what came early, and from now on everything."""
        self.process, self.has_group = process, has_group
        pending, self.pending = self.pending, []
        for number in pending:
            self._send(number)

    def _handle(self, number, _frame):
        if self.is_over:
            self.asked_to_stop = self.asked_to_stop or number not in _NO_ENDS
        elif self.process is None:
            self.pending.append(number)
        elif self.has_group or number not in _BY_TERMINAL:
            self._send(number)
        elif number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)  # together with the command, as the terminal asked

    def _send(self, number):
        if number not in _NO_ENDS:
            self.passed_on.append(number)
        try:
            if self.has_group:
                os.killpg(self.process.pid, number)
            else:
                os.kill(self.process.pid, number)
        except OSError:
            pass


def execute(argv, signals, during, tracer=()):
    """Run a command and return its Outcome.

    `during` is called with its streams once it runs, and must return at once.

    `tracer`: words in front that start the command in their own place.
    """
    began.append(argv)
    outcome = Outcome()
    streams = _streams()
    begun = time.monotonic()
    try:
        try:
            process = _start(argv, streams, signals, tracer)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _become(argv, error, signals)
    except OSError as error:
        outcome.error = "{}: {}".format(argv[0], error.strerror)
        outcome.code = 126 if error.errno in (errno.ENOEXEC, errno.EACCES) else 127
        outcome.logs = [("stderr", outcome.error.encode("utf-8", "replace") + b"\n", False)]
        _say(outcome.error)
        process = None
    for stream in set(streams.values()):
        stream.begin()
    if process is not None:
        try:
            during(streams)
        except Exception as error:
            _say(error)
        _, status, outcome.usage = _wait(process)
        process.returncode = 0  # reaped here; subprocess must not wait again
        _set_end(outcome, status)
    signals.is_over = True
    outcome.ended, outcome.wall_seconds = time.time(), time.monotonic() - begun
    outcome.logs += _collect(streams)
    outcome.held = [
        stream for stream in set(streams.values()) if getattr(stream, "is_held", bool)()
    ]
    return outcome


def leave(outcome):
    """End the hook as the command ended: the same exit code, or the same signal."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    for stream in outcome.held:
        if os.fork() == 0:
            stream.relay()
            os._exit(0)
    if outcome.signal is not None:
        _die_by(outcome.signal)
    os._exit(outcome.code)


def _say(sentence):
    try:
        os.write(2, "jobprov: {}\n".format(sentence).encode("utf-8", "replace"))
    except OSError:
        pass


def _start(argv, streams, signals, tracer):
    has_group = not _is_foreground()
    out, err = logs.targets(streams)
    more = {
        "stdout": out,
        "stderr": err,
        "preexec_fn": _preparation(signals, has_group),
        "close_fds": False,
    }
    process = _start_traced([*tracer, *argv], more) if tracer else None
    if process is None:
        process = _start_plain(argv, more)
    signals.attach(process, has_group)
    return process


def _preparation(signals, has_group):
    """Return what the command's process does before the command, None where nothing.

    A call there makes starting it slower.
    """
    steps = [signals.give_back] * signals.ignores_children + [os.setpgrp] * has_group

    def prepare():
        for step in steps:
            step()

    return prepare if steps else None


def _start_traced(words, more):
    try:
        return subprocess.Popen(words, **more)
    except OSError:
        return None


def _start_plain(argv, more):
    try:
        return subprocess.Popen(argv, **more)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        return subprocess.Popen(
            ["/bin/sh", *argv], **more
        )  # a script without `#!`, as every shell does


def _become(argv, error, signals):
    """Run the command in our own place, unrecorded: alone it needs no second process.

    Raises OSError where it cannot start.
    """
    _say("not recorded: {} beside the hook, so the command runs alone".format(error.strerror))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    signals.give_back()
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as problem:
        if problem.errno != errno.ENOEXEC:
            raise
        os.execv("/bin/sh", ["/bin/sh", *argv])  # noqa: S606


def _wait(process):
    """Return what os.wait4 gives, called in a thread.

    A signal that comes just before the main thread blocks is not lost.
    """
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(os.wait4(process.pid, 0)))
    waiting.daemon = True
    try:
        waiting.start()
    except RuntimeError:  # no more threads
        return os.wait4(process.pid, 0)
    while waiting.is_alive():
        waiting.join(_NOTICE_SECONDS)
    return ended[0]


def _is_foreground():
    """Tell whether a terminal controls us: its signals and its input belong to the foreground group."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _streams():
    try:
        return logs.open_streams()
    except OSError:
        return {}


def _collect(streams):
    try:
        return logs.collect(streams, _DRAIN_SECONDS)
    except OSError:
        return []


def _set_end(outcome, status):
    if os.WIFSIGNALED(status):
        outcome.signal = os.WTERMSIG(status)
        outcome.code = 128 + outcome.signal
    else:
        outcome.code = os.WEXITSTATUS(status)


def _die_by(number):
    """End by the same signal, so that whoever waits sees the same.

    No core of ours over the job's.
    """
    import resource  # noqa: PLC0415 - only for a job that died

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
        time.sleep(0.2)
    except (OSError, ValueError):
        pass
