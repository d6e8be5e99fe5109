"""The rows of bundle plans.

They are entered in the ledger once, numbered by job, with the digest that the first tar had.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, select

from jobprov.provenance.db.keys import allocate_keys
from jobprov.provenance.db.queries.lookup.job import FoundJob
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import BundlePlan, ErasedBytes
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing


def erased_plans(experiment: int) -> Select[Any]:
    """Return the query for the plans of an experiment that were erased, for they held what was."""
    return select(ErasedBytes.sha256).where(ErasedBytes.experiment_id == experiment)


def enter_plan(writing: Writing, found: FoundJob, document: dict[str, Any]) -> None:
    """Enter a plan in the ledger and its table.

    A plan for the same ingredients that came first stands.
    """
    held = select(BundlePlan.id).where(
        BundlePlan.job_id == found.key,
        BundlePlan.ingredients_sha256 == document["ingredients_sha256"],
        BundlePlan.plan_sha256.not_in(erased_plans(found.experiment_key)),
    )
    if writing.connection.execute(held).first() is None:
        entry = enter_document(writing.by(None), found.experiment_key, "plan", document)
        write_plan_row(writing, found.key, entry, document)


def write_plan_row(writing: Writing, job: int, entry: int, document: Mapping[str, Any]) -> None:
    """Write the row of a plan whose ledger entry is there.

    Its number follows those of the job's earlier plans.
    """
    connection = writing.connection
    last = connection.execute(
        select(func.max(BundlePlan.number)).where(BundlePlan.job_id == job)
    ).scalar_one()
    [key] = allocate_keys(connection, table_of(BundlePlan), 1)
    row = {
        name: document[name] for name in ("level", "ingredients_sha256", "plan_sha256", "tar_bytes")
    }
    row |= {"id": key, "job_id": job, "number": (last or 0) + 1, "entry_id": entry}
    connection.execute(table_of(BundlePlan).insert(), [row])


def note_digest(writing: Writing, key: int, tar_sha256: str) -> None:
    """Note the digest that the tar of a plan had when it was first streamed whole."""
    table = table_of(BundlePlan)
    writing.connection.execute(
        table.update()
        .where(table.c.id == key, table.c.tar_sha256.is_(None))
        .values(tar_sha256=tar_sha256)
    )
