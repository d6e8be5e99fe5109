"""Which blobs a bundle plan names.

This also finds those that were generated for plans that were erased, and for nobody else.
"""

import json
from collections.abc import Collection, Iterator

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.bundle.plan import Plan
from jobprov.provenance.db.queries.code.packs import resolutions_with_submodules, resolved_packs
from jobprov.provenance.db.queries.holdings.erasures import all_erased
from jobprov.provenance.db.queries.holdings.expiry import needed_by_nobody
from jobprov.provenance.db.queries.holdings.plans import plan_digests
from jobprov.provenance.db.queries.reruns.capsules import capsule_digests
from jobprov.provenance.errors import BundleError
from jobprov.provenance.services.code.submodules import packs_of_submodules


def named_in_plan(store: Store, sha256: str) -> set[str]:
    """Return the blobs that a stored plan names; as far as it can be read."""
    try:
        data = store.get(sha256)
    except ArchiveError:
        # A check of the archive reports the plan itself
        return set()
    try:
        return Plan.from_bytes(data, store.get).blobs()
    except (ArchiveError, BundleError):
        # A fragment is damaged or gone: it is reported, and what it names with it
        return Plan.named_in(data)


def packs_of_code(connection: Connection) -> Iterator[str]:
    """Yield the packs of all code that was resolved, those of submodules too."""
    yield from resolved_packs(connection)
    for document in resolutions_with_submodules(connection):
        yield from packs_of_submodules(json.loads(document))


def live_plans(connection: Connection) -> list[str]:
    """Return the digests of all bundle plans but those that were erased."""
    erased = all_erased(connection)
    return [sha256 for sha256 in plan_digests(connection) if sha256 not in erased]


def generated_by(connection: Connection, store: Store, plans: Collection[str]) -> set[str]:
    """Return the blobs that were generated for some plans.

    All that they name, but for code, capsules and what somebody sent.
    """
    named: set[str] = set()
    for plan in plans:
        named |= named_in_plan(store, plan)
    if not named:
        return named
    named -= set(packs_of_code(connection))
    named -= capsule_digests(connection)
    return set(needed_by_nobody(connection, named))


def generated_for_nobody_else(
    connection: Connection, store: Store, plans: Collection[str]
) -> set[str]:
    """Return the blobs that were generated for these plans and that nobody else needs.

    No plan that was not erased names them. All plans are read for this.
    """
    generated = generated_by(connection, store, plans)
    if not generated:
        return generated
    for plan in live_plans(connection):
        if plan not in plans:
            generated -= named_in_plan(store, plan)
    return generated
