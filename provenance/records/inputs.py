"""Which inputs of a job a bundle holds, and a rerun wants from outside.

Docs/bundle.md has the levels.
"""

from collections.abc import Mapping, Sequence

from jobprov.provenance.records.job_record import Input, JobRecord

SMALL_INPUT_BYTES = 16 * 1024 * 1024


def small_inputs(record: JobRecord) -> set[str]:
    """Return the sha256 of each input that a bundle of level 2 holds."""
    return {file.sha256 for file in record.inputs or () if file.sha256 and may_be_small(file)}


def all_inputs(record: JobRecord) -> set[str]:
    """Return the sha256 of each input that a bundle of level 4 holds."""
    return {file.sha256 for file in record.inputs or () if file.sha256}


def standard_inputs(record: JobRecord) -> list[str]:
    """Return the digests of what the payload read from standard input.

    Of the job as a whole, or step by step.
    """
    command = record.command
    if command is None:
        return []
    read = [
        command.stdin_sha256,
        *(step.stdin_sha256 for step in command.steps or () if step.role == "payload"),
    ]
    return [digest for digest in read if digest]


def may_be_small(file: Input) -> bool:
    """Return whether a bundle of level 2 holds the input: one of unknown size may be small."""
    return file.size_bytes is None or file.size_bytes <= SMALL_INPUT_BYTES


def needed_inputs(record: JobRecord) -> Sequence[Input]:
    """Return the inputs that a rerun wants from outside.

    Not those that an earlier step of the job wrote, or that were never there.
    """
    inputs: Sequence[Input] = record.inputs or ()
    if not inputs:
        return inputs
    made: dict[str | None, str | None] = {
        output.path or output.name: output.sha256 for output in record.outputs or ()
    }
    return [file for file in inputs if not _is_made(file, made) and not _is_unseen(file)]


def _is_made(file: Input, made: Mapping[str | None, str | None]) -> bool:
    location = file.location or ""
    path = file.path or (location if "://" in location else "") or file.name
    return path in made and (not file.sha256 or file.sha256 == made[path])


def _is_unseen(file: Input) -> bool:
    is_described = file.sha256 or file.checksums or file.size_bytes is not None
    return not is_described and file.status not in (None, "", "consumed")
