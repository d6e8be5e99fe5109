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


class _Entry(NamedTuple):
    """The bytes of a ledger entry, with its experiment and kind."""

    experiment: str
    kind: str
    body: bytes

    @property
    def is_record(self) -> bool:
        """Whether the entry holds a record of a job."""
        return self.kind in RECORDS

    def job(self) -> JobName | None:
        """Return the job that a record is about; None if no job id is found in its bytes."""
        named = _JOB_ID.search(self.body)
        return None if named is None else JobName(self.experiment, named.group(1).decode())


def record_bodies(connection: Connection, store: Store) -> Iterator[tuple[bytes, JobName]]:
    """Yield the bytes of every record with its job. A broken chain is read up to the break."""
    for entry in _entries(connection, store, None):
        job = entry.job() if entry.is_record else None
        if job is not None:
            yield entry.body, job


def _entries(connection: Connection, store: Store, experiment: str | None) -> Iterator[_Entry]:
    """Yield every entry that has bytes, of one experiment or all."""
    for name, kind, packed in unsealed_bodies(connection):
        if packed and experiment in (None, name):
            yield _Entry(name, kind, unpack(packed))
    experiments = sorted(archived_experiments(store)) if experiment is None else [experiment]
    for name in experiments:
        yield from _sealed_entries(store, name)


def _sealed_entries(store: Store, experiment: str) -> Iterator[_Entry]:
    """Yield the sealed entries of an experiment, as far as its chain is whole."""
    try:
        for reader in read_chain(store, experiment):
            for position in range(len(reader)):
                entry = reader.entry(position)
                if entry.erased is None:
                    yield _Entry(experiment, entry.kind, entry.body)
    except (SegmentError, ArchiveError):
        return  # not reported here: `jobprov archive check` names the broken chain


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
    for entry in _entries(connection, store, experiment):
        if not holds_any(entry.body, forms):
            continue
        if not entry.is_record:
            others[entry.kind] += 1
            continue
        job = entry.job()
        if job is not None:
            jobs.add(job)
    return Holders(sorted(jobs), dict(others))
