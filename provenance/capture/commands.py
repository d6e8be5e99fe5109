"""The hook's commands. Whatever goes wrong in here, the job runs, and ends as it would have ended alone.

Gathering, spooling and sending run in a thread that is never waited for longer than its budget; the
main thread runs the command and leaves as it left.
"""

import sys
from typing import Callable, Dict, List, NoReturn, Optional, Sequence

from jobprov.provenance.capture.options import USAGE, Options
from jobprov.provenance.capture.recording import moments
from jobprov.provenance.capture.running import execution, streams
from jobprov.provenance.capture.running.background import (
    Background,
    Speaker,
    budget,
    hash_seconds,
    save_room,
)

_LEAVING_SECONDS = 5.0  # after a signal: enough to spool, not to send
_LARGEST_AD = 4 << 20
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
    if name not in _COMMANDS:
        sys.stderr.write("jobprov: unknown command {}\n{}".format(name, USAGE))
        return _MISUSED
    options = Options(words[1:], environment)
    if name in ("run", "step") and not options.command:
        sys.stderr.write("jobprov: {} needs a command behind `--`\n{}".format(name, USAGE))
        return _MISUSED
    if name not in _TAKING_WORDS:
        options.refuse_words()
    if options.warnings:
        _warn(options)
    return _COMMANDS[name](options, environment)


def run(options: Options, environment: Dict[str, str]) -> NoReturn:
    """Run a command, record it, and leave as it left."""
    _wrap(options, moments.OneCommand(options, environment))


def step(options: Options, environment: Dict[str, str]) -> NoReturn:
    """Run one step of a job that `start` opened, and leave as it left.

    Without one, the command just runs.
    """
    _wrap(options, moments.StepOfSession(options, environment))


def start(options: Options, environment: Dict[str, str]) -> int:
    """Open a record for the calling job script."""
    speaker = Speaker(options)
    work = Background(lambda: moments.open_session(options, environment))
    _tell_failure(work, speaker, is_done=work.wait(budget(options)))
    return 0


def end(options: Options, environment: Dict[str, str]) -> int:
    """Close and send the record of the calling job script; returns the job's exit code."""
    speaker, code = Speaker(options), _exit_code(options)
    work = Background(lambda: moments.close_session(options, environment, code, speaker))
    is_done = work.wait(hash_seconds(options) + budget(options))
    _tell_failure(work, speaker, is_done=is_done)
    last: Optional[int] = work.result
    return (last if code is None else code) or 0


def flush(options: Options, environment: Dict[str, str]) -> int:
    """Send what is left in a spool; returns 0 when nothing is left, 3 when something could not be sent."""
    from jobprov.provenance.capture.sending import flushing  # noqa: PLC0415

    return flushing.flush(options, environment, Speaker(options))


def condor_exit(options: Options, environment: Dict[str, str]) -> int:
    """Record a job from its ad on standard input, as HTCondor's exit hook or PostCmd.

    Always returns 0.
    """
    from jobprov.provenance.capture.recording.condor_exit import record_exit  # noqa: PLC0415

    speaker = Speaker(options)
    text = sys.stdin.read(_LARGEST_AD)
    work = Background(lambda: record_exit(options, environment, text, speaker))
    _tell_failure(work, speaker, is_done=work.wait(budget(options)))
    return 0


_TAKING_WORDS = ("flush", "condor-exit")
_COMMANDS: Dict[str, Callable[[Options, Dict[str, str]], int]] = {
    "run": run,
    "step": step,
    "start": start,
    "end": end,
    "flush": flush,
    "condor-exit": condor_exit,
}


def _wrap(options: Options, record: moments.OneCommand) -> NoReturn:
    speaker, signals = Speaker(options), execution.Signals()
    signals.install()
    save_room()
    before = Background(record.before)
    before.do_here()
    before.wait(budget(options))
    beside: List[Background] = []

    def begin_beside(output: Dict[int, streams.Stream]) -> None:
        if signals.process is not None:
            _begin_beside(record, before, beside, signals.process.pid, output)

    outcome = execution.execute(options.command, signals, begin_beside, record.tracer_words())
    record.ended.set()
    outcome.was_told = bool(signals.passed_on)
    try:
        work = Background(lambda: record.after(before, beside, outcome, speaker))
        work.do_here()
        _wait_for(work, record, signals, speaker)
    except BaseException as error:
        speaker.say("not recorded: {}: {}".format(type(error).__name__, error))
    execution.leave(outcome)


def _begin_beside(
    record: moments.OneCommand,
    before: Background,
    beside: List[Background],
    process: int,
    output: Dict[int, streams.Stream],
) -> None:
    """Begin the work beside a command that runs now; what is waited for goes into `beside`."""
    trace = record.trace
    if trace is not None:
        trace.process = process
        Background(lambda: trace.follow(record.ended))
    beside.append(Background(lambda: record.meanwhile(before)))
    Background(lambda: record.watch(process))
    Background(lambda: record.tail(before, output))


def _wait_for(
    work: Background, record: moments.OneCommand, signals: execution.Signals, speaker: Speaker
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
    _tell_failure(work, speaker, is_done=is_done)


def _tell_failure(work: Background, speaker: Speaker, *, is_done: bool) -> None:
    if not is_done:
        speaker.say("not recorded in time")
    elif work.error is not None:
        speaker.say("not recorded: {}: {}".format(type(work.error).__name__, work.error))


def _warn(options: Options) -> None:
    """Name the words that could not be used at once, before the job prints anything.

    The record notes them too.
    """
    # a mistyped word may be a secret
    from jobprov.provenance.capture.record.redaction import redact_text  # noqa: PLC0415

    for warning in options.warnings:
        Speaker(options).say(redact_text(warning))


def _exit_code(options: Options) -> Optional[int]:
    return None if options.exit_code is None else int(options.exit_code) & 0xFF
