"""Declarations of tasks: what is to be made. They freeze the list of units.

Source: http.md, `PUT /tasks/{task_id}`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.tasks import (
    count_outputs_by,
    intern_stage,
    intern_task,
    mark_declared,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask, find_tasks
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import ExperimentName
from jobprov.provenance.records.reading.checks import word_problem
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.selections.catalog_source import CatalogSource
from jobprov.provenance.services.ledger.entries import enter_document, read_entries
from jobprov.provenance.services.writing import Writing

MOST_UNITS = 1_000_000
_LONGEST_ID = 1000
_WORDS = (
    "campaign",
    "stage",
    "sample",
    "definition",
    "release",
    "data_tier",
    "recovers",
    "project",
    "namespace",
)
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class Declaration(msgspec.Struct, kw_only=True):
    """What `PUT /tasks/{task_id}` takes; fields that it does not name are kept with it.

    Attributes:
        units: the frozen input list, or the number of units of a stage without inputs; or where the
            catalog has the inputs, of which the service makes the list.
        units_from: what the list was made from, kept beside it.
        namespace: where the names of inputs are meant to be, in a catalog that has namespaces.
        outputs_per_unit: files expected of each unit; as many as there are patterns where nobody says.
        output_patterns: of the names of files that make a unit done (`gen_*.root`); all but logs
            and configurations where nobody says.
        sample: what an analysis calls it; its campaign where none is said.
        definition: the dataset of the outputs in the catalog.
        release: what people call the code.
        data_tier: of the outputs, where jobs do not say it.
        events_per_unit: events expected of each unit.
        is_obsolete: a pass that a later one replaced.
        output_metadata: what the catalog says of outputs of this task and of no other file made
            from its inputs.
        project: of SAM, that hands the inputs out.
    """

    experiment: ExperimentName
    campaign: _Word | None = None
    stage: _Word | None = None
    units: (
        list[_Word] | Annotated[int, msgspec.Meta(ge=0, le=MOST_UNITS)] | CatalogSource | None
    ) = None
    units_from: CatalogSource | None = None
    namespace: _Word | None = None
    outputs_per_unit: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    output_patterns: Annotated[list[_Word], msgspec.Meta(max_length=100)] = []
    output_metadata: dict[_Word, _Word] | None = None
    project: _Word | None = None
    recovers: _Word | None = None
    sample: _Word | None = None
    definition: _Word | None = None
    release: _Word | None = None
    data_tier: _Word | None = None
    events_per_unit: Annotated[int, msgspec.Meta(ge=0, le=10**12)] | None = None
    is_obsolete: bool = False

    def listed_units(self) -> list[str] | None:
        """Return the frozen list; None where only a number of units was declared, or nothing."""
        return self.units if isinstance(self.units, list) else None

    def place_of(self, unit: str) -> tuple[str, str]:
        """Return the namespace of a unit, and its name.

        A list that was not made from the catalog may name units with their namespaces; then the
        namespace is '' and the name is whole.
        """
        if ":" in unit and self.units_from is None:
            return "", unit
        return self.namespace or "", unit

    def unit_count(self) -> int | None:
        """Return the expected number of units; None where it was not declared."""
        if isinstance(self.units, CatalogSource):
            return None
        return len(set(self.units)) if isinstance(self.units, list) else self.units

    def expected_files(self) -> int | None:
        """Return the expected number of files; None where it was not declared."""
        units, files = self.unit_count(), self.files_per_unit()
        if units is None or files is None:
            return None
        return units * files

    def files_per_unit(self) -> int | None:
        """Return the expected number of files of a unit; None where it was not declared."""
        if self.outputs_per_unit is None:
            return len(self.output_patterns) or None
        return self.outputs_per_unit

    def expected_events(self) -> int | None:
        """Return the expected number of events; None where it was not declared."""
        units = self.unit_count()
        if units is None or self.events_per_unit is None:
            return None
        return units * self.events_per_unit


def read_declaration(document: Mapping[str, Any]) -> Declaration:
    """Return the typed reading of a declaration.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    return read_document(document, Declaration, "The task")


def check_words(task_id: str, declaration: Declaration) -> None:
    """Check that the task can be named as declared.

    What a record may not say of it, its declaration may not either.

    Raises:
        BadInputError: a word holds control characters, or the id is too long; `fields` says which.
    """
    texts: dict[str, str | None] = {"task_id": task_id}
    for name in _WORDS:
        texts[name] = getattr(declaration, name)
    for place, unit in enumerate(declaration.listed_units() or ()):
        texts[f"units[{place}]"] = unit
    for place, pattern in enumerate(declaration.output_patterns):
        texts[f"output_patterns[{place}]"] = pattern
    problems = {}
    for name, word in texts.items():
        problem = word_problem(word) if word else None
        if problem:
            problems[name] = [problem]
    if len(task_id) > _LONGEST_ID:
        problems["task_id"] = [f"longer than {_LONGEST_ID} characters"]
    if problems:
        name = next(iter(problems))
        raise BadInputError(f"{name}: {problems[name][0]}.", problems)


def declare_task(writing: Writing, task_id: str, document: Mapping[str, Any]) -> bool:
    """Declare a task, or declare it anew; return whether it was declared for the first time.

    Raises:
        BadInputError: the declaration cannot be read, or the task cannot have this name.
    """
    connection = writing.connection
    declaration = read_declaration(document)
    check_words(task_id, declaration)
    if isinstance(declaration.units, CatalogSource):
        raise BadInputError(
            "units: the list was not fetched from the catalog yet.",
            {"units": ["a list or a number is needed here"]},
        )
    experiment = intern_experiments(writing, {declaration.experiment})[declaration.experiment]
    known_tasks = find_tasks(connection, task_id, declaration.experiment)
    before = None
    if known_tasks:
        before = read_task_document(connection, writing.store, known_tasks[0])
    if before == document:
        return False  # a retry of the same call adds no entry
    entry = enter_document(writing, experiment, "task", {"task_id": task_id, "task": document})
    write_task_row(writing, task_id, document, entry=entry, experiment=experiment)
    return before is None


def write_task_row(
    writing: Writing, task_id: str, document: Mapping[str, Any], *, entry: int, experiment: int
) -> None:
    """Write the row of a declared task whose ledger entry is there.

    Its campaign and stage take precedence over those that jobs name, and its patterns decide which
    of their outputs count.
    """
    declaration = read_declaration(document)
    task = intern_task(writing, experiment, task_id)
    stage = None
    if declaration.campaign or declaration.stage:
        stage = intern_stage(
            writing, experiment, declaration.campaign or "", declaration.stage or ""
        )
    mark_declared(writing, task, entry, stage)
    count_outputs_by(writing.connection, task, declaration.output_patterns)


def find_declaration(connection: Connection, store: Store, task: FoundTask) -> Declaration | None:
    """Return the declaration of a task; None where nobody declared it."""
    document = read_task_document(connection, store, task)
    return None if document is None else read_declaration(document)


def declaration_or_empty(connection: Connection, store: Store, task: FoundTask) -> Declaration:
    """Return the declaration of a task; an empty one if there is none."""
    declaration = find_declaration(connection, store, task)
    return Declaration(experiment=task.experiment) if declaration is None else declaration


def read_task_document(
    connection: Connection, store: Store, task: FoundTask
) -> dict[str, object] | None:
    """Return a task's declaration as it was sent; None if there is none."""
    return read_task_documents(connection, store, [task]).get(task.key)


def read_task_documents(
    connection: Connection, store: Store, tasks: Iterable[FoundTask]
) -> dict[int, dict[str, object]]:
    """Return the declarations of tasks as they were sent, by the task's key.

    Those that nobody declared are left out.
    """
    entries = {task.key: task.entry_id for task in tasks if task.entry_id is not None}
    bodies = read_entries(connection, store, entries.values())
    return {key: json.loads(bodies[entry])["task"] for key, entry in entries.items()}
