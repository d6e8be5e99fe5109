"""Appends the outcome of a rerun to a job; nothing already there changes.

Source: verdicts.md, "Levels"; http.md, `POST /jobs/{job_id}/verdicts`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.answers.reruns.verdicts import VerdictPosted
from jobprov.provenance.bundle.verdicts import PostedVerdict
from jobprov.provenance.db.changes.reruns import add_verdict, write_proof
from jobprov.provenance.db.queries.lookup.jobs.details import has_succeeded
from jobprov.provenance.errors import BadInputError, check_choice
from jobprov.provenance.records.proofs import proof_of
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.records.verdicts import LEVELS, OF_OUTPUTS
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.lookup.job import find_job
from jobprov.provenance.services.writing import Writing


def check_verdict(document: Mapping[str, Any]) -> PostedVerdict:
    """Return the typed reading of a verdict.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    verdict = read_document(document, PostedVerdict, "The verdict")
    check_choice("level", verdict.level, LEVELS)
    return verdict


def post_verdict(
    writing: Writing,
    job_id: str,
    document: Mapping[str, Any],
    *,
    experiment: str | None = None,
) -> VerdictPosted:
    """Append a verdict to a job; return it with its meaning.

    Raises:
        NotFoundError: no such job.
        BadInputError: the verdict cannot be read.
    """
    connection = writing.connection
    verdict = check_verdict(document)
    job = find_job(connection, job_id, experiment=experiment)
    if has_succeeded(connection, job.key):
        _check_success(verdict)
    entry = enter_document(
        writing, job.experiment_key, "verdict", {"job_id": job.job_id, "verdict": document}
    )
    write_verdict_row(connection, job.key, entry, document, writing.received_at)
    return VerdictPosted(job.job_id, verdict.level, LEVELS[verdict.level])


def _check_success(verdict: PostedVerdict) -> None:
    """Refuse a verdict that cannot be true of a job that succeeded.

    Raises:
        BadInputError: it has a level of outputs and compared none, or reruns a failure that was
            none.
    """
    if verdict.level in OF_OUTPUTS and not verdict.comparisons:
        raise BadInputError(
            f"comparisons: {verdict.level} states how outputs compare, so name at least one "
            "compared output; if nothing was compared, there is no such level.",
            {"comparisons": [f"at least one, with {verdict.level}"]},
        )
    if verdict.level == "R1=":
        short = "R1= is for jobs that failed"
        raise BadInputError.of_field("level", f"{short}; this one is recorded as succeeded", short)


def write_verdict_row(
    connection: Connection, job: int, entry: int, document: Mapping[str, Any], received_at: datetime
) -> None:
    """Write the row of a verdict whose ledger entry exists, and what it proves."""
    add_verdict(
        connection,
        job=job,
        entry=entry,
        level=document["level"],
        document=json.dumps(document, sort_keys=True, ensure_ascii=False),
        posted_at=received_at,
    )
    proof = proof_of(document)
    if proof is not None:
        write_proof(
            connection,
            job=job,
            entry=entry,
            state=proof.state,
            message=proof.message,
            proved_at=received_at,
        )
