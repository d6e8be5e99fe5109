"""What is touched by it? Files made with a commit, a parameter's value, on a host, from a file, and all that was made from these.

Source: http.md, `GET /lineage/impact`.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.fragments.claim_places import place_of
from jobprov.provenance.db.queries.fragments.node_facts import file_url, job_url
from jobprov.provenance.db.queries.histories.impact import (
    MOST_FILES,
    MOST_SEEDS,
    Conditions,
    MadeClaim,
    TouchedFile,
    count_jobs,
    count_touched,
    in_order,
    inferred_code,
    jobs_that,
    made_claims,
    next_claims,
    touched_files,
)
from jobprov.provenance.db.queries.histories.walks import with_descendants
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.time_limits import time_limit
from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.services.lookup.file_names import name_file
from jobprov.provenance.services.lookup.jobs import read_cursor
from jobprov.provenance.services.lookup.parameter_filters import read_condition

MOST_LISTED = 1000
MOST_FOLLOWED = 20_000
"""Jobs whose files are followed for a page; a stream follows a hundred thousand files."""
_STRETCH = 10_000
_FILTERS = (
    "revision",
    "software",
    "parameter",
    "host",
    "site",
    "file",
    "experiment",
    "campaign",
    "stage",
    "task_id",
    "state",
    "started_after",
    "started_before",
)
_UNCOUNTED: dict[str, Any] = {
    "made": None,
    "touched_jobs": None,
    "touched": None,
    "is_truncated": True,
}
_ADVICE = "narrow it down, or ask for direct=true"


def find_impact(
    connection: Connection,
    filters: JobFilters,
    *,
    is_direct: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return `{jobs, made, touched_jobs, touched, is_truncated, inferred, files, next}`.

    Counts first, then a page of the files.

    `jobs` pass the filters and made `made` files; with all that was made from these at any depth,
    `touched` files of `touched_jobs` jobs. A file is `{name, namespace, experiment, url, job_id,
    job_url, task_id, stage, is_direct}`. More than twenty thousand jobs are only counted: the other
    counts are None, and `files` are those that they made themselves. `inferred` names the products
    among the code asked for whose commit follows from their version, as an operator says, and was
    not observed.

    Args:
        connection: where from.
        filters: which jobs; at least one must be set.
        is_direct: only what these jobs made themselves.
        limit: files on the page.
        cursor: `next` of the page before.

    Raises:
        BadInputError: no filter, or a state, limit, cursor or question to parameters that is none.
        NotFoundError, AmbiguousError: the file that the jobs touch; see `find_file`.
        LimitError: more than 100,000 files to begin with, or it took more than five seconds.
    """
    if not 1 <= limit <= MOST_LISTED:
        raise BadInputError(
            f"limit: between 1 and {MOST_LISTED}.", {"limit": [f"between 1 and {MOST_LISTED}"]}
        )
    after = read_cursor(cursor) or 0
    with time_limit(connection, _ADVICE):
        chosen = _chosen(connection, filters)
        jobs = count_jobs(connection, chosen) if chosen is not None else 0
        if chosen is not None and jobs > MOST_FOLLOWED:
            claims = next_claims(connection, chosen, after=after, most=limit + 1)
            page = _page(connection, claims, set(claims), limit)
            return {
                **_UNCOUNTED,
                "jobs": jobs,
                "inferred": inferred_code(connection, filters),
                **page,
            }
        claims, made = _touched(connection, chosen, is_direct=is_direct)
        named = [claim for claim in made if claim.alias_of is None]
        touched, touched_jobs = (
            (len(named), len({claim.job for claim in named}))
            if is_direct
            else count_touched(connection, claims)
        )
        listed = (
            _behind(named, after)[: limit + 1]
            if is_direct
            else in_order(connection, claims, after=after, most=limit + 1)
        )
    return {
        "jobs": jobs,
        "made": len(named),
        "touched_jobs": touched_jobs,
        "touched": touched,
        "is_truncated": len(claims) >= MOST_FILES,
        "inferred": inferred_code(connection, filters),
        **_page(connection, listed, {claim.claim for claim in made}, limit),
    }


def _behind(made: Sequence[MadeClaim], after: int = 0) -> list[int]:
    """Return those of the claims that come after a place, other names apart.

    They are in the order of places.
    """
    return [
        each.claim
        for each in made
        if each.alias_of is None and place_of(each.job, each.position) > after
    ]


def _page(
    connection: Connection, claims: Sequence[int], direct: AbstractSet[int], limit: int
) -> dict[str, Any]:
    shown = list(islice(touched_files(connection, claims), limit + 1))
    return {
        "files": [_file(file, is_direct=file.claim in direct) for file in shown[:limit]],
        "next": str(shown[limit - 1].place) if len(shown) > limit else None,
    }


def stream_impact(
    connection: Connection, filters: JobFilters, *, is_direct: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield every file that is touched, as in `find_impact`.

    Of what very many jobs made themselves, a stretch at a time.

    Raises:
        BadInputError: see `find_impact`.
        LimitError: what is made from the files of more than 100,000 jobs is not followed, nor what
            takes more than five seconds.
    """
    with time_limit(connection, _ADVICE):
        chosen = _chosen(connection, filters)
        is_wide = chosen is not None and count_jobs(connection, chosen) > MOST_SEEDS
        claims, made = (
            ([], []) if is_wide and is_direct else _touched(connection, chosen, is_direct=is_direct)
        )
        direct = {claim.claim for claim in made}
    if chosen is not None and is_wide:
        for file in _made_by_many(connection, chosen):
            yield _file(file, is_direct=True)
    for file in touched_files(
        connection, _behind(made) if is_direct else in_order(connection, claims)
    ):
        yield _file(file, is_direct=file.claim in direct)


def _made_by_many(connection: Connection, chosen: Conditions) -> Iterator[TouchedFile]:
    after = 0
    while claims := next_claims(connection, chosen, after=after, most=_STRETCH):
        for file in touched_files(connection, claims):
            yield file
            after = file.place


def _chosen(connection: Connection, filters: JobFilters) -> Conditions | None:
    if filters == JobFilters():
        message = "Say which jobs: by commit, parameter, host, file, task or time."
        raise BadInputError(message, {name: ["one of these is needed"] for name in _FILTERS})
    condition = read_condition(filters.parameter, filters.value)
    return jobs_that(connection, name_file(connection, filters), condition)


def _touched(
    connection: Connection, jobs: Conditions | None, *, is_direct: bool
) -> tuple[list[int], list[MadeClaim]]:
    """Return the claims that are touched, and those of them that the jobs themselves made."""
    if jobs is None:
        return [], []
    made = made_claims(connection, jobs, most=MOST_FILES if is_direct else MOST_SEEDS + 1)
    claims = [claim.claim for claim in made]
    if is_direct:
        return claims, made
    if len(made) > MOST_SEEDS:
        raise LimitError(f"These jobs made more than {MOST_SEEDS} files; {_ADVICE}.", MOST_SEEDS)
    return with_descendants(connection, claims, most=MOST_FILES) if made else [], made


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
