"""Entries of which the newest one counts: task declarations, waivers, comparators, policies, rules.

"Newest" is by the order of the chain. Entries that wait in a database are sealed after the segment
that it adopts, so they count as newer, even if they were written earlier.
"""

import json

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.upkeep import remove_numbered, rewrite_body
from jobprov.provenance.db.queries.failures.rules import failures_of
from jobprov.provenance.db.queries.upkeep.standing_entries import (
    rules_by_number,
    standing_entries,
)
from jobprov.provenance.services.ledger.documents import EntryDocument, JsonObject, read_document
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.segments import SegmentReader
from jobprov.provenance.services.upkeep.replay import Replay
from jobprov.provenance.services.work.classifications import enqueue_failures

_OF_FAILURES = ("rules", "reclassification")
KINDS = ("task", "waiver", "comparators", "retry_policies", *_OF_FAILURES)


def write_in_order(
    connection: Connection, store: Store, replay: Replay, reader: SegmentReader
) -> None:
    """Write the rows of such entries again: first the adopted segment's, then the waiting ones.

    Comparators and rules get new numbers; of the other kinds the last one counts. If the segment
    has rules, all failures are classified again. A segment without such entries changes nothing.
    """
    if not reader.positions(*KINDS):
        return
    segment = reader.head.segment
    entries = standing_entries(connection, replay.experiment, KINDS, segment)
    bodies = read_entries(connection, store, [entry.key for entry in entries])
    before = rules_by_number(connection, replay.experiment)
    remove_numbered(connection, list(bodies))
    for entry in entries:
        if entry.key in bodies:
            body = bodies[entry.key]
            if entry.kind == "reclassification" and entry.segment is None:
                body = _numbered_again(connection, replay.experiment, entry.key, body, before)
            document = EntryDocument(entry.key, body, entry.received_at)
            replay.write_again(entry.kind, document)
    if reader.positions(*_OF_FAILURES):
        enqueue_failures(connection, failures_of(connection, replay.experiment))


def _numbered_again(
    connection: Connection, experiment: int, entry: int, body: bytes, before: dict[int, int]
) -> bytes:
    """Return the body of a waiting reclassification with the new number of its rules.

    Its bytes may change, since no head states their leaf yet.
    """
    document = read_document(body, JsonObject)
    version = document["version"]
    rules = before.get(version, 0)
    now = {rules: number for number, rules in rules_by_number(connection, experiment).items()}
    number = now.get(rules, version)
    if number == version:
        return body
    changed = json.dumps({**document, "version": number}, sort_keys=True, ensure_ascii=False)
    rewrite_body(connection, entry, changed.encode())
    return changed.encode()
