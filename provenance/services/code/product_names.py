"""Lists the products that records name without a repository, mapped by an operator or not."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.answers.code import (
    MappedProduct,
    Products,
    UnmappedProduct,
    UnresolvedVersion,
)
from jobprov.provenance.db.queries.code.products import (
    ProductMap,
    Unsourced,
    list_counts,
    product_maps,
    unsourced_entries,
)
from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.services.code.products import failures, is_by, map_of, product_tag

_Key = tuple[str, str]
"""Name and manager of a product, or of its map."""


def list_products(connection: Connection) -> Products:
    """Return the products that operators mapped, and the others."""
    maps = product_maps(connection)
    mapped: dict[_Key, list[Unsourced]] = {key: [] for key in maps}
    others: dict[_Key, list[Unsourced]] = defaultdict(list)
    # A product that is mapped and one that is not may have the same name and manager
    groups: dict[int, tuple[bool, _Key]] = {}
    for entry in unsourced_entries(connection):
        product_map = map_of(maps, entry.software)
        if product_map is not None:
            key = (product_map.name, product_map.manager)
            mapped[key].append(entry)
        else:
            key = (entry.software.name or "", _manager(entry))
            others[key].append(entry)
        groups[entry.id] = product_map is not None, key
    counts = list_counts(connection, groups)

    mapped_products = []
    for key in sorted(maps):
        lists = counts[True, key]
        mapped_products.append(_mapped_product(connection, maps[key], mapped[key], lists=lists))
    unmapped_products = []
    for (name, manager), entries in others.items():
        if name:
            lists = counts[False, (name, manager)]
            versions = len(_versions(entries))
            unmapped_products.append(UnmappedProduct(name, manager or None, lists, versions))
    unmapped_products.sort(key=lambda row: (-row.lists, row.name, str(row.manager)))
    return Products(mapped_products, unmapped_products)


def _mapped_product(
    connection: Connection, product_map: ProductMap, entries: Sequence[Unsourced], *, lists: int
) -> MappedProduct:
    waiting = {entry.sha256: entry for entry in entries if not is_by(entry, product_map)}
    problems = failures(connection, list(waiting))
    unresolved: dict[str, UnresolvedVersion] = {}
    for sha256, entry in waiting.items():
        version = _version(entry)
        unresolved[version] = _unresolved_version(
            product_map, entry, version, problem=problems.get(sha256)
        )
    versions = _versions(entries)
    return MappedProduct(
        name=product_map.name,
        manager=product_map.manager or None,
        repository=product_map.repository.name,
        ref=product_map.template,
        versions=len(versions),
        resolved=len(versions - unresolved.keys()),
        unresolved=[unresolved[version] for version in sorted(unresolved)],
        lists=lists,
    )


def _unresolved_version(
    product_map: ProductMap, entry: Unsourced, version: str, *, problem: str | None
) -> UnresolvedVersion:
    """Return the tag that an entry's version names, and why it is not resolved yet."""
    try:
        tag = product_tag(product_map, entry.software)
    except SoftwareError as error:
        return UnresolvedVersion(version, None, str(error))
    return UnresolvedVersion(version, tag, problem or "not tried yet")


def _version(entry: Unsourced) -> str:
    product = entry.software.product
    return (product.version if product else None) or ""


def _manager(entry: Unsourced) -> str:
    product = entry.software.product
    return (product.manager if product else None) or ""


def _versions(entries: Sequence[Unsourced]) -> set[str]:
    return {_version(entry) for entry in entries if entry.software.product}
