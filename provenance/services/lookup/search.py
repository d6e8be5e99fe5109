"""The search box: names that hold some words, in any case, by kind and with counts."""

from collections.abc import Collection

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.search import Hit, Hits, KindCount
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.search.files import MOST_LOOKED_AT, find_files, finds_all
from jobprov.provenance.db.queries.search.found import Found, Sought
from jobprov.provenance.db.queries.search.names import FINDERS
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.sentences import name_in_path
from jobprov.provenance.services.lookup.near_names import MOST_NEAR, near_names

MOST = 10
KINDS = ("file", *FINDERS)
"""What is searched, in the order in which it is shown."""
_SHORT = "Of one or two letters only the beginnings of names are found."
_NEWEST = (
    f"Files are found by the beginning of their names, and by a part of the newest "
    f"{MOST_LOOKED_AT:,} names: the database has no index of parts."
)


def search(
    connection: Connection, text: str, *, kind: str | None = None, limit: int = MOST
) -> Hits:
    """Return the names that hold each word of a text, whatever the case of the letters A to Z.

    Where none does, those that are spelled much like it.

    Of a path or an address that nothing holds, what its last part finds: people have files by
    their paths.

    Args:
        connection: where from.
        text: blanks around it do not count.
        kind: look at this kind alone.
        limit: how many of a kind are shown.

    Raises:
        BadInputError: there is no such kind.
        LimitError: the search took more than five seconds.
    """
    if kind is not None and kind not in KINDS:
        choices = f"one of {', '.join(KINDS)}"
        raise BadInputError(f"kind: {choices}.", {"kind": [choices]})
    kinds = KINDS if kind is None else (kind,)
    wanted = text.strip()
    if not wanted or "\0" in wanted:
        return Hits([], wanted)
    with time_limit(connection, "type more of the name"):
        found = _search(connection, Sought(wanted, limit), kinds)
        if not found and name_in_path(wanted) not in ("", wanted):
            in_path = name_in_path(wanted)
            found = _search(connection, Sought(in_path, limit), kinds)
            wanted = in_path if found else wanted
        hits = _hits(connection, Sought(wanted, limit), found, kinds)
        if found:
            return hits
        most = min(limit, MOST_NEAR)
        near = near_names(connection, name_in_path(wanted) or wanted, kinds, most)
        return replace(hits, near=near)


def _search(connection: Connection, sought: Sought, kinds: Collection[str]) -> dict[str, Found]:
    """Return what was found by kind, only of kinds of which there is something."""
    found: dict[str, Found] = {}
    for kind in kinds:
        find = FINDERS.get(kind, find_files)
        of_kind = find(connection, sought)
        if of_kind.total:
            found[kind] = of_kind
    return found


def _hits(
    connection: Connection, sought: Sought, found: dict[str, Found], kinds: Collection[str]
) -> Hits:
    hits: list[Hit] = []
    counts: list[KindCount] = []
    for kind, of_kind in found.items():
        hits += of_kind.hits
        counts.append(KindCount(kind, of_kind.total, of_kind.has_more))
    hits.sort(key=lambda hit: _rank(hit, sought))
    return Hits(hits, sought.text, counts, _note(connection, sought, kinds))


def _rank(hit: Hit, sought: Sought) -> int:
    """Return the place of a hit; a file's name may follow its namespace."""
    rank = sought.rank(hit.text)
    if hit.kind == "file":
        rank = min(rank, sought.rank(hit.text.partition(":")[2]))
    return rank


def _note(connection: Connection, sought: Sought, kinds: Collection[str]) -> str | None:
    if sought.is_short:
        return _SHORT
    if "file" in kinds and not finds_all(connection):
        return _NEWEST
    return None
