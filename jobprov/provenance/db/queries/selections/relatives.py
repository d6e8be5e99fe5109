"""Parents and children of many files at once, as catalog clients list them."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.fragments.versions import version_condition
from jobprov.provenance.db.statements.selecting import select_among

MOST_RELATIVES = 100_000


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


class _Step(NamedTuple):
    """From a row of `parents` to the file at its other end: the tables to go through, and how."""

    via: str
    tables: str
    condition: str
    file: str


_TO_PARENT = _Step("i.id", "identities AS i", "i.id = p.identity_id", "i.file_id")
_TO_CHILD = _Step(
    "c.id",
    "claims AS c CROSS JOIN jobs AS j",
    f"c.id = p.claim_id AND j.id = c.job_id AND {version_condition('c', 'j')}",
    "c.file_id",
)


def _statement(asked: str, start: str, met: str, step: _Step) -> str:
    """Return a statement for the files one step from many others.

    Args:
        asked: the column that keys are given of.
        start: tables that lead from there to `parents`, each followed by CROSS JOIN: the loops keep
            the order in which they are written (docs/decisions/0003-cross-join-after-recursion.md).
        met: the condition that such a row and one of `parents` belong together.
        step: from there on.
    """
    return f"""
SELECT {asked}, {step.via}, f.id, f.namespace, f.name
FROM {start} parents AS p CROSS JOIN {step.tables} CROSS JOIN files AS f
WHERE {asked} {{among}} AND {met} AND {step.condition} AND f.id = {step.file}
LIMIT {MOST_RELATIVES + 1}
"""  # noqa: S608 - constants of this module


_READ = "producers AS r CROSS JOIN"
_PARENTS_OF_CLAIMS = _statement("p.claim_id", "", "TRUE", _TO_PARENT)
_PARENTS_OF_IDENTITIES = _statement("r.identity_id", _READ, "p.claim_id = r.claim_id", _TO_PARENT)
_CHILDREN_OF_CLAIMS = _statement("r.claim_id", _READ, "p.identity_id = r.identity_id", _TO_CHILD)
_CHILDREN_OF_FILES = _statement(
    "o.file_id", "identities AS o CROSS JOIN", "p.identity_id = o.id", _TO_CHILD
)


def parents_of_claims(connection: Connection, claims: Sequence[int]) -> list[Relative]:
    """Return what versions were made from."""
    return _relatives(connection, _PARENTS_OF_CLAIMS, claims)


def parents_of_identities(connection: Connection, identities: Sequence[int]) -> list[Relative]:
    """Return what those versions were made from to which identities resolve."""
    return _relatives(connection, _PARENTS_OF_IDENTITIES, identities)


def children_of_claims(connection: Connection, claims: Sequence[int]) -> list[Relative]:
    """Return the versions that were made from versions."""
    return _relatives(connection, _CHILDREN_OF_CLAIMS, claims)


def children_of_files(connection: Connection, files: Sequence[int]) -> list[Relative]:
    """Return the versions that were made from any content of files."""
    return _relatives(connection, _CHILDREN_OF_FILES, files)


def _relatives(connection: Connection, statement: str, keys: Sequence[int]) -> list[Relative]:
    return list(map(Relative._make, select_among(connection, statement, keys)))
