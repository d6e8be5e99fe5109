"""Workflows as declared: each version once, for ever.

It is also kept whether it runs, who let it or stopped it, and why.

Source: docs/how-to/run-a-workflow.md; http.md, `PUT /workflows/{name}`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select, update

from jobprov.archive.store import Store
from jobprov.provenance.db.keys import allocate_keys
from jobprov.provenance.db.queries.orders.orders import WorkflowFound, find_workflows
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import Possession, WorkflowRow
from jobprov.provenance.errors import AmbiguousError, BadInputError, NotFoundError
from jobprov.provenance.launchers.workflow import LONGEST_BYTES, Workflow, read_workflow
from jobprov.provenance.records.reading.checks import word_problem
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.services.ledger.entries import enter_document, read_entries
from jobprov.provenance.services.orders.workflow_tasks import Listing, declare_listings
from jobprov.provenance.services.writing import Writing

State = Literal["running", "stopped", "complete"]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=3000)]


class WorkflowBody(msgspec.Struct, kw_only=True):
    """What `PUT /workflows/{name}` takes.

    Attributes:
        text: the workflow, in TOML.
        files: SHA-256 of each file that it ships, which the experiment sent as blobs.
    """

    text: Annotated[str, msgspec.Meta(max_length=LONGEST_BYTES)]
    files: dict[str, _Digest] = {}


class WorkflowState(msgspec.Struct, kw_only=True):
    """What `POST /workflows/{name}/state` takes.

    Attributes:
        state: `running` or `stopped`; `complete` is the service's own to say.
        who, why: for whoever asks in a year.
        forgiven: units of each stage that failed for good and count no more.
        is_frozen: whether stages that follow a catalog take nothing more from it.
    """

    state: State
    who: _Word
    why: _Word
    forgiven: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    is_frozen: bool = False


class DeclaredWorkflow(NamedTuple):
    """A version of a workflow with its declaration and its state."""

    found: WorkflowFound
    workflow: Workflow
    text: str
    files: dict[str, str]
    state: WorkflowState

    def task_id(self, stage: str) -> str:
        """Return the id of the task that holds one of its stages."""
        return self.workflow.task_id(self.found.version, stage)


_FIRST = WorkflowState(state="running", who="-", why="declared")


def declare_workflow(
    writing: Writing,
    document: dict[str, Any],
    *,
    listings: Mapping[str, Listing] | None = None,
) -> tuple[WorkflowFound, bool]:
    """Return the version of a workflow, and whether it is new.

    The same text and files again are the same version.

    `listings` are what catalogs list for stages that take their files from there, frozen with a new
    version.

    Raises:
        BadInputError: it cannot be read, a file that it ships was not sent, or a list that it needs
            did not come.
    """
    connection = writing.connection
    body = read_document(document, WorkflowBody, "The workflow")
    workflow = read_workflow(body.text)
    _check_words(workflow)
    experiment = intern_experiments(writing, {workflow.experiment})[workflow.experiment]
    _check_files(connection, experiment, workflow, body.files)
    if held := held_version(connection, writing.store, workflow, document):
        return held, False
    entry = enter_document(
        writing, experiment, "workflow", {"name": workflow.name, "workflow": document}
    )
    write_workflow_row(connection, experiment, entry, workflow.name)
    found = find_workflows(connection, name=workflow.name, experiment=workflow.experiment)[0]
    declare_listings(writing, found, workflow=workflow, listings=listings or {})
    return found, True


def _check_words(workflow: Workflow) -> None:
    """Check that the words of a workflow let its tasks be declared and its jobs be recorded."""
    words = {"campaign": workflow.campaign or ""}
    words |= {f"stage {stage.name}: files": "".join(stage.files or ()) for stage in workflow.stages}
    for field, word in words.items():
        if problem := word_problem(word):
            raise BadInputError(f"{field}: {problem}.", {field: [problem]})


def held_version(
    connection: Connection, store: Store, workflow: Workflow, document: dict[str, Any]
) -> WorkflowFound | None:
    """Return the version that this very document declared; None where none did."""
    for held in find_workflows(connection, name=workflow.name, experiment=workflow.experiment):
        if _documents(connection, store, [held])[held.entry_id]["workflow"] == document:
            return held
    return None


def write_workflow_row(connection: Connection, experiment: int, entry: int, name: str) -> None:
    """Write the row of a version whose ledger entry is there; versions count from 1."""
    table = table_of(WorkflowRow)
    query = select(func.coalesce(func.max(table.c.version), 0)).where(
        table.c.experiment_id == experiment, table.c.name == name
    )
    version = connection.execute(query).scalar_one() + 1
    [number] = allocate_keys(connection, table, 1)
    row = {
        "id": number,
        "experiment_id": experiment,
        "entry_id": entry,
        "version": version,
        "name": name,
    }
    connection.execute(table.insert().values(**row))


def set_state(writing: Writing, found: WorkflowFound, state: WorkflowState) -> None:
    """Let a workflow run, or stop it."""
    document = {"name": found.name, "version": found.version, "state": msgspec.to_builtins(state)}
    entry = enter_document(writing, found.experiment_key, "workflow_state", document)
    write_state(writing.connection, found.experiment_key, entry, document)


def write_state(
    connection: Connection, experiment: int, entry: int, document: dict[str, Any]
) -> None:
    """Write the state of a workflow whose ledger entry is there; the newest stands."""
    table = table_of(WorkflowRow)
    where = (
        (table.c.experiment_id == experiment)
        & (table.c.name == document["name"])
        & (table.c.version == document["version"])
    )
    connection.execute(update(table).where(where).values(state_entry_id=entry))


def find_workflow(
    connection: Connection, name: str, *, experiment: str | None = None, version: int | None = None
) -> WorkflowFound:
    """Return a version of a workflow, the newest by default.

    Raises:
        NotFoundError: nobody declared it.
        AmbiguousError: several experiments have one of this name.
    """
    found = find_workflows(connection, name=name, experiment=experiment, version=version)
    if not found:
        which = f"version {version} of workflow {name}" if version else f"workflow {name}"
        raise NotFoundError(f"Nobody declared {which}; `jobprov launch FILE.toml` does.")
    experiments = sorted({each.experiment for each in found})
    if len(experiments) > 1:
        choices = [(each, "") for each in experiments]
        raise AmbiguousError(
            f"Several experiments have a workflow {name}; say which with experiment=.", choices
        )
    return found[0]


def read_workflows(
    connection: Connection, store: Store, found: Sequence[WorkflowFound]
) -> list[DeclaredWorkflow]:
    """Return versions of workflows with what was declared and how they stand, in the same order."""
    documents = _documents(connection, store, found)
    return [_declared(each, documents) for each in found]


def _declared(found: WorkflowFound, documents: dict[int, dict[str, Any]]) -> DeclaredWorkflow:
    body = documents[found.entry_id]["workflow"]
    said = documents[found.state_entry_id]["state"] if found.state_entry_id else None
    state = msgspec.convert(said, WorkflowState) if said else _FIRST
    return DeclaredWorkflow(
        found, read_workflow(body["text"]), body["text"], body.get("files", {}), state
    )


def _documents(
    connection: Connection, store: Store, found: Sequence[WorkflowFound]
) -> dict[int, dict[str, Any]]:
    entries = [
        entry
        for each in found
        for entry in (each.entry_id, each.state_entry_id)
        if entry is not None
    ]
    return {
        entry: json.loads(body) for entry, body in read_entries(connection, store, entries).items()
    }


def _check_files(
    connection: Connection, experiment: int, workflow: Workflow, files: dict[str, str]
) -> None:
    if lacking := [name for name in workflow.shipped() if name not in files]:
        raise BadInputError(
            f"files: the workflow ships {', '.join(lacking)}, of which no digest came.",
            {f"files.{name}": ["no digest came"] for name in lacking},
        )
    table = table_of(Possession)
    query = select(table.c.sha256).where(
        table.c.experiment_id == experiment, table.c.sha256.in_(set(files.values()))
    )
    here = {row[0] for row in connection.execute(query)}
    if missing := [name for name, sha256 in files.items() if sha256 not in here]:
        raise BadInputError(
            f"files: {', '.join(missing)} was not sent yet; PUT /api/v1/blobs/{{sha256}} takes it.",
            {f"files.{name}": ["not sent"] for name in missing},
        )
