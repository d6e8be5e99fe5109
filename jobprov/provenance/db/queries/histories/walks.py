"""Walks through the whole lineage graph, each with one recursive statement.

The graph alternates identities and claims (tables/files.py). A job's output never counts as its own
input (record.md): what a job reads under the name of its own output is another file, whose maker is
unknown.

The recursion uses UNION on integers, which drops rows met before, so that circles in what clients
sent end. After the recursion, tables are joined by CROSS JOIN: with a plain JOIN, SQLite would scan
the other table (450 times slower on mid-size tables;
docs/decisions/0003-cross-join-after-recursion.md).
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, bindparam, select, text

from jobprov.provenance.answers.histories.lineage import HistoryFile
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.histories.own_inputs import MetRow, without_own_outputs
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import Experiment, Job

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
    WHERE c.id = met.claim_id AND r.claim_id = c.id
    AND p.identity_id = r.identity_id AND k.id = p.claim_id
    AND (k.job_id <> c.job_id OR NOT EXISTS (
        SELECT 1 FROM mentions AS m WHERE m.identity_id = p.identity_id AND m.job_id = c.job_id
    ))
""",
}
"""One step of the walk, by the column that it collects.

`identity_id` walks back, to the identities that a claim was made from; `claim_id` walks on, to the
claims that were made from a claim.

The step back also follows inputs with the name of a job's own output, since an identity does not
name the job that reads it. Rows of such inputs have `is_own`, and `own_inputs.py` removes what was
reached only through them.
"""
_JOB_IDS = select(Job.id, Job.uuid).where(Job.id.in_(bindparam("jobs", expanding=True)))
_EXPERIMENTS = select(Experiment.id, Experiment.name)


def _walk_from(seeds: str, column: str, name: str) -> str:
    """Return the beginning of a statement: `name` holds what the seeds lead to.

    These are `:most` rows at most.

    The limit is outside the recursion, since PostgreSQL allows none inside; both databases evaluate
    only as many rows as are asked for. The seeds have a limit of their own, because all of them are
    read before the first step, and a million jobs may have read the one file.
    """
    return f"""
WITH RECURSIVE met({column}) AS (
    SELECT * FROM ({seeds} LIMIT :most) AS seeds UNION {_STEPS[column]}
), {name} AS (SELECT {column} FROM met LIMIT :most)
"""  # noqa: S608 - texts of this module


_ANCESTORS = _walk_from(
    "SELECT identity_id FROM parents WHERE claim_id = :claim", "identity_id", "up"
)

# Not by the job, which may have ten thousand claims
_IS_OTHER_NAME = """(
    c.id = coalesce(own.alias_of, own.id) OR c.alias_of = coalesce(own.alias_of, own.id)
)"""

# The seeds: what was made from the claim, under any of its names, or from any content of the file,
# under any of its names
_DESCENDANTS = _walk_from(
    f"""
    SELECT p.claim_id
    FROM (
        SELECT r.identity_id, c.job_id
        FROM claims AS own
        CROSS JOIN claims AS c
        CROSS JOIN producers AS r
        WHERE own.id = :claim AND r.claim_id = c.id AND {_IS_OTHER_NAME}
        UNION ALL
        SELECT r.identity_id, c.job_id
        FROM claims AS own
        CROSS JOIN claims AS c
        CROSS JOIN producers AS r
        WHERE own.file_id = :file AND c.file_id <> own.file_id AND r.claim_id = c.id
        AND {_IS_OTHER_NAME}
        UNION ALL
        SELECT id, -1 FROM identities WHERE file_id = :file
    ) AS seed
    CROSS JOIN parents AS p
    CROSS JOIN claims AS k
    WHERE p.identity_id = seed.identity_id AND k.id = p.claim_id
    AND (
        k.job_id <> seed.job_id
        OR NOT EXISTS (
            SELECT 1 FROM mentions AS m
            WHERE m.identity_id = p.identity_id AND m.job_id = seed.job_id
        )
    )
""",  # noqa: S608 - texts of this module
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

# LEFT JOIN: an identity that nobody claims is a placeholder, and must not be dropped
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
        claim_id: the claim it resolves to; None for a placeholder, whose maker is not recorded.
        job_id: integer key of the maker, or None.
        identity_id: which content of it was read; -1 in a walk from claim to claim.
        is_own: whether the maker also reads a file of this name; see `own_inputs.py`.
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

    A placeholder has no claim; see `WalkedFile`. Truth values are as the driver returns them (from
    SQLite as integers), since converting each takes as long as reading it.
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
    """Return every file that the claim was made from, at any depth, unordered, at most `most`.

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

    They are from any depth, unordered, at most `most`.

    Raises:
        LimitError: the walk took more than five seconds.
    """
    with time_limit(connection):
        return _walk(connection, _DESCENDANT_ROWS, _start(claim, file, most))


def met_count(walked: Sequence[MetRow]) -> int:
    """Return the number of results of a walk that its limit counts.

    An identity counts once, though it has a row for each of perhaps very many jobs that made it.
    """
    identities = {row.identity_id for row in walked if row.identity_id >= 0}
    claims = sum(row.identity_id < 0 for row in walked)
    return len(identities) + claims


def met_identities(
    connection: Connection, claim: int, *, most: int = MOST_FILES
) -> list[MetIdentity]:
    """Return every identity that the claim was made from, at any depth.

    There is a row for each claim that an identity resolves to.
    """
    rows = run(connection, _ANCESTOR_EDGES, {"claim": claim, "most": most})
    return without_own_outputs(connection, claim, list(map(MetIdentity._make, rows)))


def met_claims(
    connection: Connection, claim: int | None, *, file: int | None = None, most: int = MOST_FILES
) -> dict[int, int]:
    """Return every claim made from the claim, or from any content of a `file`, with its job.

    They are from any depth.
    """
    return dict(run(connection, _DESCENDANT_CLAIMS, _start(claim, file, most)))


def readers_of_descendants(
    connection: Connection, claim: int | None, *, file: int | None = None, most: int
) -> set[int]:
    """Return at most `most` jobs that read what `met_claims` returns, even without outputs."""
    return {row[0] for row in run(connection, _READERS, _start(claim, file, most))}


def with_descendants(connection: Connection, claims: Sequence[int], *, most: int) -> list[int]:
    """Return these claims and all claims made from them at any depth, sorted, at most `most`."""
    dialect = connection.dialect.name
    seeds: Any = json.dumps(list(claims)) if dialect == "sqlite" else list(claims)
    walk = _walk_from(_LISTED[dialect], "claim_id", "down")
    statement = text(f"{walk} SELECT claim_id FROM down")  # noqa: S608 - texts of this module
    return sorted(row[0] for row in connection.execute(statement, {"seeds": seeds, "most": most}))


def _start(claim: int | None, file: int | None, most: int) -> dict[str, int]:
    """Return the parameters of a walk. -1 means nothing: no row has that key."""
    return {
        "claim": -1 if claim is None else claim,
        "file": -1 if claim is not None or file is None else file,
        "most": most,
    }


def _walk(
    connection: Connection, statement: TextClause, parameters: dict[str, int]
) -> list[WalkedFile]:
    return list(map(WalkedFile._make, run(connection, statement, parameters)))


def listed_files(connection: Connection, walked: Sequence[WalkedFile]) -> list[HistoryFile]:
    """Return the files by name, each once for every job that may have made it."""
    makers = {row.job_id for row in walked if row.job_id is not None}
    job_ids: dict[int | None, str] = dict(run(connection, _JOB_IDS, {"jobs": sorted(makers)}))
    experiments: dict[int, str] = dict(run(connection, _EXPERIMENTS, {}))
    places = set()
    for row in walked:
        places.add(
            (row.name, row.namespace, experiments[row.experiment_id], job_ids.get(row.job_id, ""))
        )
    files = []
    for name, namespace, experiment, job_id in sorted(places):
        files.append(HistoryFile(name, namespace, experiment, job_id or None))
    return files
