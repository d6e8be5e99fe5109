"""The recorded graph by natural keys: what databases must share, whatever their integer keys."""

from typing import Any

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.lookup.files.versions import versions_of
from jobprov.provenance.db.tables import Claim, File, Identity, Job, Mention, Parent, Producer

_Names = dict[int, tuple[Any, ...]]
_Rows = list[tuple[Any, ...]]
Graph = dict[str, _Rows]


def read_graph(connection: Connection) -> Graph:
    """Return jobs, mentions, claims, parents, edges and versions as sorted rows.

    Integer keys are left out.
    """
    names = _NaturalKeys(connection)
    graph = {
        "jobs": list(names.jobs.values()),
        "claims": _claims(connection, names),
        "mentions": _mentions(connection, names),
        "parents": _parents(connection, names),
        "edges": _edges(connection, names),
        "versions": _versions(connection, names),
    }
    return {name: sorted(rows, key=repr) for name, rows in graph.items()}


class _NaturalKeys:
    """What rows are called without their integer keys, by these keys.

    Attributes:
        files: (namespace, name).
        identities: (namespace, name, size in bytes, checksums).
        jobs: (UUID, state, level, end).
        claims: (UUID of the job, namespace, name, position, whether it is another name of a file).
    """

    def __init__(self, connection: Connection) -> None:
        self.files: _Names = {}
        for key, namespace, name in connection.execute(select(File.id, File.namespace, File.name)):
            self.files[key] = (namespace, name)
        self.identities: _Names = {}
        for key, file, size_bytes, checksums in connection.execute(
            select(Identity.id, Identity.file_id, Identity.size_bytes, Identity.checksums)
        ):
            self.identities[key] = (*self.files[file], size_bytes, checksums)
        self.jobs: _Names = {}
        for key, *job in connection.execute(
            select(Job.id, Job.uuid, Job.state, Job.level, Job.ended_at)
        ):
            self.jobs[key] = tuple(job)
        self.claims: _Names = {}
        for key, job, file, position, alias_of in connection.execute(
            select(Claim.id, Claim.job_id, Claim.file_id, Claim.position, Claim.alias_of)
        ):
            is_alias = alias_of is not None
            self.claims[key] = (self.uuid_of(job), *self.files[file], position, is_alias)

    def uuid_of(self, job: int) -> str:
        """Return the UUID of a job."""
        return str(self.jobs[job][0])


def _claims(connection: Connection, names: _NaturalKeys) -> _Rows:
    rows = connection.execute(select(Claim.id, Claim.identity_id))
    return [(names.claims[claim], names.identities[identity]) for claim, identity in rows]


def _mentions(connection: Connection, names: _NaturalKeys) -> _Rows:
    rows: _Rows = []
    for job, position, identity, role in connection.execute(
        select(Mention.job_id, Mention.position, Mention.identity_id, Mention.role)
    ):
        rows.append((names.uuid_of(job), position, names.identities[identity], role))
    return rows


def _parents(connection: Connection, names: _NaturalKeys) -> _Rows:
    rows = connection.execute(select(Parent.claim_id, Parent.identity_id))
    return [(names.claims[claim], names.identities[identity]) for claim, identity in rows]


def _edges(connection: Connection, names: _NaturalKeys) -> _Rows:
    rows: _Rows = []
    for identity, claim, is_sure in connection.execute(
        select(Producer.identity_id, Producer.claim_id, Producer.is_sure)
    ):
        rows.append((names.identities[identity], names.claims[claim], is_sure))
    return rows


def _versions(connection: Connection, names: _NaturalKeys) -> _Rows:
    rows: _Rows = []
    for file, versions in versions_of(connection, sorted(names.files)).items():
        for version in versions:
            rows.append((names.files[file], version.number, names.claims[version.claim_id]))
    return rows
