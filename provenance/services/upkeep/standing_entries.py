"""Entries of which the newest stands, in the order of the chain.

They are declarations of tasks, waivers, comparators, policies of retries, and rules.

What waits in a database is sealed behind what it adopts, so it stands against that, although it was
written here first.
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
    """Write anew what entries of these kinds say.

    Those of an adopted segment come first, in its order, then those that wait.

    Nothing is to be done where the segment has none of them. Comparators and rules are numbered
    again; of all else the last one counts. Failures are read again where the segment has rules.
    """
    if not reader.positions(*KINDS):
        return
    segment = reader.head["segment"]
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
    """Return what a reclassification that waits says, by the number that its rules have now.

    No head says anything of it yet.
    """
    document = read_document(body, JsonObject)
    version = document["version"]
    now = {rules: number for number, rules in rules_by_number(connection, experiment).items()}
    number = now.get(before.get(version, 0), version)
    if number == version:
        return body
    changed = json.dumps({**document, "version": number}, sort_keys=True, ensure_ascii=False)
    rewrite_body(connection, entry, changed.encode())
    return changed.encode()
