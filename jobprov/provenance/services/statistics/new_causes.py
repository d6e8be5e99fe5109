"""Causes of failures that were not seen before a window of time, of all experiments."""

from datetime import datetime

from sqlalchemy import Connection

from jobprov.provenance.answers.attention import NewCause, NewCauses
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.alerts.watched import EndedScope, causes_since, count_ended
from jobprov.provenance.db.queries.lookup.experiments import experiments_by_name
from jobprov.provenance.lineage.words import elided
from jobprov.provenance.services.statistics.shares import MOST_EXPERIMENTS
from jobprov.provenance.times import exact_utc_text

_MOST_CAUSES = 50
_LONGEST = 200


def list_new_causes(
    connection: Connection, since: datetime, now: datetime, *, seconds: float = SECONDS
) -> NewCauses:
    """Return the causes by which jobs failed since a moment and not before; most jobs first.

    The newest 20,000 jobs of each experiment that ended are looked at.

    Raises:
        LimitError: reading took more than `seconds`.
    """
    experiments = list(experiments_by_name(connection).items())
    causes = []
    with time_limit(connection, "ask for a shorter time", seconds=seconds):
        for name, key in experiments[:MOST_EXPERIMENTS]:
            scope = EndedScope(key, since, until=now)
            for cause in causes_since(connection, scope, least=1, most=_MOST_CAUSES):
                if cause.is_new:
                    first_at = exact_utc_text(cause.first_at)
                    words = elided(cause.words, _LONGEST)
                    causes.append(NewCause(name, cause.key, words, cause.jobs, first_at))
        ended = count_ended(connection, since, now)
    causes.sort(key=lambda cause: (-cause.jobs, cause.words))
    return NewCauses(
        causes=causes,
        ended=ended,
        unseen_experiments=max(0, len(experiments) - MOST_EXPERIMENTS),
    )
