"""How a PostgreSQL is opened, and what is set and watched on its connections.

Needs psycopg, and is imported only where that is installed.

*Reading.* Two things hold for a transaction and are set where they change: how long a statement may
take, and how it is planned. A statement that is the same each time finds a few rows by their keys,
and planning it anew for the keys at hand takes longer than running it: it has one plan for all.
What filters compose is planned for its values, which may be rare ones.

*Which server answers.* After a failover to a standby that was behind, or a restore, records that
were acknowledged may not be there. The timeline, or the identity of the cluster, is another one
then, and the log says so. What the process remembers of rows is forgotten with every connection
anyway (`write_queue`).

*A server that is gone.* A machine or a network that fails says nothing, and TCP waits for minutes,
or two hours where the answer to a question is awaited. Connections have shorter limits, unless the
URL has its own.

Source: PostgreSQL's documentation, "Control Data Functions", "Timelines", "Parameter Key Words".
"""

import logging
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Self
from weakref import WeakSet

from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from jobprov.provenance.db.connections.time_limits import clock_of
from jobprov.provenance.errors import UnreachableError

_ENCODING = "UTF8"
_PREPARED_STATEMENTS = 300
"""What a connection to PostgreSQL keeps prepared; a page alone asks some forty."""
_JUST_USED = 1.0
"""Seconds after which a connection may have been lost without anybody having seen."""
_WHICH = "SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
_PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan"
"""Run once on each connection that reads: how it plans unless it is set otherwise."""
_PLANNED_FOR_VALUES = b"SET LOCAL plan_cache_mode TO auto"
_PLANNED_ONCE_AGAIN = b"SET LOCAL plan_cache_mode TO force_generic_plan"

_planning_for_values: WeakSet[Connection[Any]] = WeakSet()
_log = logging.getLogger("jobprov.database")


class Patience(NamedTuple):
    """How long a server is waited for.

    Attributes:
        connecting: seconds until a connection must have come about.
        silent: seconds after which a connection is lost whose server does not even acknowledge.
    """

    connecting: int
    silent: int


PATIENCE = Patience(connecting=10, silent=20)


def open_postgresql(url: URL, patience: Patience = PATIENCE) -> tuple[Engine, Engine]:
    """Return an engine for reading and one for writing; nothing is connected yet.

    Connecting raises an UnreachableError where the database cannot keep every text.
    """
    url = _with_limits(url.set(drivername="postgresql+psycopg"), patience)
    reading = create_engine(
        url,
        pool_size=12,
        max_overflow=8,
        # the one that was just used has its statements prepared and its caches warm
        pool_use_lifo=True,
        isolation_level="REPEATABLE READ",
        connect_args={"cursor_factory": ReadingCursor},
    )
    # its own: a rollback makes psycopg forget every statement that a connection has prepared
    writing = create_engine(url, pool_size=1, max_overflow=4)
    for engine in (reading, writing):
        # Before SQLAlchemy asks the server anything: of SQL_ASCII the driver gives bytes as answers
        event.listen(engine, "connect", _check_encoding, insert=True)
    event.listen(reading, "connect", partial(_set_up, (_PLANNED_ONCE,)))
    for engine in (reading, writing):
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", partial(_ask_if_idle, engine))
    event.listen(writing, "connect", partial(_set_up, ()))
    event.listen(writing, "connect", ServerWatch().look)
    return reading, writing


def _with_limits(url: URL, patience: Patience) -> URL:
    """Return a URL with limits for a server that is gone, but for those that it has already."""
    limits = {
        "connect_timeout": patience.connecting,
        "tcp_user_timeout": 1000 * patience.silent,
        # A server that works on a long answer is silent too: its system is asked whether it is there
        "keepalives_idle": max(1, patience.silent // 2),
        "keepalives_interval": max(1, patience.silent // 4),
    }
    missing = {name: str(limit) for name, limit in limits.items() if name not in url.query}
    return url.update_query_dict(missing)


def _check_encoding(connection: Any, _record: Any) -> None:
    """Refuse a database that cannot keep every text; the server names its encoding by itself."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != _ENCODING:
        name = connection.info.dbname
        raise UnreachableError(
            f"The encoding of the database {name} is {encoding}, and jobprov needs {_ENCODING}: make "
            f"another with `createdb --encoding={_ENCODING} --template=template0 NAME`, and name it "
            "in JOBPROV_DATABASE_URL."
        )


def _set_up(more: Sequence[str], connection: Any, _record: Any) -> None:
    """Have the planner reckon that a page found by an index costs no more than the next one.

    Its default is for disks that turn.
    """
    connection.prepared_max = _PREPARED_STATEMENTS
    for statement in ("SET random_page_cost = 1.1", *more):
        connection.execute(statement)
    connection.commit()


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _ask_if_idle(engine: Engine, connection: Any, record: Any, _proxy: Any) -> None:
    """Ask a connection whether its server is still there, unless it was just used.

    That is a round trip, and a page of a file has ten.
    """
    if time.monotonic() - record.info.get("used_at", -math.inf) < _JUST_USED:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as problem:
        raise DisconnectionError from problem  # the pool tries another


class ReadingCursor(Cursor[Any]):
    """A cursor that sets for the server how much time is left, and how to plan.

    The time is what is left of the limit that holds on its connection.

    A statement that is the same each time is run with `prepare=True`.
    """

    def execute(self, query: Any, *args: Any, **options: Any) -> Self:
        """Run a statement, and before it, where need be, those that limit its time.

        These also say how the statement is planned.

        Raises:
            TimeUpError: nothing of the limit is left.
        """
        begins = self.connection.info.transaction_status == TransactionStatus.IDLE
        self._limit(begins=begins)
        self._plan(begins=begins, once=options.get("prepare") is True)
        return super().execute(query, *args, **options)

    def _limit(self, *, begins: bool) -> None:
        clock = clock_of(self.connection)
        if clock is None:
            return
        if begins:
            clock.server_limit = None  # it held for the transaction
        seconds = clock.new_server_limit()
        if seconds is not None:
            value = "DEFAULT" if seconds == 0 else str(max(1, int(seconds * 1000)))
            super().execute(f"SET LOCAL statement_timeout TO {value}".encode())

    def _plan(self, *, begins: bool, once: bool) -> None:
        if self.connection.autocommit:
            return  # SQLAlchemy asks whether the server is still there
        if begins:
            _planning_for_values.discard(self.connection)
        if once is not (self.connection in _planning_for_values):
            return
        if once:
            super().execute(_PLANNED_ONCE_AGAIN)
            _planning_for_values.discard(self.connection)
        else:
            super().execute(_PLANNED_FOR_VALUES)
            _planning_for_values.add(self.connection)


class ServerIdentity(NamedTuple):
    """What a server reports of itself.

    Attributes:
        system: made once, with the cluster.
        timeline: another after each failover and each restore to a moment.
    """

    system: int
    timeline: int


class ServerWatch:
    """Compares the server of each new connection with that of the one before."""

    def __init__(self) -> None:
        self._last: ServerIdentity | None = None

    def look(self, connection: Any, _record: Any = None) -> None:
        """Look at a new connection of the driver; a server that may not be asked is not judged."""
        with connection.cursor() as cursor:
            try:
                cursor.execute(_WHICH)
            except connection.Error:
                connection.rollback()
                return
            identity = ServerIdentity(*cursor.fetchone())
        connection.commit()
        if self._last not in (None, identity):
            _log.warning(
                "PostgreSQL is another one, or went back in time (system %d, timeline %d; before: "
                "system %d, timeline %d). What was recorded last may be missing: compare with "
                "`jobprov archive check`, and send again what lies in spools.",
                *identity,
                *self._last,
            )
        self._last = identity
