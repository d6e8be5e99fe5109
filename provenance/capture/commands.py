"""The hook's commands. Whatever goes wrong in here, the job runs, and ends as it would have ended alone.

Gathering, spooling and sending run in a thread that is never waited for longer than its budget; the main thread runs
the command and leaves as it left.
"""

import os
import sys
import threading

from provenance.capture import execution, logs, options as option_table
from provenance.capture.draft import now
from provenance.capture.files import Clock

_BUDGET_SECONDS, _HASH_SECONDS = 20.0, 120.0
_LEAVING_SECONDS = 5.0  # after a signal: enough to spool, not to send


def main(words, environment):
    """Run one of the hook's commands; returns the exit code of those that run no job."""
    logs.occupy_closed()
    name, rest = (words[0], words[1:]) if words else ("help", [])
    if name in ("-h", "--help", "help"):
        sys.stdout.write(option_table.USAGE)
        return 0
    if name == "--version":
        from provenance.capture import VERSION  # noqa: PLC0415

        sys.stdout.write(VERSION + "\n")
        return 0
    if name not in _COMMANDS:
        sys.stderr.write("jobprov: unknown command {}\n{}".format(name, option_table.USAGE))
        return 2
    options = option_table.Options(rest, environment)
    if name in ("run", "step") and not options.command:
        sys.stderr.write("jobprov: {} needs a command behind `--`\n{}".format(name, option_table.USAGE))
        return 2
    return _COMMANDS[name](options, environment)


class Speaker:
    """Says one line at the end, and more with --verbose; a closed stderr is no reason to fail."""

    def __init__(self, options):
        self.is_verbose = options.verbose

    def say(self, sentence):
        """Write a line."""
        try:
            sys.stderr.write("jobprov: {}\n".format(" ".join(str(sentence).split())))
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            pass

    def detail(self, sentence):
        """Write a line with --verbose only."""
        if self.is_verbose:
            self.say(sentence)


class Background:
    """Work beside the job, in one thread: its pieces in order, an error in one never reaches the job."""

    def __init__(self, function):
        self.error, self.result = None, None
        self._function = function
        self.thread = threading.Thread(target=self._run)
        self.thread.daemon = True
        self.thread.start()

    def wait(self, seconds, should_stop=bool):
        """Wait at most some seconds; tell whether the work is done."""
        clock = Clock(seconds)
        while self.thread.is_alive() and clock.left() and not should_stop():
            self.thread.join(min(0.1, clock.left()))
        return not self.thread.is_alive()

    def _run(self):
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error


def run(options, environment):
    """Run a command, record it, and leave as it left."""
    _wrap(options, environment, _Run(options, environment))


def step(options, environment):
    """Run one step of a job that `start` opened, and leave as it left; without one, the command just runs."""
    _wrap(options, environment, _StepOfSession(options, environment))


def start(options, environment):
    """Open a record for the calling job script."""
    speaker = Speaker(options)
    work = Background(lambda: _start(options, environment))
    _tell_failure(work, work.wait(_budget(options)), speaker)
    return 0


def end(options, environment):
    """Close and send the record of the calling job script; returns the job's exit code."""
    speaker, code = Speaker(options), _exit_code(options)
    work = Background(lambda: _end(options, environment, code, speaker))
    _tell_failure(work, work.wait(_hash_seconds(options) + _budget(options)), speaker)
    if code is None and work.result is not None:
        code = work.result
    return code or 0


def flush(options, environment):
    """Send what is left in a spool; returns 0 when nothing is left, 3 when something could not be sent."""
    from provenance.capture import flushing  # noqa: PLC0415

    return flushing.flush(options, environment, Speaker(options))


def condor_exit(options, environment):
    """Record a job from its ad on standard input, as HTCondor's exit hook or PostCmd; always returns 0."""
    from provenance.capture import condor  # noqa: PLC0415

    speaker = Speaker(options)
    text = sys.stdin.read(4 << 20)
    work = Background(lambda: condor.record_exit(options, environment, text, speaker))
    _tell_failure(work, work.wait(_budget(options)), speaker)
    return 0


_COMMANDS = {"run": run, "step": step, "start": start, "end": end, "flush": flush, "condor-exit": condor_exit}


def _wrap(options, environment, recording):
    speaker, signals = Speaker(options), execution.Signals()
    signals.install()
    before = Background(recording.before)
    before.wait(_budget(options))
    works = []
    outcome = execution.execute(
        options.command, signals, lambda: works.append(Background(lambda: recording.meanwhile(before)))
    )
    try:
        _finish(options, recording, before, works, outcome, signals, speaker)
    except BaseException as error:
        speaker.say("not recorded: {}: {}".format(type(error).__name__, error))
    execution.leave(outcome)


def _finish(options, recording, before, works, outcome, signals, speaker):
    outcome.was_told = bool(signals.passed_on)
    works.append(Background(lambda: recording.after(before, works[:1], outcome, speaker)))
    limit = Clock(_hash_seconds(options) + _budget(options) + 1)
    is_done = works[-1].wait(limit.left(), lambda: signals.asked_to_stop)
    if not is_done and signals.asked_to_stop:
        is_done = recording.spooled.wait(_LEAVING_SECONDS)
    _tell_failure(works[-1], is_done, speaker)
    for warning in options.warnings:
        speaker.detail(warning)


def _tell_failure(work, is_done, speaker):
    if not is_done:
        speaker.say("not recorded in time")
    elif work.error is not None:
        speaker.say("not recorded: {}: {}".format(type(work.error).__name__, work.error))


class _Run:
    """Recording of `run`: one command is the whole job."""

    prefix = ""

    def __init__(self, options, environment):
        self.options, self.environment = options, environment
        self.job = self.step = self.spool = None
        self.spooled = threading.Event()

    def before(self):
        from provenance.capture import job, spool  # noqa: PLC0415

        self.spool = spool.find(self.options, self.environment)
        self.job = job.Job(self.options, self.environment, self.spool)
        self.job.begin()
        self.step = self.job.before(self.options.command, self.options.name, self.options.role)

    def meanwhile(self, before):
        before.thread.join()
        if before.error is not None:
            return
        if self.options.announce:
            from provenance.capture import flushing  # noqa: PLC0415

            self.job.draft.attempt(
                "announcing", flushing.announce, self.job.draft.record, self.options, self.environment
            )
        self.job.meanwhile()
        from provenance.capture import delivery, failure, sidecar  # noqa: F401, PLC0415 - loaded while the job runs

    def after(self, before, others, outcome, speaker):
        self._settle(before, others)
        self.record(outcome)
        from provenance.capture import failure, flushing  # noqa: PLC0415

        self.job.finish(outcome, failure.name_state(outcome, outcome.was_told))
        path = flushing.keep(self.spool, self.job.draft, self.options)
        self.spooled.set()
        flushing.send(path, self.spool, self.job.draft, self.options, self.environment, speaker)

    def record(self, outcome):
        from provenance.capture import job  # noqa: PLC0415

        job.Totals.add(self.job.draft.record, outcome, self.job.job_ad)
        self.job.after(self.step, outcome, self.prefix)

    def _settle(self, before, others):
        """Give what ran beside the job a last moment; what hangs is left out."""
        seconds = _budget(self.options) / 4
        if before.error is not None:
            raise before.error
        if not before.wait(seconds):
            raise RuntimeError("looking around took too long")
        for work in others:
            if not work.wait(seconds):
                self.job.draft.note("some of the surroundings could not be read in time")
        self.job.meanwhile()


class _StepOfSession(_Run):
    """Recording of `step`: adds to the session that `start` opened; sends nothing."""

    def before(self):
        from provenance.capture import job, session, spool  # noqa: PLC0415

        self.spool = spool.find(self.options, self.environment)
        self.session = session.find(self.spool, self.options.job_id)
        if self.session is None:
            raise RuntimeError("no record is open for this job script: call start first")
        self.job = job.Job(self.options, self.environment, self.spool, self.session.draft)
        self.step = self.job.before(self.options.command, self.options.name, self.options.role)
        self.prefix = self.step.name + "."

    def after(self, before, others, outcome, speaker):
        self._settle(before, others)
        self.record(outcome)
        self.session.state["last"] = outcome.code
        self.session.state["is_told"] = self.session.state["is_told"] or outcome.was_told
        if outcome.code and "failed" not in self.session.state:
            from provenance.capture import failure  # noqa: PLC0415

            error_class, message = failure.explain(outcome)
            self.session.state["failed"] = [
                self.step.name,
                self.step.role,
                outcome.code,
                outcome.signal,
                error_class,
                message,
            ]
        self.session.save()
        self.spooled.set()


def _start(options, environment):
    from provenance.capture import flushing, job, session, spool  # noqa: PLC0415

    folder = spool.find(options, environment)
    if folder is None:
        raise RuntimeError("no spool can be written: name one by --spool or JOBPROV_SPOOL")
    opened = job.Job(options, environment, folder)
    opened.begin(options.command or _caller_command())
    named = [(path, "primary") for path in options.input] + [(path, "shared") for path in options.shared_input]
    opened.add_inputs(named)
    opened.later.append(opened.repositories.finish)
    opened.meanwhile()
    kept = session.create(folder, opened.draft)
    kept.state["outputs"] = options.output
    kept.save()
    if options.announce:
        opened.draft.attempt("announcing", flushing.announce, opened.draft.record, options, environment)


def _end(options, environment, code, speaker):
    """Return the exit code of the last step."""
    from provenance.capture import flushing, job, session, spool  # noqa: PLC0415

    folder = spool.find(options, environment)
    kept = session.find(folder, options.job_id)
    if kept is None:
        raise RuntimeError("no record is open for this job script: call start first")
    closing = job.Job(options, environment, folder, kept.draft)
    outcome = execution.Outcome()
    outcome.ended_at = now()
    failed = kept.state.get("failed")
    outcome.code = code if code is not None else (failed[2] if failed else 0)
    closing.add_outputs(
        None, options.output + kept.state["outputs"], outcome.code == 0, kept.draft.record.get("inputs", ())
    )
    closing.close(outcome, failed, kept.state["is_told"])
    path = flushing.keep(folder, kept.draft, options)
    kept.forget()
    flushing.send(path, folder, kept.draft, options, environment, speaker)
    return kept.state["last"]


def _caller_command():
    """Return the command line of the job script that called us, as the system shows it."""
    try:
        with open("/proc/{}/cmdline".format(os.getppid()), "rb") as stream:
            words = stream.read().split(b"\0")[:-1]
    except OSError:
        return []
    return [os.fsdecode(word) for word in words]


def _exit_code(options):
    try:
        return int(options.exit_code) & 0xFF
    except (TypeError, ValueError):
        return None


def _budget(options):
    return options.number("budget-seconds", _BUDGET_SECONDS)


def _hash_seconds(options):
    return options.number("hash-seconds", _HASH_SECONDS)
