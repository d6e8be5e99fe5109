"""Configurations of records as shared rows.

Each is stored once, and so is each sequence of them, however many jobs of a task ran it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

from msgspec.structs import asdict

from jobprov.provenance.db.recording.configurations.art_runs import (
    ArtRun,
    RecordedClosure,
    art_run,
    shared_run,
)
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.db.recording.job_rows import shared_document
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.recording.shared_lists import intern_lists
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Closure, ClosureFile, ClosureSet, ClosureSetMember
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord
from jobprov.provenance.records.reading.sharing import remembered

_HELD_FILES = "SELECT DISTINCT closure_id FROM closure_files WHERE closure_id {among}"


@remembered
def closure_digests(configurations: Sequence[FclConfiguration]) -> tuple[str, ...]:
    """Return the digest that names each configuration, in order."""
    return tuple(shared_document(configuration)[0] for configuration in configurations)


class RanConfiguration(NamedTuple):
    """A configuration of a record, and what decides beside it.

    Attributes:
        digest: names all of it.
        run: the run of art that read it; None where no command line is recorded.
        art: the same as far as jobs share it.
        variables: those of the environment that decide physics.
    """

    digest: str
    configuration: FclConfiguration
    run: ArtRun | None
    art: ArtRun | None
    variables: dict[str, str]


def ran_configurations(record: JobRecord, deciding: PhysicsVariables) -> list[RanConfiguration]:
    """Return the configurations of a record, in order, with the variables that decide physics.

    Of a record without any, an empty one stands for each step whose variables decide physics, so
    that the job is found by them.
    """
    if not record.configurations:
        return _variables_alone(record, deciding)
    configurations = record.configurations
    ran = []
    for digest, configuration in zip(closure_digests(configurations), configurations, strict=True):
        run = art_run(record, configuration)
        shared = None if run is None else shared_run(run, configuration)
        variables = deciding.of_step(record, configuration.step)
        whole = _whole_digest(digest, shared, variables)
        ran.append(RanConfiguration(whole, configuration, run, shared, variables))
    return ran


def _variables_alone(record: JobRecord, deciding: PhysicsVariables) -> list[RanConfiguration]:
    """Return an empty configuration for each set of variables that steps of a job had."""
    steps = (record.command.steps if record.command else None) or ()
    names: list[str | None] = [step.name for step in steps if step.name]
    empty = FclConfiguration()
    ran: dict[str, RanConfiguration] = {}
    for step in names or [None]:
        variables = deciding.of_step(record, step)
        if variables:
            digest = _whole_digest(shared_document(empty)[0], None, variables)
            ran[digest] = RanConfiguration(digest, empty, None, None, variables)
    return list(ran.values())


def _whole_digest(digest: str, art: ArtRun | None, variables: dict[str, str]) -> str:
    """Return the digest over a configuration, by its own, and what decides beside it."""
    if art is None and not variables:
        return digest
    beside = RecordedClosure(art=art, variables=variables or None)
    text = f"{digest} {shared_document(beside)[0]}"
    return hashlib.sha256(text.encode()).hexdigest()


def closure_set_digest(ran: Sequence[RanConfiguration]) -> str:
    """Return the digest that names what a job ran: over those of its configurations, in order."""
    return hashlib.sha256(" ".join(digests_of(ran)).encode()).hexdigest()


def digests_of(ran: Sequence[RanConfiguration]) -> list[str]:
    """Return the digest of each of these configurations, in order."""
    return [configuration.digest for configuration in ran]


def intern_closure_sets(
    transaction: Transaction, lists: Iterable[Sequence[RanConfiguration]]
) -> dict[str, int]:
    """Return the integer key of each list by `closure_set_digest`, made where it is new."""
    by_digest = {closure_set_digest(ran): ran for ran in lists}
    tables = table_of(ClosureSet), table_of(ClosureSetMember)
    intern = partial(_intern_closures, transaction)
    return intern_lists(transaction, tables, by_digest, digests=digests_of, intern_members=intern)


def _intern_closures(
    transaction: Transaction, lists: Iterable[Sequence[RanConfiguration]]
) -> dict[str, int]:
    """Return the integer key of each configuration by its digest.

    A new one is entered with its files.
    """
    by_digest = {ran.digest: ran for ran in chain.from_iterable(lists)}
    table = table_of(Closure)
    fresh = {digest for digest in by_digest if transaction.known_key(table, digest) is None}
    rows: dict[str, dict[str, ColumnValue]] = {}
    for digest, ran in by_digest.items():
        # Of a known one nothing is inserted
        rows[digest] = _row(ran) if digest in fresh else {}
    keys = transaction.intern(table, ["sha256"], rows)
    numbers = [keys[digest] for digest in fresh]
    with_files = {row[0] for row in select_among(transaction.connection, _HELD_FILES, numbers)}
    file_rows: list[dict[str, ColumnValue]] = []
    for digest in sorted(fresh):
        if keys[digest] not in with_files:  # else another process was first
            file_rows.extend(_file_rows(keys[digest], by_digest[digest].configuration))
    insert_rows(transaction.connection, table_of(ClosureFile), file_rows)
    return keys


def _row(ran: RanConfiguration) -> dict[str, ColumnValue]:
    closure = RecordedClosure(
        **asdict(ran.configuration), art=ran.art, variables=ran.variables or None
    )
    return {
        "sha256": ran.digest,
        "document": pack(shared_document(closure)[1]),
        "parameter_set_id": ran.configuration.parameter_set_id,
    }


def _file_rows(closure: int, configuration: FclConfiguration) -> list[dict[str, ColumnValue]]:
    rows: list[dict[str, ColumnValue]] = []
    for position, file in enumerate(configuration.files or ()):
        rows.append(
            {"closure_id": closure, "position": position, "sha256": file.sha256, "name": file.name}
        )
    return rows
