"""What traced jobs of a kind used, and which jobs wait to know."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import AwaitedTrace, Claim, Experiment, File, TraceTurn
from jobprov.provenance.db.writer.keys import chunks

Kind = tuple[str, str]
"""An experiment, and the key by which hooks know jobs of one kind."""


def what_kinds_used(connection: Connection, kinds: AbstractSet[Kind]) -> dict[Kind, str]:
    """Return JSON of what the traced job of each kind used; those without a trace are left out."""
    used: dict[Kind, str] = {}
    keys = sorted({key for _, key in kinds})
    for part in chunks(keys):
        query = select(TraceTurn.experiment, TraceTurn.key, TraceTurn.used)
        rows = connection.execute(query.where(TraceTurn.key.in_(part)))
        for experiment, key, document in rows:
            if (experiment, key) in kinds and document is not None:
                used[experiment, key] = document
    return used


def made_by_jobs(connection: Connection, experiment: str, names: Iterable[str]) -> set[str]:
    """Return those of these names that a job of the experiment gave to an output."""
    made: set[str] = set()
    for part in chunks(sorted(names)):
        query = (
            select(File.name)
            .join(Experiment, Experiment.id == File.experiment_id)
            .join(Claim, Claim.file_id == File.id)
            .where(Experiment.name == experiment, File.name.in_(part))
        )
        made.update(connection.execute(query.distinct()).scalars())
    return made


def jobs_waiting(connection: Connection, kind: Kind) -> list[int]:
    """Return the keys of the jobs that ended before the traced one of their kind."""
    experiment, key = kind
    query = select(AwaitedTrace.job_id).where(
        AwaitedTrace.experiment == experiment, AwaitedTrace.key == key
    )
    return list(connection.execute(query.order_by(AwaitedTrace.job_id)).scalars())
