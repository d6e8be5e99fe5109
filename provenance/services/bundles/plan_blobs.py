"""Which blobs a bundle plan names.

This also finds those that were generated for plans that were erased, and for nobody else.
"""

import json
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, select

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.bundle.plan import Plan
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.holdings.blob_users import plan_digests
from jobprov.provenance.db.tables import CapsuleRow, ErasedBytes, Possession, Resolution
from jobprov.provenance.errors import BundleError
from jobprov.provenance.services.code.submodules import packs_of_submodules


def named_in_plan(store: Store, sha256: str) -> set[str]:
    """Return the blobs that a stored plan names; as far as it can be read."""
    try:
        data = store.get(sha256)
    except ArchiveError:
        return set()  # a check reports it as a blob of its own
    try:
        return Plan.from_bytes(data, store.get).blobs()
    except (ArchiveError, BundleError):
        # A fragment is damaged or gone: it is reported, and what it names with it
        return Plan.named_in(data)


def packs_of_code(connection: Connection) -> Iterator[str]:
    """Yield the packs of all code that was resolved, those of submodules too."""
    packs = select(Resolution.pack_sha256).where(Resolution.pack_sha256.is_not(None)).distinct()
    yield from [sha256 for (sha256,) in connection.execute(packs) if sha256]
    inner = select(Resolution.document).where(Resolution.document.contains("submodules"))
    for (document,) in connection.execute(inner):
        yield from packs_of_submodules(json.loads(document))


def live_plans(connection: Connection) -> list[str]:
    """Return the digests of all bundle plans but those that were erased."""
    erased = {row[0] for row in connection.execute(select(ErasedBytes.sha256))}
    return [sha256 for sha256 in plan_digests(connection) if sha256 not in erased]


def generated_by(connection: Connection, store: Store, plans: Collection[str]) -> set[str]:
    """Return the blobs that were generated for some plans.

    All that they name, but for code, capsules and what somebody sent.
    """
    found: set[str] = set().union(*(named_in_plan(store, sha256) for sha256 in plans))
    if not found:
        return found
    found -= set(packs_of_code(connection))
    found -= {row[0] for row in connection.execute(select(CapsuleRow.sha256))}
    for part in chunks(sorted(found)):
        query = select(Possession.sha256).where(Possession.sha256.in_(part))
        found -= {row[0] for row in connection.execute(query)}
    return found


def generated_for_nobody_else(
    connection: Connection, store: Store, plans: Collection[str]
) -> set[str]:
    """Return the blobs that were generated for these plans and that nobody else needs.

    No plan that was not erased names them. All plans are read for this.
    """
    found = generated_by(connection, store, plans)
    for sha256 in live_plans(connection) if found else ():
        if sha256 not in plans:
            found -= named_in_plan(store, sha256)
    return found
