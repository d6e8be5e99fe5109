"""Entries of which the newest stands, in the order of the chain: declarations of tasks, waivers, comparators, policies of retries.

What waits in a database is sealed behind what it adopts, so it stands against that, although it was written here first.
"""

import json

from sqlalchemy import Connection, delete, select

from provenance.db.keys import chunks
from provenance.db.tables import ComparatorSet, LedgerEntry
from provenance.services.ledger import Documents, read_entries
from provenance.services.replaying import Replay
from provenance.services.segments import SegmentReader

KINDS = ("task", "waiver", "comparators", "retry_policies")


def write_in_order(connection: Connection, store: Documents, replay: Replay, reader: SegmentReader) -> None:
    """Write anew what entries of these kinds say, those of an adopted segment in its order, then those that wait.

    Nothing is to be done where the segment has none of them. Rows of comparators are numbered again; of all else the last one counts.
    """
    if not reader.positions(*KINDS):
        return
    segment = reader.head["segment"]
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.received_at)
        .where(LedgerEntry.experiment_id == replay.experiment, LedgerEntry.kind.in_(KINDS))
        .where((LedgerEntry.segment == segment) | LedgerEntry.segment.is_(None))
        .order_by(LedgerEntry.segment.is_(None), LedgerEntry.position, LedgerEntry.id)
    )
    entries = connection.execute(query).all()
    bodies = read_entries(connection, store, [entry.id for entry in entries])
    for part in chunks([entry.id for entry in entries if entry.kind == "comparators"]):
        connection.execute(delete(ComparatorSet).where(ComparatorSet.entry_id.in_(part)))
    for entry in entries:
        if entry.id in bodies:
            replay.write_again(entry.kind, entry.id, json.loads(bodies[entry.id]), entry.received_at)
