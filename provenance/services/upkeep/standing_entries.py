"""Entries of which the newest stands, in the order of the chain.

They are declarations of tasks, waivers, comparators, policies of retries, and rules.

What waits in a database is sealed behind what it adopts, so it stands against that, although it was
written here first.
"""

import json
from typing import Any

from sqlalchemy import Connection, delete, select, update

from jobprov.archive.store import Store
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.failures.rules import failures_of
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.tables import (
    ComparatorSet,
    EntryBody,
    LedgerEntry,
    Reclassification,
    RuleTableRow,
)
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.segments import SegmentReader
from jobprov.provenance.services.upkeep.replay import Replay
from jobprov.provenance.services.work.classifications import enqueue_failures

_OF_FAILURES = ("rules", "reclassification")
KINDS = ("task", "waiver", "comparators", "retry_policies", *_OF_FAILURES)
_NUMBERED = (ComparatorSet, RuleTableRow, Reclassification)


def write_in_order(
    connection: Connection, store: Store, replay: Replay, reader: SegmentReader
) -> None:
    """Write anew what entries of these kinds say.

    Those of an adopted segment come first, in its order, then those that wait.

    Nothing is to be done where the segment has none of them. Comparators and rules are numbered
    again; of all else the last one counts. Failures are read again where the segment has rules.
    """
    if not reader.positions(*KINDS):
        return
    segment = reader.head["segment"]
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.received_at, LedgerEntry.segment)
        .where(LedgerEntry.experiment_id == replay.experiment, LedgerEntry.kind.in_(KINDS))
        .where((LedgerEntry.segment == segment) | LedgerEntry.segment.is_(None))
        .order_by(LedgerEntry.segment.is_(None), LedgerEntry.position, LedgerEntry.id)
    )
    entries = connection.execute(query).all()
    bodies = read_entries(connection, store, [entry.id for entry in entries])
    before = _rules_by_number(connection, replay.experiment)
    for part in chunks(list(bodies)):
        for table in _NUMBERED:
            connection.execute(delete(table).where(table.entry_id.in_(part)))
    for entry in entries:
        if entry.id in bodies:
            body = json.loads(bodies[entry.id])
            if entry.kind == "reclassification" and entry.segment is None:
                body = _numbered_again(connection, replay.experiment, entry.id, body, before)
            replay.write_again(entry.kind, entry.id, body, entry.received_at)
    if reader.positions(*_OF_FAILURES):
        enqueue_failures(connection, failures_of(connection, replay.experiment))


def _rules_by_number(connection: Connection, experiment: int) -> dict[int, int]:
    """Return the ledger entry of each version of an experiment's rules."""
    query = select(RuleTableRow.version, RuleTableRow.entry_id).where(
        RuleTableRow.experiment_id == experiment
    )
    return {row.version: row.entry_id for row in connection.execute(query)}


def _numbered_again(
    connection: Connection,
    experiment: int,
    entry: int,
    body: dict[str, Any],
    before: dict[int, int],
) -> dict[str, Any]:
    """Return what a reclassification that waits says, by the number that its rules have now.

    No head says anything of it yet.
    """
    now = {rules: version for version, rules in _rules_by_number(connection, experiment).items()}
    number = now.get(before.get(body["version"], 0), body["version"])
    if number == body["version"]:
        return body
    changed = {**body, "version": number}
    document = json.dumps(changed, sort_keys=True, ensure_ascii=False).encode()
    connection.execute(
        update(EntryBody).where(EntryBody.entry_id == entry).values(body=pack(document))
    )
    return changed
