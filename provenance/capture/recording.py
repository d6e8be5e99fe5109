"""The moments of a recording: before, while and after a command runs, and the opening and closing of a job script.

Each runs in a thread of its own beside the job, and imports what it needs only then: what is not
needed before the command must not delay it.
"""
# ruff: noqa: PLC0415

import os
import threading
import time

from jobprov.provenance.capture import glance
from jobprov.provenance.capture.background import Background, budget, hash_seconds

_TAIL_SECONDS = 60.0
_CARRIED = ("output", "parent", "metadata", "seed", "log")  # said at `start`, meant for `end`


class OneCommand:
    """Recording of `run`: one command is the whole job."""

    prefix = ""

    def __init__(self, options, environment):
        self.options, self.environment = options, environment
        self.seen = self.job = self.step = self.spool = None
        self.spooled, self.ended, self.watching = threading.Event(), threading.Event(), None
        self.looking = self.trace = None

    def before(self):
        """Look at what the command is about to use.

        Git checkouts, which it may change too, take the whole look.
        """
        self.seen = glance.Glance(self.options.command, self.options, self.environment)
        if self.options.trace:
            self._prepare_trace()
        if self.seen.tops or self.options.repository:
            self.open()

    def _prepare_trace(self):
        try:
            from jobprov.provenance.capture import spool, tracing

            self.trace = tracing.Trace(
                self.options.command, spool.find(self.options, self.environment)
            )
        except Exception as error:
            self.seen.notes.append(
                "trace: the command ran without, {}: {}".format(type(error).__name__, error)
            )

    def tracer_words(self):
        """Return what is put before the command so that it is traced; nothing where it is not."""
        return self.trace.words if self.trace is not None else ()

    def open(self):
        """Open the record with what was seen."""
        from jobprov.provenance.capture import job, spool

        self.spool = spool.find(self.options, self.environment)
        self.job = job.Job(self.options, self.environment, self.spool)
        self.job.begin(self.seen)
        self.step = self.job.take(self.seen, self.options.name, self.options.role)

    def meanwhile(self, before):
        """Gather what can wait until the command runs."""
        before.thread.join()
        if before.error is not None:
            return
        if self.step is None:
            self.open()
        if self.options.announce:
            from jobprov.provenance.capture import flushing

            self.job.draft.attempt(
                "announcing",
                flushing.announce,
                self.job.draft.record,
                self.options,
                self.environment,
            )
        self.job.meanwhile()
        self._look_at_system()
        # Loaded while the job runs
        from jobprov.provenance.capture import delivery, failure, sidecar, times  # noqa: F401

    def _look_at_system(self):
        """Begin what is never waited for, once a record."""
        environment = self.job.draft.record.get("environment", {})
        if "system_packages_sha256" not in environment and not self.ended.is_set():
            from jobprov.provenance.capture import system

            self.looking = system.Look(environment.get("container"), self.ended)
            Background(self.looking.run)

    def watch(self, process):
        """Look at the command and all that it starts, until it ends."""
        from jobprov.provenance.capture import watching

        self.watching = watching.Watch(process)
        self.watching.run()

    def tail(self, before, streams):
        """Send the ends of the logs while the command runs, where it runs for long."""
        seconds = self.options.number("tail-seconds", _TAIL_SECONDS)
        if not self.options.url or not seconds or self.ended.wait(seconds):
            return
        before.thread.join()
        while self.step is None:  # the record is opened while the command runs
            if self.ended.wait(seconds):
                return
        from jobprov.provenance.capture import logs, tailing

        record = self.job.draft.record
        tailing.Tailer(
            logs.named(streams), self.prefix, record, self.options, self.environment
        ).run(self.ended, seconds)

    def after(self, before, others, outcome, speaker):
        """Gather what the command left, spool the record, and send it."""
        self._settle(before, others)
        self.record(outcome)
        from jobprov.provenance.capture import failure, flushing, spool

        self.job.finish(outcome, failure.name_state(outcome, outcome.was_told))
        path = flushing.keep(self.spool, self.job.draft, self.options, self.environment)
        if isinstance(path, str):
            self.spool = spool.of_entry(path)
            self.spooled.set()
        flushing.Sender(self.options, self.environment, speaker).send(path, self.job.draft)

    def record(self, outcome):
        """Add the command's step, files and usage to the record."""
        from jobprov.provenance.capture import job

        job.add_usage(self.job.draft.record, outcome, self.job.job_ad)
        if self.watching is not None:
            self.watching.stop()
            self.job.draft.attempt("memory and libraries", self.job.take_watch, self.watching)
        if self.looking is not None:
            self.job.draft.attempt("the system", self.job.take_look, self.looking)
        self.job.after(self.step, outcome, self.prefix)
        if self.trace is not None:
            from jobprov.provenance.capture import inventory

            self.job.draft.attempt("trace", inventory.take, self.job, self.trace)

    def _settle(self, before, others):
        """Give what ran beside the job a last moment; what hangs is left out."""
        seconds = budget(self.options) / 4
        if not before.wait(seconds):
            raise RuntimeError("looking around took too long")
        if before.error is not None:
            raise before.error
        for work in others:
            if not work.wait(seconds) and not (
                self._is_hashing() and work.wait(hash_seconds(self.options))
            ):
                if self.step is None:
                    raise RuntimeError("opening the record took too long")
                self.job.draft.note("some of the surroundings could not be read in time")
            elif work.error is not None:
                raise work.error
        if self.step is None:
            self.open()
        self.job.meanwhile()

    def _is_hashing(self):
        return self.job is not None and self.job.is_hashing


class StepOfSession(OneCommand):
    """Recording of `step`: adds to the session that `start` opened; sends nothing."""

    def open(self):
        """Find the session, and add what was seen."""
        self._take_up()

    def _take_up(self):
        from jobprov.provenance.capture import job

        self.spool, self.session = _find_session(self.options, self.environment)
        if self.session is None:
            raise RuntimeError("no record is open for this job script: call start first")
        self.job = job.Job(self.options, self.environment, self.spool, self.session.draft)
        self.step = self.job.take(self.seen, self.options.name, self.options.role)
        self.prefix = self.step.name + "."

    def after(self, before, others, outcome, _speaker):
        """Gather what the command left, and keep it until `end`."""
        self._settle(before, others)
        logs = list(outcome.logs)
        self.record(outcome)
        with self.session.locked():
            if self.session.is_outdated():  # by a step beside this one: what it kept must stay
                outcome.logs = logs
                self._take_up()
                self.job.meanwhile()
                self.record(outcome)
            self._keep(outcome)
        self.spooled.set()

    def _keep(self, outcome):
        self.session.state["last"] = outcome.code
        self.session.state["is_told"] = self.session.state["is_told"] or outcome.was_told
        if outcome.code and "failed" not in self.session.state:
            from jobprov.provenance.capture import failure

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


def open_session(options, environment):
    """Open a record for the calling job script.

    Raises RuntimeError where no spool can be written.
    """
    from jobprov.provenance.capture import code, flushing, job, spool

    folder = spool.find(options, environment)
    if folder is None:
        raise RuntimeError("no spool can be written: name one by --spool or JOBPROV_SPOOL")
    opened = job.Job(options, environment, folder)
    seen = glance.Glance(options.command or _caller_command(), options, environment)
    opened.begin(seen)
    code.keep_scripts(opened.draft, seen.scripts, opened.repositories)
    named = [(path, "primary") for path in options.input] + [
        (path, "shared") for path in options.shared_input
    ]
    opened.add_inputs(named)
    opened.later.append(opened.repositories.finish)
    opened.meanwhile()
    _keep_session(opened.draft, options, environment)
    if options.announce:
        opened.draft.attempt(
            "announcing", flushing.announce, opened.draft.record, options, environment
        )


def close_session(options, environment, code, speaker):
    """Close, spool and send the record of the calling job script.

    Return the exit code of its last step.
    """
    from jobprov.provenance.capture import execution, flushing, job

    folder, kept = _find_session(options, environment)
    if kept is None:
        raise RuntimeError("no record is open for this job script: call start first")
    for name, words in kept.state["options"].items():
        options.values[name] += [word for word in words if word not in options.values[name]]
    closing = job.Job(options, environment, folder, kept.draft)
    outcome = execution.Outcome()
    outcome.ended = time.time()
    failed = kept.state.get("failed")
    outcome.code = code if code is not None else (failed[2] if failed else 0)
    closing.add_outputs(
        None, options.output, outcome.code == 0, kept.draft.record.get("inputs", ())
    )
    closing.close(outcome, failed, kept.state["is_told"])
    path = flushing.keep(folder, kept.draft, options, environment)
    kept.forget()
    flushing.Sender(options, environment, speaker).send(path, kept.draft)
    return kept.state["last"]


def _keep_session(draft, options, environment):
    """Keep what was opened in the first spool that takes it.

    Raises RuntimeError where none does.
    """
    from jobprov.provenance.capture import session, spool

    problem = None
    for folder in spool.usable(options, environment):
        try:
            kept = session.create(folder, draft)
            kept.state["options"] = {name: options.values[name] for name in _CARRIED}
            kept.save()
        except OSError as error:
            problem = "the spool {} cannot be written: {}".format(folder, error.strerror)
            draft.note(problem)
        else:
            return
    raise RuntimeError(problem)


def _find_session(options, environment):
    """Return (the spool, the session of this job script), from whichever spool `start` could write.

    (None, None) where there is none.
    """
    from jobprov.provenance.capture import session, spool

    for folder in spool.there(options, environment):
        found = session.find(folder, options.job_id)
        if found is not None:
            return folder, found
    return None, None


def _caller_command():
    """Return the command line of the job script that called us, as the system shows it."""
    try:
        with open("/proc/{}/cmdline".format(os.getppid()), "rb") as stream:
            words = stream.read().split(b"\0")[:-1]
    except OSError:
        return []
    return [os.fsdecode(word) for word in words]
