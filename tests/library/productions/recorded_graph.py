"""The recorded graph by natural keys: what databases must share, whatever their integer keys."""

from typing import Any

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.lookup.files.versions import versions_of
from jobprov.provenance.db.tables import Claim, File, Identity, Job, Mention, Parent, Producer

Graph = dict[str, list[tuple[Any, ...]]]


def read_graph(connection: Connection) -> Graph:
    """Return jobs, mentions, claims, parents, edges and versions as sorted rows.

    Integer keys are left out.
    """
    files = {
        row[0]: row[1:] for row in connection.execute(select(File.id, File.namespace, File.name))
    }
    seen = {
        row[0]: (*files[row[1]], row[2], row[3])
        for row in connection.execute(
            select(Identity.id, Identity.file_id, Identity.size_bytes, Identity.checksums)
        )
    }
    query = select(Job.id, Job.uuid, Job.state, Job.level, Job.ended_at)
    jobs = {row[0]: row[1:] for row in connection.execute(query)}
    query_claims = select(
        Claim.id, Claim.job_id, Claim.file_id, Claim.identity_id, Claim.position, Claim.alias_of
    )
    rows = connection.execute(query_claims).all()
    claims = {row[0]: (jobs[row[1]][0], *files[row[2]], row[4], row[5] is not None) for row in rows}
    mentions = connection.execute(
        select(Mention.job_id, Mention.position, Mention.identity_id, Mention.role)
    )
    parents = connection.execute(select(Parent.claim_id, Parent.identity_id))
    edges = connection.execute(select(Producer.identity_id, Producer.claim_id, Producer.is_sure))
    versions = versions_of(connection, sorted(files))
    graph = {
        "jobs": list(jobs.values()),
        "claims": [(claims[row[0]], seen[row[3]]) for row in rows],
        "mentions": [
            (jobs[job][0], place, seen[identity], role) for job, place, identity, role in mentions
        ],
        "parents": [(claims[claim], seen[identity]) for claim, identity in parents],
        "edges": [(seen[identity], claims[claim], sure) for identity, claim, sure in edges],
        "versions": [
            (files[file], version.number, claims[version.claim_id])
            for file in versions
            for version in versions[file]
        ],
    }
    return {name: sorted(found, key=repr) for name, found in graph.items()}
