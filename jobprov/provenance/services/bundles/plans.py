"""Enters bundle plans in the ledger, each once, and notes the digest of the first tar."""

from collections.abc import Mapping
from typing import Any

from jobprov.provenance.db.changes.bundles import NewPlan, add_plan, note_tar_digest
from jobprov.provenance.db.queries.holdings.plans import plan_made_of
from jobprov.provenance.db.queries.lookup.jobs.details import FoundJob
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing


def enter_plan(writing: Writing, job: FoundJob, document: Mapping[str, Any]) -> None:
    """Enter a plan in the ledger and its table, unless one of the same ingredients is there."""
    if plan_made_of(writing.connection, job, document["ingredients_sha256"]) is None:
        entry = enter_document(writing.by(None), job.experiment_key, "plan", document)
        write_plan_row(writing, job.key, entry, document)


def write_plan_row(writing: Writing, job: int, entry: int, document: Mapping[str, Any]) -> None:
    """Write the row of a plan whose ledger entry exists."""
    plan = NewPlan(
        entry,
        document["level"],
        document["ingredients_sha256"],
        document["plan_sha256"],
        document["tar_bytes"],
    )
    add_plan(writing.connection, job, plan)


def note_digest(writing: Writing, plan: int, tar_sha256: str) -> None:
    """Note the digest that the tar of a plan had when it was first streamed whole."""
    note_tar_digest(writing.connection, plan, tar_sha256)
