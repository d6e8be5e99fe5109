"""Lists that many records share, of software or of configurations.

A row for each list, and one for each of its members in order.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Table

from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.writer.transaction import Transaction

T = TypeVar("T")


def intern_lists(
    transaction: Transaction,
    tables: tuple[Table, Table],
    lists: Mapping[str, Sequence[T]],
    *,
    digests: Callable[[Sequence[T]], Sequence[str]],
    intern_members: Callable[[Collection[Sequence[T]]], Mapping[str, int]],
) -> dict[str, int]:
    """Return the integer key of each list by its digest, made with its members where it is new.

    Args:
        transaction: to write in.
        tables: of lists, and of their members: whose, position, what.
        lists: by digest.
        digests: names the members of a list, in order.
        intern_members: returns the integer keys of the members of these lists, by digest.
    """
    sets, members = tables
    whose, position, what = members.columns.keys()
    unmet = [digest for digest in lists if transaction.known_key(sets, digest) is None]
    fresh = {digest: lists[digest] for digest in unmet}
    member_keys = intern_members(fresh.values())
    keys = transaction.intern(sets, ["sha256"], {digest: {"sha256": digest} for digest in lists})
    numbers = [keys[digest] for digest in fresh]
    # Names are the schema's
    written = f"SELECT DISTINCT {whose} FROM {members.name} WHERE {whose} {{among}}"  # noqa: S608
    with_members = {row[0] for row in select_among(transaction.connection, written, numbers)}
    rows: list[dict[str, int]] = []
    for digest in sorted(fresh):
        if keys[digest] in with_members:
            continue  # another process was first
        for place, member in enumerate(digests(fresh[digest])):
            rows.append({whose: keys[digest], position: place, what: member_keys[member]})
    insert_rows(transaction.connection, members, rows)
    return keys
