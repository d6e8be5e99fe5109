"""Which uploads the ledger does not hold yet."""

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Possession


def digests_to_enter(connection: Connection, experiment: int, most_digests: int) -> list[str]:
    """Return what an experiment uploaded and no entry holds, sorted, at most so many."""
    query = select(Possession.sha256).where(
        Possession.experiment_id == experiment, Possession.is_entered.is_(False)
    )
    return sorted(connection.execute(query.limit(most_digests)).scalars())
