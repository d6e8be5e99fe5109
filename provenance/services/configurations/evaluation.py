"""Evaluates recorded configurations from their bytes.

Which parameter set each is, as parsed here and as art ran it; indexes the set.

A configuration is evaluated once for each experiment that possesses its files, however many jobs
ran it. What cannot be evaluated stays a gap of its jobs. Nothing here is in the ledger: it is
derived again from closures and blobs when a database is rebuilt.

Source: record.md, "Resolutions"; storage.md, "Archive" (possession).
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, select

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.recording.parameter_rows import (
    IndexedTable,
    indexed_tables,
    unwritten_tables,
    write_set,
    write_tables,
)
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import Closure, Evaluation, Experiment, WorkItem
from jobprov.provenance.db.transaction import Memory
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
_TABLES_AT_ONCE = 300
"""Tables a transaction: some 0.1 s, so that no record waits longer behind it."""
_PUT_BY_PROGRAM = re.compile(rb"\de\+\d")
"""A number that art put itself, 1.234567e+6.

Read again it is 1.234567e6, and the set has another identity.
"""


class Evaluated(NamedTuple):
    """What a configuration evaluates to.

    It has the columns of `Evaluation`, and the tables of the set to be searched.
    """

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
    """Evaluate the configuration that `key` names; nothing where its files are not all here.

    Raises:
        ConfigurationError: the archive cannot give a file; the work is tried again later.
    """
    with parts.database.reading.connect() as connection:
        wanted = _read(connection, key)
    if wanted is None:
        return
    found = _evaluate(parts.store, wanted)
    with parts.database.reading.connect() as connection:
        fresh = unwritten_tables(connection, found.tables)
    for part in chunks(fresh[:-_TABLES_AT_ONCE], _TABLES_AT_ONCE):  # the last go with the set
        parts.writer.run(lambda writing, part=part: write_tables(writing, part))  # type: ignore[misc]
    parts.writer.run(lambda writing: _enter_and_refresh(writing, wanted, found))


def evaluate_waiting(database: Database, memory: Memory, store: Store) -> int:
    """Evaluate what waits to be evaluated and bring the gaps of its jobs up to date.

    Return how many.

    For a rebuilding, which has no writer. What the archive cannot give stays waiting.
    """
    done = 0
    with database.reading.connect() as connection:
        waiting = select(WorkItem.key).where(WorkItem.kind == EVALUATE).order_by(WorkItem.id)
        keys = [row[0] for row in connection.execute(waiting)]
    for key in keys:
        with database.reading.connect() as connection:
            wanted = _read(connection, key)
        try:
            found = _evaluate(store, wanted) if wanted is not None else None
        except ConfigurationError:
            continue
        with writing_alone(database, memory, store) as writing:
            if wanted is not None and found is not None and _enter(writing, wanted, found):
                for part in chunks(jobs_configured(writing.connection, key)):
                    refresh_jobs(writing, part)
            writing.connection.execute(
                delete(WorkItem).where(WorkItem.kind == EVALUATE, WorkItem.key == key)
            )
        done += 1
    return done


def _read(connection: Connection, key: str) -> _Wanted | None:
    experiment, _, sha256 = key.partition(":")
    query = (
        select(Closure.id, Closure.document, Experiment.name)
        .join(Experiment, Experiment.id == int(experiment))
        .where(Closure.sha256 == sha256)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    recorded = msgspec.json.decode(unpack(row.document), type=FclConfiguration)
    digests = {file.sha256 for file in recorded.files or () if file.sha256}
    needed = digests | ({recorded.final_sha256} if recorded.final_sha256 else set())
    held = possessed_blobs(connection, row.name, needed)
    if not recorded.files or len(digests & held) < len({file.sha256 for file in recorded.files}):
        return None
    return _Wanted(key, int(experiment), row.id, recorded, frozenset(held))


def _evaluate(store: Store, wanted: _Wanted) -> Evaluated:
    try:
        sources = {sha256: store.get(sha256) for sha256 in sorted(wanted.held)}
    except ArchiveError as problem:
        raise ConfigurationError(str(problem)) from problem
    return evaluate_sources(wanted.recorded, sources)


def evaluate_sources(recorded: FclConfiguration, sources: Mapping[str, bytes]) -> Evaluated:
    """Return what a recorded configuration evaluates to, as parsed and as run.

    Args:
        recorded: all its files are in `sources`.
        sources: bytes by digest; what art wrote, where it is here, among them.
    """
    parsed = ran = problem = None
    trouble: list[str] = []
    try:
        parsed = evaluate_recorded(recorded, sources)
    except ConfigurationError as error:
        problem = _first_line(error)
    final = sources.get(recorded.final_sha256 or "")
    if final is not None:
        try:
            ran = loads(final, name=recorded.final_sha256 or "")
        except FhiclError as error:
            trouble.append(
                f"what the program wrote of its configuration cannot be read: {_first_line(error)}"
            )
    if ran is not None and parsed is not None:
        trouble += _differences(parsed, ran)
    if ran is not None and final is not None and not _PUT_BY_PROGRAM.search(final):
        trouble += _other_identity(recorded, ran)
    searched = ran or parsed
    return Evaluated(
        parsed.parameter_set_id if parsed is not None else None,
        ran.parameter_set_id if ran is not None else None,
        problem,
        "; ".join(trouble)[:_LONGEST_PROBLEM] + "." if trouble else None,
        indexed_tables(searched) if searched is not None else [],
    )


def _differences(parsed: Configuration, ran: Configuration) -> Iterator[str]:
    """Yield what differs in one sentence, naming the first parameter."""
    listed = list(islice(contradictions(parsed, ran), 1000))
    if listed:
        path, before, after = listed[0]
        more = f", and {len(listed) - 1} parameters more" if len(listed) > 1 else ""
        yield (
            f"the files sent say {path} is {_said(before)}, the program ran with "
            f"{_said(after)}{more}"
        )


def _other_identity(recorded: FclConfiguration, ran: Configuration) -> Iterator[str]:
    said = recorded.parameter_set_id
    if said and said != ran.parameter_set_id:
        yield (
            f"the record says ParameterSetID {said[:40]}, what the program wrote has "
            f"{ran.parameter_set_id}"
        )


def _said(canonical: str | None) -> str:
    return (
        "absent"
        if canonical is None
        else canonical
        if len(canonical) <= 60  # noqa: PLR2004
        else f"{canonical[:60]}…"
    )


def _first_line(problem: ProvenanceError) -> str:
    return str(problem).splitlines()[0][:_LONGEST_PROBLEM]


def _enter_and_refresh(writing: Writing, wanted: _Wanted, found: Evaluated) -> None:
    if _enter(writing, wanted, found):
        configuration_evaluated(writing.connection, wanted.key)


def _enter(writing: Writing, wanted: _Wanted, found: Evaluated) -> bool:
    """Write the evaluation in the place of an earlier one.

    Return whether the gaps of the jobs may change by it.
    """
    connection = writing.connection
    table = table_of(Evaluation)
    here = (table.c.experiment_id == wanted.experiment) & (table.c.closure_id == wanted.closure)
    earlier = connection.execute(select(table.c.problem, table.c.difference).where(here)).first()
    connection.execute(delete(table).where(here))
    identity = found.ran_as or found.parsed_as
    columns = {
        "experiment_id": wanted.experiment,
        "closure_id": wanted.closure,
        "set_id": write_set(writing, identity, found.tables) if identity else None,
        "parsed_as": found.parsed_as,
        "ran_as": found.ran_as,
        "problem": found.problem,
        "difference": found.difference,
    }
    insert_rows(connection, table, [columns])
    told = (found.problem, found.difference)
    return told != (None, None) if earlier is None else told != tuple(earlier)
