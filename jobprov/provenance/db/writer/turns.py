"""Turns that processes on one PostgreSQL take to derive from what others are about to commit.

Grade and gaps of a job follow from what is there beside its record: blobs, the commit of its code.
Say one process looks before another commits these, and commits itself after the other looked which
jobs lack them: the job would have a gap for ever. So whoever derives holds a shared lock until its
transaction ends, and whoever looks for the jobs that lack something waits for those who hold it at
that moment. Those who begin later see what came, and need not be waited for. On SQLite one
transaction writes at a time: nothing to do.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.writer.advisory_locks import DERIVING, SEALING
from jobprov.provenance.errors import UnreachableError

_HOLDERS = (
    "SELECT virtualtransaction FROM pg_locks "
    "WHERE locktype = 'advisory' AND granted AND classid = 0 AND objsubid = 1"
    " AND objid = ? AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_PAUSE = 0.02
"""Seconds between two looks; recording takes some milliseconds, a batch up to a second."""
_PATIENCE = 300.0
"""Seconds after which one that still derives is taken to hang; who waits tries again later."""
_NUMBERS = "jobprov-numbers-entries"
"""Of a connection: whether its transaction has the turn to number entries of the ledger."""


class LostTurnError(UnreachableError):
    """What was decided before a transaction had its turn no longer holds.

    The writer begins it anew.
    """


def begin_deriving(connection: Connection) -> None:
    """Have those who look for jobs that lack something wait until this transaction ends.

    Call it before looking for what is there.
    """
    if connection.dialect.name == "postgresql":
        fetch(connection, "SELECT pg_advisory_xact_lock_shared(?)", (DERIVING,))


def wait_for_derivations(database: Database) -> None:
    """Return when every transaction that derives now has ended.

    Raises:
        UnreachableError: one has not after five minutes.
    """
    if database.is_sqlite:
        return
    give_up_at = time.monotonic() + _PATIENCE
    with database.reading.connect() as connection:
        seen = set(fetch(connection, _HOLDERS, (DERIVING,)))
        while seen:
            time.sleep(_PAUSE)
            seen &= set(fetch(connection, _HOLDERS, (DERIVING,)))
            if time.monotonic() > give_up_at:
                raise UnreachableError(
                    "Another process has been writing for five minutes; tried again later."
                )


def stop_derivations(connection: Connection) -> None:
    """Wait for those who derive now, and have others wait until this transaction ends.

    Both look for what the other writes.
    """
    if connection.dialect.name == "postgresql":
        fetch(connection, "SELECT pg_advisory_xact_lock(?)", (DERIVING,))


@contextmanager
def hold_sealing(database: Database) -> Iterator[None]:
    """Wait for the process on this PostgreSQL that seals, and have others wait meanwhile.

    The lock is the session's and not a transaction's: a sealing takes many transactions.
    """
    with database.reading.connect() as connection:
        connection.execute(select(func.pg_advisory_lock(SEALING)))
        connection.commit()
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(SEALING)))
            connection.commit()


def note_numbering(connection: Connection) -> None:
    """Note that this transaction makes others wait who number entries of the same experiment."""
    connection.info[_NUMBERS] = True


def forget_numbering(connection: Connection) -> None:
    """Note that a transaction begins, which numbers nothing yet."""
    connection.info[_NUMBERS] = False


def is_numbering(connection: Connection) -> bool:
    """Return whether this transaction makes others wait who number entries of the ledger.

    It should commit then: if it went on to names that another process is about to commit, which
    waits for the numbering, each would wait for the other.
    """
    return bool(connection.info.get(_NUMBERS))


def take_jobs(connection: Connection, keys: Iterable[int]) -> None:
    """Have others who change these jobs wait until this transaction ends.

    Call it before reading the records to derive from.
    """
    _take(connection, "SELECT id FROM jobs WHERE id {among} ORDER BY id FOR NO KEY UPDATE", keys)


def take_tasks(connection: Connection, keys: Iterable[int]) -> None:
    """Have others who join units of these tasks wait until this transaction ends.

    Call it before reading which attempts there are.
    """
    _take(connection, "SELECT id FROM tasks WHERE id {among} ORDER BY id FOR NO KEY UPDATE", keys)


def take_files(connection: Connection, keys: Iterable[int]) -> None:
    """Have others who link these files wait until this transaction ends.

    Call it before reading who claims and names them.
    """
    _take(connection, "SELECT id FROM files WHERE id {among} ORDER BY id FOR NO KEY UPDATE", keys)


def take_some_files(connection: Connection, statement: str, keys: Iterable[int]) -> list[int]:
    """Do the same with those of these files that a statement selects; return their keys.

    `statement` is `SELECT id FROM files WHERE … {among}`.
    """
    if connection.dialect.name == "postgresql":
        statement += " ORDER BY id FOR NO KEY UPDATE"
    return [row[0] for row in select_among(connection, statement, keys)]


def _take(connection: Connection, statement: str, keys: Iterable[int]) -> None:
    # not FOR UPDATE: that would wait for whoever wrote a row that points at one of these, and both
    # would wait for each other
    if connection.dialect.name == "postgresql":
        select_among(connection, statement, keys)
