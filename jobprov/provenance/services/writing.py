"""What a use case that writes is given, and the one writer of a process that gives it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, Self, TypeVar

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.recording.configurations.physics_variables import (
    NO_PHYSICS_VARIABLES,
    PhysicsVariables,
)
from jobprov.provenance.db.writer.indexed_names import index_new_names
from jobprov.provenance.db.writer.transaction import Memory, Transaction
from jobprov.provenance.db.writer.write_queue import WriteQueue

T = TypeVar("T")


class Origin(NamedTuple):
    """Where a request to write came from.

    Attributes:
        through: `page`, `call` or `command`.
        address: of the client; of a command the name of its machine.
        request: the number of the request, as its answer and the log have it.
        user: the login name behind a command, or the person logged in on a page.
    """

    through: str
    address: str
    request: str | None = None
    user: str | None = None


ORIGIN: ContextVar[Origin | None] = ContextVar("jobprov-origin", default=None)
"""The origin of what this thread does; requests and commands set it, the background does not."""


@dataclass(frozen=True, slots=True)
class Writing(Transaction):
    """A transaction of the service, and what was sent to it.

    Attributes:
        store: the archive.
        received_at: when it came.
        submitter: who sent it; None where the service writes of its own accord.
        origin: where it came from; None where nobody asked for it.
        physics_variables: which variables of a job's environment decide physics.
    """

    store: Store
    received_at: datetime
    submitter: str | None = None
    origin: Origin | None = None
    physics_variables: PhysicsVariables = NO_PHYSICS_VARIABLES

    def by(self, submitter: str | None) -> Self:
        """Return this writing with another submitter; None where the service acts by itself."""
        return replace(self, submitter=submitter)


class Writer(WriteQueue[Writing]):
    """The one writer of a process, on its database and archive."""

    def __init__(
        self,
        database: Database,
        store: Store,
        physics_variables: PhysicsVariables = NO_PHYSICS_VARIABLES,
    ) -> None:
        def begin(connection: Connection, memory: Memory) -> Writing:
            now = datetime.now(UTC)
            return Writing(connection, memory, store, now, physics_variables=physics_variables)

        super().__init__(database.writing, begin)

    def run(
        self,
        use_case: Callable[[Writing], T],
        weight: int = 1,
        first: Callable[[Writing], None] | None = None,
        *,
        received_at: datetime | None = None,
        submitter: str | None = None,
    ) -> T:
        """Return what `use_case(writing)` returns, after the commit that holds its work.

        Args:
            use_case: what to do.
            weight: records that it writes; see `WriteQueue.run`.
            first: done before; see `WriteQueue.run`.
            received_at: when that came which is written; now, where it is not given.
        """
        # Not when its turn comes: others may be before it
        came_at = received_at or datetime.now(UTC)
        origin = ORIGIN.get()  # the writer has a thread of its own
        return super().run(
            lambda writing: use_case(
                replace(writing, received_at=came_at, submitter=submitter, origin=origin)
            ),
            weight,
            first,
        )


@contextmanager
def writing_alone(
    database: Database,
    memory: Memory,
    store: Store,
    *,
    physics_variables: PhysicsVariables = NO_PHYSICS_VARIABLES,
) -> Iterator[Writing]:
    """Yield a transaction of a process that fills a database alone, and so has no writer.

    Committed in the end.
    """
    try:
        with database.writing.begin() as connection:
            now = datetime.now(UTC)
            writing = Writing(connection, memory, store, now, physics_variables=physics_variables)
            yield writing
            index_new_names(writing)
    except BaseException:
        memory.rollback()
        raise
    memory.commit()
