"""What traces tell of a command that ended: its own trace, or that of another job of its kind."""
# ruff: noqa: PLC0415 - what few jobs need

import re
from typing import TYPE_CHECKING, Optional

from jobprov.provenance.capture.files import entries
from jobprov.provenance.capture.recording.before import Before
from jobprov.provenance.capture.running.execution import Outcome

if TYPE_CHECKING:
    from jobprov.provenance.capture.command.step import Step
    from jobprov.provenance.capture.record.draft import Draft
    from jobprov.provenance.capture.recording.job import Job
    from jobprov.provenance.capture.sight.sight import Sight
    from jobprov.provenance.capture.trace.strace import Trace

_DISTURBANCE = re.compile(
    rb"ptrace|PTRACE_|LeakSanitizer has encountered a fatal|effective uid is not 0|setuid"
    rb"|no new privileges|must be (?:run as|owned by) root"
)
_DISTURBED = (
    "trace: the command failed, and its log speaks of ptrace or of rights that a traced program "
    "does not get; --no-trace runs it untraced"
)


class Traces:
    """Adds what traces tell to the record of a command."""

    def __init__(self, before: Before, trace: "Optional[Trace]", sight: "Optional[Sight]") -> None:
        self._options, self._environment = before.options, before.environment
        self._before, self._trace, self._sight = before, trace, sight

    def add(self, job: "Job", step: "Step", outcome: Outcome) -> None:
        """Add the files and programs that a trace shows."""
        self._add_used(job, step, outcome)
        inputs = job.draft.record.get("inputs", ())
        traced = [entry for entry in inputs if entry.get("evidence") == "traced"]
        entries.name_spaces(traced, self._options.namespace_of)

    def _add_used(self, job: "Job", step: "Step", outcome: Outcome) -> None:
        self._determine_turn(job.draft)
        if self._trace is not None:
            self._add_own(job, step, self._trace)
            if self._trace.words:
                self._note_turn(job.draft)
                self._note_disturbance(job.draft, outcome)
                return
        from jobprov.provenance.capture.recording import changes

        self._add_of_kind(job, step)
        job.draft.need("folders", changes.weaken_folders, job.draft, step)

    def add_layout(self, draft: "Draft", step: "Step") -> None:
        """Add the layout of the folders that the command used."""
        from jobprov.provenance.capture.recording.layout import Layout

        calls = self._trace.end() if self._trace is not None else None
        layout = Layout(draft, step.began, self._sight, calls)
        layout.add_files()
        turn = self._before.turn
        told = turn.used.get("folders", ()) if turn is not None else ()
        layout.add_folders([*step.places, *told])

    def _determine_turn(self, draft: "Draft") -> None:
        """Have the kind of the job also where no service was asked, or none answered."""
        before = self._before
        if before.turn is None and before.glance is not None and before.may_be_asked():
            from jobprov.provenance.capture.trace.turn import turn_of

            words = (self._options, self._environment, before.glance)
            before.turn = draft.attempt("kind of job", turn_of, *words)

    def _add_own(self, job: "Job", step: "Step", trace: "Trace") -> None:
        """Add what the command's own trace shows."""
        from jobprov.provenance.capture.trace import inventory

        words = (self._sight, step.name, job.spool, self._options, self._environment)
        job.draft.attempt("trace", inventory.take, job.draft, trace, *words)

    def _add_of_kind(self, job: "Job", step: "Step") -> None:
        """Add what the traced job of this kind used; this one was not traced."""
        turn = self._before.turn
        if turn is None:
            return
        from jobprov.provenance.capture.trace import by_kind, counterparts

        if self._options.url:
            turn.ask_again(self._options, self._environment)
        input_folder = self._environment.get("CONDOR_DIR_INPUT", "")
        counterparts.set_apart(turn.used, job.draft.record, input_folder)
        words = (turn, job.draft, step, self._sight, self._options)
        job.draft.need("what a traced job of its kind used", by_kind.add_used, *words)

    def _note_turn(self, draft: "Draft") -> None:
        """Note for which kind of job this one was traced."""
        turn = self._before.turn
        if turn is not None:
            keys = draft.record.setdefault("trace", {}).setdefault("keys", [])
            if turn.key not in keys:
                keys.append(turn.key)

    def _note_disturbance(self, draft: "Draft", outcome: Outcome) -> None:
        """Note where the trace may be what made the command fail."""
        if outcome.code and any(_DISTURBANCE.search(content) for _, content, _ in outcome.logs):
            draft.note(_DISTURBED)
