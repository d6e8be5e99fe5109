"""Facts of the nodes of a graph, for many nodes in a few statements."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, select

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.names import short_job
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB
from jobprov.provenance.db.queries.lookup.files.versions import Version, last_tries, versions_of
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.recording.files.edges import CROWD
from jobprov.provenance.db.recording.job_rows import STATES, SUCCEEDED
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Identity,
    Job,
    Stage,
    TaskRow,
)
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.lineage.graph import FileNode, JobNode, Writer

_CLAIMED = (
    select(
        Claim.id, File.id, File.name, File.namespace, Experiment.name, Identity.size_bytes,
        Claim.data_tier,
        Job.uuid, Job.batch_id, Job.state, Identity.checksums,
    )
    .join(File, File.id == Claim.file_id)
    .join(Experiment, Experiment.id == File.experiment_id)
    .join(Identity, Identity.id == Claim.identity_id)
    .join(Job, Job.id == Claim.job_id)
    .where(Claim.id.in_(bindparam("claims", expanding=True)))
)  # fmt: skip
_JOBS = (
    select(
        Job.id, Job.uuid, Job.batch_id, Job.state, STAGE_OF_JOB, TaskRow.task_id, Stage.campaign,
        Job.software_set_id, Job.started_at, Job.ended_at, Job.received_at, Experiment.name,
    )
    .join(Experiment, Experiment.id == Job.experiment_id)
    .outerjoin(TaskRow, TaskRow.id == Job.task_id)
    .outerjoin(Stage, Stage.id == TaskRow.stage_id)
    .where(Job.id.in_(bindparam("jobs", expanding=True)))
)  # fmt: skip
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
    for part in chunks([int(key[1:]) for key in listed if key[0] == "c"]):
        rows = run(connection, _CLAIMED, {"claims": part})
        versions = versions_of(connection, sorted({row[1] for row in rows}))
        numbers = _numbers_of_claims(versions.values())
        for (
            claim,
            file,
            name,
            namespace,
            experiment,
            size,
            tier,
            uuid,
            batch,
            state,
            checksums,
        ) in rows:
            is_made = claim in numbers or state == SUCCEEDED
            writer = None
            if not is_made:
                writer = Writer(uuid, batch or short_job(uuid), STATES[state], job_page(uuid))
            number = None
            if len(versions.get(file, ())) > 1:
                number = numbers.get(claim)
            nodes.append(
                FileNode(
                    f"c{claim}",
                    name,
                    namespace,
                    experiment,
                    size_bytes=size,
                    data_tier=tier,
                    version=number,
                    url=file_page(name, experiment, namespace),
                    writer=writer,
                    checksums=tuple(checksums.split()),
                )
            )
    return nodes + _placeholders(connection, [int(key[1:]) for key in listed if key[0] == "f"])


def _numbers_of_claims(versions: Iterable[Sequence[Version]]) -> dict[int, int]:
    """Return the number of each version, by its claim."""
    numbers: dict[int, int] = {}
    for of_file in versions:
        for version in of_file:
            numbers[version.claim_id] = version.number
    return numbers


def with_writers(connection: Connection, nodes: Iterable[FileNode]) -> list[FileNode]:
    """Return the nodes, each placeholder with the job that wrote a file of its name.

    That job made another version of the file, or wrote it without success.

    This is what is known today: in a view of the past, a file that is only mentioned may be the
    very one that was recorded later.
    """
    listed = list(nodes)
    files = [int(node.key[1:]) for node in listed if node.is_placeholder]
    versions = versions_of(connection, files)
    made = {}
    for file, of_file in versions.items():
        if not _is_crowd(of_file):
            made[file] = of_file[-1].job_id
    tried = last_tries(connection, [file for file in files if file not in versions])
    writers = _writers(connection, {**made, **tried}, made)
    return [
        replace(node, writer=writers.get(int(node.key[1:]))) if node.is_placeholder else node
        for node in listed
    ]


def _is_crowd(versions: Sequence[Version]) -> bool:
    """Return whether the name is crowded.

    If so, what is only mentioned may be one of these versions all the same.
    """
    return len(versions) >= CROWD


def _writers(
    connection: Connection, jobs: Mapping[int, int], made: Collection[int]
) -> dict[int, Writer]:
    """Return the writer of each file, by the jobs that wrote them.

    Those of `made` made another version.
    """
    facts: dict[int, tuple[str, str | None, int]] = {}
    for part in chunks(sorted(set(jobs.values()))):
        facts.update((row[0], row[1:]) for row in run(connection, _WRITERS, {"jobs": part}))
    writers = {}
    for file, job in jobs.items():
        uuid, batch, state = facts[job]
        writers[file] = Writer(
            uuid, batch or short_job(uuid), STATES[state], job_page(uuid), file in made
        )
    return writers


def _placeholders(connection: Connection, files: Sequence[int]) -> list[FileNode]:
    nodes = []
    for part in chunks(files):
        for file, name, namespace, experiment in run(connection, _PLACEHOLDERS, {"files": part}):
            url = file_page(name, experiment, namespace)
            nodes.append(
                FileNode(f"f{file}", name, namespace, experiment, is_placeholder=True, url=url)
            )
    return nodes


def job_nodes(connection: Connection, keys: Iterable[str]) -> list[JobNode]:
    """Return the job nodes among `keys` (`j3`)."""
    nodes = []
    for part in chunks([int(key[1:]) for key in keys if key[0] == "j"]):
        rows = run(connection, _JOBS, {"jobs": part})
        code = code_versions(connection, {row[7] for row in rows if row[7] is not None})
        for (
            key,
            uuid,
            batch,
            state,
            stage,
            task,
            campaign,
            software,
            started,
            ended,
            received,
            experiment,
        ) in rows:
            version = code.get(software) if software is not None else None
            nodes.append(
                JobNode(
                    f"j{key}",
                    uuid,
                    batch or short_job(uuid),
                    STATES[state],
                    stage,
                    task,
                    campaign,
                    version,
                    started,
                    job_page(uuid),
                    ended,
                    received,
                    experiment,
                )
            )
    return nodes


def states_of(connection: Connection, jobs: Iterable[int]) -> dict[str, int]:
    """Return how many of these jobs are in which state."""
    rows = select_among(
        connection, "SELECT state, count(*) FROM jobs WHERE id {among} GROUP BY state", jobs
    )
    return {STATES[state]: count for state, count in sorted(rows)}
