"""Joins attempts that do not know their unit to those that do: one DAG node has one unit.

`jobs.unit` is what all counts go by, and is brought up to date here whenever an attempt of a node
comes, is read anew, or leaves it: so the order in which records come does not matter.

Source: docs/decisions/0053-attempts-without-a-unit.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.inserting import Insertions
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import NodeAttempt
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.attempts import knows_unit, node_of
from jobprov.provenance.records.job_record import PROVISIONAL, JobRecord

_REMOVE = "DELETE FROM node_attempts WHERE job_id {among} RETURNING node"
_ATTEMPTS = """
SELECT a.node, a.job_id, a.knows_unit, a.unit, j.unit
FROM node_attempts a JOIN jobs j ON j.id = a.job_id WHERE a.node {among} ORDER BY a.job_id
"""
_JOIN = "UPDATE jobs SET unit = ? WHERE id = ?"


def write_attempts(
    transaction: Transaction,
    insertions: Insertions,
    records: Mapping[int, JobRecord],
    replaced: Sequence[int],
) -> set[int]:
    """Have the nodes of these jobs written, by key of the job.

    Those of `replaced` jobs were written before. Return the nodes that got or lost an attempt.
    """
    left = select_among(transaction.connection, _REMOVE, replaced)
    nodes = {node for (node,) in left}
    rows: list[dict[str, ColumnValue]] = []
    for job, record in records.items():
        node = node_of(record)
        if node is None:
            continue
        is_known = knows_unit(record)
        # A rebuilt database has no provisional records: they must not decide about other jobs
        if is_known and record.state in PROVISIONAL:
            continue
        nodes.add(node)
        own_unit = record.task.unit if record.task and not is_known else None
        rows.append({"node": node, "job_id": job, "knows_unit": is_known, "unit": own_unit})
    insertions.add(table_of(NodeAttempt), rows)
    return nodes


class _Attempt(NamedTuple):
    """An attempt: whether its record knows its unit, else what it names, and what stands there."""

    job: int
    knows_unit: bool
    own_unit: str | None
    unit: str | None


def join_units(connection: Connection, nodes: Iterable[int]) -> None:
    """Have the attempts of these nodes that do not know their unit count for the one of the others.

    If the others know several units, or none, each keeps the unit that its own record names.
    """
    joined: list[tuple[str | None, int]] = []
    for part in chunks(sorted(nodes)):
        attempts: dict[int, list[_Attempt]] = defaultdict(list)
        for node, *attempt in select_among(connection, _ATTEMPTS, part):
            attempts[node].append(_Attempt._make(attempt))
        for of_node in attempts.values():
            joined += _changed_units(of_node)
    change_many(connection, _JOIN, joined)


def _changed_units(attempts: Sequence[_Attempt]) -> list[tuple[str | None, int]]:
    """Return the units of the attempts at one node that have to change, each with its job."""
    known = {attempt.unit for attempt in attempts if attempt.knows_unit}
    node_unit = known.pop() if len(known) == 1 else None
    changed = []
    for attempt in attempts:
        unit = attempt.own_unit if node_unit is None else node_unit
        if not attempt.knows_unit and unit != attempt.unit:
            changed.append((unit, attempt.job))
    return changed
