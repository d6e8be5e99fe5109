"""Lists of jobs, newest first, a page at a time."""

from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import JobList, JobSummary, MatchedParameter
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.configurations.job_seeds import matched_seeds
from jobprov.provenance.db.queries.configurations.matched_values import matched_values
from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.db.queries.lookup.jobs import JobFilters, list_job_rows
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.file_names import name_file
from jobprov.provenance.services.lookup.parameter_filters import read_conditions
from jobprov.provenance.services.lookup.software_filters import name_software

MOST = 1000
_NARROWER = "narrow it down by the beginning of the parameter's key, or by task"


def list_jobs(
    connection: Connection, filters: JobFilters, *, limit: int = 100, cursor: str | None = None
) -> JobList:
    """Return the newest jobs that pass the filters, or those behind the job that the cursor names.

    Raises:
        BadInputError: the state, limit, cursor or condition on a parameter cannot be read.
        NotFoundError, AmbiguousError: the file that the jobs touch; see `find_file`.
        LimitError: the search took more than five seconds.
    """
    check_limit(limit)
    before = read_cursor(cursor)
    conditions = read_conditions(filters.parameter, filters.value, filters.variable)
    filters = name_software(connection, name_file(connection, filters))
    with time_limit(connection, _NARROWER):
        # one more than is shown tells whether there are more
        rows = list_job_rows(
            connection, filters, limit=limit + 1, before=before, conditions=conditions
        )
        matched = _matched(connection, conditions, filters.seed, rows[:limit])
    jobs = [summary for _, summary in rows[:limit]]
    if len(rows) <= limit:
        return JobList(jobs, next=None, matched=matched)
    last_key, _ = rows[limit - 1]
    return JobList(jobs, next=str(last_key), matched=matched)


def _matched(
    connection: Connection,
    conditions: Sequence[ParameterCondition],
    seed: int | None,
    rows: Sequence[tuple[int, JobSummary]],
) -> dict[str, list[MatchedParameter]]:
    """Return the parameters and seeds of each job for which the question holds, by job id.

    Return nothing where it asks for none.
    """
    keys = [key for key, _ in rows]
    answers = [matched_values(connection, condition, keys) for condition in conditions]
    if seed is not None:
        answers.append(matched_seeds(connection, seed, keys))
    if not answers:
        return {}
    matched: dict[str, list[MatchedParameter]] = {}
    for key, job in rows:
        of_job = matched.setdefault(job.job_id, [])
        for values in answers:
            of_job += [MatchedParameter(*found) for found in values.get(key, ())]
    return matched


def check_limit(limit: int) -> None:
    """Check how many rows of a list are asked for.

    Raises:
        BadInputError: none, or more than a thousand.
    """
    if not 1 <= limit <= MOST:
        raise BadInputError(f"limit: between 1 and {MOST}.", {"limit": [f"between 1 and {MOST}"]})


def read_cursor(cursor: str | None) -> int | None:
    """Return the integer key in a cursor.

    Raises:
        BadInputError: no list gave it.
    """
    if cursor is None:
        return None
    is_key = cursor.isascii() and cursor.isdigit() and len(cursor) < 19  # noqa: PLR2004 - 64 bits
    if not is_key:
        raise bad_cursor()
    return int(cursor)


def bad_cursor() -> BadInputError:
    """Return that no list gave a cursor."""
    return BadInputError(
        "cursor: not one that a list gave.", {"cursor": ["not one that a list gave"]}
    )
