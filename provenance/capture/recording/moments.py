"""The moments of a recording: before, while and after a command, start and end of a job script.

Each runs in a thread of its own beside the job, and imports what it needs only then: what is not
needed before the command must not delay it.
"""
# ruff: noqa: PLC0415

import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.recording.before import Before
from jobprov.provenance.capture.running.background import Background, Speaker, budget, hash_seconds
from jobprov.provenance.capture.running.execution import Outcome
from jobprov.provenance.capture.running.streams import Stream

if TYPE_CHECKING:
    from jobprov.provenance.capture.command.step import Step
    from jobprov.provenance.capture.record.draft import Draft
    from jobprov.provenance.capture.recording.end import FailedStep
    from jobprov.provenance.capture.recording.job import Job
    from jobprov.provenance.capture.recording.session import Session
    from jobprov.provenance.capture.running.watching import Watch
    from jobprov.provenance.capture.sight.sight import Sight
    from jobprov.provenance.capture.surroundings.system_packages import Look
    from jobprov.provenance.capture.trace.strace import Trace

_TAIL_SECONDS = 60.0
_LAST_LOOK_SECONDS = 1.0
# given at `start`, meant for `end`
_CARRIED = ("output", "parent", "metadata", "metadata-type", "seed", "log")
_KEPT = ("namespace", "sidecar")  # given at `start`, meant for every step
_DISTURBANCE = re.compile(
    rb"ptrace|PTRACE_|LeakSanitizer has encountered a fatal|effective uid is not 0|setuid"
    rb"|no new privileges|must be (?:run as|owned by) root"
)
_DISTURBED = (
    "trace: the command failed, and its log speaks of ptrace or of rights that a traced program "
    "does not get; --no-trace runs it untraced"
)
_NOT_STARTED = "no record is open for this job script: call start first"


class OneCommand:
    """Recording of `run`: one command is the whole job.

    Attributes:
        spool: the folder of the spool, or None where none can be written.
        spooled: set once the record is kept.
        ended: set once the command has ended.
        trace: strace for the command, or None.
    """

    def __init__(self, before: Before) -> None:
        self.options, self.environment = before.options, before.environment
        self.spool: Optional[str] = None
        self.spooled, self.ended = threading.Event(), threading.Event()
        self.trace = before.trace
        self._before = before
        self._is_watched = threading.Event()  # the last look is over
        self._watch: "Optional[Watch]" = None
        self._sight: "Optional[Sight]" = None
        self._look: "Optional[Look]" = None
        self._prefix = ""  # of the names of logs
        self._opened: "Optional[Tuple[Job, Step]]" = None

    def see(self, process: int) -> None:
        """Begin to see what the command does: at once, since its first program may be over soon."""
        try:
            self._begin_to_see(process)
        except Exception as error:
            if self._before.glance is not None:
                why = "nothing is seen: {}: {}".format(type(error).__name__, error)
                self._before.glance.notes.append(why)

    def _begin_to_see(self, process: int) -> None:
        from jobprov.provenance.capture.running.watching import Watch

        following, glance = self._before.following, self._before.glance
        if following is None or glance is None:
            self._watch = Watch(process)
            return
        from jobprov.provenance.capture.sight.sight import Sight

        self._sight = sight = Sight(self.options, glance.began, following)
        self._watch = Watch(process, sight.meet)

    def _job_and_step(self) -> "Tuple[Job, Step]":
        """Return job and step; the record is opened where it is not yet."""
        if self._opened is None:
            if self._before.glance is None:
                raise RuntimeError("the command was not looked at")
            self.open(self._before.glance)
        if self._opened is None:
            raise RuntimeError("the record could not be opened")
        return self._opened

    def open(self, glance: Glance) -> None:
        """Open the record with what was seen."""
        from jobprov.provenance.capture.recording.job import Job
        from jobprov.provenance.capture.sending import spool

        self.spool = spool.find(self.options, self.environment)
        job = Job(self.options, self.environment, self.spool)
        job.begin(glance)
        self._opened = job, job.take(glance, self.options.name, self.options.role)

    def meanwhile(self, before: Background) -> None:
        """Gather what can wait until the command runs."""
        before.join()
        if before.error is not None:
            return
        job, _ = self._job_and_step()
        if self.options.announce:
            _announce(job.draft, self.options, self.environment)
        job.meanwhile()
        self._look_at_system(job)
        # loaded while the job runs: they are needed when it has ended
        from jobprov.provenance.capture.files import sidecar  # noqa: F401
        from jobprov.provenance.capture.logs import findings, times  # noqa: F401
        from jobprov.provenance.capture.sending import delivery  # noqa: F401

    def _look_at_system(self, job: "Job") -> None:
        """Begin what is never waited for, once a record."""
        environment = job.draft.record.get("environment", {})
        if "system_packages_sha256" not in environment and not self.ended.is_set():
            from jobprov.provenance.capture.surroundings.system_packages import Look

            self._look = Look(environment.get("container"), self.ended)
            Background(self._look.run)

    def watch(self) -> None:
        """Look at the command and all that it starts, until it ends."""
        if self._watch is None:
            return
        try:
            self._watch.run()
        except Exception as error:
            if self._sight is not None:
                self._sight.note("nobody looked any more: {}".format(error))
            raise
        finally:
            self._is_watched.set()

    def tail(self, before: Background, streams: Dict[int, Stream]) -> None:
        """Send the ends of the logs while the command runs, where it runs for long."""
        seconds = self.options.number("tail-seconds", _TAIL_SECONDS)
        if not self.options.url or not seconds or self.ended.wait(seconds):
            return
        before.join()
        while self._opened is None:  # the record is opened while the command runs
            if self.ended.wait(seconds):
                return
        from jobprov.provenance.capture.running.streams import named
        from jobprov.provenance.capture.sending.tailing import Tailer

        record = self._opened[0].draft.record
        tailer = Tailer(named(streams), self._prefix, record, self.options, self.environment)
        tailer.run(self.ended, seconds)

    def after(
        self, before: Background, others: Sequence[Background], outcome: Outcome, speaker: Speaker
    ) -> None:
        """Gather what the command left, spool the record, and send it."""
        try:
            job, step = self._settle(before, others, outcome)
            job.draft.need("what the command left", self._record, job, step, outcome)
            self._finish(job, outcome)
        except Exception as error:
            job = self._record_little(outcome, error)
        from jobprov.provenance.capture.sending import spool

        entry = self._keep(job.draft)
        if isinstance(entry, str):
            self.spool = spool.of_entry(entry)
            self.spooled.set()
        from jobprov.provenance.capture.sending import flushing

        flushing.Sender(self.options, self.environment, speaker).send(entry, job.draft)

    def _finish(self, job: "Job", outcome: Outcome) -> None:
        from jobprov.provenance.capture.recording import end
        from jobprov.provenance.capture.running import ending

        end.finish(job, outcome, ending.name_state(outcome, was_told=outcome.was_told))

    def _keep(self, draft: "Draft") -> Any:
        """Return what `flushing.keep` returns; where there is no room for it, without files."""
        try:
            from jobprov.provenance.capture.sending import flushing

            return flushing.keep(self.spool, draft, self.options, self.environment)
        except Exception as error:
            if self.spool is None:
                raise
            draft.blobs.clear()
            draft.miss("files", error)
        from jobprov.provenance.capture.sending import spool

        return spool.keep(self.spool, draft, {"url": self.options.url})

    def _record_little(self, outcome: Outcome, error: Exception) -> "Job":
        """Return a record of the command and its end alone, where no more can be gathered.

        A record that was begun is left as it is: somebody may still work on it.
        """
        error.__traceback__ = None  # it holds what filled the memory
        self._sight = self._watch = None
        job, step = self._open_bare(outcome, "more than the command and its end", error)
        job.later.clear()
        job.draft.record["command"]["steps"] = [step.describe(outcome)]
        self._finish(job, outcome)
        return job

    def _open_bare(self, outcome: Outcome, missed: str, error: BaseException) -> "Tuple[Job, Step]":
        """Open the record with the words of the command alone."""
        glance = Glance(self.options.command, self.options, self.environment, is_bare=True)
        glance.began = outcome.began
        glance.failures.append((missed, error))
        self._before.glance = glance
        self.open(glance)
        if self._opened is None:
            raise RuntimeError("the record could not be opened")
        return self._opened

    def _record(self, job: "Job", step: "Step", outcome: Outcome) -> None:
        """Add the command's step, files and usage to the record."""
        from jobprov.provenance.capture.command.code import weaken_by_sources
        from jobprov.provenance.capture.recording import installed
        from jobprov.provenance.capture.recording.job import add_usage

        add_usage(job.draft.record, outcome, job.job_ad)
        if self._watch is not None:
            self._watch.stop()
            self._is_watched.wait(_LAST_LOOK_SECONDS)
            job.draft.attempt("memory and libraries", job.take_watch, self._watch)
        job.draft.attempt(
            "the system",
            lambda: installed.add_system(job.draft, self._look, is_hurried=outcome.was_told),
        )
        job.after(step, outcome, self._prefix, self._sight)
        from jobprov.provenance.capture.recording import left_behind

        words_of_job = (job.draft.record, job.job_ad, self.environment)
        job.draft.attempt("outputs left behind", left_behind.mark, *words_of_job)
        self._take_turn(job.draft)
        if self.trace is not None:
            from jobprov.provenance.capture.trace import inventory

            words = (self._sight, step.name, job.spool, self.options, self.environment)
            job.draft.attempt("trace", inventory.take, job.draft, self.trace, *words)
            self._note_trace(job, self.trace, outcome)
        if self.trace is None or not self.trace.words:
            from jobprov.provenance.capture.recording import changes

            self._take_used(job, step)
            job.draft.need("folders", changes.weaken_folders, job.draft, step)
        job.draft.attempt("layout", self._add_layout, job.draft, step)
        if not outcome.was_told:
            job.draft.attempt("compilers", installed.add_compilers, job.draft, self.options.command)
            looked = (job.draft, self._watch, self.environment)
            job.draft.attempt(
                "packages of its programs", installed.add_packages_of_children, *looked
            )
            job.draft.attempt("its sources", weaken_by_sources, job.draft)

    def _add_layout(self, draft: "Draft", step: "Step") -> None:
        from jobprov.provenance.capture.recording.layout import Layout

        calls = self.trace.end() if self.trace is not None else None
        layout = Layout(draft, step.began, self._sight, calls)
        layout.add_files()
        turn = self._before.turn
        told = turn.used.get("folders", ()) if turn is not None else ()
        layout.add_folders([*step.places, *told])

    def _take_turn(self, draft: "Draft") -> None:
        """Have the kind of the job also where no service was asked, or none answered."""
        before = self._before
        if before.turn is None and before.glance is not None and before.may_be_asked():
            from jobprov.provenance.capture.trace.turn import turn_of

            words = (self.options, self.environment, before.glance)
            before.turn = draft.attempt("kind of job", turn_of, *words)

    def _take_used(self, job: "Job", step: "Step") -> None:
        """Take in what the traced job of this kind used; this one was not traced."""
        turn = self._before.turn
        if turn is None:
            return
        from jobprov.provenance.capture.trace import by_kind, counterparts

        if self.options.url:
            turn.ask_again(self.options, self.environment)
        input_folder = self.environment.get("CONDOR_DIR_INPUT", "")
        counterparts.set_apart(turn.used, job.draft.record, input_folder)
        words = (turn, job.draft, step, self._sight, self.options)
        job.draft.need("what a traced job of its kind used", by_kind.add_used, *words)

    def _note_trace(self, job: "Job", trace: "Trace", outcome: Outcome) -> None:
        """Say whose wish the trace was, and whether it may be what made the command fail."""
        if not trace.words:
            return
        turn = self._before.turn
        if turn is not None:
            keys = job.draft.record.setdefault("trace", {}).setdefault("keys", [])
            if turn.key not in keys:
                keys.append(turn.key)
        if outcome.code and any(_DISTURBANCE.search(content) for _, content, _ in outcome.logs):
            job.draft.note(_DISTURBED)

    def _settle(
        self, before: Background, others: Sequence[Background], outcome: Outcome
    ) -> "Tuple[Job, Step]":
        """Give what ran beside the job a last moment, and return job and step.

        What hangs or failed is left out.
        """
        seconds, late = budget(self.options) / 4, RuntimeError("it took too long")
        error = before.error if before.wait(seconds) else late
        if error is not None and self._opened is None:
            self._open_bare(outcome, "what was there before the command", error)
        for work in others:
            is_done = self._is_done(work, seconds)
            if not is_done and self._opened is None:
                raise RuntimeError("opening the record took too long")
            if not is_done and self._opened is not None:
                self._opened[0].draft.miss("some of what is around the job", late)
        job, step = self._job_and_step()
        job.meanwhile()
        return job, step

    def _is_done(self, work: Background, seconds: float) -> bool:
        """Wait for work some seconds, longer while it hashes a large file.

        Tell whether it is done.
        """
        if work.wait(seconds):
            return True
        is_hashing = self._opened is not None and self._opened[0].is_hashing
        return is_hashing and work.wait(hash_seconds(self.options))


class StepOfSession(OneCommand):
    """Recording of `step`: adds to the session that `start` opened; sends nothing."""

    def __init__(self, before: Before) -> None:
        OneCommand.__init__(self, before)
        self._session: "Optional[Session]" = None

    def open(self, glance: Glance) -> None:
        """Find the session, and add what was seen."""
        self._take_up(glance)

    def _take_up(self, glance: Glance) -> "Tuple[Session, Job, Step]":
        from jobprov.provenance.capture.recording.job import Job

        self.spool, session = _find_session(self.options, self.environment)
        job = Job(self.options, self.environment, self.spool, session.draft)
        job.draft.need("files between steps", session.weaken_changed, glance.began)
        job.add_repositories()
        step = job.take(glance, self.options.name, self.options.role)
        step.surroundings = job.draft.need("what is other for this step", job.compare_surroundings)
        self._session, self._opened, self._prefix = session, (job, step), step.name + "."
        return session, job, step

    def after(
        self,
        before: Background,
        others: Sequence[Background],
        outcome: Outcome,
        speaker: Speaker,  # noqa: ARG002 - it sends nothing
    ) -> None:
        """Gather what the command left, and keep it until `end`."""
        from jobprov.provenance.capture.recording import end

        job, step = self._settle(before, others, outcome)
        logs = list(outcome.logs)
        job.draft.need("what the command left", self._record, job, step, outcome)
        session, glance = self._session, self._before.glance
        if session is None or glance is None:
            raise RuntimeError(_NOT_STARTED)
        with session.locked():
            if session.is_outdated():  # by a step beside this one: what it kept must stay
                outcome.logs = logs
                session, job, step = self._take_up(glance)
                job.meanwhile()
                job.draft.need("what the command left", self._record, job, step, outcome)
            _keep_step(session, step, outcome, end.blame(job.decision, outcome))
        self.spooled.set()


def _keep_step(
    session: "Session", step: "Step", outcome: Outcome, blamed: "Optional[FailedStep]"
) -> None:
    """Keep how a step ended, and the first that failed.

    `blamed` is a step that failed although its exit code is 0.
    """
    state = session.state
    state["last"] = outcome.code
    state["is_told"] = state["is_told"] or outcome.was_told
    if "failed" not in state and blamed is not None:
        words = [blamed.name, blamed.role, 0, None, blamed.error_class, blamed.message]
        state["failed"], state["decided_by"] = words, blamed.decided_by
    elif "failed" not in state and outcome.code:
        from jobprov.provenance.capture.logs import failure

        error_class, message = failure.explain(outcome)
        state["failed"] = [step.name, step.role, outcome.code, outcome.signal, error_class, message]
    session.save()


def open_session(options: Options, environment: Dict[str, str]) -> None:
    """Open a record for the calling job script.

    Raises RuntimeError where no spool can be written.
    """
    from jobprov.provenance.capture.command import code
    from jobprov.provenance.capture.recording.job import Job
    from jobprov.provenance.capture.sending import spool

    folder = spool.find(options, environment)
    if folder is None:
        raise RuntimeError("no spool can be written: name one by --spool or JOBPROV_SPOOL")
    job = Job(options, environment, folder)
    glance = Glance(options.command or _caller_command(), options, environment)
    job.begin(glance)
    code.keep_scripts(job.draft, glance.scripts, job.repositories)
    named = [(path, "primary") for path in options.paths("input")]
    named += [(path, "shared") for path in options.paths("shared-input")]
    job.add_inputs(named)
    job.later.append(job.repositories.finish)
    job.meanwhile()
    _keep_session(job.draft, options, environment)
    if options.announce:
        _announce(job.draft, options, environment)


def close_session(
    options: Options, environment: Dict[str, str], code: Optional[int], speaker: Speaker
) -> int:
    """Close, spool and send the record of the calling job script.

    Return the exit code of its last step.
    """
    from jobprov.provenance.capture.files.hashing import Clock
    from jobprov.provenance.capture.recording import end, installed
    from jobprov.provenance.capture.recording.job import Job
    from jobprov.provenance.capture.recording.output_entries import Named
    from jobprov.provenance.capture.recording.outputs import Outputs
    from jobprov.provenance.capture.sending import flushing

    folder, session = _find_session(options, environment)
    state = session.state
    for name, words in state["options"].items():
        options.values[name] += [word for word in words if word not in options.values[name]]
    job = Job(options, environment, folder, session.draft)
    clock = Clock(hash_seconds(options))
    outputs = Outputs(job.draft, options)
    came_late = outputs.add_late(clock)
    failed = end.FailedStep(*state["failed"]) if state.get("failed") else None
    if failed is not None:
        failed.decided_by = state.get("decided_by")
        is_about_output = (failed.decided_by or {}).get("evidence") == "output-not-there"
        if is_about_output and came_late and not job.draft.record.get("outputs_not_there"):
            failed = None  # a later step brought it
    outcome = Outcome()
    outcome.ended = time.time()
    if code is not None:
        outcome.code = code
    elif failed:
        outcome.code = failed.code
    inputs = job.draft.record.get("inputs", ())
    job.draft.attempt("the system", installed.add_system, job.draft, None)
    named = [Named(pattern, None, "told") for pattern in options.paths("output")]
    outputs.add(named, inputs, clock, is_success=outcome.code == 0)
    end.close(job, outcome, failed, was_told=state["is_told"])
    entry = flushing.keep(folder, job.draft, options, environment)
    session.forget()
    flushing.Sender(options, environment, speaker).send(entry, job.draft)
    last: int = state["last"]
    return last


def _announce(draft: "Draft", options: Options, environment: Dict[str, str]) -> None:
    from jobprov.provenance.capture.sending import flushing

    draft.attempt("announcing", flushing.announce, draft.record, options, environment)


def _keep_session(draft: "Draft", options: Options, environment: Dict[str, str]) -> None:
    """Keep what was opened in the first spool that takes it.

    Raises RuntimeError where none does.
    """
    from jobprov.provenance.capture.recording import session as sessions
    from jobprov.provenance.capture.sending import spool

    problem = None
    for folder in spool.usable(options, environment):
        try:
            session = sessions.create(folder, draft)
            session.state["options"] = {name: options.values[name] for name in _CARRIED}
            session.state["kept"] = {name: options.values[name] for name in _KEPT}
            session.save()
        except OSError as error:
            problem = "the spool {} cannot be written: {}".format(folder, error.strerror)
            draft.note(problem)
        else:
            return
    raise RuntimeError(problem)


def _find_session(options: Options, environment: Dict[str, str]) -> "Tuple[str, Session]":
    """Return (the spool, the session of this job script), from whichever spool `start` could write.

    Raises RuntimeError where there is none.
    """
    from jobprov.provenance.capture.recording import session as sessions
    from jobprov.provenance.capture.sending import spool

    for folder in spool.there(options, environment):
        session = sessions.find(folder, options.job_id)
        if session is not None:
            for name, value in session.state.get("kept", {}).items():
                options.values[name] = options.values[name] or value
            return folder, session
    raise RuntimeError(_NOT_STARTED)


def _caller_command() -> List[str]:
    """Return the command line of the job script that called us, as the system shows it."""
    try:
        with open("/proc/{}/cmdline".format(os.getppid()), "rb") as stream:
            words = stream.read().split(b"\0")[:-1]
    except OSError:
        return []
    return [os.fsdecode(word) for word in words]
