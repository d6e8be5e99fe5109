"""The products that records name without a repository.

Those that an operator mapped, and those that are left.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

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


def list_products(connection: Connection) -> dict[str, Any]:
    """Return `{mapped, unmapped}`: what operators noted, and the other products.

    Of the others, those of most software lists come first.

    A mapped product is `{name, manager, repository, ref, lists, versions, resolved, unresolved}`,
    where `lists` counts the software lists that name it, `versions` and `resolved` its versions,
    and `unresolved` says why not: `{version, ref, reason}` each. One that is not mapped is `{name,
    manager, lists, versions}`.
    """
    maps = product_maps(connection)
    mapped: dict[_Key, list[Unsourced]] = {key: [] for key in maps}
    others: dict[_Key, list[Unsourced]] = defaultdict(list)
    groups: dict[int, tuple[bool, _Key]] = {}
    for entry in unsourced_entries(connection):
        meant = map_of(maps, entry.software)
        key = (meant.name, meant.manager) if meant else (entry.software.name or "", _manager(entry))
        groups[entry.id] = meant is not None, key
        (mapped if meant else others)[key].append(entry)
    counts = list_counts(connection, groups)
    rows = [
        {"name": name, "manager": manager or None, "lists": counts[False, (name, manager)], "versions": len(_versions(entries))}
        for (name, manager), entries in others.items()
        if name
    ]  # fmt: skip
    return {
        "mapped": [
            _mapped(connection, maps[key], mapped[key]) | {"lists": counts[True, key]}
            for key in sorted(maps)
        ],
        "unmapped": sorted(
            rows, key=lambda row: (-int(str(row["lists"])), str(row["name"]), str(row["manager"]))
        ),
    }


def _mapped(
    connection: Connection, meant: ProductMap, entries: Sequence[Unsourced]
) -> dict[str, Any]:
    waiting = {entry.sha256: entry for entry in entries if not is_by(entry, meant)}
    problems = failures(connection, list(waiting))
    unresolved = {
        (version := (entry.software.product.version if entry.software.product else None) or ""): {
            "version": version,
            **_reason(meant, entry, problems.get(sha256)),
        }
        for sha256, entry in waiting.items()
    }
    versions = _versions(entries)
    return {
        "name": meant.name,
        "manager": meant.manager or None,
        "repository": meant.repository.name,
        "ref": meant.template,
        "versions": len(versions),
        "resolved": len(versions - unresolved.keys()),
        "unresolved": [unresolved[version] for version in sorted(unresolved)],
    }


def _reason(meant: ProductMap, entry: Unsourced, problem: str | None) -> dict[str, str | None]:
    """Return the tag that an entry's version names and why it is not resolved by it."""
    try:
        return {"ref": product_tag(meant, entry.software), "reason": problem or "not tried yet"}
    except SoftwareError as why:
        return {"ref": None, "reason": str(why)}


def _manager(entry: Unsourced) -> str:
    return (entry.software.product.manager if entry.software.product else None) or ""


def _versions(entries: Sequence[Unsourced]) -> set[str]:
    return {entry.software.product.version or "" for entry in entries if entry.software.product}
