"""Rows that many jobs share, and their integer keys: experiments, hosts, stages, tasks, configurations, gaps, environments."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection

from provenance.db.base import table_of
from provenance.db.driver import fetch
from provenance.db.keys import KnownKeys
from provenance.db.recording.closure_rows import intern_closure_sets
from provenance.db.recording.environments import SharedVariables, base_document
from provenance.db.recording.job_rows import host_key, shared_document
from provenance.db.recording.packing import pack
from provenance.db.recording.software_rows import intern_software_sets
from provenance.db.recording.task_rows import StageKey, TaskKey, intern_stages, intern_tasks
from provenance.db.tables import EnvironmentBase, Experiment, GapSet, Host
from provenance.records.gaps import Gap
from provenance.records.job_record import JobRecord

_BASE = "SELECT variables FROM environment_bases WHERE id = ?"


class SharedKeys(NamedTuple):
    """Integer keys of what a batch of jobs shares, by natural key; lists of configurations, software and gaps by digest."""

    experiments: dict[str, int]
    hosts: dict[tuple[str, str, str], int]
    stages: dict[StageKey, int]
    tasks: dict[TaskKey, int]
    closure_sets: dict[str, int]
    software_sets: dict[str, int]
    gap_sets: dict[str, int]


def intern_experiments(connection: Connection, known: KnownKeys, names: set[str]) -> dict[str, int]:
    """Return the integer key of each experiment, made where it is new."""
    return known.intern(connection, table_of(Experiment), ["name"], {name: {"name": name} for name in names})


def intern_shared(
    connection: Connection, known: KnownKeys, records: Sequence[JobRecord], gaps: Sequence[Sequence[Gap]]
) -> SharedKeys:
    """Return the keys of what these records share, made where they are new; `gaps` are those of each record."""
    names = {record.experiment for record in records}
    names |= {file.experiment for record in records for file in record.inputs or () if file.experiment}
    experiments = intern_experiments(connection, known, names)
    hosts = {
        key: dict(zip(("hostname", "site", "facility"), key, strict=True)) for r in records if (key := host_key(r))
    }
    stages = intern_stages(connection, known, records, experiments)
    return SharedKeys(
        experiments,
        known.intern(connection, table_of(Host), ["hostname", "site", "facility"], hosts),
        stages,
        intern_tasks(connection, known, records, experiments),
        intern_closure_sets(connection, known, [r.configurations for r in records if r.configurations]),
        intern_software_sets(connection, known, [record.software for record in records if record.software]),
        _intern_gap_sets(connection, known, gaps),
    )


def _intern_gap_sets(connection: Connection, known: KnownKeys, gaps: Sequence[Sequence[Gap]]) -> dict[str, int]:
    rows = {}
    for found in gaps:
        digest, document = gap_document(found)
        rows[digest] = {"sha256": digest, "document": document}
    return known.intern(connection, table_of(GapSet), ["sha256"], rows)


def gap_document(gaps: Sequence[Gap]) -> tuple[str, str]:
    """Return digest and text of the codes of a job's gaps, in order; the words are computed where a job is shown."""
    return _codes_document(tuple([gap.code for gap in gaps]))


@lru_cache(maxsize=4096)
def _codes_document(codes: tuple[str, ...]) -> tuple[str, str]:
    digest, body = shared_document(list(codes))
    return digest, body.decode()


def intern_environments(
    connection: Connection, known: KnownKeys, jobs: Sequence[tuple[JobRecord, int | None]]
) -> list[tuple[int | None, bytes | None]]:
    """Return the environment of each record as the key of what its stage and site share and the packed difference from that.

    Args:
        connection: in a transaction.
        known: the writer's.
        jobs: records, each with the key of its stage.
    """
    found: list[tuple[int | None, bytes | None]] = [(None, None)] * len(jobs)
    alike: dict[int, dict[int, Mapping[str, str]]] = {}
    for place, (record, stage) in enumerate(jobs):
        if record.environment is not None and (variables := record.environment.variables) is not None:
            number = _base_of(connection, known, record, stage, variables)
            alike.setdefault(number, {})[place] = variables
    for number, listed in alike.items():
        shared = _shared_variables(connection, known, number)
        for place, difference in zip(listed, shared.differences(list(listed.values())), strict=True):
            found[place] = number, difference
    return found


def _base_of(
    connection: Connection, known: KnownKeys, record: JobRecord, stage: int | None, variables: Mapping[str, str]
) -> int:
    """Return the key of what the job's stage and site share, these variables where it is their first job."""
    key = (stage or 0, (record.host.site if record.host else None) or "")
    number = known.get(table_of(EnvironmentBase), key)
    return _intern_base(connection, known, key, variables) if number is None else number


def _shared_variables(connection: Connection, known: KnownKeys, base: int) -> SharedVariables:
    """Return what jobs share; read again each time, since another process may have erased something in it."""
    note, packed = ("environment", base), bytes(fetch(connection, _BASE, (base,))[0][0])
    if known.notes.get(note, (None,))[0] != packed:
        known.notes[note] = packed, SharedVariables(packed)
    shared: SharedVariables = known.notes[note][1]
    return shared


def _intern_base(connection: Connection, known: KnownKeys, key: tuple[int, str], variables: Mapping[str, str]) -> int:
    row: dict[str, Any] = {"stage_id": key[0], "host_site": key[1], "variables": pack(base_document(variables))}
    return known.intern(connection, table_of(EnvironmentBase), ["stage_id", "host_site"], {key: row})[key]
