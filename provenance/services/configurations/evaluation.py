"""Evaluates recorded configurations: finds their parameter sets, as parsed and as run.

The parameters of the set are indexed, to be searched. A configuration is evaluated once for each
experiment that possesses its files, however many jobs ran it. What cannot be evaluated stays a gap
of its jobs. Nothing here is in the ledger: when a database is rebuilt, it is derived again from
closures and blobs.

Source: record.md, "Resolutions"; storage.md, "Archive" (possession).
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.changes.configurations import (
    EvaluationDraft,
    remove_waiting_key,
    replace_evaluation,
)
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.configurations.closures import closure_of, waiting_keys
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.recording.parameter_rows import (
    IndexedTable,
    indexed_tables,
    unwritten_tables,
    write_set,
    write_tables,
)
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.fhicl import Configuration, FhiclError, loads
from jobprov.provenance.fhicl.as_run import contradictions
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    evaluate_recorded,
)
from jobprov.provenance.services.recording.gap_updates import jobs_configured, refresh_jobs
from jobprov.provenance.services.work.evaluations import EVALUATE
from jobprov.provenance.services.work.notices import configuration_evaluated
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writing, writing_alone

_LONGEST_PROBLEM = 2000
_LONGEST_VALUE = 60
_TABLES_AT_ONCE = 300
"""Tables written in one transaction: some 0.1 s, for which a record may have to wait."""
_PUT_BY_PROGRAM = re.compile(rb"\de\+\d")
"""A number as art itself writes it, 1.234567e+6.

Read again it becomes 1.234567e6, so the set gets another identity and cannot be compared by it.
"""


class Evaluated(NamedTuple):
    """The result of an evaluation: the columns of `Evaluation`, and the tables to be searched."""

    parsed_as: str | None
    ran_as: str | None
    problem: str | None
    difference: str | None
    tables: list[IndexedTable]


class _Wanted(NamedTuple):
    """A configuration to be evaluated for an experiment."""

    key: str
    experiment: int
    closure: int
    recorded: FclConfiguration
    held: frozenset[str]


def evaluate_configuration(parts: Parts, key: str) -> None:
    """Evaluate the configuration that `key` names, unless some of its files are missing.

    Raises:
        ConfigurationError: the archive cannot deliver a file; the work is tried again later.
    """
    with parts.database.reading.connect() as connection:
        wanted = _read(connection, key)
    if wanted is None:
        return
    evaluated = _evaluate(parts.store, wanted)
    with parts.database.reading.connect() as connection:
        fresh = unwritten_tables(connection, evaluated.tables)
    # All but the last tables are written in advance; the last ones go in the transaction of the set
    for part in chunks(fresh[:-_TABLES_AT_ONCE], _TABLES_AT_ONCE):
        parts.writer.run(lambda writing, part=part: write_tables(writing, part))  # type: ignore[misc]
    parts.writer.run(lambda writing: _enter_and_refresh(writing, wanted, evaluated))


def evaluate_waiting(database: Database, memory: Memory, store: Store) -> int:
    """Evaluate what waits to be evaluated, and bring the gaps of its jobs up to date.

    Return how many were evaluated. This is for a rebuild, which has no writer. What the archive
    cannot deliver stays waiting.
    """
    done = 0
    with database.reading.connect() as connection:
        keys = waiting_keys(connection, EVALUATE)
    for key in keys:
        with database.reading.connect() as connection:
            wanted = _read(connection, key)
        try:
            evaluated = _evaluate(store, wanted) if wanted is not None else None
        except ConfigurationError:
            continue
        with writing_alone(database, memory, store) as writing:
            if wanted is not None and evaluated is not None and _enter(writing, wanted, evaluated):
                for part in chunks(jobs_configured(writing.connection, key)):
                    refresh_jobs(writing, part)
            remove_waiting_key(writing.connection, EVALUATE, key)
        done += 1
    return done


def _read(connection: Connection, key: str) -> _Wanted | None:
    """Return the configuration of a work item; None if some of its files are missing."""
    experiment, _, sha256 = key.partition(":")
    closure = closure_of(connection, int(experiment), sha256)
    if closure is None:
        return None
    recorded = closure.recorded
    digests = {file.sha256 for file in recorded.files or () if file.sha256}
    wanted = set(digests)
    if recorded.final_sha256:
        wanted.add(recorded.final_sha256)
    here = possessed_blobs(connection, closure.experiment, wanted)
    # A file without a digest can never come: it counts as missing
    if not recorded.files or len(digests & here) < len({file.sha256 for file in recorded.files}):
        return None
    return _Wanted(key, int(experiment), closure.id, recorded, frozenset(here))


def _evaluate(store: Store, wanted: _Wanted) -> Evaluated:
    try:
        sources = {sha256: store.get(sha256) for sha256 in sorted(wanted.held)}
    except ArchiveError as problem:
        raise ConfigurationError(str(problem)) from problem
    return evaluate_sources(wanted.recorded, sources)


def evaluate_sources(recorded: FclConfiguration, sources: Mapping[str, bytes]) -> Evaluated:
    """Return the parameter sets of a recorded configuration, as parsed and as run.

    Args:
        recorded: a configuration; all its files are in `sources`.
        sources: bytes by digest, including what art wrote, if that was uploaded.
    """
    parsed, problem = None, None
    try:
        parsed = evaluate_recorded(recorded, sources)
    except ConfigurationError as error:
        problem = _first_line(error)
    ran, trouble = None, list[str]()
    final = sources.get(recorded.final_sha256 or "")
    if final is not None:
        ran, trouble = _read_final(recorded, final, parsed)
    # What ran is searched; the files alone lack what art added and pruned
    searched = ran or parsed
    return Evaluated(
        parsed_as=_identity_of(parsed),
        ran_as=_identity_of(ran),
        problem=problem,
        difference=_sentence(trouble),
        tables=[] if searched is None else indexed_tables(searched),
    )


def _identity_of(configuration: Configuration | None) -> str | None:
    return None if configuration is None else configuration.parameter_set_id


def _read_final(
    recorded: FclConfiguration, final: bytes, parsed: Configuration | None
) -> tuple[Configuration | None, list[str]]:
    """Return the configuration that the program wrote, and what contradicts it."""
    try:
        ran = loads(final, name=recorded.final_sha256 or "")
    except FhiclError as error:
        why = _first_line(error)
        return None, [f"what the program wrote of its configuration cannot be read: {why}"]
    trouble: list[str] = []
    if parsed is not None:
        trouble += _differences(parsed, ran)
    if not _PUT_BY_PROGRAM.search(final):
        trouble += _other_identity(recorded, ran)
    return ran, trouble


def _sentence(trouble: list[str]) -> str | None:
    return "; ".join(trouble)[:_LONGEST_PROBLEM] + "." if trouble else None


def _differences(parsed: Configuration, ran: Configuration) -> Iterator[str]:
    """Yield one sentence about the difference, which names the first parameter; nothing if equal."""
    differences = list(islice(contradictions(parsed, ran), 1000))
    if differences:
        path, before, after = differences[0]
        more = f", and {len(differences) - 1} parameters more" if len(differences) > 1 else ""
        yield (
            f"the files sent say {path} is {_value(before)}, the program ran with "
            f"{_value(after)}{more}"
        )


def _other_identity(recorded: FclConfiguration, ran: Configuration) -> Iterator[str]:
    identity = recorded.parameter_set_id
    if identity and identity != ran.parameter_set_id:
        yield (
            f"the record says ParameterSetID {identity[:40]}, what the program wrote has "
            f"{ran.parameter_set_id}"
        )


def _value(canonical: str | None) -> str:
    if canonical is None:
        return "absent"
    return canonical if len(canonical) <= _LONGEST_VALUE else f"{canonical[:_LONGEST_VALUE]}…"


def _first_line(problem: ProvenanceError) -> str:
    return str(problem).splitlines()[0][:_LONGEST_PROBLEM]


def _enter_and_refresh(writing: Writing, wanted: _Wanted, evaluated: Evaluated) -> None:
    if _enter(writing, wanted, evaluated):
        configuration_evaluated(writing.connection, wanted.key)


def _enter(writing: Writing, wanted: _Wanted, evaluated: Evaluated) -> bool:
    """Write the evaluation, in place of an earlier one; return whether gaps of jobs may change."""
    identity = evaluated.ran_as or evaluated.parsed_as
    set_id = None
    if identity:
        set_id = write_set(writing, identity, evaluated.tables)
    draft = EvaluationDraft(
        experiment_id=wanted.experiment,
        closure_id=wanted.closure,
        set_id=set_id,
        parsed_as=evaluated.parsed_as,
        ran_as=evaluated.ran_as,
        problem=evaluated.problem,
        difference=evaluated.difference,
    )
    earlier = replace_evaluation(writing.connection, draft)
    if earlier is None:
        return evaluated.problem is not None or evaluated.difference is not None
    return (evaluated.problem, evaluated.difference) != (earlier.problem, earlier.difference)
