"""Writes repositories, product maps, resolutions, and what refs were seen to name."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from jobprov.provenance.db.queries.code.repositories import RegisteredRepository
from jobprov.provenance.db.queries.code.resolutions import RESOLVE
from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    ProductMapRow,
    RefObservation,
    Repository,
    Resolution,
    SoftwareRow,
    WorkItem,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import allocate_keys


class RefObservationDraft(NamedTuple):
    """That a ref names an object, as a ledger entry has it."""

    match_key: str
    ref: str
    oid: str
    first_seen_at: datetime
    entry_id: int


class ResolutionDraft(NamedTuple):
    """A resolution as a ledger entry has it.

    Attributes:
        sha256: of the document.
        asked: the ref that was asked for, else the commit.
        document: JSON text.
    """

    sha256: str
    match_key: str
    asked: str
    commit: str
    pack_sha256: str | None
    is_referenced: bool
    document: str
    entry_id: int


def add_repository(
    connection: Connection, name: str, url: str, *, match_key: str, is_local: bool
) -> RegisteredRepository:
    """Add a repository and return it."""
    [key] = allocate_keys(connection, table_of(Repository), 1)
    added = RegisteredRepository(key, name, url, match_key, is_local, None)
    connection.execute(table_of(Repository).insert(), [added._asdict()])
    return added


def note_fetched_at(connection: Connection, repository: int, fetched_at: datetime) -> None:
    """Note when a repository was fetched."""
    connection.execute(
        update(Repository).where(Repository.id == repository).values(fetched_at=fetched_at)
    )


def replace_product_map(
    connection: Connection, name: str, manager: str, *, repository: int, template: str
) -> None:
    """Write what a product is built from, in place of what was written of it."""
    remove_product_maps(connection, name, manager)
    [key] = allocate_keys(connection, table_of(ProductMapRow), 1)
    row = {
        "id": key,
        "name": name,
        "manager": manager,
        "repository_id": repository,
        "template": template,
    }
    connection.execute(table_of(ProductMapRow).insert(), [row])


def remove_product_maps(connection: Connection, name: str, manager: str | None = None) -> int:
    """Remove the maps of a product, or the one of this manager; return how many there were."""
    maps = delete(ProductMapRow).where(ProductMapRow.name == name)
    if manager is not None:
        maps = maps.where(ProductMapRow.manager == manager)
    return connection.execute(maps).rowcount


def remove_waiting(connection: Connection, digests: Sequence[str]) -> None:
    """Remove from the queue that these software entries wait to be resolved."""
    remove_among(connection, WorkItem.key, digests, WorkItem.kind == RESOLVE)


def add_ref_observations(connection: Connection, drafts: Sequence[RefObservationDraft]) -> None:
    """Add what refs were seen to name; none of it may be there yet."""
    table = table_of(RefObservation)
    rows = []
    for key, draft in zip(allocate_keys(connection, table, len(drafts)), drafts, strict=True):
        rows.append({"id": key, **draft._asdict()})
    insert_rows(connection, table, rows)


def antedate_ref_observation(connection: Connection, draft: RefObservationDraft) -> None:
    """Change when and by which ledger entry a ref was first seen to name an object."""
    connection.execute(
        update(RefObservation)
        .where(
            RefObservation.match_key == draft.match_key,
            RefObservation.ref == draft.ref,
            RefObservation.oid == draft.oid,
        )
        .values(first_seen_at=draft.first_seen_at, entry_id=draft.entry_id)
    )


def intern_resolution(connection: Connection, draft: ResolutionDraft) -> int:
    """Return the integer key of the resolution with this digest, added where it is new."""
    query = select(Resolution.id).where(Resolution.sha256 == draft.sha256)
    key = connection.execute(query).scalar_one_or_none()
    if key is None:
        [key] = allocate_keys(connection, table_of(Resolution), 1)
        connection.execute(table_of(Resolution).insert(), [{"id": key, **draft._asdict()}])
    return key


def point_at_resolution(connection: Connection, software_sha256: str, resolution: int) -> None:
    """Point the software entry with this digest at its resolution."""
    connection.execute(
        update(SoftwareRow)
        .where(SoftwareRow.sha256 == software_sha256)
        .values(resolution_id=resolution)
    )
