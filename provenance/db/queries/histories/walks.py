"""Walks through the lineage graph.

Whole ancestries take one recursive statement; neighbourhoods are walked level by level.

The graph alternates identities and claims (tables/files.py). A job's output never satisfies its own
input (record.md): what a job reads under the name of what it writes is another file, of which
nobody is known to be the maker.

A recursive statement joins with UNION on integers, so that cycles in what clients sent end it; what
follows the recursion is a CROSS JOIN, since SQLite plans a plain JOIN there by scanning the other
table (450 times slower on mid-size tables; docs/decisions/0003-cross-join-after-recursion.md).
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, text

from jobprov.provenance.db.composed import run
from jobprov.provenance.db.queries.histories.own_inputs import MetRow, without_own_outputs
from jobprov.provenance.db.time_limits import time_limit

MOST_FILES = 100_000

_STEPS = {
    "identity_id": """
    SELECT p.identity_id
    FROM met
    CROSS JOIN producers AS r
    CROSS JOIN parents AS p
    WHERE r.identity_id = met.identity_id AND p.claim_id = r.claim_id
""",
    "claim_id": """
    SELECT p.claim_id
    FROM met
    CROSS JOIN claims AS c
    CROSS JOIN producers AS r
    CROSS JOIN parents AS p
    CROSS JOIN claims AS k
    WHERE c.id = met.claim_id AND r.claim_id = c.id AND p.identity_id = r.identity_id AND k.id = p.claim_id
    AND (k.job_id <> c.job_id OR NOT EXISTS (SELECT 1 FROM mentions AS m WHERE m.identity_id = p.identity_id AND m.job_id = c.job_id))
""",
}
"""One step of the walk, by the column that is met.

`identity_id` leads to the identities that others were made from, `claim_id` to the claims that were
made from others.

From identities the step takes a job's own outputs for its inputs as well: which job reads is not
known there. `own_inputs.py` takes back what that leads to, where there is any; the rows say so by
`is_own`.
"""


def _walk_from(seeds: str, column: str, name: str) -> str:
    """Return the beginning of a statement: `name` holds what the seeds lead to, `:most` at most.

    The limit stands outside the recursion, since PostgreSQL takes none inside; both evaluate no
    more rows than are asked for. The seeds have one of their own: all of them are met before the
    first step, and a million jobs may have read the one file.
    """
    return (
        f"WITH RECURSIVE met({column}) AS (SELECT * FROM ({seeds} LIMIT :most) AS seeds UNION {_STEPS[column]}), "  # noqa: S608 - texts of this module
        f"{name} AS (SELECT {column} FROM met LIMIT :most)\n"
    )


_ANCESTORS = _walk_from(
    "SELECT identity_id FROM parents WHERE claim_id = :claim", "identity_id", "up"
)

# another name of the same bytes is a claim of the same job
_DESCENDANTS = _walk_from(
    """
    SELECT p.claim_id
    FROM (
        SELECT r.identity_id, c.job_id
        FROM claims AS own
        CROSS JOIN claims AS c
        CROSS JOIN producers AS r
        WHERE own.id = :claim AND c.job_id = own.job_id AND coalesce(c.alias_of, c.id) = coalesce(own.alias_of, own.id)
        AND r.claim_id = c.id
        UNION ALL
        SELECT r.identity_id, c.job_id
        FROM claims AS own
        CROSS JOIN claims AS c
        CROSS JOIN producers AS r
        WHERE own.file_id = :file AND c.job_id = own.job_id AND c.file_id <> own.file_id
        AND coalesce(c.alias_of, c.id) = coalesce(own.alias_of, own.id) AND r.claim_id = c.id
        UNION ALL
        SELECT id, -1 FROM identities WHERE file_id = :file
    ) AS seed
    CROSS JOIN parents AS p
    CROSS JOIN claims AS k
    WHERE p.identity_id = seed.identity_id AND k.id = p.claim_id
    AND (
        k.job_id <> seed.job_id
        OR NOT EXISTS (SELECT 1 FROM mentions AS m WHERE m.identity_id = p.identity_id AND m.job_id = seed.job_id)
    )
""",
    "claim_id",
    "down",
)

_LISTED = {
    "sqlite": "SELECT value FROM json_each(:seeds)",
    "postgresql": "SELECT unnest(CAST(:seeds AS bigint[]))",
}

_ANCESTOR_ROWS = text(
    _ANCESTORS  # noqa: S608 - texts of this module
    + """
SELECT f.id AS file_id, f.name, f.namespace, f.experiment_id, r.claim_id, c.job_id, up.identity_id,
    EXISTS (
        SELECT 1
        FROM mentions AS m
        WHERE m.identity_id = up.identity_id AND m.job_id = c.job_id
    ) AS is_own
FROM up
CROSS JOIN identities AS i
CROSS JOIN files AS f
LEFT JOIN producers AS r ON r.identity_id = up.identity_id
LEFT JOIN claims AS c ON c.id = r.claim_id
WHERE i.id = up.identity_id AND f.id = i.file_id
"""
)

_DESCENDANT_ROWS = text(
    _DESCENDANTS
    + """
SELECT f.id AS file_id, f.name, f.namespace, f.experiment_id, c.id AS claim_id, c.job_id, -1, false
FROM down
CROSS JOIN claims AS c
CROSS JOIN files AS f
WHERE c.id = down.claim_id AND f.id = c.file_id
"""
)

# `CROSS JOIN ... LEFT JOIN`: an identity that nobody claims is a placeholder, and stays
_ANCESTOR_EDGES = text(
    _ANCESTORS  # noqa: S608 - texts of this module
    + """
SELECT up.identity_id, i.file_id, r.claim_id, r.is_sure, c.job_id,
    EXISTS (
        SELECT 1
        FROM mentions AS m
        WHERE m.identity_id = up.identity_id AND m.job_id = c.job_id
    ) AS is_own
FROM up
CROSS JOIN identities AS i
LEFT JOIN producers AS r ON r.identity_id = up.identity_id
LEFT JOIN claims AS c ON c.id = r.claim_id
WHERE i.id = up.identity_id
"""
)

_DESCENDANT_CLAIMS = text(
    _DESCENDANTS
    + """
SELECT down.claim_id, c.job_id FROM down CROSS JOIN claims AS c WHERE c.id = down.claim_id
"""
)

_READERS = text(
    _DESCENDANTS
    + """
SELECT DISTINCT m.job_id
FROM down
CROSS JOIN producers AS r
CROSS JOIN mentions AS m
WHERE r.claim_id = down.claim_id AND m.identity_id = r.identity_id
LIMIT :most
"""
)


class WalkedFile(NamedTuple):
    """A file that a walk met.

    Attributes:
        experiment_id: key of its experiment.
        claim_id: the claim it resolves to; None for a placeholder, whose producer is not recorded.
        job_id: integer key of the producing job, or None.
        identity_id: which content of it was read; -1 where a walk goes from claim to claim.
        is_own: the job also reads what it makes here; see `own_inputs.py`.
    """

    file_id: int
    name: str
    namespace: str
    experiment_id: int
    claim_id: int | None
    job_id: int | None
    identity_id: int = -1
    is_own: bool = False


class MetIdentity(NamedTuple):
    """An identity that something was made from, with one claim that it resolves to.

    A placeholder has no claim; see `WalkedFile`.

    Truth values are as the driver gives them, SQLite's as integers: to turn each into another takes
    as long as to read it.
    """

    identity_id: int
    file_id: int
    claim_id: int | None
    is_sure: int | None
    job_id: int | None
    is_own: int


def walk_ancestors(
    connection: Connection, claim: int, *, most: int = MOST_FILES
) -> list[WalkedFile]:
    """Return every file that the claim was made from, at any depth, in no order; at most `most`.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    with time_limit(connection):
        return without_own_outputs(
            connection, claim, _walk(connection, _ANCESTOR_ROWS, {"claim": claim, "most": most})
        )


def walk_descendants(
    connection: Connection, claim: int | None, *, file: int | None = None, most: int = MOST_FILES
) -> list[WalkedFile]:
    """Return every file that was made from the claim, or from any content of a `file`.

    They lie at any depth and come in no order; there are at most `most`.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    with time_limit(connection):
        return _walk(connection, _DESCENDANT_ROWS, _start(claim, file, most))


def met_count(walked: Sequence[MetRow]) -> int:
    """Return how many rows of a walk its limit counts.

    An identity stands there once for each of perhaps very many jobs that made it.
    """
    return len({row.identity_id for row in walked if row.identity_id >= 0}) + sum(
        row.identity_id < 0 for row in walked
    )


def met_identities(
    connection: Connection, claim: int, *, most: int = MOST_FILES
) -> list[MetIdentity]:
    """Return every identity that the claim was made from, once for each claim it resolves to.

    They lie at any depth.
    """
    rows = run(connection, _ANCESTOR_EDGES, {"claim": claim, "most": most})
    return without_own_outputs(connection, claim, list(map(MetIdentity._make, rows)))


def met_claims(
    connection: Connection, claim: int | None, *, file: int | None = None, most: int = MOST_FILES
) -> dict[int, int]:
    """Return the job of every claim made from the claim, or from any content of a `file`.

    The claims lie at any depth.
    """
    return dict(run(connection, _DESCENDANT_CLAIMS, _start(claim, file, most)))


def readers_of_descendants(
    connection: Connection, claim: int | None, *, file: int | None = None, most: int
) -> set[int]:
    """Return the jobs that read what `met_claims` returns, those without an output among them.

    There are at most `most`.
    """
    return {row[0] for row in run(connection, _READERS, _start(claim, file, most))}


def with_descendants(connection: Connection, claims: Sequence[int], *, most: int) -> list[int]:
    """Return these claims and all that was made from them at any depth, in the order of keys.

    There are at most `most`.
    """
    dialect = connection.dialect.name
    seeds: Any = json.dumps(list(claims)) if dialect == "sqlite" else list(claims)
    statement = text(
        f"{_walk_from(_LISTED[dialect], 'claim_id', 'down')} SELECT claim_id FROM down"  # noqa: S608
    )
    return sorted(row[0] for row in connection.execute(statement, {"seeds": seeds, "most": most}))


def _start(claim: int | None, file: int | None, most: int) -> dict[str, int]:
    """Return the parameters of a walk; no row has the key -1."""
    return {
        "claim": -1 if claim is None else claim,
        "file": -1 if claim is not None or file is None else file,
        "most": most,
    }


def _walk(
    connection: Connection, statement: TextClause, parameters: dict[str, int]
) -> list[WalkedFile]:
    return list(map(WalkedFile._make, run(connection, statement, parameters)))
