"""What a job's page needs beyond its record: attempts, links of its files, code, verdicts."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, and_, case, func, literal, select

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.lookup.jobs import JobSummary, RecordOfWitness
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
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
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.records.verdicts import level_shown

MOST_ATTEMPTS = 50
_FOUND = select(Job.id, Job.uuid, Experiment.name, Experiment.id, Job.received_at).join(
    Experiment, Experiment.id == Job.experiment_id
)


class FoundJob(NamedTuple):
    """A job's integer key, what names it, and when the service first heard of it."""

    key: int
    job_id: str
    experiment: str
    experiment_key: int
    received_at: datetime


def find_jobs(connection: Connection, job_id: str, experiment: str | None) -> list[FoundJob]:
    """Return the jobs with this id; more than one only where experiments share it."""
    query = _FOUND.where(Job.uuid == job_id).order_by(Experiment.name)
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    return [FoundJob(*row) for row in connection.execute(query)]


def find_batch_job(connection: Connection, batch_id: str) -> list[FoundJob]:
    """Return the jobs with this batch id, newest first."""
    query = _FOUND.where(Job.batch_id == batch_id).order_by(Job.id.desc()).limit(MOST_ATTEMPTS)
    return [FoundJob(*row) for row in connection.execute(query)]


def attempts_of(connection: Connection, key: int) -> list[JobSummary]:
    """Return the executions of a job's unit of its task, itself included, in order of start."""
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
    summaries = summaries_of(connection, keys)
    return [summaries[attempt] for attempt in keys]


class InputMaker(msgspec.Struct, frozen=True):
    """A recorded job that made an input, and whether surely; `url` is of its page."""

    job_id: str
    state: str
    is_sure: bool
    url: str


def input_links(connection: Connection, key: int) -> dict[int, list[InputMaker]]:
    """Return, by position in `inputs`, which recorded jobs made each, and whether surely."""
    query = (
        select(Mention.position, Job.uuid, Job.state, Producer.is_sure)
        .join(Producer, Producer.identity_id == Mention.identity_id)
        .join(Claim, Claim.id == Producer.claim_id)
        .join(Job, Job.id == Claim.job_id)
        .where(Mention.job_id == key, Claim.job_id != key)
        .order_by(Mention.position, Job.uuid)
    )
    makers: dict[int, list[InputMaker]] = {}
    for position, uuid, state, is_sure in connection.execute(query):
        maker = InputMaker(uuid, STATES[state], is_sure, job_page(uuid))
        makers.setdefault(position, []).append(maker)
    return makers


def input_files(connection: Connection, key: int) -> dict[int, FileName]:
    """Return the files that a job's inputs are, by position.

    One recorded by bare name may have got its namespace from a catalog.
    """
    query = (
        select(Mention.position, File.name, File.namespace, Experiment.name)
        .join(Identity, Identity.id == Mention.identity_id)
        .join(File, File.id == Identity.file_id)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(Mention.job_id == key)
    )
    files = {}
    for position, name, namespace, experiment in connection.execute(query):
        url = file_page(name, experiment, namespace)
        files[position] = FileName(name, namespace, experiment, url)
    return files


def output_urls(connection: Connection, key: int) -> dict[int, str]:
    """Return the paths of the pages of a job's outputs, by position."""
    query = (
        select(Claim.position, File.name, File.namespace, Experiment.name)
        .join(File, File.id == Claim.file_id)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(Claim.job_id == key, Claim.alias_of.is_(None))
    )
    pages = {}
    for position, name, namespace, experiment in connection.execute(query):
        pages[position] = file_page(name, experiment, namespace)
    return pages


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


def resolutions_of(connection: Connection, key: int) -> dict[int, JsonObject]:
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
    """Return, by position in `software`, what tags that moved were seen to name.

    These are all objects that the tag was seen to name that the entry asked for.
    """
    # a product asks for no ref itself: the service inferred one from its version
    asked_ref = func.coalesce(SoftwareRow.requested_ref, Resolution.asked)
    tag = case((asked_ref.startswith("refs/"), asked_ref), else_=literal("refs/tags/") + asked_ref)
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
    seen: dict[int, list[str]] = {}
    for position, oid in connection.execute(query):
        seen.setdefault(position, []).append(oid)
    return {position: oids for position, oids in seen.items() if len(oids) > 1}


def final_records_of(connection: Connection, key: int) -> list[RecordOfWitness]:
    """Return the final records of a job and their corrections, by revision."""
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
    # entries of jobs have a witness and a revision; of the other kinds not all have
    rows: Sequence[Any] = connection.execute(query).all()
    records = []
    for witness, revision, received_at, submitter in rows:
        records.append(
            RecordOfWitness(witness, revision, received_at.isoformat(), submitter, is_final=True)
        )
    return records


def provisional_records_of(connection: Connection, key: int) -> list[RecordOfWitness]:
    """Return the records of a job that is running or was lost sight of."""
    query = select(ProvisionalRecord.witness, ProvisionalRecord.received_at).where(
        ProvisionalRecord.job_id == key
    )
    records = []
    for witness, received_at in connection.execute(query):
        records.append(
            RecordOfWitness(witness, 0, received_at.isoformat(), submitter=None, is_final=False)
        )
    return records


def has_succeeded(connection: Connection, key: int) -> bool:
    """Return whether a job is recorded as succeeded."""
    state = connection.execute(select(Job.state).where(Job.id == key)).scalar_one()
    return STATES[state] == "succeeded"


def verdicts_of(connection: Connection, key: int) -> list[JsonObject]:
    """Return the verdicts on a job's reruns, newest first.

    They are as they were posted, but for the level of those that compared nothing.
    """
    query = (
        select(Verdict.document, Verdict.posted_at)
        .where(Verdict.job_id == key)
        .order_by(Verdict.entry_id.desc())
    )
    verdicts = []
    for document, posted_at in connection.execute(query):
        verdict = json.loads(document)
        shown = {"level": level_shown(verdict), "posted_at": posted_at.isoformat()}
        verdicts.append({**verdict, **shown})
    return verdicts


def conflict_count(connection: Connection, key: int) -> int:
    """Return how many different final records of one witness were refused and kept as evidence."""
    return connection.execute(select(func.count()).where(Conflict.job_id == key)).scalar_one()
