"""One box: a file name, job id, batch id, task, campaign, commit or host, found by index look-ups alone."""

from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.search import (
    campaigns_named,
    files_named,
    hosts_named,
    jobs_by_batch_id,
    jobs_by_id,
    revisions_named,
    tasks_named,
)
from jobprov.provenance.lineage.sentences import name_in_path

MOST = 10
SHORTEST = 2


def search(connection: Connection, text: str) -> list[dict[str, Any]]:
    """Return hits as `{kind, text, detail, url}`, exact ones first, at most ten a kind.

    None for less than two letters.

    Of a path or an address that nothing begins with, what its last part finds: people hold files by
    their paths.
    """
    wanted = text.strip()
    hits = _hits(connection, wanted)
    return hits if hits or "/" not in wanted else _hits(connection, name_in_path(wanted))


def _hits(connection: Connection, wanted: str) -> list[dict[str, Any]]:
    if len(wanted) < SHORTEST or "\0" in wanted:
        return []
    finders = (
        files_named,
        jobs_by_id,
        jobs_by_batch_id,
        tasks_named,
        campaigns_named,
        revisions_named,
        hosts_named,
    )
    hits = [hit for finder in finders for hit in finder(connection, wanted, MOST)]
    return sorted(hits, key=lambda hit: hit["text"] != wanted)
