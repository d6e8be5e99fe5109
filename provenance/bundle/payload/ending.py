"""How a job ended, for the comparison with its rerun: `outputs/job.sh`.

A rerun that fails with the same exit code may still have failed for another reason: a library that
is gone ends many programs with 1, as bad data does. So of a job that failed, verify.sh also looks
for the words of the recorded reason in the log of the rerun, and for the outputs that were missing.
"""

import re
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.bundle.fields import mapping, rows, text
from jobprov.provenance.bundle.payload.command.command import payload_steps
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import quote

FAILED = ("failed", "killed")
_TERMINAL = re.compile(r"(?:.*[^A-Za-z])?std(?:out|err)\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_.-]+\Z")
_PYTHON = re.compile(r"[A-Za-z_.]*(?:Error|Exception|Interrupt|Exit|Warning|Iteration)\Z")
_AROUND = ".,:;!?'\"`()[]{}<>"
_MOST_WORDS = 12
_SHORTEST_WORD = 3


def add_ending(payload: Payload) -> None:
    """Write `outputs/job.sh`."""
    record = payload.record
    job_id, state = text(record.get("job_id")), text(record.get("state"))
    codes = " ".join(step.expected for step in payload_steps(record))
    revision = payload.ingredients.revision
    lines = [f"job {quote(job_id)} {revision} {quote(state)} {quote(codes)}"]
    if state in FAILED:
        words = reason_words(record)
        if words:
            lines.append(" ".join(["reason", *map(quote, words)]))
        for output in rows(record.get("outputs_not_there")):
            path = text(output.get("path"))
            place = payload.places.locate(payload.places.absolute(path))
            if place is not None:
                lines.append(f"not_there {quote(path)} {place.word()}")
    payload.shell("outputs/job.sh", lines)


def reason_words(record: Mapping[str, Any]) -> list[str]:
    """The words of the recorded reason that a rerun's log must have, if it fails for the same one.

    None if the reason may come from a log that a rerun does not show, or is in our own words.
    """
    logs = [text(log.get("name")) for log in rows(record.get("logs"))]
    if not logs or not all(_TERMINAL.match(name) for name in logs):
        return []
    ending = mapping(record.get("exit"))
    decided_by = mapping(ending.get("decided_by"))
    if decided_by:
        line = text(decided_by.get("text")) if decided_by.get("evidence") == "log" else ""
        return _plain_words(line)
    category, message = text(ending.get("error_class")), text(ending.get("message"))
    if not category:
        return _plain_words(message)
    if not _PYTHON.match(category):
        return []
    # Where art ran, the message is a sentence of the hook
    is_in_log = not rows(record.get("configurations"))
    return _plain_words(f"{category.rpartition('.')[2]} {message if is_in_log else ''}")


def _plain_words(line: str) -> list[str]:
    """Words that are the same in each run: without folders, numbers and punctuation."""
    words: list[str] = []
    for token in line.split():
        word = token.strip(_AROUND).rpartition("/")[2]
        if _WORD.match(word) and len(word) >= _SHORTEST_WORD and word not in words:
            words.append(word)
    return words[:_MOST_WORDS]
