"""Enters in the ledger what an experiment uploaded since the last sealing.

It also has the jobs looked at that waited for it all the same.
"""

from jobprov.provenance.db.changes.upkeep import mark_entered
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.queries.upkeep.possessions import digests_to_enter
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.turns import wait_for_derivations
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.work.notices import blobs_there
from jobprov.provenance.services.writing import Writer, Writing

_MOST_DIGESTS = 50_000
"""Of an entry."""


def enter_possessions(database: Database, writer: Writer, experiment: str) -> None:
    """Write ledger entries for what the experiment uploaded since the last sealing."""
    while digests := writer.run(lambda writing: _enter_some(writing, experiment)):
        wait_for_derivations(database)
        writer.run(lambda writing, digests=digests: blobs_there(writing.connection, digests))  # type: ignore[misc]


def _enter_some(writing: Writing, experiment: str) -> list[str]:
    """Write the next entry; return the digests that are in it."""
    connection = writing.connection
    key = intern_experiments(writing, {experiment})[experiment]
    digests = digests_to_enter(connection, key, _MOST_DIGESTS)
    if digests:
        enter_document(writing, key, "possession", {"sha256": digests})
        mark_entered(connection, key, digests)
    return digests
