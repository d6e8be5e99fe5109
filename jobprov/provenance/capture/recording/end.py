"""How a job ended, in its record: its state, which step made it fail, and why."""
# ruff: noqa: PLC0415 - of a job that succeeded, little is loaded

import os
import re
from typing import TYPE_CHECKING, Dict, List, Optional, Set

from jobprov.provenance.capture.command import code
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import moment, now, seconds_of, without_empty
from jobprov.provenance.capture.record.json_objects import Entry, Finding, JsonObject, Record
from jobprov.provenance.capture.running import execution, streams
from jobprov.provenance.capture.secrets.values import redact_strings
from jobprov.provenance.capture.surroundings import batch

if TYPE_CHECKING:
    from jobprov.provenance.capture.recording.job import Job
    from jobprov.provenance.capture.recording.judging import Decision

_ARCHIVE = re.compile(r"\.(?:tar(?:\.(?:gz|bz2|xz))?|tgz|tbz2?|txz|zip)$")


class FailedStep:
    """The step that made a job fail, and why.

    Attributes:
        name, role: of the step; None where no step is to blame.
        code, signal: how it ended.
        error_class, message: why, where anything shows it.
        decided_by: the record's `exit.decided_by`; None where exit code or signal tell the failure.
    """

    def __init__(  # noqa: PLR0917 - as a session keeps it
        self,
        name: Optional[str],
        role: Optional[str],
        code: int,
        signal: Optional[int],
        error_class: Optional[str],
        message: Optional[str],
    ) -> None:
        self.name, self.role, self.code, self.signal = name, role, code, signal
        self.error_class, self.message = error_class, message
        self.decided_by: Optional[Dict[str, str]] = None


def finish(job: "Job", outcome: execution.Outcome, state: str) -> None:
    """Complete the record of a job that is one command."""
    command = job.draft.record["command"]
    steps = command.get("steps", ())
    # Every service looks for it at the command
    if len(steps) == 1 and "stdin_sha256" in steps[0]:
        command["stdin_sha256"] = steps[0].pop("stdin_sha256")
    failed = blame(job.decision, outcome)
    if failed is not None:
        state = "failed"
    elif state != "succeeded":
        from jobprov.provenance.capture.logs import failure

        names = [step["name"] for step in steps if step.get("exit_code")]
        name = names[0] if names else None
        failed = FailedStep(name, None, outcome.code, outcome.signal, *failure.explain(outcome))
    _complete(job, outcome, state, failed)


def blame(decision: "Optional[Decision]", outcome: execution.Outcome) -> Optional[FailedStep]:
    """Return the step that was decided to have failed although its exit code is 0, or None."""
    if decision is None:
        return None
    from jobprov.provenance.capture.logs import failure

    error_class, message = failure.explain(outcome)
    if decision.evidence == "output-not-there":
        error_class = error_class or "output not there"
    failed = FailedStep(decision.step, "payload", 0, None, error_class, message or decision.text)
    failed.decided_by = {"evidence": decision.evidence, "text": decision.text}
    return failed


def close(
    job: "Job", outcome: execution.Outcome, failed: Optional[FailedStep], *, was_told: bool
) -> None:
    """Complete the record of a job of several steps.

    `failed` is the first that failed, as `step` kept it.
    """
    from jobprov.provenance.capture.running import ending

    state = "succeeded"
    if failed and failed.decided_by:
        state = "failed"
    elif outcome.code or (failed and failed.role == "payload"):
        last = execution.Outcome()
        last.code, last.signal = outcome.code, None
        if failed:
            last.code, last.signal = failed.code, failed.signal
        state = ending.name_state(last, was_told=was_told)
        outcome.signal = last.signal
    _complete(job, outcome, state, failed)


def _complete(
    job: "Job", outcome: execution.Outcome, state: str, failed: Optional[FailedStep]
) -> None:
    draft, record = job.draft, job.draft.record
    for path in job.options.log:
        log = draft.attempt("log " + path, streams.read_log, path)
        if log:
            content, is_cut = log
            draft.add_log(os.path.basename(path), None, content, is_cut=is_cut)
    draft.attempt("withheld variables", _note_withheld, draft)
    record["state"], record["ended_at"] = state, moment(outcome.ended)
    record["exit"] = _describe_exit(record, outcome, state, failed)
    draft.attempt("copies of inputs", _leave_out_copies, record)
    unit = batch.name_unit(job.options, job.environment, job.job_ad, _brought_inputs(record))
    if unit is not None and record.get("task", {}).get("task_id"):
        record["task"]["unit"] = unit
    record["sent_at"] = now()
    draft.record = redact_strings(record)


def _leave_out_copies(record: Record) -> None:
    """Leave out seen outputs that the job copied from what was there before it, under their names.

    `cp /cvmfs/toy/geometry.gdml .` is mostly over before anybody sees it. What lay there already, a
    tarball may bring once more; and what `tar xmf` unpacks is not older than the job.
    """
    copies = {}
    for output in record.get("outputs", ()):
        is_here = not os.path.isabs(output["path"]) and "location" not in output
        if is_here and output["evidence"] == "seen" and "sha256" in output:
            copies[os.path.basename(output["path"]), output["sha256"]] = output
    began = seconds_of(record["started_at"])
    for entry in [*record.get("inputs", ()), *record.get("scripts", ())]:
        path = entry.get("path", "")
        key = os.path.basename(path), entry.get("sha256", "")
        copy = copies.get(key, {})
        is_same = copy.get("path") == path
        lay_here = is_same and copy["step"] == entry.get("step")
        is_older = not is_same and os.path.isfile(path) and os.stat(path).st_mtime < began
        if copy and (lay_here or is_older):
            record["outputs"].remove(copies.pop(key))
        for archive in (path, entry.get("location", "")):
            if copies and _ARCHIVE.search(archive) and os.path.isfile(archive):
                from jobprov.provenance.capture.recording import archives

                for key in archives.find_members(archive, copies):
                    record["outputs"].remove(copies.pop(key))
    if not record.get("outputs", True):
        del record["outputs"]


def _brought_inputs(record: Record) -> List[Entry]:
    """Return the inputs but for those that an earlier program of the job made, and traced ones.

    The former have the same names in all jobs; of the latter, only a traced job knows. A step that
    has the bytes of its input for output copied them.
    """
    paths: Set[str] = set()
    makers: Dict[str, Set[Optional[str]]] = {}  # steps, by the digest of what they made
    for output in record.get("outputs", ()):
        paths.add(output["path"])
        makers.setdefault(output.get("sha256", ""), set()).add(output.get("step"))
    brought = []
    for entry in record.get("inputs", ()):
        others = makers.get(entry.get("sha256", "no digest"), set()) - {entry.get("step")}
        is_made = entry.get("path") in paths or bool(others)
        if not is_made and entry.get("evidence") != "traced":
            brought.append(entry)
    return brought


def _note_withheld(draft: Draft) -> None:
    """Name the withheld variables that what ran names."""
    environment = draft.record.get("environment", {})
    found = code.named_in_code(draft, environment.get("withheld") or ())
    if found:
        environment["withheld_read"] = found


def _describe_exit(
    record: Record, outcome: execution.Outcome, state: str, failed: Optional[FailedStep]
) -> Entry:
    """Return the record's `exit`: with why it failed, or what went wrong though it did not."""
    fields: JsonObject = {"code": outcome.code, "signal": outcome.signal}
    if failed:
        fields.update(
            failed_step=failed.name,
            error_class=failed.error_class,
            message=failed.message,
            decided_by=failed.decided_by,
        )
    elif state == "succeeded":
        warnings: List[Finding] = []
        for of_step in record.get("extra", {}).get("warnings", {}).values():
            warnings += of_step
        if warnings:
            from jobprov.provenance.capture.logs import failure

            fields["message"] = failure.say_suppressed(warnings)
    return without_empty(fields)
