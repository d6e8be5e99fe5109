"""The first line of a job's page.

It says how the job ended, whether it was reproduced, and how complete its record is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jobprov.app.web.frame.formats import (
    counted,
    day,
    duration,
    minute,
    shown_state,
    signal_name,
    text,
)
from jobprov.provenance.answers.lookup.jobs import JobAnswer, JobSummary
from jobprov.provenance.lineage.words import evidence_words, grade_words, without_output
from jobprov.provenance.records.job_record import DecidedBy

_REPRODUCED = {
    "R7": "reproduced byte for byte",
    "R6": "reproduced, equal but for what always differs",
    "R5": "reproduced, content identical",
    "R5~": "reproduced, content identical in another order",
    "R4": "reproduced to within numerical precision",
    "R3": "rerun is statistically compatible",
    "R2": "rerun gave a different result",
    "R1=": "rerun failed in the same way",
    "R1": "rerun failed",
    "R0": "bundle was made, not rerun",
    "none": "rerun was compared with nothing",
}


def first_line(job: JobAnswer) -> str:
    """Return the first line, of one or two sentences."""
    ended = _ended(job.summary)
    if job.decided_by is not None and job.decided_by.evidence:
        ended += f", decided by {text(evidence_words(job.decided_by.evidence))}"
    if job.summary.state == "succeeded" and not job.output_count:
        ended += text(without_output(job.lost_files()))
    quality = _quality(job)
    if shown_state(job.summary.state, job.summary.heard_at) == "succeeded":
        return f"{ended}; {quality}."
    return f"{ended}. {quality[0].upper()}{quality[1:]}."


def _quality(job: JobAnswer) -> str:
    """Return the newest verdict if there is one, the grade, and how many gaps there are."""
    gaps = counted(len(job.gaps), "gap") if job.gaps else "no gaps"
    words = f"grade {grade_words(job.grade, job.proof)}, {gaps}"
    if job.verdicts:
        words = f"{_newest_verdict(job.verdicts)}; {words}"
    return words


def _ended(job: JobSummary) -> str:
    """Return how a job ended, or that it has not."""
    state = shown_state(job.state, job.heard_at)
    took = job.took_seconds()
    if state == "succeeded":
        return "Succeeded" if took is None else f"Succeeded in {duration(took)}"
    if state == "failed":
        return _failed(job, took)
    if state == "killed":
        return _killed(job, took)
    if state == "running":
        return f"Running since {minute(job.started_at)}" if job.started_at else "Running"
    if state == "silent":
        heard_at = minute(job.heard_at)
        return f"Silent: it was running when last heard of, {heard_at}"
    return "Lost: nobody saw it end"


def ending(job: JobSummary) -> str:
    """Return how the job's process ended: `exit code 65`, `signal 9 (SIGKILL)`.

    It is empty where nothing tells.
    """
    if job.exit.signal is not None:
        return f"signal {signal_name(job.exit.signal)}"
    return "" if job.exit.code is None else f"exit code {text(job.exit.code)}"


def decided_by(decided: DecidedBy | None) -> str:
    """Return why a job counts as failed although its process returned 0; empty if it does not."""
    if decided is None or decided.evidence is None:
        return ""
    evidence = f"{text(evidence_words(decided.evidence))}, against the exit code"
    return f"{evidence}: {text(decided.text)}" if decided.text else evidence


def _failed(job: JobSummary, took: float | None) -> str:
    sentence = f"Failed{_where(job)}{_after(took)}"
    error = job.exit.error_class
    reasons = [text(error) if error else "", ending(job)]
    why = ", ".join(reason for reason in reasons if reason)
    return f"{sentence}: {why}" if why else sentence


def _killed(job: JobSummary, took: float | None) -> str:
    signal = job.exit.signal
    by = "" if signal is None else f" by signal {signal_name(signal)}"
    return f"Killed{by}{_where(job)}{_after(took)}"


def _where(job: JobSummary) -> str:
    step = job.exit.failed_step
    return f" in step {text(step)}" if step else ""


def _after(took: float | None) -> str:
    return "" if took is None else f" after {duration(took)}"


def _newest_verdict(verdicts: Sequence[Mapping[str, Any]]) -> str:
    level, posted_at = verdicts[0].get("level"), verdicts[0].get("posted_at")
    outcome = _REPRODUCED.get(str(level), f"verdict {text(level)}")
    return f"{outcome} on {day(posted_at)}"
