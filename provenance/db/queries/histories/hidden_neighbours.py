"""Counts the direct neighbours that a bounded picture of a history leaves out, node by node.

A picture takes a few statements, however large the history is.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, bindparam, func, select

from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Job, Mention
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.lineage.graph import SHARED_ROLES, Edge, neighbours
from jobprov.provenance.lineage.keys import row_numbers

MOST_USES = 10_000
"""Uses of files that are counted. A calibration file may have millions of readers."""
_INPUTS = (
    select(Mention.job_id, func.count(Mention.identity_id.distinct()))
    .where(
        Mention.job_id.in_(bindparam("jobs", expanding=True)),
        func.coalesce(Mention.role, "").not_in(SHARED_ROLES),
    )
    .group_by(Mention.job_id)
)
_OUTPUTS = (
    "SELECT job_id, count(*) FROM claims WHERE job_id {among} AND alias_of IS NULL GROUP BY job_id"
)
_OF_CLAIMS = "SELECT identity_id, claim_id FROM producers WHERE claim_id {among}"
_OF_FILES = "SELECT id, file_id FROM identities WHERE file_id {among}"
_some = (
    select(Mention.identity_id)
    .join(Job, Job.id == Mention.job_id)
    .where(Mention.identity_id.in_(bindparam("identities", expanding=True)), Job.rerun_of.is_(None))
    .limit(bindparam("most"))
    .subquery()
)
_USES = select(_some.c.identity_id, func.count()).group_by(_some.c.identity_id)


def hidden_inputs(connection: Connection, start: str, edges: Collection[Edge]) -> dict[str, int]:
    """Return how many direct inputs or producers the picture leaves out before each node.

    Only nodes that led to `start` are looked at; those with nothing left out are not returned.
    """
    _, before = neighbours((edge.source, edge.target) for edge in edges)
    reached = _reached(start, before)
    shown = Counter(edge.target for edge in edges if edge.role not in SHARED_ROLES)
    # A claim has one job before it, which made it; a job has its inputs
    needed = {f"c{claim}": 1 for claim in row_numbers(reached, "c")}
    for part in chunks(row_numbers(reached, "j")):
        for job, count in run(connection, _INPUTS, {"jobs": part}):
            needed[f"j{job}"] = count
    return _lacking(needed, shown)


def hidden_outputs(connection: Connection, start: str, edges: Collection[Edge]) -> dict[str, int]:
    """Return how many direct products or uses the picture leaves out after each node.

    Only nodes that came from `start` are looked at; those with nothing left out are not returned.
    """
    after, _ = neighbours((edge.source, edge.target) for edge in edges)
    reached = _reached(start, after)
    shown = Counter(edge.source for edge in edges)
    needed = _uses(connection, reached)
    for job, count in select_among(connection, _OUTPUTS, row_numbers(reached, "j")):
        needed[f"j{job}"] = count
    return _lacking(needed, shown)


def _uses(connection: Connection, keys: Iterable[str]) -> Counter[str]:
    """Return how many jobs read each of these files, without reruns for comparison."""
    listed = list(keys)
    file_of: dict[int, str] = {}
    for identity, claim in select_among(connection, _OF_CLAIMS, row_numbers(listed, "c")):
        file_of[identity] = f"c{claim}"
    for identity, file in select_among(connection, _OF_FILES, row_numbers(listed, "f")):
        file_of[identity] = f"f{file}"
    uses: Counter[str] = Counter()
    left = MOST_USES
    for part in chunks(sorted(file_of)):
        for identity, count in run(connection, _USES, {"identities": part, "most": left}):
            uses[file_of[identity]] += count
            left -= count
        if left <= 0:
            break
    return uses


def _reached(start: str, links: Mapping[str, list[str]]) -> dict[str, None]:
    """Return the keys that are reached from the start, in the order in which they are met."""
    reached = {start: None}
    queue = [start]
    for key in queue:
        for other in links.get(key, ()):
            if other not in reached:
                reached[other] = None
                queue.append(other)
    return reached


def _lacking(needed: Mapping[str, int], shown: Mapping[str, int]) -> dict[str, int]:
    """Return by how many neighbours a node has more than are shown."""
    lacking: dict[str, int] = {}
    for key, count in needed.items():
        hidden = count - shown.get(key, 0)
        if hidden > 0:
            lacking[key] = hidden
    return lacking
