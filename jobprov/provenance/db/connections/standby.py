"""A hot standby for reading, and how far it is behind the primary, as measured by this process.

The clocks of two servers do not show how far one is behind the other, and a standby that lost its
primary believes that it is up to date. So from time to time the primary is asked how far its
write-ahead log goes, and the standby how far it has replayed that log. If the standby has passed a
position, it has all that the primary had written when it was asked, by the clock of this process.

A standby is used while it has all that was committed `longest_lag` seconds ago. It is not used if
it is no standby any more, if it belongs to another cluster, or if it follows another timeline than
the primary, as after a failover.

Source: PostgreSQL's documentation, "Hot Standby", "Recovery Information Functions".
"""

import logging
import threading
import time
from collections import deque
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.errors import BadInputError, UnreachableError

LOOK_SECONDS = 0.5
"""Between two looks at both servers, at most one process's thread at a time."""
AWAY_SECONDS = 10.0
"""Until a standby that did not answer is asked again."""
# The control file's timeline is one checkpoint old after a failover; the name of the log's file is not
_PRIMARY = (
    "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint,"
    " (SELECT system_identifier FROM pg_control_system()),"
    " ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
)
_STANDBY = (
    "SELECT CASE WHEN pg_is_in_recovery()"
    " THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END,"
    " (SELECT system_identifier FROM pg_control_system()),"
    " (SELECT timeline_id FROM pg_control_checkpoint())"
)
_log = logging.getLogger("jobprov.database")


class _Progress(NamedTuple):
    """What a server reports.

    Attributes:
        position: how far it has written, or replayed, the write-ahead log, in bytes.
        system: made once, with the cluster.
        timeline: another after each failover.
    """

    position: int
    system: int
    timeline: int


class Sample(NamedTuple):
    """How far the primary's log went at a moment, or later: all that was committed by then."""

    moment: float
    position: int


class Standby:
    """Reads from a standby while that is not too far behind.

    Args:
        primary: the database, which writes.
        longest_lag: seconds that an answer may be behind.

    Raises:
        BadInputError: the database is SQLite, or the URL is none of PostgreSQL.
    """

    def __init__(self, url: str, primary: Database, longest_lag: float) -> None:
        if primary.is_sqlite:
            raise _refusal(
                "JOBPROV_DATABASE_READ_URL needs PostgreSQL: SQLite has no standby to read from."
            )
        self.longest_lag = longest_lag
        self._primary = primary.reading
        self._engine = _open(url)
        self._samples: deque[Sample] = deque()
        self._covered_until: float | None = None
        self._next_look = 0.0
        self._turn = threading.Lock()
        self._told = ""

    def engine(self) -> Engine | None:
        """Return the engine to read from; None while the standby is away or too far behind.

        Raises:
            SQLAlchemyError: the primary does not answer, so that nothing is known.
        """
        if time.monotonic() >= self._next_look and self._turn.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._turn.release()
        lag = self.lag()
        return self._engine if lag is not None and lag <= self.longest_lag else None

    def lag(self) -> float | None:
        """Return the seconds that the standby is behind at most; None where nothing is known."""
        covered = self._covered_until
        return None if covered is None else time.monotonic() - covered

    def note_failure(self, problem: Exception) -> None:
        """Note that a question failed there; a lost connection has it left alone for a while."""
        if isinstance(problem, DBAPIError) and problem.connection_invalidated:
            with self._turn:
                self._leave(f"does not answer ({_first_line(problem)})")

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _look(self) -> None:
        """Ask both how far they are."""
        self._next_look = time.monotonic() + LOOK_SECONDS
        moment = time.monotonic()  # before the question: what is committed now is in its answer
        primary = _asked(self._primary, _PRIMARY)
        assert primary is not None  # noqa: S101 - only a standby has none
        self._samples.append(Sample(moment, primary.position))
        try:
            standby = _asked(self._engine, _STANDBY)
        except (SQLAlchemyError, UnreachableError) as problem:
            self._leave(f"does not answer ({_first_line(problem)})")
            return
        if standby is None:
            self._leave("is not a standby, or not one any more")
        elif standby.system != primary.system:
            self._leave("is a standby of another cluster")
        elif standby.timeline != primary.timeline:
            self._leave(
                f"is on timeline {standby.timeline}, and the primary on {primary.timeline}"
                " (it may only need a checkpoint)"
            )
        else:
            self._cover(standby.position)

    def _cover(self, position: int) -> None:
        """Note that the standby has all up to a position of the log."""
        while self._samples and self._samples[0].position <= position:
            self._covered_until = self._samples.popleft().moment
        # What it has not reached for so long does not count once it has
        while len(self._samples) > _most_samples(self.longest_lag):
            self._samples.popleft()
        lag = self.lag()
        if lag is not None and lag <= self.longest_lag:
            self._tell("")
        else:
            self._tell(f"is more than {self.longest_lag:g} s behind")

    def _leave(self, why: str) -> None:
        self._covered_until = None
        self._samples.clear()
        self._next_look = time.monotonic() + AWAY_SECONDS
        self._tell(why)

    def _tell(self, problem: str) -> None:
        """Log what changed."""
        before, self._told = self._told, problem
        kind, kind_before = problem.partition("(")[0], before.partition("(")[0]
        if kind == kind_before:
            return
        if problem:
            _log.warning("The standby %s: all is read from the primary.", problem)
        else:
            _log.warning("The standby is read from again.")


def _most_samples(longest_lag: float) -> int:
    return int(longest_lag / LOOK_SECONDS) + 2


def _open(url: str) -> Engine:
    try:
        parsed = make_url(url)
        is_postgresql = parsed.get_backend_name() == "postgresql"
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        is_postgresql = False
    if not is_postgresql:
        raise _refusal("JOBPROV_DATABASE_READ_URL is postgresql+psycopg://HOST/NAME.")
    # Only here, since it imports the driver, which is installed for PostgreSQL alone
    from jobprov.provenance.db.connections.postgresql import (  # noqa: PLC0415
        Patience,
        open_postgresql,
    )

    # Less than the primary's: that one answers instead
    engine, _ = open_postgresql(parsed, Patience(connecting=2, silent=5))
    return engine


def _refusal(message: str) -> BadInputError:
    return BadInputError(message, {"JOBPROV_DATABASE_READ_URL": ["a standby of PostgreSQL"]})


def _asked(engine: Engine, question: str) -> _Progress | None:
    """Return what a server reports; None for a question about a standby to one that is none."""
    with engine.connect() as connection:
        row: Any = connection.exec_driver_sql(question).one()
        connection.commit()
    return None if row[0] is None else _Progress(*row)


def _first_line(problem: Exception) -> str:
    reason = problem.orig if isinstance(problem, DBAPIError) else problem
    return str(reason).strip().partition("\n")[0]
