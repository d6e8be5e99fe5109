"""What must hold in a record beyond types: names, times, positions.

Everything else is a gap, never an error.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.files.parents import MOST_PARENTS
from jobprov.provenance.records.job_record import FclConfiguration, Input, JobRecord, Output
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
    problems = list(_problems(record))
    if problems:
        raise refused(problems)
    return record


def refused(problems: Iterable[tuple[str, str]]) -> RecordError:
    """Return the error that names the field of each problem, and what is wrong with it.

    There must be at least one.
    """
    fields: dict[str, list[str]] = {}
    for path, message in problems:
        fields.setdefault(path, []).append(message)
    first = next(iter(fields))
    return RecordError(f"{first}: {fields[first][0]}.", fields)


_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def _times_of_parts_problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    times = _times_of_parts(record)
    # So it nearly always is, and finding the field takes three times as long
    if all(moment is None or _FIRST_YEAR < moment.year < _LAST_YEAR for moment in times):
        return
    for path, moment in _named_times_of_parts(record):
        if moment is not None and not is_kept(moment):
            yield path, OUTSIDE


def _times_of_parts(record: JobRecord) -> list[datetime | None]:
    times: list[datetime | None] = []
    if record.batch is not None:
        times.append(record.batch.queued_at)
    if record.command is not None:
        for step in record.command.steps or ():
            times += (step.started_at, step.ended_at)
    for input_file in record.inputs or ():
        times += (input_file.opened_at, input_file.closed_at)
    for output in record.outputs or ():
        times += (output.created_at, output.closed_at)
    return times


def _named_times_of_parts(record: JobRecord) -> Iterator[tuple[str, datetime | None]]:
    """Yield the same times with the paths of their fields."""
    if record.batch is not None:
        yield "batch.queued_at", record.batch.queued_at
    if record.command is not None:
        for place, step in enumerate(record.command.steps or ()):
            yield f"command.steps[{place}].started_at", step.started_at
            yield f"command.steps[{place}].ended_at", step.ended_at
    for place, input_file in enumerate(record.inputs or ()):
        yield f"inputs[{place}].opened_at", input_file.opened_at
        yield f"inputs[{place}].closed_at", input_file.closed_at
    for place, output in enumerate(record.outputs or ()):
        yield f"outputs[{place}].created_at", output.created_at
        yield f"outputs[{place}].closed_at", output.closed_at


def _problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    yield from _time_problems(record)
    yield from _times_of_parts_problems(record)
    yield from _task_problems(record)
    yield from _file_problems(record)
    declared = sum(len(output.parents or ()) for output in record.outputs or ())
    if declared > MOST_PARENTS:
        yield "outputs", f"{declared} declared parents, more than {MOST_PARENTS}"
    yield from _source_problems(record)
    for position, log in enumerate(record.logs or ()):
        message = name_problem(log.name)
        if message:
            yield f"logs[{position}].name", message


def _time_problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    if record.started_at is None and record.state not in ("killed", "lost"):
        yield "started_at", "required but for killed and lost jobs"
    for field in ("started_at", "ended_at", "sent_at"):
        moment = getattr(record, field)
        if moment is not None and not is_kept(moment):
            yield field, OUTSIDE


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
    yield from _problems_of_files("inputs", record.inputs or ())
    yield from _problems_of_files("outputs", record.outputs or ())


def _problems_of_files(kind: str, files: Sequence[Input | Output]) -> Iterator[tuple[str, str]]:
    if len(files) > MOST_FILES:
        yield kind, f"more than {MOST_FILES} files"
    for place, file in enumerate(files):
        for field, message in _problems_of_file(file):
            yield f"{kind}[{place}].{field}", message


def _problems_of_file(file: Input | Output) -> Iterator[tuple[str, str]]:
    message = name_problem(file.name)
    if message:
        yield "name", message
    message = name_problem(file.namespace, "a namespace") if file.namespace else None
    if message:
        yield "namespace", message
    for index, checksum in enumerate(file.checksums or ()):
        message = checksum_problem(checksum)
        if message:
            yield f"checksums[{index}]", message
    if file.size_bytes is not None and file.size_bytes < 0:
        yield "size_bytes", "less than zero"


def _source_problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    for place, script in enumerate(record.scripts or ()):
        if _UNSAFE_WORD.search(script.name):
            yield f"scripts[{place}].name", "control characters"
    yield from configuration_problems(record.configurations or ())


@remembered
def configuration_problems(configurations: Sequence[FclConfiguration]) -> list[tuple[str, str]]:
    """Return field path and message of each name in configurations that is refused."""
    problems = []
    for place, configuration in enumerate(configurations):
        for index, file in enumerate(configuration.files or ()):
            if _UNSAFE_WORD.search(file.name):
                path = f"configurations[{place}].files[{index}].name"
                problems.append((path, "control characters"))
    return problems


def numbers_fit(record: JobRecord) -> bool:
    """Return whether no duration is past 64 bits.

    The types of whole numbers check that themselves; those of floating-point numbers do not.
    """
    durations: list[float | None] = []
    for module in record.modules or ():
        durations += (module.seconds_total, module.seconds_max)
    for file in record.inputs or ():
        durations.append(file.times_within_seconds)
    resources = record.resources
    if resources is not None:
        durations += (
            resources.wall_seconds,
            resources.cpu_user_seconds,
            resources.cpu_system_seconds,
            resources.cores_used,
        )
    return all(duration is None or -LARGEST <= duration <= LARGEST for duration in durations)


def name_problem(name: str, what: str = "a file name") -> str | None:
    """Return why the name of a file, or of `what` else, is refused, or None.

    Any Unicode but control characters and `/` is taken.
    """
    if _UNSAFE_NAME.search(name):
        return f"control characters or a slash in {what}"
    if name in (".", ".."):
        return f"not {what}"
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        return f"longer than {LONGEST_NAME} bytes"
    return None


def word_problem(word: str) -> str | None:
    """Return why a name of a task, campaign or stage is refused, or None."""
    return "control characters" if _UNSAFE_WORD.search(word) else None


def checksum_problem(checksum: str) -> str | None:
    """Return why a catalog checksum is refused, or None."""
    return None if _CHECKSUM.fullmatch(checksum) else "a checksum is algorithm:value"
