"""A declared workflow: stages, what each reads, runs and makes, and how failures are handled.

It is TOML, and errors name line and field. Nothing is looked up here: the service knows which files
are ready, and whether a job failed.

Source: docs/reference/workflow.md.
"""

import glob
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from jobprov.provenance.answers.orders.orders import StagePolicy
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.toml_lines import Path, line_numbers, line_of
from jobprov.provenance.records.job_record import ExperimentName
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.selections.catalog_source import CatalogSource

LONGEST_BYTES = 1024 * 1024
MOST_UNITS = 1_000_000
_MIB = 1 << 20

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$")]
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Words = Annotated[list[_Word], msgspec.Meta(min_length=1, max_length=1000)]
_FILL = re.compile(r"\{([A-Za-z_]*)\}")
_STEP = re.compile(r"([^\[.]+)|\[(\d+)\]")


class RetryPolicy(StagePolicy, forbid_unknown_fields=True, frozen=True):
    """A policy as somebody declares it: a misspelt field is an error."""


class Software(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Code that the jobs run; goes into the declarations of the tasks."""

    name: _Word
    repository: _Word | None = None
    ref: _Word | None = None


class Stage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One stage: its units, and what a job does with one.

    Attributes:
        command: program and arguments, with `{unit}`, `{input}`, `{inputs}`, `{stem}`, `{output}`,
            `{outputs}`, `{skip}`, `{events}`.
        count, files: units of a stage that reads no other: so many, or each of these files.
        source: where the catalog has them (`from`); the list is frozen when the workflow is
            declared.
        follow: files that appear in the source later become units, too.
        after: the stage whose files it reads.
        reads: pattern of the files that it reads; all by default.
        merge: so many files are one unit; the last one may be smaller when no more can come.
        split_events: each file is split into units of so many events.
        needs: stages that must be complete before this one begins.
        outputs: names of the files that a job makes.
        ships: files beside the workflow that each job gets.
        configuration: one of them that is the job's fcl file; `{configuration}` in the command.
    """

    name: _Name
    command: _Words
    outputs: Annotated[list[_Word], msgspec.Meta(max_length=100)] = []
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST_UNITS)] | None = None
    files: Annotated[list[_Word], msgspec.Meta(min_length=1, max_length=MOST_UNITS)] | None = None
    source: CatalogSource | None = msgspec.field(default=None, name="from")
    follow: bool = False
    after: _Name | None = None
    reads: _Word = "*"
    merge: Annotated[int, msgspec.Meta(ge=2, le=10_000)] | None = None
    split_events: Annotated[int, msgspec.Meta(ge=1)] | None = None
    needs: list[_Name] = []
    ships: list[_Name] = []
    configuration: _Name | None = None
    environment: dict[_Name, str] = {}
    memory_mib: Annotated[int, msgspec.Meta(ge=1, le=1 << 22)] | None = None
    wall_seconds: Annotated[int, msgspec.Meta(ge=1)] | None = None
    retry: RetryPolicy = RetryPolicy()

    @property
    def memory_bytes(self) -> int | None:
        """What a first try asks for."""
        return None if self.memory_mib is None else self.memory_mib * _MIB

    def shipped(self) -> list[str]:
        """Return the names of all files that a job gets from beside the workflow."""
        names = [*self.ships]
        if self.configuration and self.configuration not in names:
            names.append(self.configuration)
        return list(dict.fromkeys(names))

    def output_patterns(self) -> list[str]:
        """Return patterns of the names of its outputs: words in braces stand for any letters."""
        patterns = [_FILL.sub("*", glob.escape(name)) for name in self.outputs]
        return list(dict.fromkeys(patterns))

    def reads_name(self, name: str) -> bool:
        """Whether the stage reads a file of this name."""
        return fnmatchcase(name, self.reads)


class Workflow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Stages of one campaign.

    Attributes:
        storage: folder where outputs go and inputs come from; without it, jobs copy their files
            themselves.
        in_flight: at most so many jobs wait or run at once.
        stop_after: it stops when so many units of one stage failed for good: a count, or a share of
            those tried (`"20%"`).
        settle_seconds: how long to wait for the record of a job that is over in the batch system.
        software: code that the jobs run.
    """

    name: _Name
    experiment: ExperimentName
    stages: Annotated[list[Stage], msgspec.Meta(min_length=1, max_length=100)] = msgspec.field(
        name="stage"
    )
    campaign: _Word | None = None
    storage: _Word | None = None
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    stop_after: (
        Annotated[int, msgspec.Meta(ge=1)] | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,2}%$")]
    ) = "20%"
    settle_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 300
    software: list[Software] = []

    def stage(self, name: str) -> Stage:
        """Return the stage of this name; raises KeyError."""
        by_name = {stage.name: stage for stage in self.stages}
        return by_name[name]

    def shipped(self) -> list[str]:
        """Return the names of all files beside the workflow that jobs get."""
        names: set[str] = set()
        for stage in self.stages:
            names.update(stage.shipped())
        return sorted(names)

    def task_id(self, version: int, stage: str) -> str:
        """Return the id of the task that holds a stage of a version."""
        return f"{self.name}-v{version}-{stage}"

    def failures_allowed(self, tried: int) -> int:
        """Return how many units of a stage may fail for good, of so many that were tried."""
        if isinstance(self.stop_after, int):
            return self.stop_after - 1
        # A share of a few units means little: a small stage does not stop at its first failures
        return max(9, tried * int(self.stop_after.rstrip("%")) // 100)


def read_workflow(text: str, source: str = "the workflow") -> Workflow:
    """Return the workflow that a TOML text declares.

    Raises:
        BadInputError: it is no TOML, or a field is missing, unknown or wrong; names line and field.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BadInputError(f"{source}: {problem}.", {"text": [str(problem)]}) from None
    lines = line_numbers(text)
    try:
        workflow = msgspec.convert(document, Workflow)
    except msgspec.ValidationError as problem:
        field, message = misfit(problem, Workflow)
        raise _wrong(source, lines, _path(field), message) from None
    problems = _problems(workflow)
    if problems:
        path, message = problems[0]
        raise _wrong(source, lines, path, message)
    return workflow


def _wrong(source: str, lines: dict[Path, int], path: Path, message: str) -> BadInputError:
    field = ""
    for step in path:
        field += f"[{step}]" if isinstance(step, int) else f".{step}"
    field = field.lstrip(".")
    line = line_of(lines, path)
    where = f"{source}, line {line}" if line else source
    return BadInputError(f"{where}: {field or 'the table'}: {message}.", {field: [message]})


def _path(field: str) -> Path:
    return tuple(match.group(1) or int(match.group(2)) for match in _STEP.finditer(field))


def _problems(workflow: Workflow) -> list[tuple[Path, str]]:
    """Return what is wrong, each with the path of its field."""
    problems: list[tuple[Path, str]] = []
    earlier: list[str] = []
    for place, stage in enumerate(workflow.stages):
        own_path: Path = ("stage", place)
        if stage.name in earlier:
            problems.append(((*own_path, "name"), f"there are two stages {stage.name}"))
        problem = _units_problem(stage)
        if problem:
            problems.append((own_path, problem))
        for field, message in [
            *_order_problems(stage, earlier),
            *_unit_field_problems(stage),
            *_name_problems(stage),
        ]:
            problems.append(((*own_path, field), message))
        earlier.append(stage.name)
    return problems


def _units_problem(stage: Stage) -> str | None:
    """Return what is wrong if a stage does not have exactly one source of units."""
    fields = {
        "count": stage.count,
        "files": stage.files,
        "from": stage.source,
        "after": stage.after,
    }
    sources = [name for name, value in fields.items() if value is not None]
    if len(sources) == 1:
        return None
    has = f"has {' and '.join(sources)}" if sources else "has none of them"
    return f"stage {stage.name} needs one of count, files, from and after, and {has}"


def _order_problems(stage: Stage, earlier: list[str]) -> list[tuple[str, str]]:
    """Return which stages it names that do not come before it."""
    named = [("needs", name) for name in stage.needs]
    if stage.after is not None:
        named.insert(0, ("after", stage.after))
    problems = []
    for field, name in named:
        if name not in earlier:
            known = ", ".join(earlier) or "none"
            problems.append((field, f"no earlier stage is called {name}; earlier are: {known}"))
    return problems


def _unit_field_problems(stage: Stage) -> list[tuple[str, str]]:
    """Return which fields about the units of a stage do not go together."""
    return [*_grouping_problems(stage), *_source_problems(stage), *_file_problems(stage)]


def _grouping_problems(stage: Stage) -> list[tuple[str, str]]:
    """Return what is wrong if a stage merges or splits files."""
    problems: list[tuple[str, str]] = []
    if stage.merge and stage.split_events:
        problems.append(("split_events", "a stage merges or splits, not both"))
    if stage.after is None:
        reader = "only a stage that reads another (after)"
        if stage.merge:
            problems.append(("merge", f"{reader} can merge its files"))
        if stage.split_events:
            problems.append(("split_events", f"{reader} knows the event counts of its files"))
    return problems


def _source_problems(stage: Stage) -> list[tuple[str, str]]:
    """Return what is wrong if a stage takes its files from a catalog, or follows one."""
    problems: list[tuple[str, str]] = []
    if stage.source is None:
        if stage.follow:
            message = "only a stage that takes its files from a catalog (from) can"
            problems.append(("follow", message))
        return problems
    if stage.follow and stage.source.snapshot_id is not None:
        problems.append(("follow", "a snapshot never grows"))
    if len(stage.source.declared()) != 1:
        problems.append(("from", "say exactly one of definition, snapshot_id, dataset and query"))
    return problems


def _file_problems(stage: Stage) -> list[tuple[str, str]]:
    """Return the first file that is listed twice."""
    for name, count in Counter(stage.files).items():
        if count > 1:
            return [("files", f"{name} is in it twice")]
    return []


def _name_problems(stage: Stage) -> list[tuple[str, str]]:
    """Return what is wrong with words in braces, and with names of outputs."""
    known = _known_words(stage)
    problems = _fill_problems("command", stage.command, known)
    problems += _fill_problems("outputs", stage.outputs, known - {"output", "outputs"})
    if stage.count != 1 and not all(_FILL.search(name) for name in stage.outputs):
        problems.append(("outputs", "every job would make the same file; put {unit} into its name"))
    if any("/" in name for name in stage.outputs):
        message = "names of files, not paths; jobs make them in their own folder"
        problems.append(("outputs", message))
    return problems


def _fill_problems(field: str, texts: list[str], known: set[str]) -> list[tuple[str, str]]:
    problems = []
    for text in texts:
        for word in _FILL.findall(text):
            if word not in known:
                listed = ", ".join(sorted(known))
                problems.append((field, f"{{{word}}} stands for nothing here; known are {listed}"))
    return problems


def _known_words(stage: Stage) -> set[str]:
    """Return the words in braces that a stage's command may use."""
    words = {"unit"}
    if len(stage.outputs) == 1:
        words.add("output")
    if stage.outputs:
        words.add("outputs")
    if stage.configuration:
        words.add("configuration")
    if stage.merge:
        words.add("inputs")
    elif stage.count is None:
        words |= {"input", "stem"}
    if stage.split_events:
        words |= {"skip", "events", "part"}
    return words


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its words in braces replaced; others stay as they are."""
    return _FILL.sub(lambda match: str(values.get(match.group(1), match.group(0))), text)
