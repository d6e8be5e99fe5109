"""What is known of evaluated configurations when records are looked at.

Which are done, which failed, and which can be done now.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.closure_rows import closure_digests
from jobprov.provenance.db.selecting import select_among, select_by
from jobprov.provenance.db.tables import Closure
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord

_MOST_REMEMBERED = 100_000
_CLOSURES = table_of(Closure)
_EVALUATIONS = """
SELECT v.closure_id, e.name, v.problem, v.difference, v.ran_as, v.parsed_as
FROM evaluations v JOIN experiments e ON e.id = v.experiment_id WHERE v.closure_id {among}
"""

Configuration = tuple[str, str]
"""Experiment and digest of a closure."""


class Known(NamedTuple):
    """What is known of one configuration: the columns of its evaluation.

    `ran_as` None where what art wrote was not looked at.
    """

    problem: str | None
    difference: str | None
    ran_as: str | None
    parsed_as: str | None


class EvaluationFindings(NamedTuple):
    """What is known of a record's configurations, by position.

    In `pending` the digests of those that can be evaluated now.
    """

    problems: Mapping[int, str]
    differences: Mapping[int, str]
    pending: tuple[str, ...]


NOTHING_FOUND = EvaluationFindings({}, {}, ())


def find_evaluations(
    connection: Connection,
    notes: dict[Any, Any],
    records: Sequence[JobRecord],
    held: Mapping[str, AbstractSet[str]],
) -> list[EvaluationFindings]:
    """Return what is known of the configurations of each record, in order.

    Args:
        connection: to read with.
        notes: remembers what cannot become untrue: configurations of which there is nothing to say.
        records: merged ones.
        held: digests of the blobs that each experiment possesses, of those that the records refer
            to.
    """
    done: set[Configuration] = notes.setdefault("evaluated", set())
    if len(done) > _MOST_REMEMBERED:
        done.clear()
    digests = [
        closure_digests(record.configurations) if record.configurations else ()
        for record in records
    ]
    unsure = {
        (record.experiment, digest)
        for record, found in zip(records, digests, strict=True)
        for digest in found
    } - done
    known = read_evaluations(connection, unsure) if unsure else {}
    return [
        _findings(record, found, known, done, held.get(record.experiment, frozenset()))
        if not done.issuperset((record.experiment, digest) for digest in found)
        else NOTHING_FOUND
        for record, found in zip(records, digests, strict=True)
    ]


def _findings(
    record: JobRecord,
    digests: Sequence[str],
    known: Mapping[Configuration, Known],
    done: set[Configuration],
    held: AbstractSet[str],
) -> EvaluationFindings:
    problems, differences, pending = {}, {}, []
    for place, (configuration, digest) in enumerate(
        zip(record.configurations or (), digests, strict=True)
    ):
        found = known.get((record.experiment, digest))
        if found is not None and found.problem is not None:
            problems[place] = found.problem
        if found is not None and found.difference is not None:
            differences[place] = found.difference
        if (record.experiment, digest) not in done and _can_be_evaluated(
            configuration, found, held
        ):
            pending.append(digest)
        elif (
            found is not None
            and _says_nothing(found)
            and (found.ran_as or not configuration.final_sha256)
        ):
            done.add((record.experiment, digest))
    return EvaluationFindings(problems, differences, tuple(pending))


def _says_nothing(known: Known) -> bool:
    return known.problem is None and known.difference is None


def _can_be_evaluated(
    configuration: FclConfiguration, known: Known | None, held: AbstractSet[str]
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
) -> dict[Configuration, Known]:
    """Return what is known of configurations; those that were not evaluated yet are left out."""
    keys = select_by(
        connection, _CLOSURES, ("id",), ("sha256",), sorted({digest for _, digest in wanted})
    )
    digests = {row[0]: digest for digest, row in keys.items()}
    return {
        (row[1], digests[row[0]]): Known(*row[2:])
        for part in chunks(list(digests))
        for row in select_among(connection, _EVALUATIONS, part)
    }
