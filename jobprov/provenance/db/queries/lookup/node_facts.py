"""Facts of the nodes of a graph, for many nodes in a few statements."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.histories.lineage import FileWriter
from jobprov.provenance.answers.names import short_job
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB
from jobprov.provenance.db.queries.lookup.files.contents import read_differently
from jobprov.provenance.db.queries.lookup.files.versions import Version, last_tries, versions_of
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.recording.files.edges import CROWD
from jobprov.provenance.db.recording.job_rows import STATES, SUCCEEDED
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Claim, Experiment, File, Identity, Job, Stage, TaskRow
from jobprov.provenance.lineage.graph import FileNode, JobNode
from jobprov.provenance.lineage.keys import (
    key_of_claim,
    key_of_file,
    key_of_job,
    row_number,
    row_numbers,
)


class _ClaimRow(NamedTuple):
    """A claim with its file and the job that made it, in the order of `_CLAIMS`."""

    claim: int
    file: int
    name: str
    namespace: str
    experiment: str
    size_bytes: int | None
    data_tier: str | None
    job_id: str
    batch_id: str | None
    state: int
    checksums: str


class _JobRow(NamedTuple):
    """A job with its stage and task, in the order of `_JOBS`."""

    key: int
    job_id: str
    batch_id: str | None
    state: int
    stage: str | None
    task: str | None
    campaign: str | None
    software_set: int | None
    started_at: datetime | None
    ended_at: datetime | None
    received_at: datetime
    experiment: str


_CLAIMS = (
    select(
        Claim.id,
        File.id,
        File.name,
        File.namespace,
        Experiment.name,
        Identity.size_bytes,
        Claim.data_tier,
        Job.uuid,
        Job.batch_id,
        Job.state,
        Identity.checksums,
    )
    .join(File, File.id == Claim.file_id)
    .join(Experiment, Experiment.id == File.experiment_id)
    .join(Identity, Identity.id == Claim.identity_id)
    .join(Job, Job.id == Claim.job_id)
    .where(Claim.id.in_(bindparam("claims", expanding=True)))
)
_JOBS = (
    select(
        Job.id,
        Job.uuid,
        Job.batch_id,
        Job.state,
        STAGE_OF_JOB,
        TaskRow.task_id,
        Stage.campaign,
        Job.software_set_id,
        Job.started_at,
        Job.ended_at,
        Job.received_at,
        Experiment.name,
    )
    .join(Experiment, Experiment.id == Job.experiment_id)
    .outerjoin(TaskRow, TaskRow.id == Job.task_id)
    .outerjoin(Stage, Stage.id == TaskRow.stage_id)
    .where(Job.id.in_(bindparam("jobs", expanding=True)))
)
_WRITERS = select(Job.id, Job.uuid, Job.batch_id, Job.state).where(
    Job.id.in_(bindparam("jobs", expanding=True))
)
_PLACEHOLDERS = (
    select(File.id, File.name, File.namespace, Experiment.name)
    .join(Experiment, Experiment.id == File.experiment_id)
    .where(File.id.in_(bindparam("files", expanding=True)))
)


def file_nodes(connection: Connection, keys: Iterable[str]) -> list[FileNode]:
    """Return the file nodes among `keys`: claims (`c7`) and placeholders (`f9`)."""
    listed = list(keys)
    nodes = []
    rows = run(connection, _CLAIMS, {"claims": row_numbers(listed, "c")})
    claims = [_ClaimRow(*row) for row in rows]
    versions = versions_of(connection, sorted({claim.file for claim in claims}))
    numbers = _numbers_of_claims(versions.values())
    for claim in claims:
        has_versions = len(versions.get(claim.file, ())) > 1
        nodes.append(_file_node(claim, numbers.get(claim.claim), has_versions=has_versions))
    return nodes + _placeholders(connection, row_numbers(listed, "f"))


def _file_node(claim: _ClaimRow, number: int | None, *, has_versions: bool) -> FileNode:
    """Return the node of a claim; `number` is that of its version, None if it does not count."""
    writer = None
    if number is None and claim.state != SUCCEEDED:
        writer = _writer(claim.job_id, claim.batch_id, claim.state)
    return FileNode(
        key_of_claim(claim.claim),
        claim.name,
        claim.namespace,
        claim.experiment,
        size_bytes=claim.size_bytes,
        data_tier=claim.data_tier,
        version=number if has_versions else None,
        url=file_page(claim.name, claim.experiment, claim.namespace),
        writer=writer,
        checksums=tuple(claim.checksums.split()),
    )


def _writer(
    job_id: str, batch_id: str | None, state: int, *, is_other_version: bool = False
) -> FileWriter:
    """Return a job as the writer of a file; `is_other_version` if it made another version of it."""
    return FileWriter(
        job_id, batch_id or short_job(job_id), STATES[state], job_page(job_id), is_other_version
    )


def _numbers_of_claims(versions: Iterable[Sequence[Version]]) -> dict[int, int]:
    """Return the number of each version, by its claim."""
    numbers: dict[int, int] = {}
    for of_file in versions:
        for version in of_file:
            numbers[version.claim_id] = version.number
    return numbers


def with_writers(connection: Connection, nodes: Iterable[FileNode]) -> list[FileNode]:
    """Return the nodes, each placeholder with what is known of its name.

    That is whether jobs read different contents, or the job that wrote a file of this name: it made
    another version of the file, or wrote it without success. This is what is known today: in a view
    of the past, a file that is only mentioned may be the one recorded later.
    """
    listed = list(nodes)
    files = [row_number(node.key) for node in listed if node.is_placeholder]
    if not files:
        return listed
    versions = versions_of(connection, files)
    made = {}
    for file, of_file in versions.items():
        # To a crowded name, a file that is only mentioned may be a version
        if len(of_file) < CROWD:
            made[file] = of_file[-1].job_id
    unmade = [file for file in files if file not in versions]
    tried = last_tries(connection, unmade)
    writers = _writers(connection, {**made, **tried}, made)
    differing = read_differently(connection, unmade)
    with_writer = []
    for node in listed:
        if node.is_placeholder:
            file = row_number(node.key)
            with_writer.append(
                replace(node, writer=writers.get(file), contents_differ=file in differing)
            )
        else:
            with_writer.append(node)
    return with_writer


def _writers(
    connection: Connection, jobs: Mapping[int, int], made: Collection[int]
) -> dict[int, FileWriter]:
    """Return the writer of each file, by the jobs that wrote them.

    Those of `made` made another version.
    """
    rows = run(connection, _WRITERS, {"jobs": sorted(set(jobs.values()))})
    facts: dict[int, tuple[str, str | None, int]] = {row[0]: row[1:] for row in rows}
    writers = {}
    for file, job in jobs.items():
        writers[file] = _writer(*facts[job], is_other_version=file in made)
    return writers


def _placeholders(connection: Connection, files: Sequence[int]) -> list[FileNode]:
    if not files:
        return []
    nodes = []
    for file, name, namespace, experiment in run(connection, _PLACEHOLDERS, {"files": files}):
        url = file_page(name, experiment, namespace)
        nodes.append(
            FileNode(key_of_file(file), name, namespace, experiment, is_placeholder=True, url=url)
        )
    return nodes


def job_nodes(connection: Connection, keys: Iterable[str]) -> list[JobNode]:
    """Return the job nodes among `keys` (`j3`)."""
    rows = run(connection, _JOBS, {"jobs": row_numbers(keys, "j")})
    jobs = [_JobRow(*row) for row in rows]
    software_sets = {job.software_set for job in jobs if job.software_set is not None}
    versions = code_versions(connection, software_sets)
    nodes = []
    for job in jobs:
        version = None
        if job.software_set is not None:
            version = versions.get(job.software_set)
        nodes.append(_job_node(job, version))
    return nodes


def _job_node(job: _JobRow, version: str | None) -> JobNode:
    """Return the node of a job; `version` is that of its code."""
    return JobNode(
        key_of_job(job.key),
        job.job_id,
        label=job.batch_id or short_job(job.job_id),
        state=STATES[job.state],
        stage=job.stage,
        task_id=job.task,
        campaign=job.campaign,
        code_version=version,
        started_at=job.started_at,
        url=job_page(job.job_id),
        ended_at=job.ended_at,
        received_at=job.received_at,
        experiment=job.experiment,
    )


def states_of(connection: Connection, jobs: Iterable[int]) -> dict[str, int]:
    """Return how many of these jobs are in each state."""
    rows = select_among(
        connection, "SELECT state, count(*) FROM jobs WHERE id {among} GROUP BY state", jobs
    )
    return {STATES[state]: count for state, count in sorted(rows)}
