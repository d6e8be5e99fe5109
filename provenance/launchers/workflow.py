"""A declared workflow: stages, what each reads, runs and makes, and how failures are met.

TOML, checked with errors naming line and field.

Source: docs/reference/workflow.md. Nothing is looked up here: which files are ready, and whether a job
failed, is for the service to say.
"""

import re
import tomllib
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.toml_lines import Path, line_numbers, line_of
from jobprov.provenance.records.job_record import ExperimentName
from jobprov.provenance.records.repairing import split_message

LONGEST_BYTES = 1024 * 1024
MOST_UNITS = 1_000_000
_MIB = 1 << 20

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$")]
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Words = Annotated[list[_Word], msgspec.Meta(min_length=1, max_length=1000)]
_FILL = re.compile(r"\{([A-Za-z_]*)\}")
_UNKNOWN = re.compile(r"unknown field (\w+)")
_STEP = re.compile(r"([^\[.]+)|\[(\d+)\]")


class RetryPolicy(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is tried again without asking.

    Attributes:
        times: how often one unit is tried again.
        transient_only: whether the error must be of a transient class; else whatever failed is
            tried again.
        memory_factor: each try gets so many times the memory of the one before.
        other_site: whether sites where the unit failed are avoided.
    """

    times: Annotated[int, msgspec.Meta(ge=0, le=20)] = 2
    transient_only: bool = True
    memory_factor: Annotated[float, msgspec.Meta(ge=1, le=10)] = 1.0
    other_site: bool = False


class CatalogSource(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Where the catalog of the experiment has the files of a stage; exactly one of them.

    Attributes:
        definition, snapshot_id: of SAM.
        dataset: of MetaCat, `namespace:name`.
        query: dimensions of SAM, or MQL.
    """

    definition: _Word | None = None
    snapshot_id: Annotated[int, msgspec.Meta(ge=1)] | None = None
    dataset: _Word | None = None
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)] | None = None

    def said(self) -> dict[str, Any]:
        """Return what is said of it, as a task's declaration says it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def words(self) -> str:
        """Return it as people say it."""
        [(kind, value)] = self.said().items()
        return {"snapshot_id": "snapshot"}.get(kind, kind) + f" {value}"


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
        count, files: units of a stage that reads no other: so many, or one for each of these files.
        source: where the catalog has them (`from`); the list is frozen when the workflow is
            declared.
        follow: files that appear in the source later are units too.
        after: the stage whose files it reads.
        reads: pattern of those of the files that it reads; all of them by default.
        merge: so many files are one unit; what is left over is one when no more can come.
        split_events: a file is as many units as it has parts of so many events.
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
        return list(
            dict.fromkeys([*self.ships, *([self.configuration] if self.configuration else [])])
        )

    def reads_name(self, name: str) -> bool:
        """Whether the stage reads a file of this name."""
        return fnmatchcase(name, self.reads)


class Workflow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Stages of one campaign.

    Attributes:
        storage: folder that what jobs make is brought to, and what they read is taken from; without
            it, jobs do that themselves.
        in_flight: so many jobs wait or run at once, at most.
        stop_after: it stops when so many units of one stage failed for good: a count, or a share of
            those tried (`"20%"`).
        settle_seconds: how long a job that is over in the batch system is waited for until its
            record comes.
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
        return {stage.name: stage for stage in self.stages}[name]

    def shipped(self) -> list[str]:
        """Return the names of all files beside the workflow that jobs get."""
        return sorted({name for stage in self.stages for name in stage.shipped()})

    def task_id(self, version: int, stage: str) -> str:
        """Return the id of the task that holds a stage of a version."""
        return f"{self.name}-v{version}-{stage}"

    def failures_allowed(self, tried: int) -> int:
        """Return how many units of a stage may fail for good, of so many that were tried."""
        if isinstance(self.stop_after, int):
            return self.stop_after - 1
        # a share of few says little: the first ten failures of a small stage are looked at by
        # people, not by a rule
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
        field, message = split_message(str(problem))
        unknown = _UNKNOWN.search(message)
        path = (*_path(field), unknown.group(1)) if unknown else _path(field)
        raise _wrong(source, lines, path, message) from None
    for path, message in _problems(workflow):
        raise _wrong(source, lines, path, message)
    return workflow


def _wrong(source: str, lines: dict[Path, int], path: Path, message: str) -> BadInputError:
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(
        "."
    )
    line = line_of(lines, path)
    where = f"{source}, line {line}" if line else source
    return BadInputError(f"{where}: {field or 'the table'}: {message}.", {field: [message]})


def _path(field: str) -> Path:
    return tuple(match.group(1) or int(match.group(2)) for match in _STEP.finditer(field))


def _problems(workflow: Workflow) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    seen: list[str] = []
    for place, stage in enumerate(workflow.stages):
        at: Path = ("stage", place)
        if stage.name in seen:
            found.append(((*at, "name"), f"there are two stages {stage.name}"))
        held = {
            "count": stage.count,
            "files": stage.files,
            "from": stage.source,
            "after": stage.after,
        }
        sources = [name for name, value in held.items() if value is not None]
        if len(sources) != 1:
            words = f"has {' and '.join(sources)}" if sources else "has none of them"
            found.append(
                (at, f"stage {stage.name} needs one of count, files, from and after, and {words}")
            )
        for name, field in [(stage.after, "after"), *((need, "needs") for need in stage.needs)]:
            if name is not None and name not in seen:
                known = ", ".join(seen) or "none"
                found.append(
                    ((*at, field), f"no earlier stage is called {name}; earlier are: {known}")
                )
        found += [((*at, field), words) for field, words in _own_problems(stage)]
        seen.append(stage.name)
    return found


def _own_problems(stage: Stage) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if stage.merge and stage.split_events:
        found.append(("split_events", "a stage merges or splits, not both"))
    if stage.merge and stage.after is None:
        found.append(("merge", "only a stage that reads another (after) can merge its files"))
    if stage.split_events and stage.after is None:
        found.append(
            (
                "split_events",
                "only a stage that reads another (after) knows the event counts of its files",
            )
        )
    if stage.follow and (stage.source is None or stage.source.snapshot_id is not None):
        words = (
            "a snapshot never grows"
            if stage.source
            else "only a stage that takes its files from a catalog (from) can"
        )
        found.append(("follow", words))
    if stage.source is not None and len(stage.source.said()) != 1:
        found.append(("from", "say exactly one of definition, snapshot_id, dataset and query"))
    if stage.files and len(set(stage.files)) != len(stage.files):
        twice = next(name for name in stage.files if stage.files.count(name) > 1)
        found.append(("files", f"{twice} is in it twice"))
    found += [(field, words) for field, words in _name_problems(stage)]
    return found


def _name_problems(stage: Stage) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    known = _known_words(stage)
    for field, texts, words in (
        ("command", stage.command, known),
        ("outputs", stage.outputs, known - {"output", "outputs"}),
    ):
        strange = [name for text in texts for name in _FILL.findall(text) if name not in words]
        found += [
            (field, f"{{{name}}} stands for nothing here; known are {', '.join(sorted(words))}")
            for name in strange
        ]
    if stage.count != 1 and any(not _FILL.search(name) for name in stage.outputs):
        found.append(("outputs", "every job would make the same file; put {unit} into its name"))
    if any("/" in name for name in stage.outputs):
        found.append(("outputs", "names of files, not paths; jobs make them in their own folder"))
    return found


def _known_words(stage: Stage) -> set[str]:
    words = {"unit"}
    words |= {"output"} if len(stage.outputs) == 1 else set()
    words |= {"outputs"} if stage.outputs else set()
    words |= {"configuration"} if stage.configuration else set()
    if stage.merge:
        words |= {"inputs"}
    elif stage.count is None:
        words |= {"input", "stem"}
    return words | ({"skip", "events", "part"} if stage.split_events else set())


def fill(text: str, values: dict[str, Any]) -> str:
    """Return a text with its words in braces replaced; others stay as they are."""
    return _FILL.sub(lambda match: str(values.get(match.group(1), match.group(0))), text)
