"""Which inputs of a job a bundle holds, and which a rerun needs from outside.

Docs/bundle.md has the levels.
"""

from collections.abc import Mapping, Sequence

from jobprov.provenance.records.job_record import UNTOLD, Input, JobRecord

SMALL_INPUT_BYTES = 16 * 1024 * 1024
ABSENT = "absent"
"""Status of an input that a failed job named, and that was not there."""


def small_inputs(record: JobRecord) -> set[str]:
    """Return the sha256 of each input that a bundle of level 2 holds."""
    return {file.sha256 for file in record.inputs or () if file.sha256 and may_be_small(file)}


def all_inputs(record: JobRecord) -> set[str]:
    """Return the sha256 of each input that a bundle of level 4 holds."""
    return {file.sha256 for file in record.inputs or () if file.sha256}


def standard_inputs(record: JobRecord) -> list[str]:
    """Return the digests of what the payload read from standard input.

    For the job as a whole, or step by step.
    """
    command = record.command
    if command is None:
        return []
    digests = [command.stdin_sha256]
    digests += [step.stdin_sha256 for step in command.steps or () if step.role == "payload"]
    return [digest for digest in digests if digest]


def may_be_small(file: Input) -> bool:
    """Return whether a bundle of level 2 holds the input: one of unknown size may be small."""
    return file.size_bytes is None or file.size_bytes <= SMALL_INPUT_BYTES


def is_surrounding(file: Input) -> bool:
    """Return whether an input is a setting, module or the like that the hook found by itself.

    A rerun needs it, and the bundle has it; but it is no file that anybody would look for in a
    lineage, where hundreds of them would stand around each job.
    """
    return file.role == "configuration" and file.evidence in UNTOLD


def needed_inputs(record: JobRecord) -> Sequence[Input]:
    """Return the inputs that a rerun needs from outside.

    Those that an earlier step of the job wrote, or that were never there, are left out.
    """
    inputs: Sequence[Input] = record.inputs or ()
    if not inputs:
        return inputs
    output_digests = {output.path or output.name: output.sha256 for output in record.outputs or ()}
    needed = []
    for file in inputs:
        if not (_is_written_by_job(file, output_digests) or _is_unseen(file)):
            needed.append(file)
    return needed


def _is_written_by_job(file: Input, output_digests: Mapping[str, str | None]) -> bool:
    path = file.path
    if not path and "://" in (file.location or ""):
        path = file.location
    path = path or file.name
    return path in output_digests and file.sha256 in (None, "", output_digests[path])


def _is_unseen(file: Input) -> bool:
    is_described = file.sha256 or file.checksums or file.size_bytes is not None
    return not is_described and file.status not in (None, "", "consumed")
