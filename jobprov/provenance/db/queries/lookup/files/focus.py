"""Which version of a file a question starts from."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.lookup.files.versions import Version, versions_of
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Job
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.keys import key_of_claim, key_of_file

_MOST_NAMED = 20
_READ_AS = """
SELECT p.identity_id, p.is_sure FROM claims c
JOIN claims s ON s.id = coalesce(c.alias_of, c.id) OR s.alias_of = coalesce(c.alias_of, c.id)
JOIN producers p ON p.claim_id = s.id WHERE {which} = ?
"""
"""Another name of the same bytes is a claim of the same birth; a job may have 10,000 others."""
_OF_VERSION = _READ_AS.format(which="c.id")
_OF_VERSIONS = _READ_AS.replace("WHERE {which} = ?", "WHERE c.id {among}")
_SEEN_AS = "SELECT identity_id FROM claims WHERE id {among}"
_OF_NAME = (
    _READ_AS.format(which="c.file_id")  # noqa: S608
    + " UNION ALL SELECT id, NULL FROM identities WHERE file_id = ?"
)
_BORN = "SELECT DISTINCT coalesce(alias_of, id) FROM claims WHERE file_id {among}"
_RENAMED = "SELECT id FROM claims WHERE alias_of IS NOT NULL AND alias_of {among}"
_MADE_BY = "SELECT id, job_id FROM claims WHERE id {among}"


class Focus(NamedTuple):
    """Where a walk starts: a version (its claim), or a name whatever its versions (claim None).

    Attributes:
        version: number of the version; None for a file that no recorded job made, and for a whole
            name.
        versions: how many versions of the file there are.
    """

    file_id: int
    claim_id: int | None
    version: int | None = None
    versions: int = 0

    @property
    def key(self) -> str:
        """Its node in a graph."""
        return key_of_file(self.file_id) if self.claim_id is None else key_of_claim(self.claim_id)

    def of_name(self) -> "Focus":
        """Return the focus on the whole name.

        That is all its versions, and contents that no recorded job made.
        """
        return self._replace(claim_id=None, version=None)


def focus_of(
    connection: Connection,
    file_id: int,
    version: int | None = None,
    *,
    as_of: datetime | None = None,
) -> Focus:
    """Return the focus for a file: its newest version, or the one with this number.

    With `as_of`, only versions recorded then count.

    Raises:
        BadInputError: there is no version with this number.
    """
    versions = versions_of(connection, [file_id]).get(file_id, [])
    if as_of is not None:
        versions = _recorded_until(connection, versions, as_of)
    numbered = {recorded.number: recorded for recorded in versions}
    if version is not None and version not in numbered:
        problem = f"there is no version {version}; {_known(versions)}"
        raise BadInputError.of_field("version", problem)
    if not versions:
        return Focus(file_id, None)
    chosen = versions[-1] if version is None else numbered[version]
    return Focus(file_id, chosen.claim_id, chosen.number, len(versions))


def _recorded_until(
    connection: Connection, versions: Sequence[Version], moment: datetime
) -> list[Version]:
    """Return the versions whose jobs had been recorded at a moment."""
    jobs = [version.job_id for version in versions]
    query = select(Job.id).where(Job.id.in_(jobs), Job.received_at <= moment)
    recorded = set(connection.execute(query).scalars())
    return [version for version in versions if version.job_id in recorded]


def _known(versions: Sequence[Version]) -> str:
    if not versions:
        return "no recorded job made the file"
    numbers = [str(version.number) for version in versions]
    if len(numbers) > _MOST_NAMED:
        return f"those from {numbers[0]} to {numbers[-1]} are known"
    return f"known: {', '.join(numbers)}"


def jobs_of_claims(connection: Connection, claims: Sequence[int]) -> dict[int, int]:
    """Return the job of each claim."""
    return dict(select_among(connection, _MADE_BY, claims))


def identities_of(connection: Connection, focus: Focus) -> dict[int, bool]:
    """Return the identities under which others read a version or a name.

    They include those of its other names. With each comes whether it is surely what was asked for.
    """
    if focus.claim_id is not None:
        rows = fetch(connection, _OF_VERSION, (focus.claim_id,))
    else:
        rows = fetch(connection, _OF_NAME, (focus.file_id, focus.file_id))
    identities: dict[int, bool] = {}
    for identity, is_sure in rows:
        # None: contents of the name itself; the row of a version may have come before and decides
        known = identities.get(identity, True) if is_sure is None else bool(is_sure)
        identities[identity] = known
    return identities


def identities_of_versions(
    connection: Connection, file: int, ours: Sequence[int], theirs: Sequence[int]
) -> dict[int, bool]:
    """Return the identities under which others read some versions of a name, and not its others.

    What was read of the name and is no version at all belongs to both.

    Args:
        ours: claims of the versions that count.
        theirs: claims of its other versions.
    """
    of_ours: dict[int, bool] = {}
    for identity, is_sure in select_among(connection, _OF_VERSIONS, ours):
        of_ours[identity] = of_ours.get(identity, False) or bool(is_sure)
    of_theirs = {row[0] for row in select_among(connection, _OF_VERSIONS, theirs)}
    identities = {}
    for identity, is_sure in identities_of(connection, Focus(file, None)).items():
        if identity in of_ours:
            identities[identity] = of_ours[identity]
        elif identity not in of_theirs:
            identities[identity] = is_sure
    return identities


def identities_of_crowd(connection: Connection, versions: Sequence[int]) -> dict[int, bool]:
    """Return the identities under which others read some versions of a crowded name.

    Those of the whole name would be a hundred thousand, and most of no version that counts.

    Args:
        versions: their claims.
    """
    identities: dict[int, bool] = {}
    for identity, is_sure in select_among(connection, _OF_VERSIONS, versions):
        identities[identity] = identities.get(identity, False) or bool(is_sure)
    for (identity,) in select_among(connection, _SEEN_AS, versions):
        identities.setdefault(identity, True)  # its own contents, though without a checksum
    return identities


def claims_of(connection: Connection, files: Iterable[int]) -> list[int]:
    """Return the claims of files, and of the same bytes under other names."""
    births = [birth for (birth,) in select_among(connection, _BORN, files)]
    renamed = [claim for (claim,) in select_among(connection, _RENAMED, births)]
    return sorted([*births, *renamed])
