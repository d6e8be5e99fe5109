"""Gaps of files and other bytes: inputs, outputs, fcl files, scripts, logs, listings.

What a record names is missing, expired or erased, has no checksum, or its counts do not match.

Source: docs/reference/gaps.md, docs/reference/record.md (`inputs`, `outputs`).
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from jobprov.provenance.records.files.inputs import may_be_small, needed_inputs, standard_inputs
from jobprov.provenance.records.files.parents import MOST_PARENTS, has_too_many_parents
from jobprov.provenance.records.gaps.code import is_changed
from jobprov.provenance.records.gaps.codes import Message
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.job_record import Input, JobRecord, Log, Output, SourceFile

_STRONG = ("sha256:", "sha512:", "sha1:", "md5:")
_MOST_EXAMPLES = 3
_SHORT_DIGEST = 12


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


def source_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    """Yield which fcl files, scripts, logs and other blobs were never sent, or expired."""
    yield from _missing_sources("fcl-missing", "", _fcl_files(record), findings)
    yield from _missing_sources("script-missing", "", record.scripts or (), findings)
    yield from _log_gaps(record, findings)
    if findings.missing_blobs:
        yield from _other_blob_gaps(record, findings.missing_blobs)


def _fcl_files(record: JobRecord) -> Iterator[SourceFile]:
    for configuration in record.configurations or ():
        yield from configuration.files or ()


def _missing_sources(
    code: str, kind: str, sources: Iterable[SourceFile | Log], findings: Findings
) -> Iterator[Message]:
    for source in sources:
        if source.sha256 is None or source.sha256 in findings.missing_blobs:
            yield code, f"The bytes of {kind}{source.name} are not here."


def _log_gaps(record: JobRecord, findings: Findings) -> Iterator[Message]:
    yield from _missing_sources("log-missing", "log ", record.logs or (), findings)
    for log in record.logs or ():
        if log.sha256 in findings.expired:
            yield (
                "log-expired",
                f"Of log {log.name} only beginning and end are kept; the rest expired.",
            )
    if record.logs or record.state in ("running", "lost") or _printed_nothing(record):
        return
    printed = "the job printed nothing, or what it printed was not kept"
    yield "log-missing", f"The record has no log: {printed}."


def _printed_nothing(record: JobRecord) -> bool:
    """Return whether a job without a log surely printed nothing.

    A hook that runs the whole command sees it to its end, and keeps all that it prints. It does not
    see what a job script prints that calls it for single steps.
    """
    command = record.command
    if record.hook is None or command is None or not command.steps or _has_lost_log(record):
        return False
    first = command.steps[0]
    return first.ended_at is not None and first.argv == command.argv


def _has_lost_log(record: JobRecord) -> bool:
    """Return whether the hook says that it could not keep what a command left, or a log file."""
    for weakness in record.weaknesses or ():
        if weakness.kind == "capture-incomplete":
            return True
    notes = (record.extra or {}).get("hook_notes")
    if not isinstance(notes, list):
        return False
    return any(isinstance(note, str) and note.startswith("log ") for note in notes)


def _other_blob_gaps(record: JobRecord, missing_blobs: AbstractSet[str]) -> Iterator[Message]:
    others = missing_blobs - _digests_with_own_gap(record)
    if others:
        examples = [digest[:_SHORT_DIGEST] for digest in sorted(others)[:_MOST_EXAMPLES]]
        yield (
            "blob-missing",
            (
                f"Blobs that the record names are not here: {len(others)}, "
                f"such as {', '.join(examples)}."
            ),
        )


def _digests_with_own_gap(record: JobRecord) -> set[str | None]:
    """Return the digests that are a gap of another code than `blob-missing` if they are absent."""
    digests: set[str | None] = set()
    for file in (*_fcl_files(record), *(record.scripts or ()), *(record.logs or ())):
        digests.add(file.sha256)
    for software in record.software or ():
        if is_changed(software):
            digests.add(software.objects_sha256)
    for condition in record.conditions or ():
        digests.add(condition.payload_sha256)
    for _, digest in environment_listings(record):
        digests.add(digest)
    digests.update(standard_inputs(record))
    return digests


def environment_listings(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (what it lists, digest) of the listings of the environment that the record names."""
    environment = record.environment
    if environment is None:
        return
    if environment.packages_sha256:
        yield "packages", environment.packages_sha256
    if environment.libraries_sha256:
        yield "libraries", environment.libraries_sha256


def erased_gaps(record: JobRecord, erased: AbstractSet[str]) -> Iterator[Message]:
    """Yield what an operator erased: a code for each closure level that it costs."""
    sources, inputs = _names_of_sources(record), _names_of_inputs(record)
    logs = {log.sha256: f"log {log.name}" for log in record.logs or ()}
    for digest in sorted(erased):
        if digest in sources:
            code, name = "source-erased", sources[digest]
        elif digest in inputs:
            code, name = "input-erased", inputs[digest]
        else:
            code, name = "blob-erased", logs.get(digest, f"blob {digest[:_SHORT_DIGEST]}")
        yield code, f"The bytes of {name} were erased on purpose."


def _names_of_sources(record: JobRecord) -> dict[str | None, str]:
    """Return by digest what level 1 needs, in words."""
    names: dict[str | None, str] = {}
    for file in (*_fcl_files(record), *(record.scripts or ())):
        names[file.sha256] = file.name
    for software in record.software or ():
        name = software.name or software.repository
        names[software.objects_sha256] = f"changed files of {name}"
        if software.tarball:
            names[software.tarball.sha256] = f"tar file of {name}"
    for content, digest in environment_listings(record):
        names[digest] = f"listing of {content}"
    return names


def _names_of_inputs(record: JobRecord) -> dict[str | None, str]:
    """Return by digest what the levels from 2 on need, in words."""
    names: dict[str | None, str] = {}
    for file in needed_inputs(record):
        names[file.sha256] = file.name
    for condition in record.conditions or ():
        names[condition.payload_sha256] = f"conditions of {condition.database}"
    for digest in standard_inputs(record):
        names[digest] = "standard input"
    return names
