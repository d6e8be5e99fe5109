"""What would stop a rerun in ten years and can still be closed today.

Each gap has a code (documented in docs/reference/gaps.md), a sentence about this record, and what closes it.
The *level* of a job is the highest closure level that the gaps leave complete: L0 description, L1
and code, fcl, scripts and environment, L2 and small inputs and conditions, L3 and the environment,
L4 and all inputs. L3 and L4 need a capsule: an image or a registered one that is held.

Source: record.md, bundle.md ("Closure levels").
"""

import re
from collections.abc import Iterator

import msgspec

# Part of this module's interface
from jobprov.provenance.records.findings import Findings as Findings  # noqa: PLC0414

# Part of this module's interface
from jobprov.provenance.records.gap_codes import GAPS as GAPS  # noqa: PLC0414
from jobprov.provenance.records.gaps_of_bytes import erased_gaps, listings_of, source_gaps
from jobprov.provenance.records.identity import WITNESSES
from jobprov.provenance.records.inputs import may_be_small, needed_inputs, standard_inputs
from jobprov.provenance.records.job_record import JobRecord, Software
from jobprov.provenance.records.parents import MOST_PARENTS, has_too_many_parents

_IMAGE = re.compile(r"sha256:([0-9a-f]{64})")
ROLES = ("primary", "secondary", "shared", "configuration")
STATUSES = ("written", "empty", "dropped", "copy_failed", "not_kept")
_STRONG = ("sha256:", "sha512:", "sha1:", "md5:")
EVIDENCE = ("observed", "declared", "inferred")
NO_REPOSITORY = "of no known repository"

_WITHOUT_CAPSULE, _HIGHEST = 2, 4  # closure levels


class Gap(msgspec.Struct, frozen=True):
    """One gap of one job."""

    code: str
    message: str
    how_to_close: str


def find_gaps(record: JobRecord, findings: Findings) -> list[Gap]:
    """Return the gaps of a record, those that cost the lowest level first."""
    found = [Gap(code, message, GAPS[code][1]) for code, message in _gaps(record, findings)]
    return sorted(found, key=lambda gap: GAPS[gap.code][0])


def level_of(gaps: list[Gap], record: JobRecord, findings: Findings) -> int:
    """Return the highest closure level that is complete, 0 to 4."""
    if not findings.has_capsule:
        return max(0, min([GAPS[gap.code][0] - 1 for gap in gaps] + [_WITHOUT_CAPSULE]))
    # what is held of the environment is enough, however its image was named
    levels = [GAPS[gap.code][0] - 1 for gap in gaps if GAPS[gap.code][0] != _WITHOUT_CAPSULE + 1]
    return max(0, min([*levels, _HIGHEST if _holds_all_inputs(record, findings) else _HIGHEST - 1]))


def needs_of_next(level: int, gaps: list[Gap]) -> list[str]:
    """Return what the closure level after this one needs.

    Codes of gaps, `capsule`, or `large-inputs`; nothing after the highest.
    """
    if level == _HIGHEST:
        return []
    if level == _WITHOUT_CAPSULE:
        return ["capsule"]
    codes = dict.fromkeys(gap.code for gap in gaps if GAPS[gap.code][0] == level + 1)
    return list(codes) or ["large-inputs"]


def _holds_all_inputs(record: JobRecord, findings: Findings) -> bool:
    lost = findings.unheld_inputs | findings.erased if findings.erased else findings.unheld_inputs
    return all(file.sha256 and file.sha256 not in lost for file in needed_inputs(record))


def image_digest(record: JobRecord) -> str:
    """Return the sha256 of the container image that a job ran in.

    Empty where none is named by one, whatever else it says.
    """
    container = record.environment.container if record.environment else None
    found = _IMAGE.fullmatch((container.digest or "") if container else "")
    return found[1] if found else ""


def _gaps(record: JobRecord, findings: Findings) -> Iterator[tuple[str, str]]:
    yield from _command_gaps(record)
    yield from source_gaps(record, findings)
    yield from _configuration_gaps(record, findings)
    yield from _software_gaps(record, findings)
    yield from _environment_gaps(record, findings)
    yield from _file_gaps(record, findings)
    yield from _randomness_gaps(record)
    yield from _report_gaps(record, findings)
    if findings.erased:
        yield from erased_gaps(record, findings.erased)


def _command_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    command = record.command
    if command is None or not (
        command.argv or any(step.argv and step.role == "payload" for step in command.steps or ())
    ):
        yield "command-missing", "The record does not say what was run."
    if record.state in ("succeeded", "failed") and (
        record.exit is None or (record.exit.code is None and record.exit.signal is None)
    ):
        yield "exit-missing", "The record does not say how the job ended."


def _configuration_gaps(record: JobRecord, findings: Findings) -> Iterator[tuple[str, str]]:
    for place, configuration in enumerate(record.configurations or ()):
        name = configuration.main or configuration.step or f"configurations[{place}]"
        if place in findings.unevaluated:
            yield (
                "configuration-unevaluated",
                f"{name} cannot be evaluated: {findings.unevaluated[place]}",
            )
        if place in findings.differing:
            yield "configuration-differs", f"{name}: {findings.differing[place]}"
    said = {
        found.parameter_set_id for found in record.configurations or () if found.parameter_set_id
    }
    name, stored = _stored_by_art(record)
    if said and stored and not said & stored:
        yield (
            "configuration-differs-in-file",
            f"The record says ParameterSetID {min(said)[:40]} was run; {name}, as art wrote it, has {', '.join(sorted(stored)[:3])}.",
        )


def _stored_by_art(record: JobRecord) -> tuple[str, set[str]]:
    """Return the name of an art file that the job wrote and the ParameterSetIDs of the processes in it; none where nobody looked."""
    for key in ("checked", "reconstructed"):
        told = (record.extra or {}).get(key)
        processes = told.get("processes") if isinstance(told, dict) else None
        if isinstance(told, dict) and isinstance(processes, list):
            ids = {
                str(each.get("parameter_set_id")) for each in processes if isinstance(each, dict)
            }
            return str(told.get("file") or "the file"), ids
    return "", set()


def _software_gaps(record: JobRecord, findings: Findings) -> Iterator[tuple[str, str]]:
    if not record.software and not record.scripts:
        yield "software-missing", "The record names no repository, product, tarball or script."
    for place, software in enumerate(record.software or ()):
        name = software.name or software.repository or f"software[{place}]"
        if place in findings.unresolved:
            if not _is_held_otherwise(software, findings):
                yield "software-unresolved", f"{name}: {findings.unresolved[place]}."
            elif software.tarball is None:
                yield (
                    "software-installed",
                    f"{name} is installed software {findings.unresolved[place]}.",
                )
        if (
            place in findings.inferred
        ):  # what ran is what was installed, and what its source lacks costs no level
            yield (
                "software-installed",
                f"{name} is installed software; its source is held, inferred from its version.",
            )
            continue
        yield from _commit_gaps(name, place, software, findings)


def _commit_gaps(
    name: str, place: int, software: Software, findings: Findings
) -> Iterator[tuple[str, str]]:
    if place in findings.ambiguous:
        yield "software-ambiguous", f"{name}: {findings.ambiguous[place]}."
    if place in findings.submodules:
        yield "submodule-missing", f"{name}: files of its submodules are not here."
    if place in findings.unreferenced:
        yield (
            "commit-unreferenced",
            f"{name}: no branch or tag led to commit {(software.revision or '')[:12]}.",
        )
    if software.is_dirty and (
        software.objects_sha256 is None or software.objects_sha256 in findings.missing_blobs
    ):
        yield (
            "dirty-tree-missing",
            f"{name} was changed and not committed; its changed files are not here.",
        )


def _is_held_otherwise(software: Software, findings: Findings) -> bool:
    """Return whether no repository is wanted: a tar file that is held, or an installed product, which is environment."""
    if software.tarball is not None:
        return (
            software.tarball.sha256 is not None
            and software.tarball.sha256 not in findings.missing_blobs
        )
    return not (software.repository or software.revision)


def _environment_gaps(record: JobRecord, findings: Findings) -> Iterator[tuple[str, str]]:
    environment = record.environment
    if environment is None or environment.variables is None:
        yield "environment-missing", "The record has no environment variables."
    for what, digest in listings_of(record):
        if digest in findings.missing_blobs:
            yield "environment-missing", f"The listing of {what} is not here."
    if (
        environment
        and environment.container
        and environment.container.image
        and not environment.container.digest
    ):
        yield (
            "image-without-digest",
            f"The container image {environment.container.image} is named by tag only.",
        )
    for condition in record.conditions or ():
        name = condition.database or "a database"
        if not condition.payload_sha256 or condition.payload_sha256 in findings.missing_blobs:
            yield "conditions-missing", f"Conditions of {name} have no payload here."
        if not condition.tag:
            yield "conditions-untagged", f"Conditions of {name} have no tag."


def _file_gaps(record: JobRecord, findings: Findings) -> Iterator[tuple[str, str]]:
    if any(digest in findings.missing_blobs for digest in standard_inputs(record)):
        yield "input-missing", "What the job read from standard input is not here."
    for file in needed_inputs(record):
        is_missing = may_be_small(file) and (
            not file.sha256 or file.sha256 in findings.unheld_inputs
        )
        if not file.sha256 and not file.checksums:
            yield "input-without-checksum", f"Input {file.name} has no checksum."
        elif is_missing:
            yield (
                "input-missing",
                f"Input {file.name} is small, or of unknown size, and its bytes are not here.",
            )
        if (
            not file.sha256
            and file.checksums
            and not any(word.lower().startswith(_STRONG) for word in file.checksums)
        ):
            yield "input-checksum-short", f"Input {file.name} is told by {file.checksums[0]} alone."
    for output in record.outputs or ():
        if (
            output.status in (None, "written")
            and not output.sha256
            and not output.checksums
            and not output.content_digest
            and record.state == "succeeded"
        ):
            yield "output-without-checksum", f"Output {output.name} has no checksum."
    if has_too_many_parents(record):
        yield (
            "parents-unknown",
            f"Outputs and the inputs of their steps are more than {MOST_PARENTS} pairs.",
        )
    read = [file.events_read for file in record.inputs or () if file.role in (None, "primary")]
    written = [output.event_count for output in record.outputs or ()]
    if (
        len(read) > 1
        and len(written) == 1
        and None not in read
        and None not in written
        and sum(read) != written[0]  # type: ignore[arg-type]
    ):
        yield (
            "event-count-mismatch",
            f"The inputs had {sum(read)} events, the output has {written[0]}.",  # type: ignore[arg-type]
        )


def _randomness_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    if not record.inputs and record.outputs and not record.seeds:
        yield "seed-unknown", "A job without inputs that names no seed."
    if record.threads is not None and record.threads > 1 and not record.seeds:
        yield "threads-unseeded", f"{record.threads} threads and no seeds."


def _report_gaps(record: JobRecord, findings: Findings) -> Iterator[tuple[str, str]]:
    if record.task is None or record.task.task_id is None:
        yield "task-missing", "The job belongs to no task."
    for path in findings.repairs:
        yield "value-out-of-range", f"The value of {path} is out of range."
    for path in findings.contradictions:
        yield "witness-contradiction", f"Witnesses differ in {path}."
    for path, word, words in _words(record):
        if word is not None and word not in words:
            yield "unknown-word", f"The word {word!r} in {path} is not known here."


def _words(record: JobRecord) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """Yield (path, word, the words of its enumeration) of each open enumeration of the record."""
    yield "witness", record.witness, WITNESSES
    for place, file in enumerate(record.inputs or ()):
        yield f"inputs[{place}].role", file.role, ROLES
    for place, output in enumerate(record.outputs or ()):
        yield f"outputs[{place}].status", output.status, STATUSES
    for place, software in enumerate(record.software or ()):
        yield f"software[{place}].evidence", software.evidence, EVIDENCE
