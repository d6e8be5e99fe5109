"""What is known of the configurations of records: evaluated, failed, or to be evaluated now."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.recording.findings import (
    KnownEvaluation,
    read_evaluations,
)
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord
from jobprov.provenance.services.work.evaluations import Configuration

_MOST_REMEMBERED = 100_000


class EvaluationFindings(NamedTuple):
    """What is known of a record's configurations, by position.

    Attributes:
        problems: why they cannot be evaluated.
        too_large: those that a limit stopped.
        differences: how what ran contradicts them.
        pending: digests of those that can be evaluated now.
    """

    problems: Mapping[int, str]
    too_large: AbstractSet[int]
    differences: Mapping[int, str]
    pending: tuple[str, ...]


NOTHING_FOUND = EvaluationFindings({}, frozenset(), {}, ())


class FinishedConfigurations(set[Configuration]):
    """Remembers configurations that make no gap and have nothing left to be read.

    That does not change any more.
    """

    def keep_bounded(self) -> None:
        """Forget them all where they are too many; they are looked up again."""
        if len(self) > _MOST_REMEMBERED:
            self.clear()


def find_evaluations(
    connection: Connection,
    memory: Memory,
    records: Sequence[JobRecord],
    closures: Sequence[Sequence[str]],
    possessed: Mapping[str, AbstractSet[str]],
) -> list[EvaluationFindings]:
    """Return what is known of the configurations of each record, in order.

    Args:
        connection: to read with.
        memory: keeps the configurations that are finished.
        records: merged ones.
        closures: the digests of each record's configurations, in order.
        possessed: digests of the blobs that each experiment possesses, of those that the records
            refer to.
    """
    finished = memory.of(FinishedConfigurations)
    finished.keep_bounded()
    unfinished: set[Configuration] = set()
    for record, digests in zip(records, closures, strict=True):
        for digest in digests:
            if (record.experiment, digest) not in finished:
                unfinished.add((record.experiment, digest))
    if not unfinished:
        return [NOTHING_FOUND] * len(records)
    evaluations = read_evaluations(connection, memory, unfinished)
    findings = []
    for record, digests in zip(records, closures, strict=True):
        blobs = possessed.get(record.experiment, frozenset())
        findings.append(_findings(record, digests, evaluations, finished, blobs))
    return findings


def _findings(
    record: JobRecord,
    digests: Sequence[str],
    evaluations: Mapping[Configuration, KnownEvaluation],
    finished: FinishedConfigurations,
    possessed: AbstractSet[str],
) -> EvaluationFindings:
    problems: dict[int, str] = {}
    too_large: set[int] = set()
    differences: dict[int, str] = {}
    pending: list[str] = []
    # Of a record without configurations, each digest stands for variables that decide physics
    configurations = record.configurations or [FclConfiguration()] * len(digests)
    for place, (digest, configuration) in enumerate(zip(digests, configurations, strict=False)):
        name = (record.experiment, digest)
        if name in finished:
            continue
        evaluation = evaluations.get(name)
        if evaluation is None:
            if not record.configurations or _has_files(configuration, possessed):
                pending.append(digest)
            continue
        if evaluation.problem is not None:
            problems[place] = evaluation.problem
        if evaluation.is_too_large:
            too_large.add(place)
        if evaluation.difference is not None:
            differences[place] = evaluation.difference
        if _can_be_compared(configuration, evaluation, possessed):
            pending.append(digest)
        elif _is_finished(configuration, evaluation):
            finished.add(name)
    return EvaluationFindings(problems, too_large, differences, tuple(pending))


def _has_files(configuration: FclConfiguration, possessed: AbstractSet[str]) -> bool:
    """Return whether all fcl files of a configuration are here, so that it can be evaluated."""
    files = configuration.files or ()
    return bool(files) and all(file.sha256 in possessed for file in files)


def _can_be_compared(
    configuration: FclConfiguration,
    evaluation: KnownEvaluation,
    possessed: AbstractSet[str],
) -> bool:
    """Return whether another evaluation would compare it with what art wrote, which came since."""
    if evaluation.ran_as is not None or evaluation.difference is not None:
        return False
    return configuration.final_sha256 in possessed and _has_files(configuration, possessed)


def _is_finished(configuration: FclConfiguration, evaluation: KnownEvaluation) -> bool:
    """Whether no gap follows from the evaluation, and nothing is left to be read."""
    has_gap = evaluation.problem is not None or evaluation.difference is not None
    is_read = evaluation.ran_as is not None or not configuration.final_sha256
    return is_read and not has_gap
