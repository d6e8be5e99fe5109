"""The search box, which works by index look-ups alone.

It finds a file name, job id, batch id, task, campaign, commit or host.
"""

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup import Hit, Hits
from jobprov.provenance.db.queries.lookup.search import (
    campaigns_named,
    commits_named,
    files_named,
    hosts_named,
    jobs_by_batch_id,
    jobs_by_id,
    tasks_named,
)
from jobprov.provenance.lineage.sentences import name_in_path

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
