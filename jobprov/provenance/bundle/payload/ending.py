"""How a job ended, for the comparison with its rerun: `outputs/job.sh`.

A rerun that fails with the same exit code may still have failed for another reason: a library that
is gone ends many programs with 1, as bad data does. So if the job failed, verify.sh also looks for
the words of the recorded reason in the log of the rerun, and for the outputs that were missing.
"""

import re

from jobprov.provenance.bundle.fields import RecordPart
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import quote

FAILED = ("failed", "killed")
_TERMINAL_LOG = re.compile(r"(?:.*[^A-Za-z])?std(?:out|err)\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_.-]+\Z")
_PYTHON_EXCEPTION = re.compile(r"[A-Za-z_.]*(?:Error|Exception|Interrupt|Exit|Warning|Iteration)\Z")
_AROUND = ".,:;!?'\"`()[]{}<>"
_MOST_WORDS = 12
_SHORTEST_WORD = 3


def add_ending(payload: Payload) -> None:
    """Write `outputs/job.sh`."""
    record = payload.record
    job_id, state = record.text("job_id"), record.text("state")
    codes = " ".join(step.expected for step in payload.steps)
    revision = payload.ingredients.revision
    lines = [f"job {quote(job_id)} {revision} {quote(state)} {quote(codes)}"]
    if state in FAILED:
        words = [quote(word) for word in reason_words(record)]
        if words:
            lines.append(f"reason {' '.join(words)}")
        lines += _lines_of_missing_outputs(payload)
    payload.shell("outputs/job.sh", lines)


def _lines_of_missing_outputs(payload: Payload) -> list[str]:
    """The outputs that the failed job did not make, as far as a rerun has a place for them."""
    lines = []
    for output in payload.record.parts("outputs_not_there"):
        path = output.text("path")
        place = payload.places.locate(payload.places.absolute(path))
        if place is not None:
            lines.append(f"not_there {quote(path)} {place.word()}")
    return lines


def reason_words(record: RecordPart) -> list[str]:
    """The words of the recorded reason that a rerun's log must have, if it fails for the same one.

    Empty if the reason may come from a log that a rerun does not show, or is in our own words.
    """
    logs = [log.text("name") for log in record.parts("logs")]
    if not logs or not all(_TERMINAL_LOG.match(name) for name in logs):
        return []
    ending = record.part("exit")
    decided_by = ending.part("decided_by")
    if decided_by:
        line = decided_by.text("text")
        return _plain_words(line) if decided_by.text("evidence") == "log" else []
    category, message = ending.text("error_class"), ending.text("message")
    if not category:
        return _plain_words(message)
    if not _PYTHON_EXCEPTION.match(category):
        return []
    exception = category.rpartition(".")[2]
    if record.parts("configurations"):
        return _plain_words(exception)  # where art ran, the message is a sentence of the hook
    return _plain_words(f"{exception} {message}")


def _plain_words(line: str) -> list[str]:
    """Words that are the same in each run: without folders, numbers and punctuation."""
    words: list[str] = []
    for token in line.split():
        word = token.strip(_AROUND).rpartition("/")[2]
        if _WORD.match(word) and len(word) >= _SHORTEST_WORD and word not in words:
            words.append(word)
    return words[:_MOST_WORDS]
