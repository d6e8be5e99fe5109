"""The bytes of the ledger's entries, sealed or not.

For those who look for a blob or a text in records, each with its job.
"""

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
_JOB_ID = re.compile(rb'\\?"job_id\\?"\s*:\s*\\?"([0-9a-f-]{36})\\?"')


class Holders(NamedTuple):
    """Who holds some bytes: jobs by their records, and how many entries of other kinds.

    Other kinds are declarations, sightings and the like.
    """

    jobs: list[JobName]
    others: dict[str, int]


def record_bodies(connection: Connection, store: Store) -> Iterator[tuple[bytes, JobName]]:
    """Yield the bytes of every record with its job; of broken chains, as far as they go."""
    for name, kind, body in entry_bodies(connection, store, None):
        if kind in RECORDS and (job := _job_of(name, body)) is not None:
            yield body, job


def entry_bodies(
    connection: Connection, store: Store, experiment: str | None
) -> Iterator[tuple[str, str, bytes]]:
    """Yield experiment, kind and bytes of every entry that has any, of one experiment or of all."""
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
            continue  # a check reports it as a broken chain


def _job_of(experiment: str, body: bytes) -> JobName | None:
    named = _JOB_ID.search(body)
    return None if named is None else JobName(experiment, named.group(1).decode())


def find_holders(
    connection: Connection, store: Store, experiment: str, forms: Sequence[bytes]
) -> Holders:
    """Return who of an experiment holds any of some bytes. Reads its whole ledger."""
    jobs: set[JobName] = set()
    others: Counter[str] = Counter()
    for name, kind, body in entry_bodies(connection, store, experiment) if forms else ():
        if not holds_any(body, forms):
            continue
        if kind not in RECORDS:
            others[kind] += 1
        elif (job := _job_of(name, body)) is not None:
            jobs.add(job)
    return Holders(sorted(jobs), dict(others))
