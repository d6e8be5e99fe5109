"""Maps of products, and software entries that name a product but not where its code is from."""

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Select, select

from jobprov.provenance.db.queries.code.repositories import REPOSITORY_COLUMNS, RegisteredRepository
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables import (
    ProductMapRow,
    Repository,
    Resolution,
    SoftwareRow,
    SoftwareSetMember,
)
from jobprov.provenance.records.job_record import JsonObject, Software

G = TypeVar("G", bound=Hashable)
_AT_ONCE = 1000  # rows in memory; there may be millions of entries in lists


class ProductMap(NamedTuple):
    """A product, the repository that it is built from, and templates for tags of its versions.

    Attributes:
        manager: `ups`, `spack` and so on; empty if the map is for any package manager.
        templates: an operator says one; of several, the first whose tag is there counts.
        is_by_name: no operator said it: the repository has the name of the product.
    """

    name: str
    manager: str
    templates: tuple[str, ...]
    repository: RegisteredRepository
    is_by_name: bool = False


class Unsourced(NamedTuple):
    """A software entry of a product without a repository, and the commit inferred for it.

    Attributes:
        match_key: of the repository of that commit; None if nothing was inferred.
        resolution: the document of the inferred commit; None if nothing was inferred.
    """

    id: int
    sha256: str
    software: Software
    match_key: str | None
    resolution: JsonObject | None


def product_maps(connection: Connection) -> dict[tuple[str, str], ProductMap]:
    """Return the maps that operators made, by name and manager of the product.

    Without any, this costs one small query.
    """
    if not fetch(connection, "SELECT id FROM product_maps LIMIT 1"):
        return {}
    query = (
        select(
            ProductMapRow.name, ProductMapRow.manager, ProductMapRow.template, *REPOSITORY_COLUMNS
        )
        .join(Repository, Repository.id == ProductMapRow.repository_id)
        .order_by(ProductMapRow.name, ProductMapRow.manager)
    )
    maps = {}
    for name, manager, template, *repository in connection.execute(query):
        source = RegisteredRepository(*repository)
        maps[name, manager] = ProductMap(name, manager, (template,), source)
    return maps


def unsourced_entries(connection: Connection, name: str | None = None) -> Iterator[Unsourced]:
    """Yield the entries of products without a repository: those of this name, or all."""
    query = _unsourced()
    if name is not None:
        query = query.where(SoftwareRow.name == name)
    yield from _read(connection, query)


def unsourced_entry(connection: Connection, sha256: str) -> Unsourced | None:
    """Return the entry with this digest; None unless it is of a product without a repository."""
    return next(_read(connection, _unsourced().where(SoftwareRow.sha256 == sha256)), None)


def list_counts(connection: Connection, groups: Mapping[int, G]) -> Counter[G]:
    """Return how many software lists have an entry of each group; `groups` are by key of an entry.

    A list counts once for a group, even if it has several of its entries. That is why SQL alone,
    which does not know the groups, cannot count.
    """
    columns = SoftwareSetMember.software_set_id, SoftwareSetMember.software_id
    query = select(*columns).order_by(SoftwareSetMember.software_set_id)
    counts: Counter[G] = Counter()
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(query)
    for _, members in groupby(rows, key=itemgetter(0)):
        counts.update({groups[software] for _, software in members if software in groups})
    return counts


def _unsourced() -> Select[int, str, bytes, str, str]:
    """Return the query of the entries that name neither repository, commit nor ref."""
    columns = (
        SoftwareRow.id,
        SoftwareRow.sha256,
        SoftwareRow.document,
        Resolution.match_key,
        Resolution.document,
    )
    return (
        select(*columns)
        .outerjoin(Resolution, Resolution.id == SoftwareRow.resolution_id)
        .where(
            SoftwareRow.match_key.is_(None),
            SoftwareRow.revision.is_(None),
            SoftwareRow.requested_ref.is_(None),
        )
        .order_by(SoftwareRow.id)
    )


def _read(connection: Connection, query: Select[int, str, bytes, str, str]) -> Iterator[Unsourced]:
    for key, sha256, packed, match_key, resolution in connection.execute(query):
        software = msgspec.json.decode(unpack(packed), type=Software)
        if software.product is None or software.tarball is not None:
            continue
        resolved = json.loads(resolution) if resolution else None
        yield Unsourced(key, sha256, software, match_key, resolved)
