"""Rows of verdicts, proofs and capsules; their ledger entries are there before."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, delete, select

from jobprov.provenance.db.queries.fragments.proofs import PROOF_OF_JOB, proof_key
from jobprov.provenance.db.queries.reruns.capsules import HeldCapsule, Use
from jobprov.provenance.db.tables import CapsuleRow, CapsuleUse, DueProof, Job, Proof, Verdict
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.proofs import PROVEN


def add_verdict(
    connection: Connection, *, job: int, entry: int, level: str, document: str, posted_at: datetime
) -> None:
    """Write a verdict on a rerun of a job; `document` is the whole of it as JSON."""
    row = {
        "entry_id": entry,
        "job_id": job,
        "level": level,
        "document": document,
        "posted_at": posted_at,
    }
    connection.execute(table_of(Verdict).insert(), [row])


def write_proof(
    connection: Connection,
    *,
    job: int,
    entry: int,
    state: int,
    message: str | None,
    proved_at: datetime,
) -> None:
    """Write the state of proof of a recipe after a verdict, unless a newer verdict is there."""
    columns = select(Job.experiment_id, Job.recipe, Job.uuid).where(Job.id == job)
    experiment, recipe, job_id = connection.execute(columns).one()
    recipe = proof_key(recipe, job_id)
    is_it = (Proof.experiment_id == experiment, Proof.recipe == recipe)
    if connection.execute(select(Proof.entry_id).where(*is_it, Proof.entry_id > entry)).first():
        return
    connection.execute(delete(Proof).where(*is_it))
    row = {
        "experiment_id": experiment,
        "recipe": recipe,
        "entry_id": entry,
        "state": state,
        "proved_at": proved_at,
        "message": message,
    }
    connection.execute(table_of(Proof).insert(), [row])
    connection.execute(
        delete(DueProof).where(DueProof.experiment_id == experiment, DueProof.recipe == recipe)
    )


def note_due_proofs(
    connection: Connection, *, jobs: Sequence[int] = (), experiment: int | None = None
) -> None:
    """Note that recipes of these jobs, or all of an experiment, that are not proven are due."""
    unproven = (
        select(Proof.experiment_id, Proof.recipe)
        .outerjoin(
            DueProof,
            and_(DueProof.experiment_id == Proof.experiment_id, DueProof.recipe == Proof.recipe),
        )
        .where(Proof.state != PROVEN, DueProof.recipe.is_(None))
    )
    if experiment is not None:
        queries = [unproven.where(Proof.experiment_id == experiment)]
    else:
        of_jobs = unproven.join(Job, PROOF_OF_JOB).distinct()
        queries = [of_jobs.where(Job.id.in_(part)) for part in chunks(jobs)]
    for query in queries:
        connection.execute(
            table_of(DueProof).insert().from_select(["experiment_id", "recipe"], query)
        )


def add_capsule(
    connection: Connection, experiment: int, capsule: HeldCapsule, serves: Iterable[Use]
) -> None:
    """Write a capsule, and which jobs it serves."""
    row = {
        "entry_id": capsule.entry,
        "experiment_id": experiment,
        "name": capsule.name,
        "kind": capsule.kind,
        "sha256": capsule.sha256,
        "size_bytes": capsule.size_bytes,
    }
    connection.execute(table_of(CapsuleRow).insert(), [row])
    uses = []
    for use in serves:
        uses.append(
            {
                "entry_id": capsule.entry,
                "software_set_sha256": use.software_set,
                "stage": use.stage,
            }
        )
    connection.execute(table_of(CapsuleUse).insert(), uses)
