"""What is touched by it? Files made with a commit, a parameter's value, on a host, from a file, and all that was made from these.

Source: http.md, `GET /lineage/impact`.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Subquery

from provenance.db.queries.impact import (
    MOST_FILES,
    MOST_SEEDS,
    TouchedFile,
    count_made,
    count_touched,
    jobs_that,
    made_claims,
    touched_files,
)
from provenance.db.queries.jobs import JobFilters
from provenance.db.queries.node_facts import file_url, job_url
from provenance.db.queries.walking import time_limit, with_descendants
from provenance.errors import BadInputError, LimitError
from provenance.services.ask_parameters import read_condition
from provenance.services.list_jobs import read_cursor

MOST_LISTED = 1000
_ADVICE = "narrow it down, or ask for direct=true"


def find_impact(
    connection: Connection,
    filters: JobFilters,
    *,
    is_direct: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return `{jobs, made, touched_jobs, touched, is_truncated, files, next}`: counts first, then a page of the files.

    `jobs` pass the filters and made `made` files; with all that was made from these at any depth, `touched` files of `touched_jobs`
    jobs. A file is `{name, namespace, experiment, url, job_id, job_url, task_id, stage, is_direct}`.

    Args:
        connection: where from.
        filters: which jobs; at least one must be set.
        is_direct: only what these jobs made themselves.
        limit: files on the page.
        cursor: `next` of the page before.

    Raises:
        BadInputError: no filter, or a limit, cursor or question to parameters that is none.
        LimitError: more than 100,000 files to begin with, or it took more than five seconds.
    """
    if not 1 <= limit <= MOST_LISTED:
        raise BadInputError(f"limit: between 1 and {MOST_LISTED}.", {"limit": [f"between 1 and {MOST_LISTED}"]})
    after = read_cursor(cursor) or 0
    with time_limit(connection, _ADVICE):
        chosen = _chosen(connection, filters)
        jobs, made = count_made(connection, chosen) if chosen is not None else (0, 0)
        claims, direct = _touched(connection, chosen, is_direct=is_direct)
        touched, touched_jobs = count_touched(connection, claims)
    rest = [claim for claim in claims if claim > after]
    shown = []
    for file in touched_files(connection, rest):
        shown.append(file)
        if len(shown) > limit:
            break
    return {
        "jobs": jobs,
        "made": made,
        "touched_jobs": touched_jobs,
        "touched": touched,
        "is_truncated": len(claims) >= MOST_FILES,
        "files": [_file(file, is_direct=file.claim in direct) for file in shown[:limit]],
        "next": str(shown[limit - 1].claim) if len(shown) > limit else None,
    }


def stream_impact(connection: Connection, filters: JobFilters, *, is_direct: bool = False) -> Iterator[dict[str, Any]]:
    """Yield every file that is touched, as in `find_impact`."""
    with time_limit(connection, _ADVICE):
        claims, direct = _touched(connection, _chosen(connection, filters), is_direct=is_direct)
    for file in touched_files(connection, claims):
        yield _file(file, is_direct=file.claim in direct)


def _chosen(connection: Connection, filters: JobFilters) -> Subquery | None:
    if filters == JobFilters():
        raise BadInputError("Say which jobs: by commit, parameter, host, file, task or time.", {"": ["no filter"]})
    return jobs_that(connection, filters, read_condition(filters.parameter, filters.value))


def _touched(connection: Connection, jobs: Subquery | None, *, is_direct: bool) -> tuple[list[int], set[int]]:
    """Return the claims that are touched, and those of them that the jobs themselves made."""
    if jobs is None:
        return [], set()
    direct = made_claims(connection, jobs, most=MOST_FILES if is_direct else MOST_SEEDS + 1)
    if is_direct:
        return direct, set(direct)
    if len(direct) > MOST_SEEDS:
        raise LimitError(f"These jobs made more than {MOST_SEEDS} files; {_ADVICE}.", MOST_SEEDS)
    return with_descendants(connection, direct, most=MOST_FILES) if direct else [], set(direct)


def _file(file: TouchedFile, *, is_direct: bool) -> dict[str, Any]:
    return {
        "name": file.name,
        "namespace": file.namespace,
        "experiment": file.experiment,
        "url": file_url(file.name, file.experiment, file.namespace),
        "job_id": file.job_id,
        "job_url": job_url(file.job_id),
        "task_id": file.task_id,
        "stage": file.stage,
        "is_direct": is_direct,
    }
