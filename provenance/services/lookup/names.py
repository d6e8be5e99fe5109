"""Lists of the names that questions use."""

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import RecordedNames
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.lookup.recorded_names import (
    KINDS,
    NameFilters,
    recorded_names,
)
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.jobs import check_limit


def list_names(
    connection: Connection,
    kind: str,
    filters: NameFilters,
    *,
    limit: int = 1000,
    cursor: str | None = None,
) -> RecordedNames:
    """Return the first names of a kind, or those behind the one that the cursor is.

    Raises:
        BadInputError: the limit cannot be read, or there is no such kind.
        LimitError: the search took more than five seconds.
    """
    check_limit(limit)
    if kind not in KINDS:
        choices = f"one of {', '.join(KINDS)}"
        raise BadInputError(f"kind: {choices}.", {"kind": [choices]})
    with time_limit(connection, "narrow it down to an experiment or a campaign"):
        # one more than is shown tells whether there are more
        names = recorded_names(connection, kind, filters, after=cursor or "", limit=limit + 1)
    listed = names[:limit]
    next_cursor = None
    if len(names) > limit:
        next_cursor = listed[-1]
    return RecordedNames(listed, next=next_cursor)
