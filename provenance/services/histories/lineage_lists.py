"""All files that a file was made from, or that were made from it, at any depth, as a list without edges."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select

from jobprov.provenance.db.composed import run
from jobprov.provenance.db.queries.histories.walks import (
    MOST_FILES,
    WalkedFile,
    met_count,
    walk_ancestors,
    walk_descendants,
)
from jobprov.provenance.db.queries.lookup.focus import focus_of
from jobprov.provenance.db.tables import Experiment, Job
from jobprov.provenance.services.lookup.file import find_file

_JOB_IDS = select(Job.id, Job.uuid).where(Job.id.in_(bindparam("jobs", expanding=True)))
_EXPERIMENTS = select(Experiment.id, Experiment.name)


def list_lineage(
    connection: Connection,
    name: str,
    *,
    descendants: bool = False,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
) -> dict[str, Any]:
    """Return `{file, version, versions, count, files, is_truncated}`.

    Every ancestor of a file in the order of names, or every descendant.

    Ancestors are those of a version, the newest by default; descendants those of all that goes by
    the name, or of a version. One of `files` is `{name, namespace, experiment, job_id}`; a file
    that one of several jobs may have made is there with each, one that no recorded job made with
    None. `count` counts it once. At most 100,000 are listed.

    Raises:
        NotFoundError: no record mentions the file.
        AmbiguousError: several experiments or namespaces know the name.
        BadInputError: there is no such version.
        LimitError: the walk took more than five seconds.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    focus = focus_of(connection, file.id, version)
    if descendants:
        focus = focus if version is not None else focus.of_name()
        walked = walk_descendants(connection, focus.claim_id, file=file.id)
    else:
        walked = walk_ancestors(connection, focus.claim_id) if focus.claim_id is not None else []
    return {
        "file": file.to_json(),
        **focus.to_json(),
        "count": len({row.file_id for row in walked}),
        "files": _listed(connection, walked),
        "is_truncated": met_count(walked) >= MOST_FILES,
    }


def _listed(connection: Connection, walked: Sequence[WalkedFile]) -> list[dict[str, Any]]:
    made_by = {row.job_id for row in walked if row.job_id is not None}
    job_ids: dict[int | None, str] = dict(run(connection, _JOB_IDS, {"jobs": sorted(made_by)}))
    experiments: dict[int, str] = dict(run(connection, _EXPERIMENTS, {}))
    files = sorted(
        {
            (row.name, row.namespace, experiments[row.experiment_id], job_ids.get(row.job_id, ""))
            for row in walked
        }
    )
    return [
        {"name": name, "namespace": space, "experiment": experiment, "job_id": job or None}
        for name, space, experiment, job in files
    ]
