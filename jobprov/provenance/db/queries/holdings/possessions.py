"""Which blobs experiments uploaded."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import select_by
from jobprov.provenance.db.tables import Experiment, Possession
from jobprov.provenance.db.tables.base import table_of

_POSSESSIONS = table_of(Possession)
_MOST_REMEMBERED = 20_000
"""Digests remembered of an experiment, some 2 MB. Starting over costs one query for each batch."""


class Possessions:
    """Remembers which blobs experiments uploaded."""

    def __init__(self) -> None:
        self._by_experiment: dict[str, set[str]] = {}
        self._keys: dict[str, int] = {}

    def among(self, connection: Connection, experiment: str, digests: set[str]) -> set[str]:
        """Return the digests that the experiment uploaded; only unknown ones are queried."""
        possessed = self._by_experiment.setdefault(experiment, set())
        if len(possessed) > _MOST_REMEMBERED:
            possessed.clear()
        unknown = sorted(digests - possessed)
        if unknown and (key := self._key(connection, experiment)):
            wanted = [(key, sha256) for sha256 in unknown]
            rows = select_by(
                connection, _POSSESSIONS, ("is_entered",), ("experiment_id", "sha256"), wanted
            )
            possessed.update(sha256 for _, sha256 in rows)
        return digests & possessed

    def _key(self, connection: Connection, experiment: str) -> int | None:
        """Return the integer key of an experiment, which never changes; None where it is new."""
        if experiment not in self._keys:
            rows = fetch(connection, "SELECT id FROM experiments WHERE name = ?", (experiment,))
            if not rows:
                return None
            self._keys[experiment] = rows[0][0]
        return self._keys[experiment]

    def forget(self, experiment: str, digests: Iterable[str]) -> None:
        """Forget blobs that the experiment no longer possesses."""
        self._by_experiment.get(experiment, set()).difference_update(digests)


def possessed_blobs(connection: Connection, experiment: str, digests: Iterable[str]) -> set[str]:
    """Return those of `digests` that the experiment uploaded."""
    return Possessions().among(connection, experiment, set(digests))


def senders_of(connection: Connection, digests: Iterable[str]) -> dict[str, set[str]]:
    """Return the experiments that uploaded each blob. A blob that none uploaded is left out."""
    senders: dict[str, set[str]] = {}
    query = select(Possession.sha256, Experiment.name).join(
        Experiment, Experiment.id == Possession.experiment_id
    )
    wanted = sorted(set(digests))
    for sha256, experiment in rows_among(connection, query, Possession.sha256, wanted):
        senders.setdefault(sha256, set()).add(experiment)
    return senders


def possessed_by_anybody(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Return those of `digests` that any experiment uploaded."""
    query = select(Possession.sha256)
    return {row[0] for row in rows_among(connection, query, Possession.sha256, digests)}


def holders_of(connection: Connection, sha256: str) -> list[str]:
    """Return the experiments that uploaded the blob, by name."""
    query = (
        select(Experiment.name)
        .join(Possession, Possession.experiment_id == Experiment.id)
        .where(Possession.sha256 == sha256)
        .order_by(Experiment.name)
    )
    return list(connection.execute(query).scalars())


def possesses(connection: Connection, experiment: int, sha256: str) -> bool:
    """Return whether the experiment with this integer key uploaded a blob."""
    key = (experiment, sha256)
    return bool(
        select_by(connection, _POSSESSIONS, ("is_entered",), ("experiment_id", "sha256"), [key])
    )
