"""From which repository an installed product is built: by an operator's map, or by its name.

A registered repository that has a product's name holds the source of the product, unless an
operator mapped the product to another one. `-` and `_`, and the case of letters, are the same in
such names: UPS's `art_root_io` is built from `art-root-io`.
"""

import posixpath
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.code.products import (
    ProductMap,
    Unsourced,
    product_maps,
    unsourced_entries,
)
from jobprov.provenance.db.queries.code.repositories import (
    RegisteredRepository,
    has_repositories,
    registered_repositories,
)
from jobprov.provenance.records.job_record import Product, Software
from jobprov.provenance.software.product_tags import USUAL_TEMPLATES, tag_of


class ProductMaps(NamedTuple):
    """What products are built from.

    Attributes:
        mapped: what operators said, by name and manager of the product; '' for any manager.
        named_alike: repositories by `_usual_name`.
    """

    mapped: Mapping[tuple[str, str], ProductMap]
    named_alike: Mapping[str, RegisteredRepository]

    def of(self, entry: Software) -> ProductMap | None:
        """Return the map of an entry's product; None if there is none, or none is needed."""
        if not is_unsourced(entry) or entry.name is None:
            return None
        return self.of_product(entry.name, manager_of(entry))

    def of_product(self, name: str, manager: str) -> ProductMap | None:
        """Return the map of a product.

        What an operator said goes before the repository of its name, and what was said of its
        package manager before what was said of any.
        """
        product_map = self.mapped.get((name, manager)) or self.mapped.get((name, ""))
        if product_map is not None:
            return product_map
        repository = self.named_alike.get(_usual_name(name))
        if repository is None:
            return None
        return ProductMap(name, "", USUAL_TEMPLATES, repository, is_by_name=True)


def read_product_maps(connection: Connection) -> ProductMaps:
    """Return the maps of products as they are now; without a repository, by one small query."""
    if not has_repositories(connection):
        return ProductMaps({}, {})
    return ProductMaps(product_maps(connection), _by_name(registered_repositories(connection)))


def _by_name(repositories: Sequence[RegisteredRepository]) -> dict[str, RegisteredRepository]:
    """Return the repositories by their registered names, and by those that addresses end with.

    An address counts only where it is the only one with that end, as forks have the same.
    """
    ends: dict[str, list[RegisteredRepository]] = {}
    for repository in repositories:
        end = _usual_name(posixpath.basename(repository.match_key))
        ends.setdefault(end, []).append(repository)
    by_name = {name: alike[0] for name, alike in ends.items() if len(alike) == 1}
    for repository in repositories:
        by_name[_usual_name(repository.name)] = repository
    return by_name


def _usual_name(name: str) -> str:
    return name.lower().replace("_", "-")


def manager_of(entry: Software) -> str:
    """Return the package manager of an entry's product; empty where it names none."""
    return (entry.product or Product()).manager or ""


def is_unsourced(entry: Software) -> bool:
    """Whether an entry names a product and nothing else about where its code is from."""
    says_its_source = entry.repository or entry.revision or entry.requested_ref or entry.tarball
    return entry.product is not None and not says_its_source


def is_by(entry: Unsourced, product_map: ProductMap) -> bool:
    """Whether an entry is already resolved by this map's repository and an operator's template."""
    if entry.resolution is None or entry.match_key != product_map.repository.match_key:
        return False
    return product_map.is_by_name or entry.resolution.get("template") in product_map.templates


def product_tags(product_map: ProductMap, entry: Software) -> dict[str, str]:
    """Return the tags that an entry's version may have, likeliest first, each with its template.

    Raises:
        SoftwareError: its version names none.
    """
    version = (entry.product or Product()).version or ""
    tags: dict[str, str] = {}
    for template in product_map.templates:
        tags.setdefault(tag_of(template, product_map.name, version), template)
    return tags


def waiting_products(connection: Connection, repository: int) -> list[str]:
    """Return the digests of the entries whose products are built from a repository.

    Without those that are resolved by it.
    """
    maps = read_product_maps(connection)
    digests = []
    for entry in unsourced_entries(connection):
        product_map = maps.of(entry.software)
        if product_map is None or product_map.repository.id != repository:
            continue
        if not is_by(entry, product_map):
            digests.append(entry.sha256)
    return digests
