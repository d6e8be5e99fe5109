"""The hook's commands. Whatever goes wrong here, the job runs and ends as it would alone.

Gathering, spooling and sending run in a thread that is never waited for longer than its budget; the
main thread runs the command and leaves as it left.
"""

import gc
import sys
import threading
from typing import TYPE_CHECKING, Dict, List, NoReturn, Optional, Sequence

from jobprov.provenance.capture.options import USAGE, Options
from jobprov.provenance.capture.recording.before import Before
from jobprov.provenance.capture.running import execution, streams
from jobprov.provenance.capture.running.background import (
    Background,
    Speaker,
    budget,
    hash_seconds,
    save_room,
    tell_failure,
)

if TYPE_CHECKING:
    from jobprov.provenance.capture.recording.moments.one_command import OneCommand

_LEAVING_SECONDS = 5.0  # after a signal: enough to spool, not to send
_RUNNING = ("run", "step")
_FURTHER = ("start", "end", "flush", "condor-exit")
_TAKING_WORDS = ("flush", "condor-exit")
_MISUSED = 2  # exit code


def main(words: Sequence[str], environment: Dict[str, str]) -> int:
    """Run one of the hook's commands; returns the exit code of those that run no job."""
    streams.occupy_closed()
    name = words[0] if words else "help"
    if name in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return 0
    if name == "--version":
        from jobprov.provenance.capture import VERSION  # noqa: PLC0415

        sys.stdout.write(VERSION + "\n")
        return 0
    if name not in _RUNNING + _FURTHER:
        sys.stderr.write("jobprov: unknown command {}\n{}".format(name, USAGE))
        return _MISUSED
    options = Options(words[1:], environment)
    if name in _RUNNING and not options.command:
        sys.stderr.write("jobprov: {} needs a command behind `--`\n{}".format(name, USAGE))
        return _MISUSED
    if name not in _TAKING_WORDS:
        options.refuse_words()
    if options.warnings:
        _warn(options)
    if name in _RUNNING:
        _wrap(Recording(Before(options, environment), is_step=name == "step"))
    gc.enable()
    from jobprov.provenance.capture import further_commands  # noqa: PLC0415

    return further_commands.COMMANDS[name](options, environment)


class Recording:
    """What is recorded of a command. Most of what does that is loaded once the command runs."""

    def __init__(self, before: Before, *, is_step: bool) -> None:
        self.before, self._is_step = before, is_step
        self._lock = threading.RLock()
        self._record: "Optional[OneCommand]" = None

    def look(self) -> None:
        """Look at what the command is about to use.

        Git checkouts, which it may change too, take the whole look.
        """
        self.before.look()
        glance = self.before.glance
        if glance is not None and (glance.tops or self.before.options.repository):
            self.record().open(glance)

    def record(self) -> "OneCommand":
        """Return what makes the record."""
        with self._lock:
            if self._record is None:
                self._record = self._new_record()
            return self._record

    def _new_record(self) -> "OneCommand":
        if self._is_step:
            from jobprov.provenance.capture.recording.moments import session_step  # noqa: PLC0415

            return session_step.StepOfSession(self.before)
        from jobprov.provenance.capture.recording.moments import one_command  # noqa: PLC0415

        return one_command.OneCommand(self.before)


def _wrap(recording: Recording) -> NoReturn:
    """Run a command, record it, and leave as it left.

    A step of a job that nobody opened just runs.
    """
    before = recording.before
    options = before.options
    speaker, signals = Speaker(options), execution.Signals()
    signals.install()
    save_room()
    looking = Background(recording.look)
    looking.do_here()
    looking.wait(budget(options))
    beside: List[Background] = []

    def begin_beside(output: Dict[int, streams.Stream]) -> None:
        gc.enable()
        if signals.process is not None:
            _begin_beside(recording.record(), looking, beside, signals.process.pid, output)

    outcome = execution.execute(options.command, signals, begin_beside, before.tracer_words())
    outcome.was_told = bool(signals.received)
    try:
        record = recording.record()
        record.ended.set()
        work = Background(lambda: record.after(looking, beside, outcome, speaker))
        work.do_here()
        _wait_for(work, record, signals, speaker)
    except BaseException as error:
        speaker.say("not recorded: {}: {}".format(type(error).__name__, error))
    execution.leave(outcome)


def _begin_beside(
    record: "OneCommand",
    looking: Background,
    beside: List[Background],
    process: int,
    output: Dict[int, streams.Stream],
) -> None:
    """Begin the work beside a command that runs now; what is waited for goes into `beside`."""
    trace = record.trace
    if trace is not None:
        trace.process = process
        Background(lambda: trace.follow(record.ended))
    record.see(process)
    beside.append(Background(lambda: record.meanwhile(looking)))
    Background(record.watch)
    Background(lambda: record.tail(looking, output))


def _wait_for(
    work: Background, record: "OneCommand", signals: execution.Signals, speaker: Speaker
) -> None:
    """Wait for the recording as long as its budgets allow.

    After a signal only until it is spooled.
    """
    limit = hash_seconds(record.options) + budget(record.options) + 1
    is_done = work.wait(limit, lambda: signals.asked_to_stop)
    if not is_done and signals.asked_to_stop:
        is_done = record.spooled.wait(_LEAVING_SECONDS)
    if record.spooled.is_set() and not (is_done and work.error is None):
        speaker.say("not sent in time; kept in {}, and `flush` sends it later".format(record.spool))
        return
    tell_failure(work, speaker, is_done=is_done)


def _warn(options: Options) -> None:
    """Name the words that could not be used at once, before the job prints anything.

    The record notes them too.
    """
    # a mistyped word may be a secret
    from jobprov.provenance.capture.secrets.texts import redact_text  # noqa: PLC0415

    for warning in options.warnings:
        Speaker(options).say(redact_text(warning))
