"""The bytes of the ledger's entries, sealed or not: to search records for a digest or a text."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.queries.holdings.blob_users import JobName, unsealed_bodies
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.records.erasing import holds_any
from jobprov.provenance.services.ledger.chains import archived_experiments, read_chain
from jobprov.provenance.services.ledger.frames import SegmentError

RECORDS = frozenset({"record", "revision", "conflict", "unread"})
# Decoding every record of a ledger takes too long. The quotes may be escaped: a revision has its
# record as text inside its own JSON
_JOB_ID = re.compile(rb'\\?"job_id\\?"\s*:\s*\\?"([0-9a-f-]{36})\\?"')


class Holders(NamedTuple):
    """Where some bytes were found.

    Attributes:
        jobs: those with a record that holds them.
        others: how many entries of other kinds hold them (declarations, sightings), by kind.
    """

    jobs: list[JobName]
    others: dict[str, int]


def record_bodies(connection: Connection, store: Store) -> Iterator[tuple[bytes, JobName]]:
    """Yield the bytes of every record with its job. A broken chain is read up to the break."""
    for name, kind, body in entry_bodies(connection, store, None):
        if kind in RECORDS and (job := _job_of(name, body)) is not None:
            yield body, job


def entry_bodies(
    connection: Connection, store: Store, experiment: str | None
) -> Iterator[tuple[str, str, bytes]]:
    """Yield experiment, kind and bytes of every entry that has bytes, of one experiment or all."""
    for name, kind, packed in unsealed_bodies(connection):
        if packed and experiment in (None, name):
            yield name, kind, unpack(packed)
    for name in sorted(archived_experiments(store)) if experiment is None else [experiment]:
        try:
            for reader in read_chain(store, name):
                for position in range(len(reader)):
                    entry = reader.entry(position)
                    if entry.erased is None:
                        yield name, entry.kind, entry.body
        except (SegmentError, ArchiveError):
            continue  # not reported here: `jobprov archive check` names the broken chain


def _job_of(experiment: str, body: bytes) -> JobName | None:
    named = _JOB_ID.search(body)
    return None if named is None else JobName(experiment, named.group(1).decode())


def find_holders(
    connection: Connection, store: Store, experiment: str, forms: Sequence[bytes]
) -> Holders:
    """Return where the ledger of an experiment holds any of these forms of a text.

    It reads the whole ledger.
    """
    jobs: set[JobName] = set()
    others: Counter[str] = Counter()
    if not forms:
        return Holders([], {})
    for name, kind, body in entry_bodies(connection, store, experiment):
        if not holds_any(body, forms):
            continue
        if kind not in RECORDS:
            others[kind] += 1
        elif (job := _job_of(name, body)) is not None:
            jobs.add(job)
    return Holders(sorted(jobs), dict(others))
