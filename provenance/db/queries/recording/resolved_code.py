"""Which software entries have a commit in a mirror."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.statements.selecting import select_by
from jobprov.provenance.db.tables import Resolution, SoftwareRow
from jobprov.provenance.db.tables.base import table_of


class StoredResolution(NamedTuple):
    """What a ref or version meant; `match_key` names the repository."""

    match_key: str
    document: Mapping[str, Any]


def resolutions_of(connection: Connection, digests: Sequence[str]) -> dict[str, StoredResolution]:
    """Return the resolutions of software entries, by digest; those without one are left out."""
    rows = select_by(connection, table_of(SoftwareRow), ("resolution_id",), ("sha256",), digests)
    keys = {digest: row[0] for digest, row in rows.items() if row[0] is not None}
    documents = select_by(
        connection,
        table_of(Resolution),
        ("match_key", "document"),
        ("id",),
        sorted(set(keys.values())),
    )
    # Many entries share a resolution: each is decoded once
    resolutions: dict[int, StoredResolution] = {}
    for key, (match_key, document) in documents.items():
        resolutions[key] = StoredResolution(match_key, json.loads(document))
    return {digest: resolutions[key] for digest, key in keys.items()}


def registered_match_keys(connection: Connection) -> set[str]:
    """Return the addresses of all registered repositories, in the form in which they compare."""
    return {row[0] for row in fetch(connection, "SELECT match_key FROM repositories")}
