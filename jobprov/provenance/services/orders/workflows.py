"""Workflows as declared: each version once, for ever.

The state of a version is kept, too: whether it runs, who decided that, and why.

Source: docs/how-to/run-a-workflow.md; http.md, `PUT /workflows/{name}`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.orders.workflows import WorkflowDeclared, WorkflowStateName
from jobprov.provenance.db.changes.orders import add_workflow_version, set_state_entry
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.orders.workflows import (
    WorkflowVersion,
    find_versions,
    newest_version_number,
    state_entry_of,
)
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import AmbiguousError, BadInputError, NotFoundError
from jobprov.provenance.launchers.workflow import LONGEST_BYTES, Workflow, read_workflow
from jobprov.provenance.records.reading.checks import word_problem
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.services.catalogs.frozen_units import FrozenUnits
from jobprov.provenance.services.ledger.entries import enter_document, read_entries
from jobprov.provenance.services.orders.workflow_tasks import declare_listings
from jobprov.provenance.services.writing import Writing

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=3000)]
_Document = Mapping[str, Any]
"""The document of a ledger entry, read by the type of its part."""


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
        state: `running` or `stopped`; only the service sets `complete`.
        who, why: the person who decided and the reason, for whoever asks in a year.
        forgiven: how many units of each stage failed for good before and count no more.
        is_frozen: whether stages that follow a catalog take nothing more from it.
    """

    state: WorkflowStateName
    who: _Word
    why: _Word
    forgiven: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    is_frozen: bool = False


class DeclaredWorkflow(NamedTuple):
    """A version of a workflow with its declaration and its state."""

    version: WorkflowVersion
    workflow: Workflow
    text: str
    files: dict[str, str]
    state: WorkflowState

    def task_id(self, stage: str) -> str:
        """Return the id of the task that holds one of its stages."""
        return self.workflow.task_id(self.version.number, stage)


_FIRST = WorkflowState(state="running", who="-", why="declared")


def declare_workflow(
    writing: Writing,
    document: Mapping[str, Any],
    *,
    listings: Mapping[str, FrozenUnits] | None = None,
) -> WorkflowDeclared:
    """Return the version of a workflow; the same text and files again are the same version.

    `listings` are what catalogs list now for stages that take their files from there; a new version
    freezes them.

    Raises:
        BadInputError: it cannot be read, a file that it ships was not sent, or a list that it needs
            did not come.
    """
    body = read_document(document, WorkflowBody, "The workflow")
    workflow = read_workflow(body.text)
    _check_words(workflow)
    _check_files(writing.connection, workflow, body.files)
    existing = find_same_version(writing.connection, writing.store, workflow, document)
    if existing is not None:
        return _declared_as(existing, is_new=False)
    version = _add_version(writing, workflow, document)
    declare_listings(writing, version, workflow=workflow, listings=listings or {})
    return _declared_as(version, is_new=True)


def _declared_as(version: WorkflowVersion, *, is_new: bool) -> WorkflowDeclared:
    return WorkflowDeclared(version.name, version.number, version.experiment, is_new)


def _add_version(
    writing: Writing, workflow: Workflow, document: Mapping[str, Any]
) -> WorkflowVersion:
    experiment = intern_experiments(writing, {workflow.experiment})[workflow.experiment]
    entry = enter_document(
        writing, experiment, "workflow", {"name": workflow.name, "workflow": document}
    )
    write_workflow_row(writing.connection, experiment, entry, workflow.name)
    return find_versions(writing.connection, name=workflow.name, experiment=workflow.experiment)[0]


def _check_words(workflow: Workflow) -> None:
    """Check that the words of a workflow let its tasks be declared and its jobs be recorded."""
    texts = {"campaign": workflow.campaign or ""}
    for stage in workflow.stages:
        texts[f"stage {stage.name}: files"] = "".join(stage.files or ())
    for field, text in texts.items():
        problem = word_problem(text)
        if problem:
            raise BadInputError.of_field(field, problem)


def find_same_version(
    connection: Connection, store: Store, workflow: Workflow, document: Mapping[str, Any]
) -> WorkflowVersion | None:
    """Return the version that this very document declared; None where none did."""
    versions = find_versions(connection, name=workflow.name, experiment=workflow.experiment)
    # One by one, the newest first: a launch that is started again declares the newest again
    for version in versions:
        declaration = _documents(connection, store, [version])[version.entry_id]
        if declaration["workflow"] == document:
            return version
    return None


def write_workflow_row(connection: Connection, experiment: int, entry: int, name: str) -> None:
    """Write the row of a version whose ledger entry is there; versions count from 1."""
    number = newest_version_number(connection, experiment, name) + 1
    add_workflow_version(connection, experiment, entry=entry, name=name, number=number)


def set_state(writing: Writing, version: WorkflowVersion, state: WorkflowState) -> None:
    """Let a workflow run, or stop it."""
    document = {
        "name": version.name,
        "version": version.number,
        "state": msgspec.to_builtins(state),
    }
    entry = enter_document(writing, version.experiment_key, "workflow_state", document)
    write_state(writing.connection, version.experiment_key, entry, document)


def write_state(
    connection: Connection, experiment: int, entry: int, document: Mapping[str, Any]
) -> None:
    """Write the state of a workflow whose ledger entry is there; the newest counts."""
    set_state_entry(
        connection, experiment, entry=entry, name=document["name"], number=document["version"]
    )


def find_workflow(
    connection: Connection, name: str, *, experiment: str | None = None, version: int | None = None
) -> WorkflowVersion:
    """Return a version of a workflow, the newest by default.

    Raises:
        NotFoundError: nobody declared it.
        AmbiguousError: several experiments have one of this name.
    """
    versions = find_versions(connection, name=name, experiment=experiment, number=version)
    if not versions:
        missing = f"version {version} of workflow {name}" if version else f"workflow {name}"
        raise NotFoundError(f"Nobody declared {missing}; `jobprov launch FILE.toml` does.")
    experiments = sorted({row.experiment for row in versions})
    if len(experiments) > 1:
        raise AmbiguousError(
            f"Several experiments have a workflow {name}; say which with experiment=.",
            [(experiment, "") for experiment in experiments],
        )
    return versions[0]


def find_again(connection: Connection, version: WorkflowVersion) -> WorkflowVersion:
    """Return the same version with its state as it is now."""
    return version._replace(state_entry_id=state_entry_of(connection, version.key))


def read_workflows(
    connection: Connection, store: Store, versions: Sequence[WorkflowVersion]
) -> list[DeclaredWorkflow]:
    """Return versions of workflows with declaration and state, in the same order."""
    documents = _documents(connection, store, versions)
    return [_declared(version, documents) for version in versions]


def _declared(version: WorkflowVersion, documents: Mapping[int, _Document]) -> DeclaredWorkflow:
    declaration = documents[version.entry_id]["workflow"]
    state = _FIRST
    if version.state_entry_id is not None:
        state = msgspec.convert(documents[version.state_entry_id]["state"], WorkflowState)
    text = declaration["text"]
    return DeclaredWorkflow(version, read_workflow(text), text, declaration.get("files", {}), state)


def _documents(
    connection: Connection, store: Store, versions: Sequence[WorkflowVersion]
) -> dict[int, _Document]:
    """Return the documents of declarations and states, by ledger entry."""
    entries: set[int] = set()
    for version in versions:
        entries.add(version.entry_id)
        if version.state_entry_id is not None:
            entries.add(version.state_entry_id)
    bodies = read_entries(connection, store, entries)
    return {entry: json.loads(body) for entry, body in bodies.items()}


def _check_files(connection: Connection, workflow: Workflow, files: dict[str, str]) -> None:
    """Check that a digest came of each file that it ships, and that its bytes were sent before."""
    without_digest = [name for name in workflow.shipped() if name not in files]
    if without_digest:
        raise BadInputError(
            f"files: the workflow ships {', '.join(without_digest)}, of which no digest came.",
            {f"files.{name}": ["no digest came"] for name in without_digest},
        )
    sent = possessed_blobs(connection, workflow.experiment, files.values())
    missing = [name for name, sha256 in files.items() if sha256 not in sent]
    if missing:
        raise BadInputError(
            f"files: {', '.join(missing)} was not sent yet; PUT /api/v1/blobs/{{sha256}} takes it.",
            {f"files.{name}": ["not sent"] for name in missing},
        )
