"""The software entry that is to be resolved.

Its own repository and ref, or those that an operator says its product has.
"""

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
    """A software entry to be resolved, and the repository that it names.

    Attributes:
        product_map: what an operator says of the product, where the entry names no repository
            itself.
    """

    sha256: str
    software: Software
    repository: RegisteredRepository
    experiment: int
    product_map: ProductMap | None = None


def read_wanted(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry with this digest.

    None where it is resolved already or nobody says which repository it is of.

    Raises:
        SoftwareError: it is of a product that an operator mapped, and its version names no tag.
    """
    entry = unresolved_entry(connection, sha256)
    if entry is None:
        return _read_product(connection, sha256)
    experiment = first_user_of_entry(connection, entry.id)
    if experiment is None:
        return None
    return WantedCode(sha256, entry.software, entry.repository, experiment)


def _read_product(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry where it is of a product that an operator mapped.

    None where it is resolved as the map has it.

    Raises:
        SoftwareError: its version names no tag.
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
    """Whether no operator changed their mind about a product while its code was looked for."""
    tried = wanted.product_map
    if tried is None:
        return True
    current = product_maps(connection).get((tried.name, tried.manager))
    if current is None:
        return False
    is_same_repository = current.repository.id == wanted.repository.id
    return is_same_repository and current.template == tried.template
