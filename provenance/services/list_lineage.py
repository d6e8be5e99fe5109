"""All files that a file was made from, or that were made from it, at any depth, as a list without edges."""

from typing import Any

from sqlalchemy import Connection, select

from provenance.db.queries.neighbourhood import focus_of
from provenance.db.queries.parameters import among
from provenance.db.queries.walking import MOST_FILES, walk_ancestors, walk_descendants
from provenance.db.tables import Job
from provenance.services.show_file import find_file


def list_lineage(
    connection: Connection,
    name: str,
    *,
    descendants: bool = False,
    experiment: str | None = None,
    namespace: str | None = None,
) -> dict[str, Any]:
    """Return `{file, count, files, is_truncated}`: every ancestor of a file in the order of names, or every descendant.

    One of `files` is `{name, namespace, job_id}`; a file that one of several jobs may have made is there with each, one that no
    recorded job made with None. `count` counts it once. At most 100,000 are listed.

    Raises:
        NotFoundError: no record mentions the file.
        AmbiguousError: several experiments or namespaces know the name.
        LimitError: the walk took more than five seconds.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    claim = focus_of(connection, file.id).claim_id
    if descendants:
        walked = walk_descendants(connection, claim, file=file.id)
    else:
        walked = walk_ancestors(connection, claim) if claim is not None else []
    made_by = {row.job_id for row in walked if row.job_id is not None}
    rows = connection.execute(select(Job.id, Job.uuid).where(among(connection, Job.id, sorted(made_by))))
    job_ids = {row[0]: row[1] for row in rows}
    files = sorted({(row.name, row.namespace, job_ids[row.job_id] if row.job_id is not None else "") for row in walked})
    return {
        "file": file.to_json(),
        "count": len({row.file_id for row in walked}),
        "files": [{"name": name, "namespace": space, "job_id": job or None} for name, space, job in files],
        "is_truncated": len(walked) >= MOST_FILES,
    }
