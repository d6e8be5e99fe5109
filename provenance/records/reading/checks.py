"""What must hold in a record beyond types: names, times, positions.

Everything else is a gap, never an error.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.job_record import FclConfiguration, Input, JobRecord, Output
from jobprov.provenance.records.parents import MOST_PARENTS, PARENT_ROLES
from jobprov.provenance.records.reading.sharing import remembered
from jobprov.provenance.records.reading.times import OUTSIDE, is_kept

_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029/]")
_UNSAFE_WORD = re.compile(r"[\x00-\x1f\x7f]")
_CHECKSUM = re.compile(r"[A-Za-z0-9_.+-]{1,32}:[^\s\x00-\x1f]{1,256}")
LONGEST_NAME = 3000
"""Bytes of a name, what an index of every database holds."""
MOST_FILES = 32_767
"""Inputs or outputs of one job, what a position in a list holds."""
LARGEST = 2**63 - 1


def check_record(record: JobRecord) -> JobRecord:
    """Return the record itself where every check holds.

    Raises:
        RecordError: with all the fields that fail, not only the first.
    """
    if found := list(_problems(record)):
        raise refused(found)
    return record


def refused(found: Iterable[tuple[str, str]]) -> RecordError:
    """Return the error that names these fields, at least one, each with what is wrong."""
    fields: dict[str, list[str]] = {}
    for path, message in found:
        fields.setdefault(path, []).append(message)
    first = next(iter(fields))
    return RecordError(f"{first}: {fields[first][0]}.", fields)


_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def _times_of_parts_problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    told = [record.batch.queued_at] if record.batch is not None else []
    if record.command is not None:
        told += [
            moment
            for step in record.command.steps or ()
            for moment in (step.started_at, step.ended_at)
        ]
    told += [moment for file in record.inputs or () for moment in (file.opened_at, file.closed_at)]
    told += [
        moment for file in record.outputs or () for moment in (file.created_at, file.closed_at)
    ]
    if all(moment is None or _FIRST_YEAR < moment.year < _LAST_YEAR for moment in told):
        return  # nearly always: the careful way takes thrice as long
    for path, parts, fields in _parts_with_times(record):
        for place, part in enumerate(parts):
            for field in fields:
                moment = getattr(part, field)
                if moment is not None and not is_kept(moment):
                    yield f"{path.format(place)}.{field}", OUTSIDE


def _parts_with_times(
    record: JobRecord,
) -> Iterator[tuple[str, Sequence[Any], tuple[str, str] | tuple[str]]]:
    """Yield (their path, parts of one kind, their fields)."""
    if record.batch is not None:
        yield "batch", (record.batch,), ("queued_at",)
    if record.command is not None and record.command.steps:
        yield "command.steps[{}]", record.command.steps, ("started_at", "ended_at")
    yield "inputs[{}]", record.inputs or (), ("opened_at", "closed_at")
    yield "outputs[{}]", record.outputs or (), ("created_at", "closed_at")


def _problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    if record.started_at is None and record.state not in ("killed", "lost"):
        yield "started_at", "required but for killed and lost jobs"
    for field in ("started_at", "ended_at", "sent_at"):
        moment = getattr(record, field)
        if moment is not None and not is_kept(moment):
            yield field, OUTSIDE
    yield from _times_of_parts_problems(record)
    yield from _task_problems(record)
    yield from _file_problems(record)
    if (pairs := _count_parents(record)) > MOST_PARENTS:
        words = "name the few inputs that each was made from (parents)"
        yield (
            "outputs",
            f"with the inputs of their steps {pairs} pairs, more than {MOST_PARENTS}; {words}",
        )
    yield from _source_problems(record)
    for place, log in enumerate(record.logs or ()):
        if message := name_problem(log.name):
            yield f"logs[{place}].name", message


def _task_problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    if record.task is None:
        return
    for field in ("task_id", "campaign", "stage", "unit"):
        word = getattr(record.task, field)
        if word is not None and _UNSAFE_WORD.search(word):
            yield f"task.{field}", "control characters"
    if record.task.task_id is not None and "/" in record.task.task_id:
        yield "task.task_id", "a task id has no slash"


def _file_problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    for kind, files in (("inputs", record.inputs or []), ("outputs", record.outputs or [])):
        listed: Sequence[Input | Output] = files
        if len(files) > MOST_FILES:
            yield kind, f"more than {MOST_FILES} files"
        for place, file in enumerate(listed):
            if message := name_problem(file.name):
                yield f"{kind}[{place}].name", message
            if file.namespace and (message := name_problem(file.namespace)):
                yield f"{kind}[{place}].namespace", message
            for index, checksum in enumerate(file.checksums or ()):
                if message := checksum_problem(checksum):
                    yield f"{kind}[{place}].checksums[{index}]", message
            if file.size_bytes is not None and file.size_bytes < 0:
                yield f"{kind}[{place}].size_bytes", "less than zero"


def _count_parents(record: JobRecord) -> int:
    """Return how many edges the record makes.

    Each output has its declared parents, or else the inputs of its step.
    """
    steps = Counter(file.step or None for file in record.inputs or () if file.role in PARENT_ROLES)
    every = steps.total()
    return sum(
        len(file.parents)
        if file.parents is not None
        else (steps[file.step] + steps[None] if file.step else every)
        for file in record.outputs or ()
    )


def _source_problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    for place, script in enumerate(record.scripts or ()):
        if _UNSAFE_WORD.search(script.name):
            yield f"scripts[{place}].name", "control characters"
    yield from configuration_problems(record.configurations or ())


@remembered
def configuration_problems(configurations: Sequence[FclConfiguration]) -> list[tuple[str, str]]:
    """Return field path and message of each name in configurations that is refused."""
    return [
        (f"configurations[{place}].files[{index}].name", "control characters")
        for place, configuration in enumerate(configurations)
        for index, file in enumerate(configuration.files or ())
        if _UNSAFE_WORD.search(file.name)
    ]


def numbers_fit(record: JobRecord) -> bool:
    """Return whether no duration is past 64 bits.

    Whole numbers are held to that by their type, these by the careful way alone.
    """
    spent, modules, inputs = record.resources, record.modules or (), record.inputs or ()
    told = [value for module in modules for value in (module.seconds_total, module.seconds_max)]
    told += [file.times_within_seconds for file in inputs]
    if spent is not None:
        told += [
            spent.wall_seconds,
            spent.cpu_user_seconds,
            spent.cpu_system_seconds,
            spent.cores_used,
        ]
    return all(value is None or -LARGEST <= value <= LARGEST for value in told)


def name_problem(name: str) -> str | None:
    """Return why a file name is refused, or None.

    Any Unicode but control characters and `/` is taken.
    """
    if _UNSAFE_NAME.search(name):
        return "control characters or a slash in a file name"
    if name in (".", ".."):
        return "not a file name"
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        return f"longer than {LONGEST_NAME} bytes"
    return None


def word_problem(word: str) -> str | None:
    """Return why a name of a task, campaign or stage is refused, or None."""
    return "control characters" if _UNSAFE_WORD.search(word) else None


def checksum_problem(checksum: str) -> str | None:
    """Return why a catalog checksum is refused, or None."""
    return None if _CHECKSUM.fullmatch(checksum) else "a checksum is algorithm:value"
