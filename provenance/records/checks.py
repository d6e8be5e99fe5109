"""What must hold in a record beyond types: names, times, positions. Everything else is a gap, never an error."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from provenance.errors import RecordError
from provenance.records.job_record import FclConfiguration, Input, JobRecord, Output
from provenance.records.parents import MOST_PARENTS, PARENT_ROLES
from provenance.records.sharing import remembered

_UNSAFE_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029/]")
_UNSAFE_WORD = re.compile(r"[\x00-\x1f\x7f]")
_CHECKSUM = re.compile(r"[A-Za-z0-9_.+-]{1,32}:[^\s\x00-\x1f]{1,256}")
LONGEST_NAME = 3000
"""Bytes of a name, what an index of every database holds."""
MOST_FILES = 32_767
"""Inputs or outputs of one job, what a position in a list holds."""
LARGEST = 2**63 - 1
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def check_record(record: JobRecord) -> JobRecord:
    """Return the record itself where every check holds.

    Raises:
        RecordError: with all the fields that fail, not only the first.
    """
    found: dict[str, list[str]] = {}
    for path, message in _problems(record):
        found.setdefault(path, []).append(message)
    if found:
        first = next(iter(found))
        raise RecordError(f"{first}: {found[first][0]}.", found)
    return record


def _problems(record: JobRecord) -> Iterator[tuple[str, str]]:
    if record.started_at is None and record.state not in ("killed", "lost"):
        yield "started_at", "required but for killed and lost jobs"
    for field in ("started_at", "ended_at", "sent_at"):
        moment = getattr(record, field)
        if moment is not None and not _keepable(moment):
            yield field, "outside the years 1970 to 2199"
    yield from _task_problems(record)
    yield from _file_problems(record)
    if (pairs := _count_parents(record)) > MOST_PARENTS:
        words = "name the few inputs that each was made from (parents)"
        yield "outputs", f"with the inputs of their steps {pairs} pairs, more than {MOST_PARENTS}; {words}"
    yield from _source_problems(record)
    for place, log in enumerate(record.logs or ()):
        if message := name_problem(log.name):
            yield f"logs[{place}].name", message


def _keepable(moment: datetime) -> bool:
    try:
        return EARLIEST <= moment.astimezone(UTC) < LATEST
    except OverflowError:
        return False


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
    """Return how many edges the record makes: each output has its declared parents, else the inputs of its step."""
    steps = Counter(file.step or None for file in record.inputs or () if file.role in PARENT_ROLES)
    every = steps.total()
    return sum(
        len(file.parents) if file.parents is not None else (steps[file.step] + steps[None] if file.step else every)
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
    """Return whether no duration is past 64 bits. Whole numbers are held to that by their type, these by the careful way alone."""
    spent, modules, inputs = record.resources, record.modules or (), record.inputs or ()
    told = [value for module in modules for value in (module.seconds_total, module.seconds_max)]
    told += [file.times_within_seconds for file in inputs]
    if spent is not None:
        told += [spent.wall_seconds, spent.cpu_user_seconds, spent.cpu_system_seconds, spent.cores_used]
    return all(value is None or -LARGEST <= value <= LARGEST for value in told)


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
