"""The blobs that bundle plans name, and which of them only erased plans needed."""

import json
from collections.abc import Collection, Iterator

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.queries.code.resolutions import (
    resolutions_with_submodules,
    resolved_packs,
)
from jobprov.provenance.db.queries.holdings.erasures import all_erased
from jobprov.provenance.db.queries.holdings.expiry import needed_by_nobody
from jobprov.provenance.db.queries.holdings.plans import plan_digests
from jobprov.provenance.db.queries.reruns.capsules import capsule_digests
from jobprov.provenance.errors import BundleError
from jobprov.provenance.services.bundles.packed_plans import blobs_of, template_of, unpack_plan
from jobprov.provenance.services.code.submodules import packs_of_submodules


def named_in_plan(store: Store, sha256: str) -> set[str]:
    """Return the blobs that a stored plan names, as far as it can be read."""
    try:
        data = store.get(sha256)
    except ArchiveError:
        # A damaged plan names nothing; the check of the archive reports it
        return set()
    template = {template_of(data)} - {""}
    try:
        return template | unpack_plan(data, store.get).blobs()
    except (ArchiveError, BundleError):
        # A fragment is damaged or gone: return at least what the plan itself names, the fragment too
        return template | _named_by_itself(store, data)


def _named_by_itself(store: Store, data: bytes) -> set[str]:
    try:
        return blobs_of(data, store.get)
    except ArchiveError:
        return set()  # its template is damaged or gone


def generated_bytes(store: Store, sha256: str) -> bytes:
    """Return the files that were generated for a stored plan, as far as it can be read."""
    try:
        return b"".join(unpack_plan(store.get(sha256), store.get).generated.values())
    except (ArchiveError, BundleError):
        return b""


def packs_of_code(connection: Connection) -> Iterator[str]:
    """Yield the digests of the packs of all resolved code, including submodules."""
    yield from resolved_packs(connection)
    for document in resolutions_with_submodules(connection):
        yield from packs_of_submodules(json.loads(document))


def live_plans(connection: Connection) -> list[str]:
    """Return the digests of all bundle plans that were not erased."""
    erased = all_erased(connection)
    return [sha256 for sha256 in plan_digests(connection) if sha256 not in erased]


def generated_by(connection: Connection, store: Store, plans: Collection[str]) -> set[str]:
    """Return the blobs that were generated for these plans.

    They are all that the plans name, except for code, capsules and what somebody sent.
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
    """Return the blobs that were generated for these plans and that no other live plan names.

    Every plan is read for this.
    """
    generated = generated_by(connection, store, plans)
    if not generated:
        return generated
    for plan in live_plans(connection):
        if plan not in plans:
            generated -= named_in_plan(store, plan)
    return generated
