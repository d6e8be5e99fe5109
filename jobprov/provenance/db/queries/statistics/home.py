"""How much is recorded, from indexes alone."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.answers.statistics.states import StateCount
from jobprov.provenance.db.connections.narrowed import is_narrowed
from jobprov.provenance.db.queries.fragments.few_rows import count_at_most
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, File, Job

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
    jobs = count_at_most(connection, select(Job.id), MOST_COUNTED)
    files = count_at_most(connection, select(File.id).where(is_named()), MOST_COUNTED)
    return Amounts(jobs, files, max(jobs, files) == MOST_COUNTED)


def _number(connection: Connection, expression: Any) -> int:
    return connection.execute(select(expression)).scalar_one() or 0


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
