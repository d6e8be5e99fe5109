"""The software entry to be resolved, with its own repository and ref, or those of a product map."""

from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.code.products import ProductMap, product_maps, unsourced_entry
from jobprov.provenance.db.queries.code.repositories import RegisteredRepository
from jobprov.provenance.db.queries.code.software import first_user_of_entry, unresolved_entry
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
        experiment: key of the experiment that used it first; the resolution is in its ledger.
        product_map: the map that gave the repository; None where the entry names it itself.
    """

    sha256: str
    software: Software
    repository: RegisteredRepository
    experiment: int
    product_map: ProductMap | None = None


def read_wanted(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry with this digest.

    Return None if it is resolved already, or if no registered repository is known for it.

    Raises:
        SoftwareError: it is of a mapped product whose version gives no tag.
    """
    entry = unresolved_entry(connection, sha256)
    if entry is None:
        return _read_product(connection, sha256)
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None:
        return None
    return WantedCode(sha256, entry.software, entry.repository, experiment)


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
    if tried is None:
        return True
    current = product_maps(connection).get((tried.name, tried.manager))
    if current is None:
        return False
    is_same_repository = current.repository.id == wanted.repository.id
    return is_same_repository and current.template == tried.template
