"""Facts of the nodes of a graph, for many nodes in a few statements."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlencode

from sqlalchemy import Connection, bindparam, select

from provenance.db.keys import chunks
from provenance.db.queries.versions import versions_of
from provenance.db.recording.job_rows import STATES
from provenance.db.tables import Claim, Experiment, File, Identity, Job, SoftwareRow, SoftwareSetMember, Stage, TaskRow
from provenance.lineage.graph import FileNode, JobNode

# composed once: to compose it takes longer than to answer it
_SOFTWARE = (
    select(SoftwareSetMember.software_set_id, SoftwareRow.name, SoftwareRow.requested_ref, SoftwareRow.revision)
    .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
    .where(SoftwareSetMember.software_set_id.in_(bindparam("sets", expanding=True)))
    .order_by(SoftwareSetMember.software_set_id, SoftwareSetMember.position)
)


def file_url(name: str, experiment: str, namespace: str = "") -> str:
    """Return the path of a file's page. It says of a file without a namespace that it has none: another one may have the name."""
    query = {"experiment": experiment, "namespace": namespace}
    return f"/files/{quote(name, safe='')}?{urlencode(query)}"


def job_url(job_id: str) -> str:
    """Return the path of a job's page."""
    return f"/jobs/{job_id}"


def file_nodes(connection: Connection, keys: Iterable[str]) -> list[FileNode]:
    """Return the file nodes among `keys`: claims (`c7`) and placeholders (`f9`)."""
    listed = list(keys)
    nodes = []
    claims = [int(key[1:]) for key in listed if key[0] == "c"]
    for part in chunks(claims):
        query = (
            select(Claim.id, File.id, File.name, File.namespace, Experiment.name, Identity.size_bytes, Claim.data_tier)
            .join(File, File.id == Claim.file_id)
            .join(Experiment, Experiment.id == File.experiment_id)
            .join(Identity, Identity.id == Claim.identity_id)
            .where(Claim.id.in_(part))
        )
        rows = connection.execute(query).all()
        numbers = _version_numbers(connection, [row[1] for row in rows])
        for claim, _, name, namespace, experiment, size, tier in rows:
            url = file_url(name, experiment, namespace)
            nodes.append(
                FileNode(
                    f"c{claim}",
                    name,
                    namespace,
                    experiment,
                    size_bytes=size,
                    data_tier=tier,
                    version=numbers.get(claim),
                    url=url,
                )
            )
    return nodes + _placeholders(connection, [int(key[1:]) for key in listed if key[0] == "f"])


def _version_numbers(connection: Connection, files: Sequence[int]) -> dict[int, int]:
    """Return the number of each claim whose file has more than one version."""
    return {
        version.claim_id: version.number
        for versions in versions_of(connection, sorted(set(files))).values()
        if len(versions) > 1
        for version in versions
    }


def _placeholders(connection: Connection, files: Sequence[int]) -> list[FileNode]:
    nodes = []
    for part in chunks(files):
        query = (
            select(File.id, File.name, File.namespace, Experiment.name)
            .join(Experiment, Experiment.id == File.experiment_id)
            .where(File.id.in_(part))
        )
        for file, name, namespace, experiment in connection.execute(query):
            url = file_url(name, experiment, namespace)
            nodes.append(FileNode(f"f{file}", name, namespace, experiment, is_placeholder=True, url=url))
    return nodes


def job_nodes(connection: Connection, keys: Iterable[str]) -> list[JobNode]:
    """Return the job nodes among `keys` (`j3`)."""
    nodes = []
    for part in chunks([int(key[1:]) for key in keys if key[0] == "j"]):
        query = (
            select(
                Job.id, Job.uuid, Job.batch_id, Job.state, Stage.name, TaskRow.task_id, Stage.campaign,
                Job.software_set_id, Job.started_at, Job.ended_at, Job.received_at,
            )
            .outerjoin(TaskRow, TaskRow.id == Job.task_id)
            .outerjoin(Stage, Stage.id == TaskRow.stage_id)
            .where(Job.id.in_(part))
        )  # fmt: skip
        rows = connection.execute(query).all()
        code = code_versions(connection, {row[7] for row in rows if row[7] is not None})
        for key, uuid, batch, state, stage, task, campaign, software, started, ended, received in rows:
            version = code.get(software) if software is not None else None
            nodes.append(
                JobNode(
                    f"j{key}",
                    uuid,
                    batch or uuid[:8],
                    STATES[state],
                    stage,
                    task,
                    campaign,
                    version,
                    started,
                    job_url(uuid),
                    ended,
                    received,
                )
            )
    return nodes


def code_versions(connection: Connection, software_sets: Iterable[int]) -> dict[int, str]:
    """Return what people call the code of each software list: name and asked ref of its first entry."""
    found: dict[int, str] = {}
    for part in chunks(sorted(software_sets)):
        for software_set, name, ref, revision in connection.execute(_SOFTWARE, {"sets": part}):
            words = [word for word in (name, ref or (revision or "")[:12]) if word]
            found.setdefault(software_set, " ".join(words))
    return found
