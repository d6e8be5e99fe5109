"""What must hold in a record beyond types: names, times, positions. Everything else is a gap, never an error."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from provenance.errors import RecordError
from provenance.records.job_record import FclConfiguration, Input, JobRecord, Output
from provenance.records.parents import MOST_PARENTS, PARENT_ROLES
from provenance.records.sharing import remembered
from provenance.records.times import OUTSIDE, is_kept

_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029/]")
_UNSAFE_WORD = re.compile(r"[\x00-\x1f\x7f]")
_CHECKSUM = re.compile(r"[A-Za-z0-9_.+-]{1,32}:[^\s\x00-\x1f]{1,256}")
LONGEST_NAME = 3000
"""Bytes of a name, what an index of every database holds."""
MOST_FILES = 32_767
"""Inputs or outputs of one job, what a position in a list holds."""
LARGEST = 2**63 - 1


def check_record(record: JobRecord) -> JobRecord:
    """Return the record itself where every check holds. Times of its parts are checked by `forget_times`.

    Raises:
        RecordError: with all the fields that fail, not only the first.
    """
    problems = list(_problems(record))
    if problems:
        raise refused(problems)
    return record


def refused(problems: Iterable[tuple[str, str]]) -> RecordError:
    """Return the error for these fields (at least one), each with what is wrong."""
    fields: dict[str, list[str]] = {}
    for path, message in problems:
        fields.setdefault(path, []).append(message)
    first = next(iter(fields))
    return RecordError(f"{first}: {fields[first][0]}.", fields)


_FIRST_YEAR, _LAST_YEAR = 1970, 2199
TIME_OF_PART = re.compile(
    r"batch\.queued_at|command\.steps\[\d+\]\.(started|ended)_at|(inputs|outputs)\[\d+\]\.(opened|created|closed)_at"
)
"""Paths of a record's times, without the three of the record itself."""


def forget_times(record: JobRecord) -> tuple[str, ...]:
    """Make times of the record's parts null that are outside the years that are kept; return their paths.

    New records have none, but the ledger holds records from before that was checked, and they must be read.
    """
    moments = _times_of_parts(record)
    if all(moment is None or _FIRST_YEAR < moment.year < _LAST_YEAR for moment in moments):
        return ()  # nearly always: the careful way takes three times as long
    forgotten = []
    for path, parts, fields in _parts_with_times(record):
        for place, part in enumerate(parts):
            for field in fields:
                moment = getattr(part, field)
                if moment is not None and not is_kept(moment):
                    setattr(part, field, None)
                    forgotten.append(f"{path.format(place)}.{field}")
    return tuple(forgotten)


def _times_of_parts(record: JobRecord) -> list[datetime | None]:
    moments: list[datetime | None] = []
    if record.batch is not None:
        moments.append(record.batch.queued_at)
    if record.command is not None:
        for step in record.command.steps or ():
            moments += (step.started_at, step.ended_at)
    for input_file in record.inputs or ():
        moments += (input_file.opened_at, input_file.closed_at)
    for output in record.outputs or ():
        moments += (output.created_at, output.closed_at)
    return moments


def _parts_with_times(record: JobRecord) -> Iterator[tuple[str, Sequence[Any], tuple[str, str] | tuple[str]]]:
    """Yield (their path, parts of one kind, their fields that are times)."""
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
    yield from _task_problems(record)
    yield from _file_problems(record)
    pairs = _count_parents(record)
    if pairs > MOST_PARENTS:
        advice = "name the few inputs that each was made from (parents)"
        message = f"with the inputs of their steps {pairs} pairs, more than {MOST_PARENTS}; {advice}"
        yield "outputs", message
    yield from _source_problems(record)
    for place, log in enumerate(record.logs or ()):
        problem = name_problem(log.name)
        if problem:
            yield f"logs[{place}].name", problem


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
    lists: tuple[tuple[str, Sequence[Input | Output]], ...] = (
        ("inputs", record.inputs or ()),
        ("outputs", record.outputs or ()),
    )
    for kind, files in lists:
        if len(files) > MOST_FILES:
            yield kind, f"more than {MOST_FILES} files"
        for place, file in enumerate(files):
            for field, problem in _problems_of_file(file):
                yield f"{kind}[{place}].{field}", problem


def _problems_of_file(file: Input | Output) -> Iterator[tuple[str, str]]:
    problem = name_problem(file.name)
    if problem:
        yield "name", problem
    problem = name_problem(file.namespace) if file.namespace else None
    if problem:
        yield "namespace", problem
    for place, checksum in enumerate(file.checksums or ()):
        problem = checksum_problem(checksum)
        if problem:
            yield f"checksums[{place}]", problem
    if file.size_bytes is not None and file.size_bytes < 0:
        yield "size_bytes", "less than zero"


def _count_parents(record: JobRecord) -> int:
    """Return how many edges the record makes: each output has its declared parents, else the inputs of its step."""
    parents = [file for file in record.inputs or () if file.role in PARENT_ROLES]
    parents_of_step = Counter(file.step or None for file in parents)
    edges = 0
    for output in record.outputs or ():
        if output.parents is not None:
            edges += len(output.parents)
        elif output.step:
            edges += parents_of_step[output.step] + parents_of_step[None]
        else:
            edges += len(parents)
    return edges


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
    """Return whether all durations are within 64 bits.

    The types of whole numbers check that already; for durations only this and the careful way do.
    """
    durations = [file.times_within_seconds for file in record.inputs or ()]
    for module in record.modules or ():
        durations += (module.seconds_total, module.seconds_max)
    spent = record.resources
    if spent is not None:
        durations += (spent.wall_seconds, spent.cpu_user_seconds, spent.cpu_system_seconds, spent.cores_used)
    return all(value is None or -LARGEST <= value <= LARGEST for value in durations)


def name_problem(name: str) -> str | None:
    """Return why a file name is refused, or None. Any Unicode but control characters and `/` is taken."""
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
