"""Rows that many jobs share, and their integer keys: experiments, hosts, stages, tasks, configurations, gaps."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection

from provenance.db.base import table_of
from provenance.db.inserting import insert_rows
from provenance.db.keys import KnownKeys
from provenance.db.recording.job_rows import host_key, shared_document
from provenance.db.recording.packing import pack
from provenance.db.recording.software_rows import intern_software_sets
from provenance.db.recording.task_rows import StageKey, TaskKey, intern_stages, intern_tasks
from provenance.db.selecting import select_among
from provenance.db.tables import Closure, ClosureFile, Experiment, GapSet, Host
from provenance.records.gaps import Gap
from provenance.records.job_record import FclConfiguration, JobRecord
from provenance.records.sharing import remembered

_HELD_MEMBERS = "SELECT DISTINCT closure_id FROM closure_files WHERE closure_id {among}"


class SharedKeys(NamedTuple):
    """Integer keys of what a batch of jobs shares, by natural key; closures and gap sets by digest."""

    experiments: dict[str, int]
    hosts: dict[tuple[str, str, str], int]
    stages: dict[StageKey, int]
    tasks: dict[TaskKey, int]
    closures: dict[str, int]
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
        _intern_closures(connection, known, records),
        intern_software_sets(connection, known, [record.software for record in records if record.software]),
        _intern_gap_sets(connection, known, gaps),
    )


@remembered
def closure_digests(configurations: Sequence[FclConfiguration]) -> tuple[str, ...]:
    """Return the digest that names each configuration, in order."""
    return tuple(shared_document(each)[0] for each in configurations)


def _intern_closures(connection: Connection, known: KnownKeys, records: Sequence[JobRecord]) -> dict[str, int]:
    found = {
        digest: configuration
        for record in records
        if record.configurations
        for digest, configuration in zip(closure_digests(record.configurations), record.configurations, strict=True)
    }
    table = table_of(Closure)
    fresh = {digest for digest in found if known.get(table, digest) is None}
    rows = {
        digest: {
            "sha256": digest,
            "document": pack(shared_document(configuration)[1]),
            "parameter_set_id": configuration.parameter_set_id,
        }
        if digest in fresh
        else {}
        for digest, configuration in found.items()
    }
    keys = known.intern(connection, table, ["sha256"], rows)
    held = {row[0] for row in select_among(connection, _HELD_MEMBERS, [keys[digest] for digest in fresh])}
    members = [
        {"closure_id": keys[digest], "position": position, "sha256": file.sha256, "name": file.name}
        for digest in sorted(fresh)
        if keys[digest] not in held
        for position, file in enumerate(found[digest].files or ())
    ]
    insert_rows(connection, table_of(ClosureFile), members)
    return keys


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
