"""The objects that refs of repositories were seen to name."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_

from jobprov.provenance.db.tables import RefObservation
from jobprov.provenance.db.writer.keys import chunks

Ref = tuple[str, str]
"""Repository, by its match key, and full name of a ref."""

_REFS_AT_ONCE = 200  # half as many as in other queries: each ref needs two bound parameters


class SeenObject(NamedTuple):
    """An object that a ref was seen to name, and when it was first seen."""

    ref: Ref
    oid: str
    first_seen_at: datetime


def objects_by_ref(
    connection: Connection, match_key: str, ref: str | None = None
) -> dict[str, set[str]]:
    """Return the objects that each ref of a repository, or one ref, was seen to name."""
    query = select(RefObservation.ref, RefObservation.oid).where(
        RefObservation.match_key == match_key
    )
    if ref is not None:
        query = query.where(RefObservation.ref == ref)
    objects: dict[str, set[str]] = {}
    for name, oid in connection.execute(query):
        objects.setdefault(name, set()).add(oid)
    return objects


def seen_objects(connection: Connection, refs: Sequence[Ref]) -> list[SeenObject]:
    """Return every object that these refs were seen to name."""
    columns = (
        RefObservation.match_key,
        RefObservation.ref,
        RefObservation.oid,
        RefObservation.first_seen_at,
    )
    seen = []
    for part in chunks(refs, _REFS_AT_ONCE):
        query = select(*columns).where(
            tuple_(RefObservation.match_key, RefObservation.ref).in_(part)
        )
        for match_key, ref, oid, first_seen_at in connection.execute(query):
            seen.append(SeenObject((match_key, ref), oid, first_seen_at))
    return seen


def first_seen_at(connection: Connection, match_key: str, ref: str, oid: str) -> datetime | None:
    """Return when a ref was first seen to name an object; None if it never was."""
    query = select(RefObservation.first_seen_at).where(
        RefObservation.match_key == match_key,
        RefObservation.ref == ref,
        RefObservation.oid == oid,
    )
    return connection.execute(query).scalar_one_or_none()
