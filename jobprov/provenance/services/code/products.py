"""Installed products that records name, and the repositories that they are built from.

A product map (`product_maps`) names the repository, and the version gives a tag in it. But the job
ran an installed product, and no witness saw its source: so the commit is *inferred*, and is marked
as such wherever it is shown. Software entries that name their own source are left alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.code import (
    MappedProduct,
    Products,
    UnmappedProduct,
    UnresolvedVersion,
)
from jobprov.provenance.db.changes.code import (
    remove_product_maps,
    remove_waiting,
    replace_product_map,
)
from jobprov.provenance.db.queries.code.products import (
    ProductMap,
    Unsourced,
    list_counts,
    unsourced_entries,
)
from jobprov.provenance.db.queries.code.resolutions import RESOLVE, last_errors
from jobprov.provenance.db.recording.software_rows import software_digests, software_set_digest
from jobprov.provenance.errors import BadInputError, NotFoundError, SoftwareError
from jobprov.provenance.records.job_record import Product, Software
from jobprov.provenance.services.code.product_maps import (
    is_by,
    manager_of,
    product_tags,
    read_product_maps,
)
from jobprov.provenance.services.code.repositories import find_repository
from jobprov.provenance.services.work.queue import enqueue_all
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.software.product_tags import DEFAULT_TEMPLATE, check_template

LONGEST_MANAGER = 40
INFERRED = "inferred"


def map_product(
    writing: Writing,
    name: str,
    repository: str,
    *,
    manager: str = "",
    template: str = DEFAULT_TEMPLATE,
) -> int:
    """Map a product to a repository, in place of an earlier map of it.

    Return how many software entries are to be resolved by it: those of the product that are not
    resolved, and those resolved by another repository or template.

    Raises:
        BadInputError: the name is empty, or the template cannot make tags of versions.
        NotFoundError: no repository has this name.
    """
    connection = writing.connection
    _check(name, manager, template)
    source = find_repository(connection, repository)
    replace_product_map(connection, name, manager, repository=source.id, template=template)
    maps = read_product_maps(connection)
    wanted = []
    for entry in unsourced_entries(connection, name):
        product_map = maps.of(entry.software)
        if product_map is not None and not is_by(entry, product_map):
            wanted.append(entry.sha256)
    # An entry that failed before is due only after a delay; removed and added again, it is due now
    remove_waiting(connection, wanted)
    enqueue_all(connection, RESOLVE, wanted)
    return len(wanted)


def _check(name: str, manager: str, template: str) -> None:
    """Refuse a map whose name, manager or template cannot be right."""
    if not name.strip():
        raise BadInputError("name: a product has one.", {"name": ["is empty"]})
    if len(manager) > LONGEST_MANAGER:
        raise BadInputError(
            f"manager: at most {LONGEST_MANAGER} letters.", {"manager": ["is too long"]}
        )
    try:
        check_template(template)
    except SoftwareError as problem:
        raise BadInputError(f"ref: {problem}", {"ref": [str(problem)]}) from None


def unmap_product(writing: Writing, name: str, manager: str | None = None) -> int:
    """Remove the maps of a product; return how many there were.

    What they resolved stays, marked as inferred.

    Raises:
        NotFoundError: the product is not mapped.
    """
    count = remove_product_maps(writing.connection, name, manager)
    if not count:
        of = f" of {manager}" if manager else ""
        raise NotFoundError(f"No product {name}{of} is mapped.")
    return count


def enqueue_products(
    connection: Connection, lists: Iterable[tuple[Sequence[Software], Iterable[int]]]
) -> None:
    """Queue the mapped products among entries to be resolved.

    `lists` are software lists, each with the positions of entries that are not resolved.
    """
    maps = read_product_maps(connection)
    if not maps.named_alike:
        return  # no repository is registered
    # The jobs of a release share one list: its digests are computed once
    distinct = {software_set_digest(software): (software, places) for software, places in lists}
    wanted: set[str] = set()
    for software, places in distinct.values():
        digests = software_digests(software)
        wanted.update(digests[place] for place in places if maps.of(software[place]) is not None)
    enqueue_all(connection, RESOLVE, sorted(wanted))


def unresolved_words(connection: Connection, entries: Mapping[str, Software]) -> dict[str, str]:
    """Return why the mapped products among unresolved entries are not resolved, by digest.

    The text continues the sentence "NAME is installed software ".
    """
    maps = read_product_maps(connection)
    mapped: dict[str, ProductMap] = {}
    for digest, entry in entries.items():
        product_map = maps.of(entry)
        if product_map is not None:
            mapped[digest] = product_map
    problems = failures(connection, list(mapped))
    reasons: dict[str, str] = {}
    for digest, product_map in mapped.items():
        problem = problems.get(digest) or "not resolved yet"
        source = "that is said to be built from"
        if product_map.is_by_name:
            source = "with the name of"
        reasons[digest] = f"{source} repository {product_map.repository.name}: {problem}"
    return reasons


def failures(connection: Connection, digests: Sequence[str]) -> dict[str, str]:
    """Return why the last try to resolve software entries failed, by digest, without full stop."""
    if not digests:
        return {}
    errors = last_errors(connection, digests)
    return {digest: error.rstrip(".") for digest, error in errors.items()}


def is_inferred(resolution: Mapping[str, object]) -> bool:
    """Whether a resolution's commit was inferred from the version of a product."""
    return resolution.get("evidence") == INFERRED


def inferred_fields(entry: Software, template: str) -> dict[str, object]:
    """Return the fields by which a resolution says how its commit was inferred."""
    product = entry.product or Product()
    named = {"name": entry.name, "manager": product.manager, "version": product.version}
    return {"evidence": INFERRED, "product": named, "template": template}


def list_products(connection: Connection) -> Products:
    """Return the products with a known repository by name, then the others, most used first."""
    maps = read_product_maps(connection)
    known: dict[_ProductName, ProductMap] = {}
    for (name, manager), product_map in maps.mapped.items():
        known[_ProductName(name, manager, is_mapped=True)] = product_map
    entries: dict[_ProductName, list[Unsourced]] = defaultdict(list)
    product_of_entry: dict[int, _ProductName] = {}
    unresolved: list[str] = []
    for entry in unsourced_entries(connection):
        map_of_entry = maps.of(entry.software)
        if map_of_entry is None:
            name, manager = entry.software.name or "", manager_of(entry.software)
            product = _ProductName(name, manager, is_mapped=False)
        else:
            product = _ProductName(map_of_entry.name, map_of_entry.manager, is_mapped=True)
            known[product] = map_of_entry
            if not is_by(entry, map_of_entry):
                unresolved.append(entry.sha256)
        entries[product].append(entry)
        product_of_entry[entry.id] = product
    counts = list_counts(connection, product_of_entry)
    problems = failures(connection, unresolved)

    mapped = []
    for product in sorted(known):
        lists = counts[product]
        mapped.append(_mapped_product(known[product], entries[product], problems, lists=lists))
    return Products(mapped, _unmapped_products(entries, counts))


class _ProductName(NamedTuple):
    """A product with its package manager.

    One that has a repository and one that has none may have the same name and manager.
    """

    name: str
    manager: str
    is_mapped: bool


def _mapped_product(
    product_map: ProductMap,
    entries: Sequence[Unsourced],
    problems: Mapping[str, str],
    *,
    lists: int,
) -> MappedProduct:
    """Return a product with its versions; `problems` are by digest of the entry."""
    unresolved: dict[str, UnresolvedVersion] = {}
    for entry in entries:
        if not is_by(entry, product_map):
            version = _version(entry)
            problem = problems.get(entry.sha256)
            unresolved[version] = _unresolved_version(product_map, entry, version, problem=problem)
    versions = _versions(entries)
    return MappedProduct(
        name=product_map.name,
        manager=product_map.manager or None,
        repository=product_map.repository.name,
        ref=" or ".join(product_map.templates),
        is_by_name=product_map.is_by_name,
        versions=len(versions),
        resolved=len(versions - unresolved.keys()),
        unresolved=[unresolved[version] for version in sorted(unresolved)],
        lists=lists,
    )


def _unmapped_products(
    entries: Mapping[_ProductName, Sequence[Unsourced]], counts: Mapping[_ProductName, int]
) -> list[UnmappedProduct]:
    """Return the products that have a name and no repository, the most used first."""
    unmapped = []
    for product, of_product in entries.items():
        if product.name and not product.is_mapped:
            manager = product.manager or None
            versions = len(_versions(of_product))
            unmapped.append(UnmappedProduct(product.name, manager, counts[product], versions))
    return sorted(unmapped, key=lambda row: (-row.lists, row.name, str(row.manager)))


def _unresolved_version(
    product_map: ProductMap, entry: Unsourced, version: str, *, problem: str | None
) -> UnresolvedVersion:
    """Return the likeliest tag of an entry's version, and why it is not resolved yet."""
    try:
        tag = next(iter(product_tags(product_map, entry.software)))
    except SoftwareError as error:
        return UnresolvedVersion(version, None, str(error))
    return UnresolvedVersion(version, tag, problem or "not tried yet")


def _version(entry: Unsourced) -> str:
    return (entry.software.product or Product()).version or ""


def _versions(entries: Sequence[Unsourced]) -> set[str]:
    return {_version(entry) for entry in entries if entry.software.product}
