"""Lists that many records share, of software or of configurations.

A row for each list, and one for each of its members in order.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Table

from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import KnownKeys
from jobprov.provenance.db.selecting import select_among

T = TypeVar("T")


def intern_lists(
    connection: Connection,
    known: KnownKeys,
    tables: tuple[Table, Table],
    lists: Mapping[str, Sequence[T]],
    *,
    digests: Callable[[Sequence[T]], Sequence[str]],
    intern_members: Callable[[Collection[Sequence[T]]], Mapping[str, int]],
) -> dict[str, int]:
    """Return the integer key of each list by its digest, made with its members where it is new.

    Args:
        connection: in a transaction.
        known: the writer's.
        tables: of lists, and of their members: whose, position, what.
        lists: by digest.
        digests: names the members of a list, in order.
        intern_members: returns the integer keys of the members of these lists, by digest.
    """
    sets, members = tables
    whose, position, what = members.columns.keys()
    fresh = {digest: listed for digest, listed in lists.items() if known.get(sets, digest) is None}
    member_keys = intern_members(fresh.values())
    keys = known.intern(
        connection, sets, ["sha256"], {digest: {"sha256": digest} for digest in lists}
    )
    held_already = f"SELECT DISTINCT {whose} FROM {members.name} WHERE {whose} {{among}}"  # noqa: S608 - names are the schema's
    held = {
        row[0] for row in select_among(connection, held_already, [keys[digest] for digest in fresh])
    }
    rows = [
        {whose: keys[digest], position: place, what: member_keys[member]}
        for digest in sorted(fresh)
        if keys[digest] not in held
        for place, member in enumerate(digests(fresh[digest]))
    ]
    insert_rows(connection, members, rows)
    return keys
