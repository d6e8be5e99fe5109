"""The gaps of a record: what would stop a rerun in ten years and can still be fixed today.

Each gap has a code (documented in docs/reference/gaps.md), a sentence about this record, and what
closes it. The *level* of a job is the highest closure level that the gaps leave complete: L0
description, L1 and code, fcl, scripts and environment, L2 and small inputs and conditions, L3 and
the environment, L4 and all inputs. L3 and L4 need a capsule: an image or a registered one that is
held.

Source: record.md, bundle.md ("Closure levels").
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from jobprov.provenance.records.files.inputs import needed_inputs
from jobprov.provenance.records.gaps.capture import (
    traced_gaps,
    unknown_kinds,
    unseen_gaps,
    weakness_gaps,
)
from jobprov.provenance.records.gaps.code import left_out_gaps, software_gaps
from jobprov.provenance.records.gaps.codes import GAPS, Message
from jobprov.provenance.records.gaps.configurations import configuration_gaps
from jobprov.provenance.records.gaps.files import (
    environment_listings,
    erased_gaps,
    file_gaps,
    source_gaps,
)
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.identity import WITNESSES
from jobprov.provenance.records.job_record import PROVISIONAL, JobRecord
from jobprov.provenance.times import minute_text

ROLES = ("primary", "secondary", "shared", "configuration")
STATUSES = ("written", "empty", "dropped", "copy_failed", "not_kept")
EVIDENCE = ("observed", "declared", "inferred")
DECIDING = ("log", "output-not-there")
NO_REPOSITORY = "of no known repository"
"""Why installed software is not resolved to a commit."""

_CLOCKS_DIFFER = timedelta(minutes=5)
"""By so much the clock of a node may be ahead before a gap says so."""
_IMAGE = re.compile(r"sha256:([0-9a-f]{64})")
_HIGHEST_WITHOUT_CAPSULE, _ENVIRONMENT, _HIGHEST = 2, 3, 4  # closure levels


class Gap(msgspec.Struct, frozen=True):
    """One gap of one job."""

    code: str
    message: str
    how_to_close: str


def find_gaps(record: JobRecord, findings: Findings) -> list[Gap]:
    """Return the gaps of a record, those that stop the lowest level first."""
    gaps = []
    for code, message in _messages(record, findings):
        gaps.append(Gap(code, message, GAPS[code].how_to_close))
    return in_order(gaps)


def in_order(gaps: list[Gap]) -> list[Gap]:
    """Return gaps, those that stop the lowest level first."""
    return sorted(gaps, key=lambda gap: GAPS[gap.code].level)


def level_of(gaps: list[Gap], record: JobRecord, findings: Findings) -> int:
    """Return the highest closure level that is complete, 0 to 4."""
    stopped = {GAPS[gap.code].level for gap in gaps}
    highest = _HIGHEST_WITHOUT_CAPSULE
    if findings.has_capsule:
        # A held environment is enough, however the record names its image
        stopped.discard(_ENVIRONMENT)
        highest = _HIGHEST if _holds_all_inputs(record, findings) else _ENVIRONMENT
    for level in stopped:
        highest = min(highest, level - 1)
    return highest


def needs_of_next(level: int, gaps: list[Gap]) -> list[str]:
    """Return what the closure level after this one needs: codes of gaps, or other reasons.

    The latter is `capsule` or `large-inputs`. The highest level needs nothing more.
    """
    if level == _HIGHEST:
        return []
    if level == _HIGHEST_WITHOUT_CAPSULE:
        return ["capsule"]
    codes = dict.fromkeys(gap.code for gap in gaps if GAPS[gap.code].level == level + 1)
    return list(codes) or ["large-inputs"]


def _holds_all_inputs(record: JobRecord, findings: Findings) -> bool:
    unheld = findings.unheld_inputs | findings.erased
    return all(file.sha256 and file.sha256 not in unheld for file in needed_inputs(record))


def image_digest(record: JobRecord) -> str:
    """Return the sha256 of the container image that a job ran in; empty if none is recorded."""
    container = record.environment.container if record.environment else None
    if container is None or not container.digest:
        return ""
    match = _IMAGE.fullmatch(container.digest)
    return match[1] if match else ""


def _messages(record: JobRecord, findings: Findings) -> Iterator[Message]:
    """Yield every gap. Their order within a level is kept: lists of gaps are shared by digest."""
    yield from _command_gaps(record)
    yield from source_gaps(record, findings)
    yield from configuration_gaps(record, findings)
    yield from software_gaps(record, findings)
    yield from _environment_gaps(record, findings)
    yield from _conditions_gaps(record, findings)
    yield from file_gaps(record, findings)
    yield from unseen_gaps(record)
    yield from left_out_gaps(record)
    yield from traced_gaps(record, findings.unseen, has_capsule=findings.has_capsule)
    yield from weakness_gaps(record)
    yield from _randomness_gaps(record)
    yield from _report_gaps(record, findings)
    if findings.erased:
        yield from erased_gaps(record, findings.erased)


def _command_gaps(record: JobRecord) -> Iterator[Message]:
    if not _names_command(record):
        yield "command-missing", "The record does not say what was run."
    if record.state in ("succeeded", "failed") and not _names_end(record):
        yield "exit-missing", "The record does not say how the job ended."


def _names_command(record: JobRecord) -> bool:
    command = record.command
    if command is None:
        return False
    if command.argv:
        return True
    return any(step.argv and step.role == "payload" for step in command.steps or ())


def _names_end(record: JobRecord) -> bool:
    if record.exit is None:
        return False
    return record.exit.code is not None or record.exit.signal is not None


def _environment_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    environment = record.environment
    if environment is None or environment.variables is None:
        yield "environment-missing", "The record has no environment variables."
    for content, digest in environment_listings(record):
        if digest in findings.missing_blobs:
            yield "environment-missing", f"The listing of {content} is not here."
    container = environment.container if environment else None
    if container and container.image and not container.digest:
        yield "image-without-digest", f"The container image {container.image} is named by tag only."


def _conditions_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    for condition in record.conditions or ():
        name = condition.database or "a database"
        if not findings.holds_blob(condition.payload_sha256):
            yield "conditions-missing", f"Conditions of {name} have no payload here."
        if not condition.tag:
            yield "conditions-untagged", f"Conditions of {name} have no tag."


def _randomness_gaps(record: JobRecord) -> Iterator[Message]:
    if not record.inputs and record.outputs and not record.seeds:
        yield "seed-unknown", "A job without inputs that names no seed."
    if record.threads is not None and record.threads > 1 and not record.seeds:
        yield "threads-unseeded", f"{record.threads} threads and no seeds."


def _report_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    if record.task is None or record.task.task_id is None:
        yield "task-missing", "The job belongs to no task."
    for path in findings.repairs:
        yield "value-out-of-range", f"The value of {path} is out of range."
    for path in findings.contradictions:
        yield "witness-contradiction", f"Witnesses differ in {path}."
    if findings.arrived_at is not None:
        yield from _clock_gaps(record, findings.arrived_at)
    for path, word in _unknown_words(record):
        yield "unknown-word", f"The word {word!r} in {path} is not known here."


def _clock_gaps(record: JobRecord, arrived_at: datetime) -> Iterator[Message]:
    """Yield that a clock was ahead: a record cannot come before what it reports."""
    # Somebody else may have found a job to be lost long after its first record came
    is_over = record.state not in PROVISIONAL
    verb, moment = ("ended", record.ended_at) if is_over else ("started", record.started_at)
    if moment is None or moment - arrived_at <= _CLOCKS_DIFFER:
        return
    host = record.host.hostname if record.host is not None else None
    claim = f"By the clock of {host or 'its node'} the job {verb} {minute_text(moment)}"
    yield "clock-ahead", f"{claim}, after its record came, {minute_text(arrived_at)}."


def _unknown_words(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (path, word) of each word that this version does not know."""
    for path, word, known in _enumerated_words(record):
        if word is not None and word not in known:
            yield path, word
    yield from unknown_kinds(record)


def _enumerated_words(record: JobRecord) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """Yield (path, word, the words that this version knows there) of each open enumeration."""
    yield "witness", record.witness, WITNESSES
    if record.exit is not None and record.exit.decided_by is not None:
        yield "exit.decided_by.evidence", record.exit.decided_by.evidence, DECIDING
    for position, file in enumerate(record.inputs or ()):
        yield f"inputs[{position}].role", file.role, ROLES
    for position, output in enumerate(record.outputs or ()):
        yield f"outputs[{position}].status", output.status, STATUSES
    for position, software in enumerate(record.software or ()):
        yield f"software[{position}].evidence", software.evidence, EVIDENCE
