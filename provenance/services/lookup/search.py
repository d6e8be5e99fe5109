"""The search box, and lists of the names that questions use.

The search box finds a file name, job id, batch id, task, campaign, commit or host, by index look-ups
alone.
"""

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import RecordedNames
from jobprov.provenance.answers.lookup.search import Hit, Hits
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.lookup.search import (
    KINDS,
    NameFilters,
    campaigns_named,
    commits_named,
    files_named,
    hosts_named,
    jobs_by_batch_id,
    jobs_by_id,
    recorded_names,
    tasks_named,
)
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.sentences import name_in_path
from jobprov.provenance.services.lookup.jobs import check_limit

MOST = 10
SHORTEST = 2
_FINDERS = (
    files_named,
    jobs_by_id,
    jobs_by_batch_id,
    tasks_named,
    campaigns_named,
    commits_named,
    hosts_named,
)


def search(connection: Connection, text: str) -> Hits:
    """Return what begins with a text of two letters or more.

    Of a path or an address that nothing begins with, what its last part finds: people have files by
    their paths.
    """
    wanted = text.strip()
    hits = _hits(connection, wanted)
    if not hits and "/" in wanted:
        hits = _hits(connection, name_in_path(wanted))
    return Hits(hits)


def _hits(connection: Connection, wanted: str) -> list[Hit]:
    if len(wanted) < SHORTEST or "\0" in wanted:
        return []
    hits: list[Hit] = []
    for find in _FINDERS:
        hits += find(connection, wanted, MOST)
    return sorted(hits, key=lambda hit: not _is_exact(hit, wanted))


def _is_exact(hit: Hit, wanted: str) -> bool:
    """Return whether a name is the text itself; a file's name may follow its namespace."""
    return hit.text == wanted or (hit.kind == "file" and hit.text.endswith(f":{wanted}"))


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
