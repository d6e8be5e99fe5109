"""Lists of jobs, newest first, a page at a time."""

from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.jobs import JobFilters, list_job_rows
from jobprov.provenance.db.time_limits import time_limit
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.file_names import name_file
from jobprov.provenance.services.lookup.parameter_filters import read_condition

MOST = 1000


def list_jobs(
    connection: Connection, filters: JobFilters, *, limit: int = 100, cursor: str | None = None
) -> dict[str, Any]:
    """Return `{"jobs": [summary], "next": cursor or None}`; the cursor names the last job shown.

    Raises:
        BadInputError: a state, limit, cursor or question to parameters that is none.
        NotFoundError, AmbiguousError: the file that the jobs touch; see `find_file`.
        LimitError: the search took more than five seconds.
    """
    if not 1 <= limit <= MOST:
        raise BadInputError(f"limit: between 1 and {MOST}.", {"limit": [f"between 1 and {MOST}"]})
    before, condition = read_cursor(cursor), read_condition(filters.parameter, filters.value)
    filters = name_file(connection, filters)
    with time_limit(
        connection, "narrow it down by the beginning of the parameter's key, or by task"
    ):
        rows = list_job_rows(
            connection, filters, limit=limit + 1, before=before, condition=condition
        )
    jobs = [summary for _, summary in rows[:limit]]
    return {"jobs": jobs, "next": str(rows[limit - 1][0]) if len(rows) > limit else None}


def read_cursor(cursor: str | None) -> int | None:
    """Return the integer key in a cursor.

    Raises:
        BadInputError: it is not one that a list gave.
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):  # noqa: PLR2004 - 64 bits
        raise BadInputError(
            "cursor: not one that a list gave.", {"cursor": ["not one that a list gave"]}
        )
    return int(cursor)
