"""The nodes that whole walks meet. A bounded picture needs them to count what it leaves out."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import Connection

from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.histories.walks import (
    met_claims,
    met_count,
    met_identities,
    readers_of_descendants,
)
from jobprov.provenance.db.queries.lookup.files.focus import Focus, identities_of, jobs_of_claims
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.lineage.keys import row_number

_TWO_READERS = "SELECT DISTINCT job_id FROM mentions WHERE identity_id {among} LIMIT 2"
_TWO_MAKERS = """
SELECT DISTINCT c.job_id
FROM parents AS p JOIN claims AS c ON c.id = p.claim_id WHERE p.identity_id {among} LIMIT 2
"""
_READERS = "SELECT DISTINCT job_id FROM mentions WHERE identity_id {among} LIMIT {most}"


@dataclass(frozen=True, slots=True)
class Met:
    """Nodes of a history as row numbers, which are smaller and faster to compare than keys.

    Attributes:
        unclaimed: files that no job claims.
        is_cut: whether a limit ended the walk that met them; if so, there are more.
    """

    claims: AbstractSet[int] = frozenset()
    unclaimed: AbstractSet[int] = frozenset()
    jobs: AbstractSet[int] = frozenset()
    is_cut: bool = False

    @property
    def files(self) -> int:
        """Return how many files there are."""
        return len(self.claims) + len(self.unclaimed)

    def __or__(self, other: "Met") -> "Met":
        is_cut = self.is_cut or other.is_cut
        return Met(
            self.claims | other.claims,
            self.unclaimed | other.unclaimed,
            self.jobs | other.jobs,
            is_cut,
        )

    def __sub__(self, other: "Met") -> "Met":
        return Met(
            self.claims - other.claims,
            self.unclaimed - other.unclaimed,
            self.jobs - other.jobs,
            self.is_cut,
        )

    def __len__(self) -> int:
        return self.files + len(self.jobs)


def met_of(keys: Iterable[str]) -> Met:
    """Return the nodes of these keys."""
    numbers: dict[str, set[int]] = {"c": set(), "f": set(), "j": set()}
    for key in keys:
        numbers[key[0]].add(row_number(key))
    return Met(numbers["c"], numbers["f"], numbers["j"])


def met_above(connection: Connection, focus: Focus, *, most: int) -> Met:
    """Return the nodes that a walk back meets: at most `most` files, and the jobs that made them.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    if focus.claim_id is None:
        return Met()
    with time_limit(connection):
        rows = met_identities(connection, focus.claim_id, most=most)
    claims = {row.claim_id for row in rows if row.claim_id is not None}
    makers = {row.job_id for row in rows if row.job_id is not None}
    unclaimed = {row.file_id for row in rows if row.claim_id is None}
    return Met(
        claims, unclaimed, makers | _maker_of(connection, focus), is_cut=met_count(rows) >= most
    )


def met_below(connection: Connection, focus: Focus, *, most: int) -> Met:
    """Return the nodes that a walk on meets: files, and the jobs that made or read them.

    There are at most `most` files, and as many readers.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    with time_limit(connection):
        made = met_claims(connection, focus.claim_id, file=focus.file_id, most=most)
        readers = readers_of_descendants(connection, focus.claim_id, file=focus.file_id, most=most)
        seen = sorted(identities_of(connection, focus))
        statement = _READERS.format(most=most, among="{among}")
        readers.update(row[0] for row in select_among(connection, statement, seen))
    # The maker may have read another file of this name: it is before the focus, not after it
    jobs = (readers - _maker_of(connection, focus)) | set(made.values())
    return Met(made.keys(), jobs=jobs, is_cut=max(len(made), len(readers)) >= most)


def is_used(connection: Connection, focus: Focus) -> bool:
    """Return whether any job but the file's maker read it, or made another file from it."""
    # Two of each are enough: at most one is the maker itself
    seen = sorted(identities_of(connection, focus))
    users = select_among(connection, _TWO_READERS, seen)
    users += select_among(connection, _TWO_MAKERS, seen)
    maker = _maker_of(connection, focus)
    return any(row[0] not in maker for row in users)


def _maker_of(connection: Connection, focus: Focus) -> set[int]:
    if focus.claim_id is None:
        return set()
    return set(jobs_of_claims(connection, [focus.claim_id]).values())
