"""What is known of evaluated configurations when records are looked at.

Which are done, which failed, and which can be done now.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.closure_rows import closure_digests
from jobprov.provenance.db.selecting import select_among, select_by
from jobprov.provenance.db.tables import Closure
from jobprov.provenance.db.transaction import Memory
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord
from jobprov.provenance.services.work.evaluations import Configuration

_MOST_REMEMBERED = 100_000
_CLOSURES = table_of(Closure)
_EVALUATIONS = """
SELECT v.closure_id, e.name, v.problem, v.difference, v.ran_as, v.parsed_as
FROM evaluations v JOIN experiments e ON e.id = v.experiment_id WHERE v.closure_id {among}
"""


class KnownEvaluation(NamedTuple):
    """What is known of one configuration: the columns of its evaluation.

    `ran_as` None where what art wrote was not looked at.
    """

    problem: str | None
    difference: str | None
    ran_as: str | None
    parsed_as: str | None

    def is_finished(self, configuration: FclConfiguration) -> bool:
        """Whether a gap has nothing to say of it, and nothing is left to be read."""
        is_read = self.ran_as is not None or not configuration.final_sha256
        return self.problem is None and self.difference is None and is_read


class EvaluationFindings(NamedTuple):
    """What is known of a record's configurations, by position.

    In `pending` the digests of those that can be evaluated now.
    """

    problems: Mapping[int, str]
    differences: Mapping[int, str]
    pending: tuple[str, ...]


NOTHING_FOUND = EvaluationFindings({}, {}, ())


class FinishedConfigurations(set[Configuration]):
    """Remembers configurations of which there is nothing to say and nothing left to do.

    That does not change.
    """

    def keep_bounded(self) -> None:
        """Forget them all where they are too many; they are looked up again."""
        if len(self) > _MOST_REMEMBERED:
            self.clear()


def find_evaluations(
    connection: Connection,
    memory: Memory,
    records: Sequence[JobRecord],
    held: Mapping[str, AbstractSet[str]],
) -> list[EvaluationFindings]:
    """Return what is known of the configurations of each record, in order.

    Args:
        connection: to read with.
        memory: keeps the configurations of which there is nothing to say.
        records: merged ones.
        held: digests of the blobs that each experiment possesses, of those that the records refer
            to.
    """
    finished = memory.of(FinishedConfigurations)
    finished.keep_bounded()
    unfinished: set[Configuration] = set()
    for record in records:
        for digest in closure_digests(record.configurations or ()):
            if (record.experiment, digest) not in finished:
                unfinished.add((record.experiment, digest))
    if not unfinished:
        return [NOTHING_FOUND] * len(records)
    evaluations = read_evaluations(connection, unfinished)
    findings = []
    for record in records:
        blobs = held.get(record.experiment, frozenset())
        findings.append(_findings(record, evaluations, finished, blobs))
    return findings


def _findings(
    record: JobRecord,
    evaluations: Mapping[Configuration, KnownEvaluation],
    finished: FinishedConfigurations,
    held: AbstractSet[str],
) -> EvaluationFindings:
    problems: dict[int, str] = {}
    differences: dict[int, str] = {}
    pending: list[str] = []
    configurations = record.configurations or ()
    for place, digest in enumerate(closure_digests(configurations)):
        name, configuration = (record.experiment, digest), configurations[place]
        known = evaluations.get(name)
        if known is not None and known.problem is not None:
            problems[place] = known.problem
        if known is not None and known.difference is not None:
            differences[place] = known.difference
        if name not in finished and _can_be_evaluated(configuration, known, held):
            pending.append(digest)
        elif known is not None and known.is_finished(configuration):
            finished.add(name)
    return EvaluationFindings(problems, differences, tuple(pending))


def _can_be_evaluated(
    configuration: FclConfiguration, known: KnownEvaluation | None, held: AbstractSet[str]
) -> bool:
    """Return whether evaluating it would tell more.

    All its files are here, and it, or what art wrote of it, was not read yet.
    """
    if not configuration.files or any(file.sha256 not in held for file in configuration.files):
        return False
    return known is None or (
        configuration.final_sha256 in held and known.ran_as is None and known.difference is None
    )


def read_evaluations(
    connection: Connection, wanted: Iterable[Configuration]
) -> dict[Configuration, KnownEvaluation]:
    """Return what is known of configurations; those that were not evaluated yet are left out."""
    keys = select_by(
        connection, _CLOSURES, ("id",), ("sha256",), sorted({digest for _, digest in wanted})
    )
    digests = {row[0]: digest for digest, row in keys.items()}
    evaluations: dict[Configuration, KnownEvaluation] = {}
    for part in chunks(list(digests)):
        for closure, experiment, *columns in select_among(connection, _EVALUATIONS, part):
            evaluations[experiment, digests[closure]] = KnownEvaluation(*columns)
    return evaluations
