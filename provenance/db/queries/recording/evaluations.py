"""What is known of configurations that were evaluated."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.statements.selecting import select_among, select_by
from jobprov.provenance.db.tables import Closure
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import chunks

_EVALUATIONS = """
SELECT v.closure_id, e.name, v.problem, v.difference, v.ran_as, v.parsed_as, v.computed_as,
       v.as_written
FROM evaluations v JOIN experiments e ON e.id = v.experiment_id WHERE v.closure_id {among}
"""

_CLOSURES = """
SELECT j.id, c.sha256 FROM jobs j JOIN closure_set_members m ON m.closure_set_id = j.closure_set_id
JOIN closures c ON c.id = m.closure_id WHERE j.id {among} ORDER BY j.id, m.position
"""


class KnownEvaluation(NamedTuple):
    """What is known of one configuration: the columns of its evaluation.

    `ran_as` None where what art wrote was not looked at.
    """

    problem: str | None
    difference: str | None
    ran_as: str | None
    parsed_as: str | None
    computed_as: str | None
    as_written: str | None


def read_evaluations(
    connection: Connection, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], KnownEvaluation]:
    """Return what is known of configurations, by experiment and digest of the closure.

    Those that were not evaluated yet are left out.
    """
    digests = sorted({digest for _, digest in wanted})
    keys = select_by(connection, table_of(Closure), ("id",), ("sha256",), digests)
    digest_of = {row[0]: digest for digest, row in keys.items()}
    evaluations: dict[tuple[str, str], KnownEvaluation] = {}
    for part in chunks(list(digest_of)):
        for closure, experiment, *columns in select_among(connection, _EVALUATIONS, part):
            evaluations[experiment, digest_of[closure]] = KnownEvaluation(*columns)
    return evaluations


def closures_of_jobs(connection: Connection, jobs: Sequence[int]) -> dict[int, list[str]]:
    """Return the digests of the configurations of each job, in order; none for one without any."""
    digests: dict[int, list[str]] = {job: [] for job in jobs}
    for part in chunks(jobs):
        for job, sha256 in select_among(connection, _CLOSURES, part):
            digests[job].append(bytes(sha256).hex())
    return digests
