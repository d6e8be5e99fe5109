"""The hook's commands. Whatever goes wrong in here, the job runs, and ends as it would have ended alone.

Gathering, spooling and sending run in a thread that is never waited for longer than its budget; the
main thread runs the command and leaves as it left.
"""

import sys

from jobprov.provenance.capture import execution, logs, recording
from jobprov.provenance.capture import options as option_table
from jobprov.provenance.capture.background import Background, Speaker, budget, hash_seconds

_LEAVING_SECONDS = 5.0  # after a signal: enough to spool, not to send


def main(words, environment):
    """Run one of the hook's commands; returns the exit code of those that run no job."""
    logs.occupy_closed()
    name, rest = (words[0], words[1:]) if words else ("help", [])
    if name in ("-h", "--help", "help"):
        sys.stdout.write(option_table.USAGE)
        return 0
    if name == "--version":
        from jobprov.provenance.capture import VERSION  # noqa: PLC0415

        sys.stdout.write(VERSION + "\n")
        return 0
    if name not in _COMMANDS:
        sys.stderr.write("jobprov: unknown command {}\n{}".format(name, option_table.USAGE))
        return 2
    options = option_table.Options(rest, environment)
    if name in ("run", "step") and not options.command:
        sys.stderr.write(
            "jobprov: {} needs a command behind `--`\n{}".format(name, option_table.USAGE)
        )
        return 2
    if name not in _TAKING_WORDS:
        options.refuse_words()
    if options.warnings:
        _warn(options)
    return _COMMANDS[name](options, environment)


def run(options, environment):
    """Run a command, record it, and leave as it left."""
    _wrap(options, recording.OneCommand(options, environment))


def step(options, environment):
    """Run one step of a job that `start` opened, and leave as it left.

    Without one, the command just runs.
    """
    _wrap(options, recording.StepOfSession(options, environment))


def start(options, environment):
    """Open a record for the calling job script."""
    speaker = Speaker(options)
    work = Background(lambda: recording.open_session(options, environment))
    _tell_failure(work, work.wait(budget(options)), speaker)
    return 0


def end(options, environment):
    """Close and send the record of the calling job script; returns the job's exit code."""
    speaker, code = Speaker(options), _exit_code(options)
    work = Background(lambda: recording.close_session(options, environment, code, speaker))
    _tell_failure(work, work.wait(hash_seconds(options) + budget(options)), speaker)
    if code is None and work.result is not None:
        code = work.result
    return code or 0


def flush(options, environment):
    """Send what is left in a spool; returns 0 when nothing is left, 3 when something could not be sent."""
    from jobprov.provenance.capture import flushing  # noqa: PLC0415

    return flushing.flush(options, environment, Speaker(options))


def condor_exit(options, environment):
    """Record a job from its ad on standard input, as HTCondor's exit hook or PostCmd.

    Always returns 0.
    """
    from jobprov.provenance.capture import condor  # noqa: PLC0415

    speaker = Speaker(options)
    text = sys.stdin.read(4 << 20)
    work = Background(lambda: condor.record_exit(options, environment, text, speaker))
    _tell_failure(work, work.wait(budget(options)), speaker)
    return 0


_TAKING_WORDS = ("flush", "condor-exit")
_COMMANDS = {
    "run": run,
    "step": step,
    "start": start,
    "end": end,
    "flush": flush,
    "condor-exit": condor_exit,
}


def _wrap(options, record):
    speaker, signals = Speaker(options), execution.Signals()
    signals.install()
    before = Background(record.before)
    before.wait(budget(options))
    beside = []
    outcome = execution.execute(
        options.command,
        signals,
        lambda streams: _begin_beside(record, before, beside, signals, streams),
        record.tracer_words(),
    )
    record.ended.set()
    outcome.was_told = bool(signals.passed_on)
    try:
        work = Background(lambda: record.after(before, beside, outcome, speaker))
        _wait_for(work, record, signals, speaker)
    except BaseException as error:
        speaker.say("not recorded: {}: {}".format(type(error).__name__, error))
    execution.leave(outcome)


def _begin_beside(record, before, beside, signals, streams):
    if record.trace is not None:
        record.trace.process = signals.process.pid
        Background(lambda: record.trace.follow(record.ended))
    beside.append(Background(lambda: record.meanwhile(before)))
    Background(lambda: record.watch(signals.process.pid))
    Background(lambda: record.tail(before, streams))


def _wait_for(work, record, signals, speaker):
    """Wait for the recording as long as its budgets allow.

    After a signal only until it is spooled.
    """
    limit = hash_seconds(record.options) + budget(record.options) + 1
    is_done = work.wait(limit, lambda: signals.asked_to_stop)
    if not is_done and signals.asked_to_stop:
        is_done = record.spooled.wait(_LEAVING_SECONDS)
    if not is_done and record.spooled.is_set():
        speaker.say("not sent in time; kept in {}, and `flush` sends it later".format(record.spool))
        return
    _tell_failure(work, is_done, speaker)


def _tell_failure(work, is_done, speaker):
    if not is_done:
        speaker.say("not recorded in time")
    elif work.error is not None:
        speaker.say("not recorded: {}: {}".format(type(work.error).__name__, work.error))


def _warn(options):
    """Say at once, so that it stands before what the job says, which words could not be used.

    The record notes them too.
    """
    # A mistyped word may be a secret
    from jobprov.provenance.capture.redaction import redact_text  # noqa: PLC0415

    for warning in options.warnings:
        Speaker(options).say(redact_text(warning))


def _exit_code(options):
    return None if options.exit_code is None else int(options.exit_code) & 0xFF
