"""Jobs by experiment and state, from an index alone."""

from sqlalchemy import Connection, func, select

from jobprov.provenance.answers.statistics.states import StateCount
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, Job


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
