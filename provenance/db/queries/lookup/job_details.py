"""What the page of one job needs beyond its record.

Attempts, edges of its files, code found, verdicts.
"""

import json
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, func, literal, select

from jobprov.provenance.db.queries.fragments.node_facts import file_url, job_url
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Claim,
    Conflict,
    Experiment,
    File,
    Identity,
    Job,
    LedgerEntry,
    Mention,
    ProvisionalRecord,
    RefObservation,
    Resolution,
    SoftwareRow,
    SoftwareSetMember,
    Verdict,
)
from jobprov.provenance.db.tables.files import Producer

MOST_ATTEMPTS = 50


class FoundJob(NamedTuple):
    """A job's integer key, what names it, and when the service first heard of it."""

    key: int
    job_id: str
    experiment: str
    experiment_key: int
    received_at: datetime


def find_jobs(connection: Connection, job_id: str, experiment: str | None) -> list[FoundJob]:
    """Return the jobs with this id; more than one only where experiments share it."""
    query = (
        select(Job.id, Job.uuid, Experiment.name, Experiment.id, Job.received_at)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.uuid == job_id)
        .order_by(Experiment.name)
    )
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    return [FoundJob(*row) for row in connection.execute(query)]


def find_batch_job(connection: Connection, batch_id: str) -> list[FoundJob]:
    """Return the jobs with this batch id, newest first."""
    query = (
        select(Job.id, Job.uuid, Experiment.name, Experiment.id, Job.received_at)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.batch_id == batch_id)
        .order_by(Job.id.desc())
        .limit(MOST_ATTEMPTS)
    )
    return [FoundJob(*row) for row in connection.execute(query)]


def attempts_of(connection: Connection, key: int) -> list[dict[str, Any]]:
    """Return the executions of the same unit of the same task, this one among them, in order of start."""
    here = connection.execute(select(Job.task_id, Job.unit).where(Job.id == key)).one()
    if here.task_id is None or here.unit is None:
        return []
    query = (
        select(Job.id)
        .where(Job.task_id == here.task_id, Job.unit == here.unit, Job.rerun_of.is_(None))
        .order_by(Job.started_at, Job.uuid)
        .limit(MOST_ATTEMPTS)
    )
    keys = [row[0] for row in connection.execute(query)]
    summaries = job_summaries(connection, keys)
    return [summaries[found] for found in keys]


def input_links(connection: Connection, key: int) -> dict[int, list[dict[str, Any]]]:
    """Return, by position in `inputs`, which recorded jobs made each input, and whether that is sure."""
    query = (
        select(Mention.position, Job.uuid, Job.state, Producer.is_sure)
        .join(Producer, Producer.identity_id == Mention.identity_id)
        .join(Claim, Claim.id == Producer.claim_id)
        .join(Job, Job.id == Claim.job_id)
        .where(Mention.job_id == key, Claim.job_id != key)
        .order_by(Mention.position, Job.uuid)
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for position, uuid, state, is_sure in connection.execute(query):
        link = {"job_id": uuid, "state": STATES[state], "is_sure": is_sure, "url": job_url(uuid)}
        found.setdefault(position, []).append(link)
    return found


def file_links(connection: Connection, key: int) -> tuple[dict[int, str], dict[int, str]]:
    """Return the paths of the pages of a job's inputs and outputs, by position."""
    read = (
        select(Mention.position, File.name, File.namespace, Experiment.name)
        .join(Identity, Identity.id == Mention.identity_id)
        .join(File, File.id == Identity.file_id)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(Mention.job_id == key)
    )
    made = (
        select(Claim.position, File.name, File.namespace, Experiment.name)
        .join(File, File.id == Claim.file_id)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(Claim.job_id == key, Claim.alias_of.is_(None))
    )
    inputs = {row[0]: file_url(row[1], row[3], row[2]) for row in connection.execute(read)}
    return inputs, {row[0]: file_url(row[1], row[3], row[2]) for row in connection.execute(made)}


def output_consumers(connection: Connection, key: int) -> dict[int, int]:
    """Return how many jobs consumed each output, by position in `outputs`."""
    query = (
        select(Claim.position, func.count(func.distinct(Mention.job_id)))
        .join(Producer, Producer.claim_id == Claim.id)
        .join(Mention, Mention.identity_id == Producer.identity_id)
        .where(Claim.job_id == key, Claim.alias_of.is_(None), Mention.job_id != key)
        .group_by(Claim.position)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def resolutions_of(connection: Connection, key: int) -> dict[int, dict[str, Any]]:
    """Return what the service found out about each entry of `software`, by position.

    Unresolved ones are left out.
    """
    query = (
        select(SoftwareSetMember.position, Resolution.document)
        .select_from(Job)
        .join(SoftwareSetMember, SoftwareSetMember.software_set_id == Job.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .join(Resolution, Resolution.id == SoftwareRow.resolution_id)
        .where(Job.id == key)
    )
    return {row[0]: json.loads(row[1]) for row in connection.execute(query)}


def moved_refs(connection: Connection, key: int) -> dict[int, list[str]]:
    """Return, by position in `software`, all objects that an asked tag was seen to name, where it moved."""
    asked = func.coalesce(SoftwareRow.requested_ref, Resolution.asked)  # of a product: inferred
    tag = case((asked.startswith("refs/"), asked), else_=literal("refs/tags/") + asked)
    repository = func.coalesce(SoftwareRow.match_key, Resolution.match_key)
    query = (
        select(SoftwareSetMember.position, RefObservation.oid)
        .select_from(Job)
        .join(SoftwareSetMember, SoftwareSetMember.software_set_id == Job.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .outerjoin(Resolution, Resolution.id == SoftwareRow.resolution_id)
        .join(
            RefObservation, and_(RefObservation.match_key == repository, RefObservation.ref == tag)
        )
        .where(Job.id == key)
        .order_by(RefObservation.id)
    )
    found: dict[int, list[str]] = {}
    for position, oid in connection.execute(query):
        found.setdefault(position, []).append(oid)
    return {position: oids for position, oids in found.items() if len(oids) > 1}


def witnesses_of(
    connection: Connection, key: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return (witnesses, revisions): who saw the job and when that was received.

    Corrections apart.
    """
    query = (
        select(
            LedgerEntry.witness,
            LedgerEntry.revision,
            LedgerEntry.received_at,
            LedgerEntry.submitter,
        )
        .where(LedgerEntry.job_id == key)
        .order_by(LedgerEntry.revision, LedgerEntry.id)
    )
    rows: list[dict[str, Any]] = [
        {
            "witness": row[0],
            "revision": row[1],
            "received_at": row[2].isoformat(),
            "submitter": row[3],
            "is_final": True,
        }
        for row in connection.execute(query)
    ]
    working = select(ProvisionalRecord.witness, ProvisionalRecord.received_at).where(
        ProvisionalRecord.job_id == key
    )
    provisional = [
        {
            "witness": row[0],
            "revision": 0,
            "received_at": row[1].isoformat(),
            "submitter": None,
            "is_final": False,
        }
        for row in connection.execute(working)
    ]
    return [row for row in rows if row["revision"] == 0] + provisional, [
        row for row in rows if row["revision"] > 0
    ]


def verdicts_of(connection: Connection, key: int) -> list[dict[str, Any]]:
    """Return the verdicts on a job's reruns, newest first, as they were posted."""
    query = (
        select(Verdict.document, Verdict.posted_at)
        .where(Verdict.job_id == key)
        .order_by(Verdict.entry_id.desc())
    )
    return [
        {**json.loads(row[0]), "posted_at": row[1].isoformat()} for row in connection.execute(query)
    ]


def conflict_count(connection: Connection, key: int) -> int:
    """Return how many different final records of one witness were refused and kept as evidence."""
    return connection.execute(select(func.count()).where(Conflict.job_id == key)).scalar_one()
