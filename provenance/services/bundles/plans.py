"""The rows of bundle plans: entered in the ledger once, numbered by job, with the digest that the first tar had."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.db.keys import KnownKeys, allocate_keys
from jobprov.provenance.db.queries.lookup.job import FoundJob
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import BundlePlan, ErasedBytes
from jobprov.provenance.services.ledger.entries import NewEntry, append_document


def erased_plans(experiment: int) -> Select[Any]:
    """Return the query for the plans of an experiment that were erased, for they held what was."""
    return select(ErasedBytes.sha256).where(ErasedBytes.experiment_id == experiment)


def enter_plan(
    connection: Connection, known: KnownKeys, found: FoundJob, document: dict[str, Any]
) -> None:
    """Enter a plan in the ledger and its table.

    A plan for the same ingredients that came first stands.
    """
    held = select(BundlePlan.id).where(
        BundlePlan.job_id == found.key,
        BundlePlan.ingredients_sha256 == document["ingredients_sha256"],
        BundlePlan.plan_sha256.not_in(erased_plans(found.experiment_key)),
    )
    if connection.execute(held).first() is None:
        new = NewEntry(found.experiment_key, "plan", datetime.now(UTC), None, b"")
        write_plan_row(
            connection, known, found.key, append_document(connection, new, document), document
        )


def write_plan_row(
    connection: Connection,
    known: KnownKeys,  # noqa: ARG001
    job: int,
    entry: int,
    document: Mapping[str, Any],
) -> None:
    """Write the row of a plan whose ledger entry is there.

    Its number follows those of the job's earlier plans.
    """
    last = connection.execute(
        select(func.max(BundlePlan.number)).where(BundlePlan.job_id == job)
    ).scalar_one()
    [key] = allocate_keys(connection, table_of(BundlePlan), 1)
    row = {
        name: document[name] for name in ("level", "ingredients_sha256", "plan_sha256", "tar_bytes")
    }
    row |= {"id": key, "job_id": job, "number": (last or 0) + 1, "entry_id": entry}
    connection.execute(table_of(BundlePlan).insert(), [row])


def note_digest(connection: Connection, known: KnownKeys, key: int, tar_sha256: str) -> None:  # noqa: ARG001
    """Note the digest that the tar of a plan had when it was first streamed whole."""
    table = table_of(BundlePlan)
    connection.execute(
        table.update()
        .where(table.c.id == key, table.c.tar_sha256.is_(None))
        .values(tar_sha256=tar_sha256)
    )
