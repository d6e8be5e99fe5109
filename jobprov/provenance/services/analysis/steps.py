"""The steps of jobs, which no table of the database has: read from the records themselves.

Of a record only the steps are decoded, which takes a fraction of the time. Where several witnesses
of a job name steps, or a value needs a repair, the job's whole record is made as its page does.
"""

import posixpath
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.services.ledger.witnessed_jobs import WitnessRecords, read_witnesses

Row = tuple[Any, ...]


class _Step(msgspec.Struct):
    """What the tables have of a step."""

    name: str
    role: str | None = None
    within: str | None = None
    argv: list[str] | None = None
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class _Command(msgspec.Struct):
    steps: list[_Step] | None = None


class _Record(msgspec.Struct):
    command: _Command | None = None


_decode = msgspec.json.Decoder(_Record).decode


def step_rows(connection: Connection, store: Store, jobs: Mapping[int, str]) -> list[Row]:
    """Return the steps of these jobs, which are given by key with their ids."""
    witnesses = read_witnesses(connection, store, jobs)
    rows: list[Row] = []
    for job, job_id in jobs.items():
        for position, step in enumerate(_steps_of(witnesses[job])):
            rows.append((job_id, position, *_columns(step)))
    return rows


def _steps_of(witnesses: WitnessRecords) -> list[_Step]:
    try:
        lists = list(_lists_of(witnesses.bodies()))
    except msgspec.ValidationError:
        return _merged_steps(witnesses)
    if len(lists) > 1:
        return _merged_steps(witnesses)
    return lists[0] if lists else []


def _lists_of(bodies: Mapping[str, bytes]) -> Iterator[list[_Step]]:
    """Yield the steps that each witness names, if it names any."""
    for body in bodies.values():
        command = _decode(body).command
        if command is not None and command.steps:
            yield command.steps


def _merged_steps(witnesses: WitnessRecords) -> list[_Step]:
    record = witnesses.reading().record
    steps = (record.command and record.command.steps) or []
    return [msgspec.convert(step, _Step, from_attributes=True) for step in steps]


def _columns(step: _Step) -> Row:
    program = posixpath.basename(step.argv[0]) if step.argv else None
    return (
        step.name,
        step.role,
        step.within,
        program,
        step.exit_code,
        step.signal,
        step.started_at,
        step.ended_at,
    )
