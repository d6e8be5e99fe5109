"""Recording of `run`: before, while and after the one command that is the job.

Each of these moments runs in a thread of its own beside the job, and imports what it needs only
then: what is not needed before the command must not delay it.
"""
# ruff: noqa: PLC0415

import threading
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.recording.before import Before
from jobprov.provenance.capture.running.background import Background, Speaker, budget, hash_seconds
from jobprov.provenance.capture.running.execution import Outcome
from jobprov.provenance.capture.running.streams import Stream

if TYPE_CHECKING:
    from jobprov.provenance.capture.command.step import Step
    from jobprov.provenance.capture.record.draft import Draft
    from jobprov.provenance.capture.recording.job import Job
    from jobprov.provenance.capture.running.watching import Watch
    from jobprov.provenance.capture.sight.sight import Sight
    from jobprov.provenance.capture.surroundings.system_packages import Look

_TAIL_SECONDS = 60.0
_LAST_LOOK_SECONDS = 1.0


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
        self._watch = Watch(process, sight.meet, sight.has_come_elsewhere)

    def _job_and_step(self) -> "Tuple[Job, Step]":
        """Return job and step; the record is opened where it is not yet."""
        if self._opened is not None:
            return self._opened
        if self._before.glance is None:
            raise RuntimeError("the command was not looked at")
        return self.open(self._before.glance)

    def open(self, glance: Glance) -> "Tuple[Job, Step]":
        """Open the record with what was seen; return job and step."""
        from jobprov.provenance.capture.recording.job import Job
        from jobprov.provenance.capture.sending import spool

        self.spool = spool.find(self.options, self.environment)
        job = Job(self.options, self.environment, self.spool)
        job.begin(glance)
        self._opened = job, job.take(glance, self.options.name, self.options.role)
        return self._opened

    def meanwhile(self, before: Background) -> None:
        """Gather what can wait until the command runs."""
        before.join()
        if before.error is not None:
            return
        job, _ = self._job_and_step()
        if self.options.announce:
            from jobprov.provenance.capture.sending import flushing

            words = (job.draft.record, self.options, self.environment)
            job.draft.attempt("announcing", flushing.announce, *words)
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
                self._sight.note("the hook stopped looking: {}".format(error))
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

        end.finish(job, outcome, ending.name_state(outcome, was_told=bool(outcome.received)))

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
        return self.open(glance)

    def _record(self, job: "Job", step: "Step", outcome: Outcome) -> None:
        """Add the command's step, files and usage to the record."""
        from jobprov.provenance.capture.recording import left_behind
        from jobprov.provenance.capture.recording.job import add_usage
        from jobprov.provenance.capture.recording.moments.traces import Traces

        draft = job.draft
        add_usage(draft.record, outcome, job.job_ad)
        self._add_watch(job)
        self._add_system(draft, outcome)
        if self.trace is not None:
            calls = draft.attempt("trace", self.trace.end)  # it tells which files hold secrets
            if calls is not None and self._sight is not None:
                self._sight.traced = calls.written
        job.after(step, outcome, self._prefix, self._sight)
        words_of_job = (draft.record, job.job_ad, self.environment)
        draft.attempt("outputs left behind", left_behind.mark, *words_of_job)
        traces = Traces(self._before, self.trace, self._sight)
        traces.add(job, step, outcome)
        draft.attempt("layout", traces.add_layout, draft, step)
        if not outcome.was_told:
            self._add_software(draft)

    def _add_watch(self, job: "Job") -> None:
        """End the watch over the command, and add what it saw."""
        if self._watch is not None:
            self._watch.stop()
            self._is_watched.wait(_LAST_LOOK_SECONDS)
            job.draft.attempt("memory and libraries", job.take_watch, self._watch)

    def _add_system(self, draft: "Draft", outcome: Outcome) -> None:
        from jobprov.provenance.capture.recording import installed

        draft.attempt(
            "the system",
            lambda: installed.add_system(draft, self._look, is_hurried=outcome.was_told),
        )

    def _add_software(self, draft: "Draft") -> None:
        """Add what built and installed the programs that ran."""
        from jobprov.provenance.capture.command.code import weaken_by_sources
        from jobprov.provenance.capture.recording import installed

        draft.attempt("compilers", installed.add_compilers, draft, self.options.command)
        looked = (draft, self._watch, self.environment)
        draft.attempt("packages of its programs", installed.add_packages_of_children, *looked)
        draft.attempt("its sources", weaken_by_sources, draft)

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
