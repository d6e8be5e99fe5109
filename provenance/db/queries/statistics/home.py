"""How much is recorded, from indexes alone."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.db.connections.narrowed import is_narrowed
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.tables import File, Job

MOST_COUNTED = 20_000


class Amounts(NamedTuple):
    """How much is recorded.

    Attributes:
        jobs, files: the highest keys: rows are never removed, so it is their number, or a little
            more. Keys also count what is hidden from a reader; for one who may not see all, rows
            are counted, up to `MOST_COUNTED`.
        is_cut: whether there are more.
    """

    jobs: int
    files: int
    is_cut: bool = False


def recorded_amounts(connection: Connection) -> Amounts:
    """Return how much is recorded of what the reader may see."""
    if not is_narrowed(connection):
        return Amounts(
            _number(connection, func.max(Job.id)), _number(connection, func.max(File.id))
        )
    jobs = _counted(connection, select(Job.id))
    files = _counted(connection, select(File.id).where(is_named()))
    return Amounts(jobs, files, max(jobs, files) == MOST_COUNTED)


def _number(connection: Connection, expression: Any) -> int:
    return connection.execute(select(expression)).scalar_one() or 0


def _counted(connection: Connection, rows: Select[Any]) -> int:
    few = rows.limit(MOST_COUNTED).subquery()
    return connection.execute(select(func.count()).select_from(few)).scalar_one()
