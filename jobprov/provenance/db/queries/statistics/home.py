"""How much is recorded, from indexes alone."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.answers.statistics.states import StateCount
from jobprov.provenance.db.connections.narrowed import is_narrowed
from jobprov.provenance.db.queries.fragments.bounded import count_at_most
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, File, Job

MOST_COUNTED = 20_000


class Amounts(NamedTuple):
    """How much is recorded.

    Attributes:
        jobs, files: counted up to `MOST_COUNTED`. Beyond, the highest key for a reader who may see
            all: rows are never removed, but each process on PostgreSQL leaves some keys out.
        is_cut: whether there are more.
    """

    jobs: int
    files: int
    is_cut: bool = False


def recorded_amounts(connection: Connection) -> Amounts:
    """Return how much is recorded of what the reader may see."""
    if not is_narrowed(connection):
        return Amounts(_amount(connection, Job.id), _amount(connection, File.id))
    jobs = count_at_most(connection, select(Job.id), MOST_COUNTED)
    files = count_at_most(connection, select(File.id).where(is_named()), MOST_COUNTED)
    return Amounts(jobs, files, max(jobs, files) == MOST_COUNTED)


def _amount(connection: Connection, key: Any) -> int:
    highest = connection.execute(select(func.max(key))).scalar_one() or 0
    if highest > MOST_COUNTED:
        return highest
    return count_at_most(connection, select(key), MOST_COUNTED)


def count_states(connection: Connection) -> list[StateCount]:
    """Return the jobs of each experiment by state, in the order of names."""
    # The index of hosts has both columns, so that no row is read
    counted = (
        select(Job.experiment_id, Job.state, func.count().label("jobs"))
        .group_by(Job.experiment_id, Job.state)
        .subquery()
    )
    query = (
        select(Experiment.name, counted.c.state, counted.c.jobs)
        .join(Experiment, Experiment.id == counted.c.experiment_id)
        .order_by(Experiment.name, counted.c.state)
    )
    counts = []
    for experiment, state, jobs in connection.execute(query):
        counts.append(StateCount(experiment, STATES[state], jobs))
    return counts
