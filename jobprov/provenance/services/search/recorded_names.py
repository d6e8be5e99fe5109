"""Lists of recorded names, for type-ahead and for scripts that go through them."""

from sqlalchemy import Connection

from jobprov.provenance.answers.search import RecordedNames
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.search.recorded_names import KINDS, NameFilters, recorded_names
from jobprov.provenance.errors import check_choice
from jobprov.provenance.services.paging import check_limit, next_cursor

MOST_LISTED = 1000


def list_names(
    connection: Connection,
    kind: str,
    filters: NameFilters,
    *,
    limit: int = MOST_LISTED,
    cursor: str | None = None,
) -> RecordedNames:
    """Return the first names of a kind, or those that follow the name in the cursor.

    Raises:
        BadInputError: the limit cannot be read, or there is no such kind.
        LimitError: the search took more than five seconds.
    """
    check_limit(limit, MOST_LISTED)
    check_choice("kind", kind, KINDS)
    with time_limit(connection, "narrow it down to an experiment or a campaign"):
        # One more than is shown: then there are more
        names = recorded_names(connection, kind, filters, after=cursor or "", limit=limit + 1)
    return RecordedNames(names[:limit], next=next_cursor(names, limit, str))
