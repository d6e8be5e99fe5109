"""What did this file cost: what all jobs took that it goes back to, by stage, and apart from them the attempts that failed.

Source: http.md, `GET /files/{name}/cost`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.histories.costs import (
    JobCost,
    failed_attempts,
    job_costs,
    output_bytes,
)
from jobprov.provenance.db.time_limits import limited
from jobprov.provenance.services.histories.lineage import find_focus, trace_history
from jobprov.provenance.services.lookup.file import find_file


@limited("ask for a file in between")
def sum_costs(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
    as_of: datetime | None = None,
) -> dict[str, Any]:
    """Return `{file, version, versions, files, made, failed, stages, is_truncated}`.

    What it took to make a file, its ancestors included.

    It is that of a version, the newest by default.

    `made` and `failed` are `{jobs, silent_jobs, wall_seconds, cpu_seconds, output_bytes}`: of the
    jobs that the file goes back to, and of attempts at the same units that did not succeed. Of
    `silent_jobs` no record says what they took. Sums are None where no job says it. `stages` are
    `{stage, made, failed}`, the dearest first. Of an input that jobs share by role the making is
    not in it.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: there is no such version.
        LimitError: it took more than five seconds.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    focus = find_focus(connection, file, version=version, as_of=as_of)
    history = trace_history(connection, focus, as_of=as_of)
    met = history.behind()
    made = job_costs(connection, [int(key[1:]) for key in met if key[0] == "j"])
    failed = failed_attempts(connection, made, as_of=as_of)
    sizes = output_bytes(connection, [cost.key for cost in (*made, *failed)])
    stages = sorted({cost.stage for cost in (*made, *failed)})
    rows = [
        {
            "stage": stage or None,
            "made": _sum([cost for cost in made if cost.stage == stage], sizes),
            "failed": _sum([cost for cost in failed if cost.stage == stage], sizes),
        }
        for stage in stages
    ]
    return {
        "file": file.to_json(),
        **focus.to_json(),
        "files": sum(key[0] != "j" for key in met),
        "made": _sum(made, sizes),
        "failed": _sum(failed, sizes),
        "stages": sorted(
            rows, key=lambda row: -(row["made"]["cpu_seconds"] or row["made"]["wall_seconds"] or 0)
        ),
        "is_truncated": history.is_cut,
    }


def _sum(costs: Iterable[JobCost], sizes: Mapping[int, int]) -> dict[str, Any]:
    listed = list(costs)
    put_out = [sizes[cost.key] for cost in listed if cost.key in sizes]
    return {
        "jobs": len(listed),
        "silent_jobs": sum(
            cost.wall_seconds is None and cost.cpu_seconds is None for cost in listed
        ),
        "wall_seconds": _total(cost.wall_seconds for cost in listed),
        "cpu_seconds": _total(cost.cpu_seconds for cost in listed),
        "output_bytes": sum(put_out) if put_out else None,
    }


def _total(said: Iterable[float | None]) -> float | None:
    known = [value for value in said if value is not None]
    return sum(known) if known else None
