"""Recording of `step`: one command among several of a job script."""
# ruff: noqa: PLC0415 - what is needed once the command runs

from typing import TYPE_CHECKING, Optional, Sequence, Tuple

from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.recording.before import Before
from jobprov.provenance.capture.recording.moments import job_script
from jobprov.provenance.capture.recording.moments.one_command import OneCommand
from jobprov.provenance.capture.running.background import Background, Speaker
from jobprov.provenance.capture.running.execution import Outcome

if TYPE_CHECKING:
    from jobprov.provenance.capture.command.step import Step
    from jobprov.provenance.capture.recording.end import FailedStep
    from jobprov.provenance.capture.recording.job import Job
    from jobprov.provenance.capture.recording.session import Session


class StepOfSession(OneCommand):
    """Recording of `step`: adds to the session that `start` opened; sends nothing."""

    def __init__(self, before: Before) -> None:
        OneCommand.__init__(self, before)
        self._session: "Optional[Session]" = None

    def open(self, glance: Glance) -> "Tuple[Job, Step]":
        """Find the session, and add what was seen; return job and step."""
        return self._take_up(glance)[1:]

    def _take_up(self, glance: Glance) -> "Tuple[Session, Job, Step]":
        from jobprov.provenance.capture.recording.job import Job

        self.spool, session = job_script.find_session(self.options, self.environment)
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
            raise RuntimeError(job_script.NOT_STARTED)
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
    state["is_told"] = state["is_told"] or bool(outcome.received)
    if "failed" not in state and blamed is not None:
        words = [blamed.name, blamed.role, 0, None, blamed.error_class, blamed.message]
        state["failed"], state["decided_by"] = words, blamed.decided_by
    elif "failed" not in state and outcome.code:
        from jobprov.provenance.capture.logs import failure

        error_class, message = failure.explain(outcome)
        state["failed"] = [step.name, step.role, outcome.code, outcome.signal, error_class, message]
    session.save()
