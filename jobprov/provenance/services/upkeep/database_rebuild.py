"""Rebuilds the database from the archive alone: replays each chain, in order, into an empty schema.

Everything derived comes back: jobs, files, edges, tasks, sightings, verdicts, resolutions, bundle
plans, possessions, evaluated configurations. `NOT_DERIVED` lists what does not. Entries that were
not sealed yet are lost with the old database, too.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobprov.archive.opening import open_store
from jobprov.archive.store import Store
from jobprov.provenance.db.changes.upkeep import adopt_archive, forget_archive
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.queries.upkeep import count_jobs, first_filled_table
from jobprov.provenance.db.recording.configurations.physics_variables import (
    NO_PHYSICS_VARIABLES,
    PhysicsVariables,
)
from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.progress import tell
from jobprov.provenance.services.configurations.evaluation import evaluate_waiting
from jobprov.provenance.services.failures.classes import classify_waiting
from jobprov.provenance.services.ledger.chains import archived_experiments, note_tip, read_chain
from jobprov.provenance.services.ledger.segments import SegmentReader
from jobprov.provenance.services.upkeep.archive_identity import UNFINISHED
from jobprov.provenance.services.upkeep.replay import Replay
from jobprov.provenance.services.writing import writing_alone

NOT_DERIVED: Mapping[str, str] = {
    "write_tokens": "make new ones with `jobprov token create`",
    "repositories": "register them again with `jobprov repository add`",
    "product_maps": (
        "map the products again with `jobprov product map`; what they resolved is rebuilt"
    ),
    "own_archive": "which archive it is: the next start takes that from the archive itself",
    "work": "what the service had still to do; it finds that out again",
    "derivations": "which version of the service all rows have reached; they are looked at again",
    "dead_letters": (
        "bodies that could not be decoded: have them sent again, or take the table from a backup"
    ),
    "kept_answers": "what was counted of many jobs for pages; it is counted again",
    "due_proofs": "recipes that something has come for; each is rerun when its proof is old",
    "order_leases": (
        "who was about to submit an order; it is taken again, "
        "and looked for in the batch system first"
    ),
    **dict.fromkeys(
        (
            "catalog_files",
            "catalog_outputs",
            "unarrived_files",
            "catalog_uses",
            "catalog_processes",
            "catalog_syncs",
        ),
        "ask the file catalog again with `jobprov catalog sync`",
    ),
    "log_tails": "what running and killed jobs said last; what the running ones say next comes",
    "trace_turns": "which jobs were being traced: of their kinds another one is traced",
    **dict.fromkeys(
        ("queue_reports", "queue_jobs"),
        "what runs and waits in batch systems: the next report of a queue brings it",
    ),
    **dict.fromkeys(
        ("queue_samples", "queue_sample_stages"),
        "how many jobs waited and ran over time: begins anew, or take the table from a backup",
    ),
    "alert_checks": "when rules of alerts were last looked at; they are looked at again",
    "log_expiries": (
        "how far logs were looked at: the next `jobprov archive expire` looks at all of them again"
    ),
    "provisional_records": "running and lost jobs: their final records will come",
}
"""Tables that the ledger does not hold, and what becomes of them in a rebuilt database."""


class RebuildReport(NamedTuple):
    """What was replayed."""

    experiments: int
    segments: int
    entries: int
    jobs: int


def rebuild_from(
    archive_url: str,
    into_url: str,
    *,
    deciding: PhysicsVariables,
) -> RebuildReport:
    """Do as `rebuild_database`, from the archive at an address."""
    store = open_store(archive_url)
    return rebuild_database(store, into_url, deciding=deciding)


def rebuild_database(
    store: Store,
    into_url: str,
    *,
    deciding: PhysicsVariables = NO_PHYSICS_VARIABLES,
) -> RebuildReport:
    """Fill the empty database at `into_url` from the archive. Its schema is made if missing.

    Args:
        deciding: which variables of jobs decide physics.

    Raises:
        ConflictError: the database is not empty; nothing was written.
        SegmentError: a chain is broken or a segment damaged. Everything before it was replayed.
        UnreachableError: the database does not answer.
    """
    upgrade(into_url)
    database = open_database(into_url)
    try:
        _check_empty(database)
        return _rebuild(database, store, deciding)
    finally:
        database.dispose()


def _check_empty(database: Database) -> None:
    with database.reading.connect() as connection:
        table = first_filled_table(connection)
    if table is not None:
        raise ConflictError(
            f"The database holds {table} already; name an empty one to rebuild into."
        )


def _rebuild(database: Database, store: Store, deciding: PhysicsVariables) -> RebuildReport:
    """Replay all chains; until the end, the database is marked as unfinished."""
    with database.writing.begin() as connection:
        adopt_archive(connection, UNFINISHED)
    memory = Memory()
    segments = entries = 0
    heads = sum(name.endswith(".head") for name in store.documents())
    experiments = sorted(archived_experiments(store))
    # What is possessed and resolved is read in advance, for every experiment: so records get their
    # final grade at once, instead of once more for each blob that came later
    _do_with_segments(database, memory, store, experiments, Replay.prepare)
    for experiment in experiments:
        for reader in read_chain(store, experiment):
            with writing_alone(database, memory, store, physics_variables=deciding) as writing:
                Replay(writing, experiment).replay(reader.head.segment, enumerate(reader.entries()))
                note_tip(writing, experiment, reader.head.segment, reader.head_bytes)
            segments += 1
            entries += len(reader)
            tell("segments replayed", segments, heads)
    tell("deriving what follows from records")
    # Entries of software with the same text share one resolution, which may be in the chain of an
    # experiment that was replayed earlier
    _do_with_segments(database, memory, store, experiments, Replay.finish)
    tell("reading configurations")
    evaluate_waiting(database, memory, store)
    tell("classifying failures")
    classify_waiting(database, memory, store)
    with database.writing.begin() as connection:
        forget_archive(connection)
    with database.reading.connect() as connection:
        jobs = count_jobs(connection)
    return RebuildReport(len(experiments), segments, entries, jobs)


def _do_with_segments(
    database: Database,
    memory: Memory,
    store: Store,
    experiments: list[str],
    do: Callable[[Replay, SegmentReader], None],
) -> None:
    """Do something with each segment of all chains, in a transaction of its own."""
    for experiment in experiments:
        for reader in read_chain(store, experiment):
            with writing_alone(database, memory, store) as writing:
                do(Replay(writing, experiment), reader)
