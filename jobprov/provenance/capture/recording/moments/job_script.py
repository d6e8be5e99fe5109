"""A job script that records its steps one by one: what `start` opens, and `end` closes."""
# ruff: noqa: PLC0415 - each call needs only a part

import os
import time
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.json_objects import JsonObject
from jobprov.provenance.capture.running.background import Speaker, hash_seconds
from jobprov.provenance.capture.running.execution import Outcome

if TYPE_CHECKING:
    from jobprov.provenance.capture.record.draft import Draft
    from jobprov.provenance.capture.recording.end import FailedStep
    from jobprov.provenance.capture.recording.session import Session

# given at `start`, meant for `end`
_CARRIED = ("output", "parent", "metadata", "metadata-type", "seed", "log")
_KEPT = ("namespace", "sidecar")  # given at `start`, meant for every step
NOT_STARTED = "no record is open for this job script: call start first"


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
        from jobprov.provenance.capture.sending import flushing

        job.draft.attempt("announcing", flushing.announce, job.draft.record, options, environment)


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

    folder, session = find_session(options, environment)
    state = session.state
    for name, words in state["options"].items():
        options.values[name] += [word for word in words if word not in options.values[name]]
    job = Job(options, environment, folder, session.draft)
    clock = Clock(hash_seconds(options))
    outputs = Outputs(job.draft, options)
    came_late = outputs.add_late(clock)
    failed = _failed_step(state)
    is_there_now = came_late and not job.draft.record.get("outputs_not_there")
    if failed is not None and is_there_now and _lacked_output(failed):
        failed = None  # a later step brought it
    outcome = Outcome()
    outcome.ended = time.time()
    if code is not None:
        outcome.code = code
    elif failed is not None:
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


def find_session(options: Options, environment: Dict[str, str]) -> "Tuple[str, Session]":
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
    raise RuntimeError(NOT_STARTED)


def _failed_step(state: JsonObject) -> "Optional[FailedStep]":
    """Return the first step that failed, as `step` kept it; None where none did."""
    from jobprov.provenance.capture.recording.end import FailedStep

    if not state.get("failed"):
        return None
    failed = FailedStep(*state["failed"])
    failed.decided_by = state.get("decided_by")
    return failed


def _lacked_output(failed: "FailedStep") -> bool:
    """Tell whether a step failed because an output was not there."""
    return (failed.decided_by or {}).get("evidence") == "output-not-there"


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


def _caller_command() -> List[str]:
    """Return the command line of the job script that called us, as the system shows it."""
    try:
        with open("/proc/{}/cmdline".format(os.getppid()), "rb") as stream:
            words = stream.read().split(b"\0")[:-1]
    except OSError:
        return []
    return [os.fsdecode(word) for word in words]
