"""The software entry to be resolved, with its own repository and ref, or those of a product map."""

import json
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.code.products import ProductMap, product_maps, unsourced_entry
from jobprov.provenance.db.queries.code.repositories import RegisteredRepository
from jobprov.provenance.db.queries.code.software import (
    carried_entry,
    first_user_of_entry,
    unresolved_entry,
)
from jobprov.provenance.db.queries.holdings.possessions import possesses
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.services.code.products import (
    inferred,
    is_by,
    map_of,
    product_tag,
)


class WantedCode(NamedTuple):
    """A software entry to be resolved, and its repository.

    Attributes:
        repository: None where a job sent everything, and no repository is registered.
        experiment: key of the experiment that used it first; the resolution is in its ledger.
        product_map: the map that gave the repository; None where the entry names it itself.
    """

    sha256: str
    software: Software
    repository: RegisteredRepository | None
    experiment: int
    product_map: ProductMap | None = None


def read_wanted(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry with this digest.

    Return None if it is resolved already, or if neither a registered repository nor objects that
    came with a record are known for it.

    Raises:
        SoftwareError: it is of a mapped product whose version gives no tag.
    """
    entry = unresolved_entry(connection, sha256)
    if entry is None:
        return _read_carried(connection, sha256) or _read_product(connection, sha256)
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None:
        return None
    return WantedCode(sha256, entry.software, entry.repository, experiment)


def _read_carried(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry if the objects that came for it give more than it is resolved to.

    That is so if they came late, or if its checkout had no remote, so that they are the whole tree.
    """
    entry = carried_entry(connection, sha256)
    if entry is None or entry.software.objects_sha256 is None:
        return None
    if entry.resolution is None:
        if not is_carried_whole(entry.software):
            return None
    elif not entry.software.worktree_tree or json.loads(entry.resolution).get("worktree_tree"):
        return None
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None or not possesses(connection, experiment, entry.software.objects_sha256):
        return None
    return WantedCode(sha256, entry.software, entry.repository, experiment)


def is_carried_whole(software: Software) -> bool:
    """Return whether a record brings all objects of a commit: its checkout had no remote."""
    return bool(software.objects_sha256 and (software.repository or "").startswith("/"))


def _read_product(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry if it is of a mapped product; None if it is not, or is resolved by the map.

    Raises:
        SoftwareError: its version gives no tag.
    """
    maps = product_maps(connection)
    entry = unsourced_entry(connection, sha256) if maps else None
    if entry is None:
        return None
    product_map = map_of(maps, entry.software)
    if product_map is None or is_by(entry, product_map):
        return None
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None:
        return None
    software = inferred(entry.software, product_tag(product_map, entry.software))
    return WantedCode(sha256, software, product_map.repository, experiment, product_map)


def is_still_wanted(connection: Connection, wanted: WantedCode) -> bool:
    """Whether the product's map is still the one by which its code was looked for.

    A fetch takes minutes, and an operator may have changed the map meanwhile.
    """
    tried = wanted.product_map
    if tried is None or wanted.repository is None:
        return True
    current = product_maps(connection).get((tried.name, tried.manager))
    if current is None:
        return False
    is_same_repository = current.repository.id == wanted.repository.id
    return is_same_repository and current.template == tried.template
