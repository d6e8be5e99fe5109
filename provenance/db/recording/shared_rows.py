"""Rows that many jobs share, and their integer keys.

Experiments, hosts, stages, tasks, configurations, gaps.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.keys import KnownKeys
from jobprov.provenance.db.recording.closure_rows import intern_closure_sets
from jobprov.provenance.db.recording.job_rows import host_key, shared_document
from jobprov.provenance.db.recording.software_rows import intern_software_sets
from jobprov.provenance.db.recording.task_rows import StageKey, TaskKey, intern_stages, intern_tasks
from jobprov.provenance.db.tables import Experiment, GapSet, Host
from jobprov.provenance.records.gaps import Gap
from jobprov.provenance.records.job_record import JobRecord


class SharedKeys(NamedTuple):
    """Integer keys of what a batch of jobs shares, by natural key.

    Lists of configurations, software and gaps by digest.
    """

    experiments: dict[str, int]
    hosts: dict[tuple[str, str, str], int]
    stages: dict[StageKey, int]
    tasks: dict[TaskKey, int]
    closure_sets: dict[str, int]
    software_sets: dict[str, int]
    gap_sets: dict[str, int]


def intern_experiments(connection: Connection, known: KnownKeys, names: set[str]) -> dict[str, int]:
    """Return the integer key of each experiment, made where it is new."""
    return known.intern(
        connection, table_of(Experiment), ["name"], {name: {"name": name} for name in names}
    )


def intern_shared(
    connection: Connection,
    known: KnownKeys,
    records: Sequence[JobRecord],
    gaps: Sequence[Sequence[Gap]],
) -> SharedKeys:
    """Return the keys of what these records share, made where they are new.

    `gaps` are those of each record.
    """
    names = {record.experiment for record in records}
    names |= {
        file.experiment for record in records for file in record.inputs or () if file.experiment
    }
    experiments = intern_experiments(connection, known, names)
    hosts = {
        key: dict(zip(("hostname", "site", "facility"), key, strict=True))
        for r in records
        if (key := host_key(r))
    }
    stages = intern_stages(connection, known, records, experiments)
    return SharedKeys(
        experiments,
        known.intern(connection, table_of(Host), ["hostname", "site", "facility"], hosts),
        stages,
        intern_tasks(connection, known, records, experiments),
        intern_closure_sets(
            connection, known, [r.configurations for r in records if r.configurations]
        ),
        intern_software_sets(
            connection, known, [record.software for record in records if record.software]
        ),
        _intern_gap_sets(connection, known, gaps),
    )


def _intern_gap_sets(
    connection: Connection, known: KnownKeys, gaps: Sequence[Sequence[Gap]]
) -> dict[str, int]:
    rows = {}
    for found in gaps:
        digest, document = gap_document(found)
        rows[digest] = {"sha256": digest, "document": document}
    return known.intern(connection, table_of(GapSet), ["sha256"], rows)


def gap_document(gaps: Sequence[Gap]) -> tuple[str, str]:
    """Return digest and text of the codes of a job's gaps, in order.

    The words are computed where a job is shown.
    """
    return _codes_document(tuple([gap.code for gap in gaps]))


@lru_cache(maxsize=4096)
def _codes_document(codes: tuple[str, ...]) -> tuple[str, str]:
    digest, body = shared_document(list(codes))
    return digest, body.decode()
