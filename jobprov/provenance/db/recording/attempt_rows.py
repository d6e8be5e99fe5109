"""Gives attempts without a unit the unit of other attempts: one DAG node has one unit.

All counts use `jobs.unit`. It is updated here whenever an attempt of a node comes, is read anew, or
leaves the node, so that the order in which records come does not matter.

A node may have thousands of attempts, such as a batch job that is started again and again. So all
of them are only looked at when the unit of the node changes.

Source: docs/decisions/0053-attempts-without-a-unit.md.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.statements.arrays import array_of
from jobprov.provenance.db.statements.driver import change_many, fetch
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import change_among, select_among
from jobprov.provenance.db.tables import NodeAttempt
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.records.attempts import knows_unit, node_of, unit_of
from jobprov.provenance.records.job_record import PROVISIONAL, JobRecord

_NODES = "SELECT job_id, node FROM node_attempts WHERE job_id {among}"
_REMOVE = "DELETE FROM node_attempts WHERE job_id {among}"
# Seeks in an index, however many attempts there are: first and last unit show if there are several
_KNOWN_UNITS = """
SELECT asked.node,
       (SELECT min(unit) FROM node_attempts WHERE node = asked.node AND knows_unit = true),
       (SELECT max(unit) FROM node_attempts WHERE node = asked.node AND knows_unit = true),
       (SELECT 1 FROM node_attempts
        WHERE node = asked.node AND knows_unit = true AND unit IS NULL LIMIT 1)
FROM {asked}
"""
_ASKED = {
    "sqlite": "(SELECT value AS node FROM json_each(?)) AS asked",
    "postgresql": "unnest(?::bigint[]) AS asked(node)",
}
_ATTEMPTS = """
SELECT a.job_id, a.node, a.unit, j.unit
FROM node_attempts a JOIN jobs j ON j.id = a.job_id
WHERE a.node {among} AND a.knows_unit = false ORDER BY a.job_id
"""
_JOIN = "UPDATE jobs SET unit = ? WHERE id = ?"


class Attempt(NamedTuple):
    """An attempt at a node: whether its record knows its unit, and the unit that it names."""

    job_id: int
    node: int
    knows_unit: bool
    unit: str | None


def attempts_of(records: Mapping[int, JobRecord]) -> list[Attempt]:
    """Return the attempts at nodes among these records, which are given by key of the job."""
    attempts = []
    for job, record in records.items():
        node = node_of(record)
        if node is None:
            continue
        is_known = knows_unit(record)
        # A rebuilt database has no provisional records: they must not decide about other jobs
        if is_known and record.state in PROVISIONAL:
            continue
        attempts.append(Attempt(job, node, is_known, unit_of(record)))
    return attempts


def nodes_of_jobs(connection: Connection, jobs: Sequence[int]) -> dict[int, int]:
    """Return the nodes at which these jobs are attempts by now, by key of the job."""
    return {job: node for job, node in select_among(connection, _NODES, jobs)}  # noqa: C416 - typed


def write_attempts(
    connection: Connection, attempts: Sequence[Attempt], replaced: Mapping[int, int]
) -> None:
    """Write attempts, and have those that do not know their unit count for the one of the others.

    If the others know several units, or none, each keeps the unit that its own record names.

    Args:
        connection: in a transaction in which nobody else writes attempts of these tasks.
        attempts: of jobs whose rows have the units that their own records name.
        replaced: what `nodes_of_jobs` returns for jobs that were written before.
    """
    nodes = {attempt.node for attempt in attempts}.union(replaced.values())
    before = _units_of_nodes(connection, nodes)
    change_among(connection, _REMOVE, replaced)
    insert_rows(connection, table_of(NodeAttempt), [attempt._asdict() for attempt in attempts])
    units = _units_of_nodes(connection, nodes)
    changed = [node for node in nodes if units[node] != before[node]]
    joined = _units_to_change(connection, changed, units)
    for attempt in attempts:
        unit = units[attempt.node]
        if not attempt.knows_unit and unit not in (None, attempt.unit):
            joined[attempt.job_id] = unit
    change_many(connection, _JOIN, [(unit, job) for job, unit in joined.items()])


def _units_of_nodes(connection: Connection, nodes: Iterable[int]) -> dict[int, str | None]:
    """Return the unit that the attempts at each node know; None where that is not just one."""
    dialect, listed = connection.dialect.name, sorted(nodes)
    keys = json.dumps(listed) if dialect == "sqlite" else array_of(listed)
    units: dict[int, str | None] = {}
    rows = fetch(connection, _KNOWN_UNITS.format(asked=_ASKED[dialect]), (keys,))
    for node, first, last, has_nameless in rows:
        units[node] = first if first == last and not has_nameless else None
    return units


def _units_to_change(
    connection: Connection, nodes: Sequence[int], units: Mapping[int, str | None]
) -> dict[int, str | None]:
    """Return the units of the attempts at these nodes that have to change, by key of the job."""
    changed: dict[int, str | None] = {}
    for job, node, own_unit, unit_now in select_among(connection, _ATTEMPTS, nodes):
        unit = own_unit if units[node] is None else units[node]
        if unit != unit_now:
            changed[job] = unit
    return changed
