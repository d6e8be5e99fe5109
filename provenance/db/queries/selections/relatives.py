"""Parents and children of many files at once, as catalog clients list them."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.statements.selecting import select_among

MOST_RELATIVES = 100_000
_IS_VERSION = f"""
j.id = c.job_id AND j.rerun_of IS NULL AND (j.state = {STATES.index("succeeded")} OR EXISTS (
    SELECT 1 FROM producers AS q JOIN mentions AS m ON m.identity_id = q.identity_id
    WHERE q.claim_id = c.id AND q.is_sure AND m.job_id <> c.job_id
))
"""  # noqa: S608 - a constant of this module
"""As in `queries/lookup/versions.py`: by a job that succeeded, or read by another one."""
_PARENTS = f"""
SELECT p.claim_id, p.identity_id, f.id, f.namespace, f.name
FROM parents AS p CROSS JOIN identities AS i CROSS JOIN files AS f
WHERE p.claim_id {{among}} AND i.id = p.identity_id AND f.id = i.file_id
LIMIT {MOST_RELATIVES + 1}
"""  # noqa: S608 - a constant of this module
_PARENTS_OF_READ = f"""
SELECT r.identity_id, p.identity_id, f.id, f.namespace, f.name
FROM producers AS r CROSS JOIN parents AS p CROSS JOIN identities AS i CROSS JOIN files AS f
WHERE r.identity_id {{among}} AND p.claim_id = r.claim_id AND i.id = p.identity_id
AND f.id = i.file_id
LIMIT {MOST_RELATIVES + 1}
"""  # noqa: S608
_CHILDREN = f"""
SELECT r.claim_id, c.id, f.id, f.namespace, f.name
FROM producers AS r CROSS JOIN parents AS p CROSS JOIN claims AS c CROSS JOIN jobs AS j
CROSS JOIN files AS f
WHERE r.claim_id {{among}} AND p.identity_id = r.identity_id AND c.id = p.claim_id
AND {_IS_VERSION} AND f.id = c.file_id
LIMIT {MOST_RELATIVES + 1}
"""  # noqa: S608
_CHILDREN_OF_FILES = f"""
SELECT i.file_id, c.id, f.id, f.namespace, f.name
FROM identities AS i CROSS JOIN parents AS p CROSS JOIN claims AS c CROSS JOIN jobs AS j
CROSS JOIN files AS f
WHERE i.file_id {{among}} AND p.identity_id = i.id AND c.id = p.claim_id
AND {_IS_VERSION} AND f.id = c.file_id
LIMIT {MOST_RELATIVES + 1}
"""  # noqa: S608


class Relative(NamedTuple):
    """A file that is a parent or child of another.

    Attributes:
        of: what was asked about: a key of a claim, identity or file.
        via: the identity of the parent, the claim of the child; one goes on from it.
        key: of the file.
    """

    of: int
    via: int
    key: int
    namespace: str
    name: str


def parents_of_claims(connection: Connection, claims: Sequence[int]) -> list[Relative]:
    """Return what versions were made from."""
    return _relatives(connection, _PARENTS, claims)


def parents_of_identities(connection: Connection, identities: Sequence[int]) -> list[Relative]:
    """Return what those versions were made from to which identities resolve."""
    return _relatives(connection, _PARENTS_OF_READ, identities)


def children_of_claims(connection: Connection, claims: Sequence[int]) -> list[Relative]:
    """Return the versions that were made from versions."""
    return _relatives(connection, _CHILDREN, claims)


def children_of_files(connection: Connection, files: Sequence[int]) -> list[Relative]:
    """Return the versions that were made from any content of files."""
    return _relatives(connection, _CHILDREN_OF_FILES, files)


def _relatives(connection: Connection, statement: str, keys: Sequence[int]) -> list[Relative]:
    return [Relative(*row) for row in select_among(connection, statement, keys)]
