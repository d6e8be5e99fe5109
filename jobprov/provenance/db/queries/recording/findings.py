"""What is known beside records: evaluated configurations, resolved code, traced kinds of jobs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import select_among, select_by
from jobprov.provenance.db.tables import (
    AwaitedTrace,
    Claim,
    Closure,
    Experiment,
    File,
    Resolution,
    SoftwareRow,
    TraceTurn,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Memory

_EVALUATIONS = """
SELECT v.closure_id, e.name, v.problem, v.is_too_large, v.difference, v.ran_as, v.parsed_as,
       v.computed_as, v.as_written
FROM evaluations v JOIN experiments e ON e.id = v.experiment_id WHERE v.closure_id {among}
"""

_CLOSURES = """
SELECT j.id, c.sha256 FROM jobs j JOIN closure_set_members m ON m.closure_set_id = j.closure_set_id
JOIN closures c ON c.id = m.closure_id WHERE j.id {among} ORDER BY j.id, m.position
"""
Kind = tuple[str, str]
"""An experiment, and the key by which hooks know jobs of one kind."""


class KnownEvaluation(NamedTuple):
    """What is known of one configuration: the columns of its evaluation.

    `ran_as` None where what art wrote was not looked at.
    """

    problem: str | None = None
    is_too_large: bool = False
    difference: str | None = None
    ran_as: str | None = None
    parsed_as: str | None = None
    computed_as: str | None = None
    as_written: str | None = None


def read_evaluations(
    connection: Connection, memory: Memory, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], KnownEvaluation]:
    """Return what is known of configurations, by experiment and digest of the closure.

    Those that were not evaluated yet are left out.
    """
    digest_of: dict[int, str] = {}
    unmet: list[str] = []
    for digest in sorted({digest for _, digest in wanted}):
        key = memory.keys.get(table_of(Closure), digest)
        if key is None:
            unmet.append(digest)
        else:
            digest_of[key] = digest
    keys = select_by(connection, table_of(Closure), ("id",), ("sha256",), unmet)
    digest_of.update((row[0], digest) for digest, row in keys.items())
    evaluations: dict[tuple[str, str], KnownEvaluation] = {}
    for closure, experiment, *columns in select_among(connection, _EVALUATIONS, digest_of):
        evaluations[experiment, digest_of[closure]] = KnownEvaluation(*columns)
    return evaluations


def closures_of_jobs(connection: Connection, jobs: Sequence[int]) -> dict[int, list[str]]:
    """Return the digests of the configurations of each job, in order; none for one without any."""
    digests: dict[int, list[str]] = {job: [] for job in jobs}
    for job, sha256 in select_among(connection, _CLOSURES, jobs):
        digests[job].append(bytes(sha256).hex())
    return digests


class StoredResolution(NamedTuple):
    """What a ref or version meant; `match_key` names the repository."""

    match_key: str
    document: Mapping[str, Any]


def resolutions_of(connection: Connection, digests: Sequence[str]) -> dict[str, StoredResolution]:
    """Return the resolutions of software entries, by digest; those without one are left out."""
    rows = select_by(connection, table_of(SoftwareRow), ("resolution_id",), ("sha256",), digests)
    keys = {digest: row[0] for digest, row in rows.items() if row[0] is not None}
    documents = select_by(
        connection,
        table_of(Resolution),
        ("match_key", "document"),
        ("id",),
        sorted(set(keys.values())),
    )
    # Many entries share a resolution: each is decoded once
    resolutions: dict[int, StoredResolution] = {}
    for key, (match_key, document) in documents.items():
        resolutions[key] = StoredResolution(match_key, json.loads(document))
    return {digest: resolutions[key] for digest, key in keys.items()}


def registered_match_keys(connection: Connection) -> set[str]:
    """Return the addresses of all registered repositories, in the form in which they compare."""
    return {row[0] for row in fetch(connection, "SELECT match_key FROM repositories")}


def what_kinds_used(connection: Connection, kinds: AbstractSet[Kind]) -> dict[Kind, str]:
    """Return JSON of what the traced job of each kind used; those without a trace are left out."""
    used: dict[Kind, str] = {}
    keys = sorted({key for _, key in kinds})
    query = select(TraceTurn.experiment, TraceTurn.key, TraceTurn.used)
    for experiment, key, document in rows_among(connection, query, TraceTurn.key, keys):
        if (experiment, key) in kinds and document is not None:
            used[experiment, key] = document
    return used


def made_by_jobs(connection: Connection, experiment: str, names: Iterable[str]) -> set[str]:
    """Return those of these names that a job of the experiment gave to an output."""
    query = (
        select(File.name)
        .join(Experiment, Experiment.id == File.experiment_id)
        .join(Claim, Claim.file_id == File.id)
        .where(Experiment.name == experiment)
        .distinct()
    )
    return {row[0] for row in rows_among(connection, query, File.name, sorted(names))}


def jobs_waiting(connection: Connection, kind: Kind) -> list[int]:
    """Return the keys of the jobs that ended before the traced one of their kind."""
    experiment, key = kind
    query = select(AwaitedTrace.job_id).where(
        AwaitedTrace.experiment == experiment, AwaitedTrace.key == key
    )
    return list(connection.execute(query.order_by(AwaitedTrace.job_id)).scalars())
