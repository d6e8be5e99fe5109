"""Gaps of inputs and outputs: bytes and checksums that are missing, counts that do not match.

Source: docs/reference/gaps.md, docs/reference/record.md (`inputs`, `outputs`).
"""

from collections.abc import Iterator, Sequence

from jobprov.provenance.records.files.inputs import may_be_small, needed_inputs, standard_inputs
from jobprov.provenance.records.files.parents import MOST_PARENTS, has_too_many_parents
from jobprov.provenance.records.gaps.codes import Message
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.job_record import Input, JobRecord, Output

_STRONG = ("sha256:", "sha512:", "sha1:", "md5:")


def file_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    """Yield what is missing of inputs and outputs, and where their numbers of events differ."""
    if any(digest in findings.missing_blobs for digest in standard_inputs(record)):
        yield "input-missing", "What the job read from standard input is not here."
    for file in needed_inputs(record):
        yield from _input_gaps(file, findings)
    for output in record.outputs or ():
        if record.state == "succeeded" and _lacks_checksum(output):
            yield "output-without-checksum", f"Output {output.name} has no checksum."
    if has_too_many_parents(record):
        yield (
            "parents-unknown",
            f"Outputs and the inputs of their steps are more than {MOST_PARENTS} pairs.",
        )
    yield from _event_count_gaps(record)


def _input_gaps(file: Input, findings: Findings) -> Iterator[Message]:
    if not file.sha256 and not file.checksums:
        yield "input-without-checksum", f"Input {file.name} has no checksum."
        return
    is_held = file.sha256 and file.sha256 not in findings.unheld_inputs
    if may_be_small(file) and not is_held:
        yield (
            "input-missing",
            f"Input {file.name} is small, or of unknown size, and its bytes are not here.",
        )
    if file.checksums and not file.sha256 and not _is_any_strong(file.checksums):
        yield "input-checksum-short", f"Input {file.name} is told by {file.checksums[0]} alone."


def _is_any_strong(checksums: Sequence[str]) -> bool:
    return any(checksum.lower().startswith(_STRONG) for checksum in checksums)


def _lacks_checksum(output: Output) -> bool:
    """Return whether nothing names the content of an output that was written."""
    if output.status not in (None, "written"):
        return False
    return not (output.sha256 or output.checksums or output.content_digest)


def _event_count_gaps(record: JobRecord) -> Iterator[Message]:
    """Yield whether a merge wrote another number of events than it read."""
    primary_inputs = [file for file in record.inputs or () if file.role in (None, "primary")]
    outputs = record.outputs or ()
    if len(primary_inputs) < 2 or len(outputs) != 1:  # noqa: PLR2004 - a merge has several inputs
        return
    events_written = outputs[0].event_count
    events_read = 0
    for file in primary_inputs:
        if file.events_read is None:
            return
        events_read += file.events_read
    if events_written is not None and events_read != events_written:
        yield (
            "event-count-mismatch",
            f"The inputs had {events_read} events, the output has {events_written}.",
        )
