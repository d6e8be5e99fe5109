"""Rows that many jobs share, and their integer keys.

These are experiments, hosts, stages, tasks, configurations and gaps.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.recording.closure_rows import intern_closure_sets
from jobprov.provenance.db.recording.job_rows import host_key, shared_document
from jobprov.provenance.db.recording.software_rows import intern_software_sets
from jobprov.provenance.db.recording.task_rows import StageKey, TaskKey, intern_stages, intern_tasks
from jobprov.provenance.db.tables import Experiment, GapSet, Host
from jobprov.provenance.db.transaction import Transaction
from jobprov.provenance.records.gaps import Gap
from jobprov.provenance.records.job_record import JobRecord


class SharedKeys(NamedTuple):
    """Integer keys of what a batch of jobs shares, by natural key.

    Lists of configurations, software and gaps stand there by digest.
    """

    experiments: dict[str, int]
    hosts: dict[tuple[str, str, str], int]
    stages: dict[StageKey, int]
    tasks: dict[TaskKey, int]
    closure_sets: dict[str, int]
    software_sets: dict[str, int]
    gap_sets: dict[str, int]


def intern_experiments(transaction: Transaction, names: set[str]) -> dict[str, int]:
    """Return the integer key of each experiment, made where it is new."""
    return transaction.intern(
        table_of(Experiment), ["name"], {name: {"name": name} for name in names}
    )


def intern_shared(
    transaction: Transaction, records: Sequence[JobRecord], gaps: Sequence[Sequence[Gap]]
) -> SharedKeys:
    """Return the keys of what these records share, made where they are new.

    `gaps` are those of each record.
    """
    names: set[str] = set()
    hosts: dict[tuple[str, str, str], dict[str, str]] = {}
    for record in records:
        names.add(record.experiment)
        for file in record.inputs or ():
            if file.experiment:
                names.add(file.experiment)
        if host := host_key(record):
            hosts[host] = dict(zip(("hostname", "site", "facility"), host, strict=True))
    experiments = intern_experiments(transaction, names)
    stages = intern_stages(transaction, records, experiments)
    return SharedKeys(
        experiments,
        transaction.intern(table_of(Host), ["hostname", "site", "facility"], hosts),
        stages,
        intern_tasks(transaction, records, experiments),
        intern_closure_sets(
            transaction, [record.configurations for record in records if record.configurations]
        ),
        intern_software_sets(
            transaction, [record.software for record in records if record.software]
        ),
        _intern_gap_sets(transaction, gaps),
    )


def _intern_gap_sets(transaction: Transaction, gaps: Sequence[Sequence[Gap]]) -> dict[str, int]:
    rows = {}
    for job_gaps in gaps:
        digest, document = gap_document(job_gaps)
        rows[digest] = {"sha256": digest, "document": document}
    return transaction.intern(table_of(GapSet), ["sha256"], rows)


def gap_document(gaps: Sequence[Gap]) -> tuple[str, str]:
    """Return digest and text of the codes of a job's gaps, in order.

    The words are computed where a job is shown.
    """
    return _codes_document(tuple([gap.code for gap in gaps]))


@lru_cache(maxsize=4096)
def _codes_document(codes: tuple[str, ...]) -> tuple[str, str]:
    digest, body = shared_document(list(codes))
    return digest, body.decode()
