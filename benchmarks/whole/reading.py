"""Measures reading in process: a file by its name, and the ancestry of a merge of 4,000 files."""

import random
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

from sqlalchemy import Connection

from benchmarks.campaign import CONCAT, EXPERIMENT, UNITS
from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.histories.walks import (
    WalkedFile,
    walk_ancestors,
    walk_descendants,
)
from jobprov.provenance.db.queries.lookup.files.focus import focus_of
from jobprov.provenance.services.lookup.file import find_file, show_file

RAW_FILE = "nova_r00000_s0500.raw.root"
LOOKUPS = 2000
WALKS = 7

_RAW_LOOKUP = """
SELECT f.id, c.job_id, c.event_count, j.uuid FROM files f JOIN claims c ON c.file_id = f.id JOIN jobs j ON j.id = c.job_id
WHERE f.name = {mark}
"""
_RAW_ANCESTORS = """
WITH RECURSIVE up(identity_id) AS (
    SELECT p.identity_id FROM files f JOIN claims c ON c.file_id = f.id JOIN parents p ON p.claim_id = c.id WHERE f.name = {mark}
    UNION
    SELECT p.identity_id FROM up CROSS JOIN producers r CROSS JOIN parents p
    WHERE r.identity_id = up.identity_id AND p.claim_id = r.claim_id
)
SELECT f.name, f.namespace, j.uuid FROM up CROSS JOIN identities i CROSS JOIN files f
LEFT JOIN producers r ON r.identity_id = up.identity_id LEFT JOIN claims c ON c.id = r.claim_id LEFT JOIN jobs j ON j.id = c.job_id
WHERE i.id = up.identity_id AND f.id = i.file_id
"""


def file_names(trees: int) -> list[str]:
    """Return names of files of the campaign, the same ones each time."""
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    return [
        f"nova_r{chance.randrange(trees):05d}_s{chance.randrange(UNITS):04d}."
        f"{chance.choice(('artdaq', 'reco', 'pid'))}.root"
        for _ in range(LOOKUPS)
    ]


def lookup_waits(connection: Connection, names: list[str]) -> list[float]:
    """Return the seconds that finding each file, its producer and configuration's job took."""
    return [
        _timed(lambda name=name: find_file(connection, name, experiment=EXPERIMENT))
        for name in names
    ]  # type: ignore[misc]


def page_waits(connection: Connection, names: list[str]) -> list[float]:
    """Return the seconds that everything which the page of each file shows took."""
    return [
        _timed(lambda name=name: show_file(connection, name, experiment=EXPERIMENT))
        for name in names
    ]  # type: ignore[misc]


def raw_lookup_waits(connection: Connection, names: list[str]) -> list[float]:
    """Return the seconds of one plain statement a name: file, claims, jobs."""
    statement = _RAW_LOOKUP.format(mark=_mark(connection))
    return [_timed(lambda name=name: _fetch(connection, statement, name)) for name in names]  # type: ignore[misc]


def walked_ancestors(connection: Connection, name: str) -> list[WalkedFile]:
    """Return every file of the history of a file of the campaign."""
    file = find_file(connection, name, experiment=EXPERIMENT)
    claim = focus_of(connection, file.id).claim_id
    return walk_ancestors(connection, claim) if claim is not None else []


def walked_descendants(connection: Connection, name: str) -> list[WalkedFile]:
    """Return every file that was made from a file of the campaign."""
    file = find_file(connection, name, experiment=EXPERIMENT)
    return walk_descendants(connection, None, file=file.id)


def ancestor_waits(connection: Connection, tree: int) -> tuple[list[float], int]:
    """Return the seconds of listing all ancestors of a concat several times, and their number."""
    name = CONCAT.format(tree=tree)
    return [_timed(lambda: walked_ancestors(connection, name)) for _ in range(WALKS)], len(
        walked_ancestors(connection, name)
    )


def descendant_waits(connection: Connection, name: str) -> tuple[list[float], int]:
    """Return the seconds of listing all descendants of a file several times, and their number."""
    found = len(walked_descendants(connection, name))
    return [_timed(lambda: walked_descendants(connection, name)) for _ in range(WALKS)], found


def usual_waits(service: Service) -> dict[str, float]:
    """Return the milliseconds of what is asked most, of files of the first tree.

    They are there in a small campaign, too.
    """
    with service.reading() as connection:
        # Into the caches, and statements are prepared, as in a service that runs
        _usual_waits(connection)
        return _usual_waits(connection)


def _usual_waits(connection: Connection) -> dict[str, float]:
    names = file_names(1)
    return {
        "file by name": middle(lookup_waits(connection, names)),
        "a file's page": middle(page_waits(connection, names[:500])),
        "all ancestors of a concat": middle(ancestor_waits(connection, 0)[0]),
        "descendants of a raw file": middle(descendant_waits(connection, RAW_FILE)[0]),
    }


def raw_ancestor_waits(connection: Connection, tree: int) -> list[float]:
    """Return the seconds of one recursive statement, run several times.

    It asks for all ancestors and the jobs that made them.
    """
    statement = _RAW_ANCESTORS.format(mark=_mark(connection))
    return [
        _timed(lambda: _fetch(connection, statement, CONCAT.format(tree=tree)))
        for _ in range(WALKS)
    ]


def middle(waits: list[float]) -> float:
    """Return the median in milliseconds."""
    return median(waits) * 1e3


def slowest_hundredth(waits: list[float]) -> float:
    """Return the 99th percentile in milliseconds."""
    return quantiles(waits, n=100)[98] * 1e3


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _fetch(connection: Connection, statement: str, name: str) -> list[Any]:
    """Fetch through the driver itself, so that the limit has no layer above it."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, (name,))
    return list(cursor.fetchall())


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.name == "sqlite" else "%s"
