"""Evaluates recorded configurations: finds their parameter sets, as parsed and as run.

The parameters of the set are indexed, to be searched. A configuration is evaluated once for each
experiment that possesses its files, however many jobs ran it. What cannot be evaluated stays a gap
of its jobs. Nothing here is in the ledger: when a database is rebuilt, it is derived again from
closures and blobs.

Source: record.md, "Resolutions"; storage.md, "Archive" (possession).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.changes.configurations import replace_evaluation
from jobprov.provenance.db.changes.work import remove_waiting_key
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.configurations.closures import closure_of
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.recording.findings import KnownEvaluation
from jobprov.provenance.db.queries.work.queue import waiting_keys
from jobprov.provenance.db.recording.configurations.art_runs import OF_EACH_JOB, RecordedClosure
from jobprov.provenance.db.recording.configurations.parameters import (
    IndexedTable,
    indexed_tables,
    unwritten_tables,
    write_set,
    write_tables,
)
from jobprov.provenance.db.recording.configurations.physics_variables import variables_table
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.fhicl import Configuration, FhiclError, loads
from jobprov.provenance.fhicl.running.contradictions import (
    DifferingValue,
    contradictions,
    values_that_differ,
)
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.services.configurations.computed_run import ComputedRun, compute_run
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    ConfigurationTooLargeError,
    evaluate_recorded,
)
from jobprov.provenance.services.recording.gap_updates import jobs_configured, refresh_jobs
from jobprov.provenance.services.work.evaluations import EVALUATE
from jobprov.provenance.services.work.notices import configuration_evaluated
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writing, writing_alone

_LONGEST_PROBLEM = 2000
_LONGEST_VALUE = 60
_MOST_COUNTED = 1000
_MOST_SEARCHED = 300_000
"""Values of one configuration; they take 5 s and 45 MB of the database."""
_TABLES_AT_ONCE = 300
"""Tables written in one transaction: some 0.1 s, for which a record may have to wait."""
_PUT_BY_PROGRAM = re.compile(rb"\de\+\d")
"""A number as art itself writes it, 1.234567e+6.

Read again it becomes 1.234567e6, so the set gets another identity and cannot be compared by it.
"""


class _Evaluated(NamedTuple):
    """The result of an evaluation: what is searched, and what is known now.

    Attributes:
        identity: of the set that is searched; None where there is none.
        tables: of that set.
    """

    identity: str | None
    tables: list[IndexedTable]
    known: KnownEvaluation = KnownEvaluation()


class _Parsed(NamedTuple):
    """What the files of a configuration evaluate to, or why they cannot be evaluated."""

    configuration: Configuration | None
    problem: str | None = None
    is_too_large: bool = False


class _Wanted(NamedTuple):
    """A configuration to be evaluated for an experiment."""

    key: str
    experiment: int
    closure: int
    recorded: RecordedClosure
    held: frozenset[str]


def evaluate_configurations(parts: Parts, keys: Sequence[str]) -> None:
    """Evaluate the configurations that these keys name, but those of which files are missing.

    Raises:
        ConfigurationError: the archive cannot deliver a file; the work is tried again later.
    """
    for key in keys:
        _evaluate_configuration(parts, key)


def _evaluate_configuration(parts: Parts, key: str) -> None:
    with parts.database.reading.connect() as connection:
        wanted = _read(connection, key)
    if wanted is None:
        return
    evaluated = _evaluate(parts.store, wanted)
    with parts.database.reading.connect() as connection:
        fresh = unwritten_tables(connection, evaluated.tables)
    # All but the last tables are written in advance; the last ones go in the transaction of the set
    for part in chunks(fresh[:-_TABLES_AT_ONCE], _TABLES_AT_ONCE):
        parts.writer.run(partial(write_tables, tables=part))
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
    if not recorded.is_configuration:
        return _Wanted(key, int(experiment), closure.id, recorded, frozenset())
    digests = {file.sha256 for file in recorded.files or () if file.sha256}
    wanted = set(digests)
    if recorded.final_sha256:
        wanted.add(recorded.final_sha256)
    here = possessed_blobs(connection, closure.experiment, wanted)
    # A file without a digest can never come: it counts as missing
    if not recorded.files or len(digests & here) < len({file.sha256 for file in recorded.files}):
        return None
    return _Wanted(key, int(experiment), closure.id, recorded, frozenset(here))


def _evaluate(store: Store, wanted: _Wanted) -> _Evaluated:
    try:
        sources = {sha256: store.get(sha256) for sha256 in sorted(wanted.held)}
    except ArchiveError as problem:
        raise ConfigurationError(str(problem)) from problem
    return _evaluate_sources(wanted.recorded, sources)


def _evaluate_sources(recorded: RecordedClosure, sources: Mapping[str, bytes]) -> _Evaluated:
    """Return the parameter sets of a recorded configuration, as parsed and as run.

    Args:
        recorded: a configuration; all its files are in `sources`.
        sources: bytes by digest, including what art wrote, if that was uploaded.
    """
    if not recorded.is_configuration:
        return _Evaluated(*_searched(None, recorded.variables))
    parsed = _parse(recorded, sources)
    ran, contradictions = None, list[str]()
    final = sources.get(recorded.final_sha256 or "")
    if final is not None:
        ran, contradictions = _read_final(recorded, final)
    computed, computed_as, as_written = None, None, None
    if parsed.configuration is not None:
        computed = compute_run(parsed.configuration, recorded.art, ran)
        if computed.is_whole:
            computed_as = computed.identity
        if ran is None:
            as_written = computed.not_known
        else:
            contradictions += _differences(parsed.configuration, computed, ran)

    problem, is_too_large = parsed.problem, parsed.is_too_large
    searched = _set_to_search(ran, computed, parsed.configuration)
    if searched is not None and searched.value_count > _MOST_SEARCHED:
        values = f"the set is known, but its {searched.value_count:,} values cannot be searched"
        problem = f"{values}: the limit of {_MOST_SEARCHED:,} is passed"
        is_too_large = True
        searched = None
    identity, tables = _searched(searched, recorded.variables)
    known = KnownEvaluation(
        problem=problem,
        is_too_large=is_too_large,
        difference=_sentence(contradictions),
        ran_as=_identity_of(ran),
        parsed_as=_identity_of(parsed.configuration),
        computed_as=computed_as,
        as_written=as_written,
    )
    return _Evaluated(identity, tables, known)


def _parse(recorded: RecordedClosure, sources: Mapping[str, bytes]) -> _Parsed:
    try:
        return _Parsed(evaluate_recorded(recorded, sources))
    except ConfigurationError as error:
        is_too_large = isinstance(error, ConfigurationTooLargeError)
        return _Parsed(None, _first_line(error), is_too_large)


def _set_to_search(
    ran: Configuration | None, computed: ComputedRun | None, parsed: Configuration | None
) -> Configuration | None:
    """Return the set for searches: the one that ran, or the one computed to have run.

    Else it is the set of the files, to which art adds and which it prunes.
    """
    if ran is not None:
        return ran
    if computed is not None and computed.configuration is not None:
        return computed.configuration
    return parsed


def _identity_of(configuration: Configuration | None) -> str | None:
    return None if configuration is None else configuration.parameter_set_id


def _searched(
    configuration: Configuration | None, variables: dict[str, str] | None
) -> tuple[str | None, list[IndexedTable]]:
    """Return name and tables of a set for searches, with the variables that decide physics."""
    identity, tables = None, []
    if configuration is not None:
        identity = configuration.parameter_set_id
        tables = indexed_tables(configuration, leave_out=OF_EACH_JOB)
    if variables:
        table = variables_table(variables)
        tables.append(table)
        name = f"{identity} {table.key.hex()}"
        identity = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return identity, tables


def _read_final(recorded: FclConfiguration, final: bytes) -> tuple[Configuration | None, list[str]]:
    """Return the configuration that the program wrote, and what contradicts its identity."""
    try:
        ran = loads(final, name=recorded.final_sha256 or "")
    except FhiclError as error:
        why = _first_line(error)
        return None, [f"what the program wrote of its configuration cannot be read: {why}"]
    if _PUT_BY_PROGRAM.search(final):
        return ran, []
    return ran, list(_other_identity(recorded, ran))


def _sentence(problems: list[str]) -> str | None:
    if not problems:
        return None
    return "; ".join(problems)[:_LONGEST_PROBLEM] + "."


def _differences(parsed: Configuration, computed: ComputedRun, ran: Configuration) -> list[str]:
    """Return how what the program wrote contradicts its files and command line; at best nothing.

    The first is a difference that art does not make itself.
    """
    if computed.is_equal_to(ran):
        return []
    sentence = _first_difference(
        islice(contradictions(parsed, ran), _MOST_COUNTED), "the files sent say"
    )
    if sentence is None and computed.configuration is not None:
        differences = values_that_differ(computed.read_again(), ran)
        whose = "files and command line make"
        sentence = _first_difference(islice(differences, _MOST_COUNTED), whose)
    return [] if sentence is None else [sentence]


def _first_difference(differences: Iterable[DifferingValue], whose: str) -> str | None:
    """Return one sentence about differences, which names the first parameter; None without any."""
    listed = list(differences)
    if not listed:
        return None
    path, before, after = listed[0]
    verb = "is " if whose.endswith("say") else ""
    more = f", and {len(listed) - 1} parameters more" if len(listed) > 1 else ""
    return f"{whose} {path} {verb}{_value(before)}, the program ran with {_value(after)}{more}"


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


def _enter_and_refresh(writing: Writing, wanted: _Wanted, evaluated: _Evaluated) -> None:
    if _enter(writing, wanted, evaluated):
        configuration_evaluated(writing.connection, wanted.key)


def _enter(writing: Writing, wanted: _Wanted, evaluated: _Evaluated) -> bool:
    """Write the evaluation, in place of an earlier one; return whether gaps of jobs may change."""
    set_id = None
    if evaluated.identity:
        set_id = write_set(writing, evaluated.identity, evaluated.tables)
    known = evaluated.known
    earlier = replace_evaluation(
        writing.connection, wanted.experiment, wanted.closure, set_id, known
    )
    if earlier is None:
        return known.problem is not None or known.difference is not None
    return (known.problem, known.difference) != (earlier.problem, earlier.difference)
