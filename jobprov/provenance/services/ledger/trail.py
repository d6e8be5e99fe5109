"""What was done in an experiment, and by whom: the audit trail.

It is read from the ledger itself, so it is sealed, chained and rebuilt with everything else, and no
second record of an act can differ from the act.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.trail import ACTS, Act, Trail
from jobprov.provenance.db.queries.ledger import ActRow, acts_before
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.ledger.entries import ORIGIN_FIELD, read_entries
from jobprov.provenance.services.paging import next_cursor, read_cursor

Document = Mapping[str, Any]
_WORDS_OF = ("waiver", "rules", "verdict", "task", "workflow", "state")
"""Members of a document with what a client declared, where it may say who and why."""


def show_trail(
    connection: Connection,
    store: Store,
    experiment: str,
    *,
    kind: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Trail:
    """Return what was done in an experiment, newest first.

    Raises:
        NotFoundError: there is no such experiment.
        BadInputError: there is no such kind of act, or the cursor cannot be read.
    """
    if kind is not None and kind not in ACTS:
        raise BadInputError(
            f"kind: there is no {kind!r}; say one of {', '.join(ACTS)}.", {"kind": ["unknown"]}
        )
    before = read_cursor(cursor)
    key = find_experiment(connection, experiment)
    rows = acts_before(connection, key, kind=kind, before=before, limit=limit + 1)
    shown = rows[:limit]
    bodies = read_entries(connection, store, [row.entry for row in shown])
    acts: list[Act] = []
    for row in shown:
        acts.append(_act(row, json.loads(bodies.get(row.entry, b"{}"))))
    return Trail(experiment, acts, next_cursor(rows, limit, lambda row: row.entry))


def _act(row: ActRow, document: Document) -> Act:
    origin = document.get(ORIGIN_FIELD) or {}
    declared = _declared(document)
    return Act(
        at=row.received_at,
        kind=row.kind,
        about=_about(row.kind, document),
        submitter=row.submitter,
        who=_word(declared.get("who")),
        why=_word(declared.get("why") or declared.get("reason")),
        through=origin.get("through"),
        address=origin.get("address"),
        request=origin.get("request"),
        user=origin.get("user"),
    )


def _about(kind: str, document: Document) -> str:
    """Return what an act is about; nothing where the document has another form or was erased."""
    try:
        return _ABOUT[kind](document)
    except (AttributeError, KeyError, TypeError):
        return ""


def _declared(document: Document) -> Document:
    """Return what a client declared: a member of the document, or itself."""
    for name in _WORDS_OF:
        inner = document.get(name)
        if isinstance(inner, dict):
            return inner
    return document


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _about_orders(document: Document) -> str:
    orders = document["orders"]
    text = counted(len(orders), "order")
    return f"{text} of task {orders[0].get('task_id')}" if orders else text


def _about_erasure(document: Document) -> str:
    if document.get("blob"):
        return f"blob {document['blob']}"
    return f"record of {document['witness']} of job {document['job_id']}"


def _about_privacy(document: Document) -> str:
    return "made private" if document["is_private"] else "opened"


def _about_reclassification(document: Document) -> str:
    task = document.get("task_id")
    return f"failures of task {task}" if task else "all failures"


def _about_state(document: Document) -> str:
    state = document["state"]
    word = state.get("state") if isinstance(state, dict) else state
    return f"workflow {document['name']}, version {document['version']}: {word}"


_ABOUT: dict[str, Callable[[Document], str]] = {
    "capsule": lambda document: f"capsule {document['capsule']['name']}",
    "comparators": lambda _: "comparators",
    "erasure": _about_erasure,
    "orders": _about_orders,
    "privacy": _about_privacy,
    "reclassification": _about_reclassification,
    "retry_policies": lambda document: f"policies of {counted(len(document['policies']), 'stage')}",
    "rules": lambda document: counted(len(document["rules"].get("rules", [])), "rule"),
    "task": lambda document: f"task {document['task_id']}",
    "token": lambda document: f"token {document['number']} {document['name']}: {document['what']}",
    "verdict": lambda document: f"{document['verdict'].get('level')} of job {document['job_id']}",
    "waiver": lambda document: f"units of task {document['task_id']}",
    "workflow": lambda document: f"workflow {document['name']}",
    "workflow_state": _about_state,
}
