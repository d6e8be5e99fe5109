"""What would stop a rerun in ten years and can still be fixed today.

Each gap has a code (documented in docs/reference/gaps.md), a sentence about this record, and what
closes it. The *level* of a job is the highest closure level that the gaps leave complete: L0
description, L1 and code, fcl, scripts and environment, L2 and small inputs and conditions, L3 and
the environment, L4 and all inputs. L3 and L4 need a capsule: an image or a registered one that is
held.

Source: record.md, bundle.md ("Closure levels").
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from jobprov.provenance.records.files.inputs import may_be_small, needed_inputs, standard_inputs
from jobprov.provenance.records.files.parents import MOST_PARENTS, has_too_many_parents
from jobprov.provenance.records.gaps.code import is_changed, left_out_gaps
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.gaps.seen_gaps import seen_gaps
from jobprov.provenance.records.gaps.traced_gaps import traced_gaps
from jobprov.provenance.records.gaps.unplaced_code import unplaced_programs
from jobprov.provenance.records.gaps.weaknesses import unknown_kinds, weakness_gaps
from jobprov.provenance.records.identity import WITNESSES
from jobprov.provenance.records.job_record import (
    Input,
    JobRecord,
    Log,
    Output,
    Software,
    SourceFile,
)

_IMAGE = re.compile(r"sha256:([0-9a-f]{64})")
ROLES = ("primary", "secondary", "shared", "configuration")
STATUSES = ("written", "empty", "dropped", "copy_failed", "not_kept")
_STRONG = ("sha256:", "sha512:", "sha1:", "md5:")
EVIDENCE = ("observed", "declared", "inferred")
DECIDING = ("log", "output-not-there")
NO_REPOSITORY = "of no known repository"

# Closure levels.
_WITHOUT_CAPSULE, _HIGHEST = 2, 4

_Message = tuple[str, str]
"""Code of a gap, and a sentence about this record."""


class Gap(msgspec.Struct, frozen=True):
    """One gap of one job."""

    code: str
    message: str
    how_to_close: str


def find_gaps(record: JobRecord, findings: Findings) -> list[Gap]:
    """Return the gaps of a record, those that stop the lowest level first."""
    gaps = []
    for code, message in _gaps(record, findings):
        gaps.append(Gap(code, message, GAPS[code].how_to_close))
    return in_order(gaps)


def in_order(gaps: list[Gap]) -> list[Gap]:
    """Return gaps, those that stop the lowest level first."""
    return sorted(gaps, key=lambda gap: GAPS[gap.code].level)


def level_of(gaps: list[Gap], record: JobRecord, findings: Findings) -> int:
    """Return the highest closure level that is complete, 0 to 4."""
    stopped = {GAPS[gap.code].level for gap in gaps}
    highest = _WITHOUT_CAPSULE
    if findings.has_capsule:
        # a held environment is enough, however the record names its image
        stopped.discard(_WITHOUT_CAPSULE + 1)
        highest = _HIGHEST if _holds_all_inputs(record, findings) else _HIGHEST - 1
    return max(0, min([highest, *(level - 1 for level in stopped)]))


def needs_of_next(level: int, gaps: list[Gap]) -> list[str]:
    """Return what the closure level after this one needs: codes of gaps, or what is no gap.

    The latter is `capsule` or `large-inputs`. The highest level needs nothing more.
    """
    if level == _HIGHEST:
        return []
    if level == _WITHOUT_CAPSULE:
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


def _gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    yield from _command_gaps(record)
    yield from _source_gaps(record, findings)
    yield from _configuration_gaps(record, findings)
    yield from _software_gaps(record, findings)
    yield from _environment_gaps(record, findings)
    yield from _conditions_gaps(record, findings)
    yield from _file_gaps(record, findings)
    yield from seen_gaps(record)
    yield from left_out_gaps(record)
    yield from traced_gaps(record, findings.unseen, has_capsule=findings.has_capsule)
    yield from weakness_gaps(record)
    yield from _randomness_gaps(record)
    yield from _report_gaps(record, findings)
    if findings.erased:
        yield from _erased_gaps(record, findings.erased)


def _command_gaps(record: JobRecord) -> Iterator[_Message]:
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


_PAST_A_LIMIT = " the limit of "
"""What each sentence of the reader has that says which of its limits a text ran into."""


def _names_end(record: JobRecord) -> bool:
    if record.exit is None:
        return False
    return record.exit.code is not None or record.exit.signal is not None


def _configuration_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    for place, configuration in enumerate(record.configurations or ()):
        name = configuration.main or configuration.step or f"configurations[{place}]"
        if place in findings.unevaluated:
            problem = findings.unevaluated[place]
            code = "configuration-unevaluated"
            if _PAST_A_LIMIT in problem:
                code = "configuration-too-large"
            yield code, f"{name} cannot be evaluated: {problem}"
        if place in findings.differing:
            yield "configuration-differs", f"{name}: {findings.differing[place]}"
    yield from _stored_configuration_gaps(record)


def _stored_configuration_gaps(record: JobRecord) -> Iterator[_Message]:
    """Yield whether the configuration that art wrote into a file is not the one of the record."""
    recorded: set[str] = set()
    for configuration in record.configurations or ():
        if configuration.parameter_set_id:
            recorded.add(configuration.parameter_set_id)
    file_name, stored = _stored_by_art(record)
    if recorded and stored and not recorded & stored:
        ids = ", ".join(sorted(stored)[:3])
        yield (
            "configuration-differs-in-file",
            (
                f"The record says ParameterSetID {min(recorded)[:40]} was run; {file_name}, "
                f"as art wrote it, has {ids}."
            ),
        )


def _stored_by_art(record: JobRecord) -> tuple[str, set[str]]:
    """Return the name of an art file that the job wrote, and the ParameterSetIDs in it.

    The ids are those of the processes in the file. There are none if nobody looked into it.
    """
    for key in ("checked", "reconstructed"):
        art_file = (record.extra or {}).get(key)
        processes = art_file.get("processes") if isinstance(art_file, dict) else None
        if isinstance(art_file, dict) and isinstance(processes, list):
            described = [process for process in processes if isinstance(process, dict)]
            ids = {str(process.get("parameter_set_id")) for process in described}
            return str(art_file.get("file") or "the file"), ids
    return "", set()


def _software_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    for sentence in unplaced_programs(record):
        yield "software-missing", sentence
    for place, software in enumerate(record.software or ()):
        name = software.name or software.repository or f"software[{place}]"
        if place in findings.unresolved:
            yield from _unresolved_gaps(name, software, findings.unresolved[place], findings)
        if place in findings.inferred:
            # the installed product is what ran, so gaps of its inferred source cost no level
            source = "its source is held, inferred from its version"
            yield "software-installed", f"{name} is installed software; {source}."
        else:
            yield from _commit_gaps(name, place, software, findings)


def _unresolved_gaps(
    name: str, software: Software, reason: str, findings: Findings
) -> Iterator[_Message]:
    if not _is_held_otherwise(software, findings):
        yield "software-unresolved", f"{name}: {reason}."
    elif software.tarball is None:
        yield "software-installed", f"{name} is installed software {reason}."


def _commit_gaps(
    name: str, place: int, software: Software, findings: Findings
) -> Iterator[_Message]:
    if place in findings.ambiguous:
        yield "software-ambiguous", f"{name}: {findings.ambiguous[place]}."
    if place in findings.submodules:
        yield "submodule-missing", f"{name}: files of its submodules are not here."
    if place in findings.unreferenced:
        revision = (software.revision or "")[:12]
        yield "commit-unreferenced", f"{name}: no branch or tag led to commit {revision}."
    if is_changed(software) and _is_missing(software.objects_sha256, findings):
        yield (
            "dirty-tree-missing",
            f"{name} held other files than its commit; these files are not here.",
        )


def _is_missing(digest: str | None, findings: Findings) -> bool:
    return not digest or digest in findings.missing_blobs


def _is_held_otherwise(software: Software, findings: Findings) -> bool:
    """Return whether the code is held without a repository.

    That is so for a held tar file, and for an installed product, which is environment.
    """
    if software.tarball is not None:
        return not _is_missing(software.tarball.sha256, findings)
    return not (software.repository or software.revision)


def _environment_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    environment = record.environment
    if environment is None or environment.variables is None:
        yield "environment-missing", "The record has no environment variables."
    for what, digest in _listings_of(record):
        if digest in findings.missing_blobs:
            yield "environment-missing", f"The listing of {what} is not here."
    container = environment.container if environment else None
    if container and container.image and not container.digest:
        yield "image-without-digest", f"The container image {container.image} is named by tag only."


def _conditions_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    for condition in record.conditions or ():
        name = condition.database or "a database"
        if _is_missing(condition.payload_sha256, findings):
            yield "conditions-missing", f"Conditions of {name} have no payload here."
        if not condition.tag:
            yield "conditions-untagged", f"Conditions of {name} have no tag."


def _file_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
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


def _input_gaps(file: Input, findings: Findings) -> Iterator[_Message]:
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


def _event_count_gaps(record: JobRecord) -> Iterator[_Message]:
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


def _randomness_gaps(record: JobRecord) -> Iterator[_Message]:
    if not record.inputs and record.outputs and not record.seeds:
        yield "seed-unknown", "A job without inputs that names no seed."
    if record.threads is not None and record.threads > 1 and not record.seeds:
        yield "threads-unseeded", f"{record.threads} threads and no seeds."


def _report_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    if record.task is None or record.task.task_id is None:
        yield "task-missing", "The job belongs to no task."
    for path in findings.repairs:
        yield "value-out-of-range", f"The value of {path} is out of range."
    for path in findings.contradictions:
        yield "witness-contradiction", f"Witnesses differ in {path}."
    for path, word, vocabulary in _enumerated_words(record):
        if word is not None and word not in vocabulary:
            yield "unknown-word", f"The word {word!r} in {path} is not known here."
    for path, word in unknown_kinds(record):
        yield "unknown-word", f"The word {word!r} in {path} is not known here."


def _enumerated_words(record: JobRecord) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """Yield (path, word, the words that this version knows there) of each open enumeration."""
    yield "witness", record.witness, WITNESSES
    if record.exit is not None and record.exit.decided_by is not None:
        yield "exit.decided_by.evidence", record.exit.decided_by.evidence, DECIDING
    for place, file in enumerate(record.inputs or ()):
        yield f"inputs[{place}].role", file.role, ROLES
    for place, output in enumerate(record.outputs or ()):
        yield f"outputs[{place}].status", output.status, STATUSES
    for place, software in enumerate(record.software or ()):
        yield f"software[{place}].evidence", software.evidence, EVIDENCE


def _source_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    """Yield which fcl files, scripts, logs and other blobs were never sent, or expired."""
    yield from _missing_sources("fcl-missing", "", _fcl_files(record), findings)
    yield from _missing_sources("script-missing", "", record.scripts or (), findings)
    yield from _log_gaps(record, findings)
    if findings.missing_blobs:
        yield from _other_blob_gaps(record, findings.missing_blobs)


def _other_blob_gaps(record: JobRecord, missing_blobs: AbstractSet[str]) -> Iterator[_Message]:
    others = missing_blobs - _digests_with_own_gap(record)
    if others:
        examples = ", ".join(digest[:12] for digest in sorted(others)[:3])
        yield (
            "blob-missing",
            f"Blobs that the record names are not here: {len(others)}, such as {examples}.",
        )


def _log_gaps(record: JobRecord, findings: Findings) -> Iterator[_Message]:
    yield from _missing_sources("log-missing", "log ", record.logs or (), findings)
    for log in record.logs or ():
        if log.sha256 in findings.expired:
            yield (
                "log-expired",
                f"Of log {log.name} only beginning and end are kept; the rest expired.",
            )
    if not record.logs and record.state not in ("running", "lost"):
        yield "log-missing", "The job has no log."


def _missing_sources(
    code: str, what: str, sources: Iterable[SourceFile | Log], findings: Findings
) -> Iterator[_Message]:
    for source in sources:
        if source.sha256 is None or source.sha256 in findings.missing_blobs:
            yield code, f"The bytes of {what}{source.name} are not here."


def _fcl_files(record: JobRecord) -> Iterator[SourceFile]:
    for configuration in record.configurations or ():
        yield from configuration.files or ()


def _erased_gaps(record: JobRecord, erased: AbstractSet[str]) -> Iterator[_Message]:
    """Yield what an operator erased: a code for each closure level that it costs."""
    sources, inputs = _names_of_sources(record), _names_of_inputs(record)
    logs = {log.sha256: f"log {log.name}" for log in record.logs or ()}
    for digest in sorted(erased):
        if digest in sources:
            code, name = "source-erased", sources[digest]
        elif digest in inputs:
            code, name = "input-erased", inputs[digest]
        else:
            code, name = "blob-erased", logs.get(digest, f"blob {digest[:12]}")
        yield code, f"The bytes of {name} were erased on purpose."


def _names_of_sources(record: JobRecord) -> dict[str | None, str]:
    """Return by digest what level 1 needs, in words."""
    names: dict[str | None, str] = {file.sha256: str(file.name) for file in _fcl_files(record)}
    names |= {script.sha256: str(script.name) for script in record.scripts or ()}
    for software in record.software or ():
        name = str(software.name or software.repository)
        names[software.objects_sha256] = f"changed files of {name}"
        if software.tarball:
            names[software.tarball.sha256] = f"tar file of {name}"
    names |= {digest: f"listing of {what}" for what, digest in _listings_of(record)}
    return names


def _names_of_inputs(record: JobRecord) -> dict[str | None, str]:
    """Return by digest what the levels from 2 on need, in words."""
    names: dict[str | None, str] = {file.sha256: str(file.name) for file in needed_inputs(record)}
    for condition in record.conditions or ():
        names[condition.payload_sha256] = f"conditions of {condition.database}"
    names |= dict.fromkeys(standard_inputs(record), "standard input")
    return names


def _digests_with_own_gap(record: JobRecord) -> set[str | None]:
    """Return the digests whose absence is a gap of another code than `blob-missing`."""
    digests: set[str | None] = set()
    for file in (*_fcl_files(record), *(record.scripts or ()), *(record.logs or ())):
        digests.add(file.sha256)
    for software in record.software or ():
        if is_changed(software):
            digests.add(software.objects_sha256)
    for condition in record.conditions or ():
        digests.add(condition.payload_sha256)
    for _, digest in _listings_of(record):
        digests.add(digest)
    digests.update(standard_inputs(record))
    return digests


def _listings_of(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (what it lists, digest) of the listings of the environment that the record names."""
    environment = record.environment
    if environment is None:
        return
    if environment.packages_sha256:
        yield "packages", environment.packages_sha256
    if environment.libraries_sha256:
        yield "libraries", environment.libraries_sha256
