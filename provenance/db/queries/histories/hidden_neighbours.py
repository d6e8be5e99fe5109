"""Direct neighbours that a bounded picture of a history leaves out.

They are counted at the places where the picture breaks off, by a few statements a picture.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, bindparam, func, select

from jobprov.provenance.db.composed import run
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.selecting import select_among
from jobprov.provenance.db.tables import Job, Mention
from jobprov.provenance.lineage.graph import SHARED_ROLES, Edge, neighbours

MOST_USES = 10_000
"""Uses of files that are counted; a file that more jobs read is said to have at least so many."""
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
    """Return how many direct inputs and producers the picture lacks before each node.

    The nodes are those that led to `start`; one that lacks none is left out.
    """
    _, before = neighbours((edge.source, edge.target) for edge in edges)
    reached = _reached(start, before)
    shown = Counter(edge.target for edge in edges if edge.role not in SHARED_ROLES)
    needed = {key: 1 for key in reached if key[0] == "c"}  # the job that made it
    for part in chunks(_numbers(reached, "j")):
        needed |= {f"j{job}": count for job, count in run(connection, _INPUTS, {"jobs": part})}
    return _lacking(needed, shown)


def hidden_outputs(connection: Connection, start: str, edges: Collection[Edge]) -> dict[str, int]:
    """Return how many direct products and uses the picture lacks after each node.

    The nodes are those that came of `start`; one that lacks none is left out.
    """
    after, _ = neighbours((edge.source, edge.target) for edge in edges)
    reached = _reached(start, after)
    shown = Counter(edge.source for edge in edges)
    needed: Counter[str] = Counter()
    needed.update(
        {
            f"j{job}": count
            for job, count in select_among(connection, _OUTPUTS, _numbers(reached, "j"))
        }
    )
    needed.update(_uses(connection, reached))
    return _lacking(needed, shown)


def _uses(connection: Connection, keys: Iterable[str]) -> Counter[str]:
    """Return how many jobs read each of these files, reruns for comparison apart."""
    listed = list(keys)
    file_of = {
        row[0]: f"c{row[1]}" for row in select_among(connection, _OF_CLAIMS, _numbers(listed, "c"))
    }
    file_of |= {
        row[0]: f"f{row[1]}" for row in select_among(connection, _OF_FILES, _numbers(listed, "f"))
    }
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
    reached = {start: None}
    queue = [start]
    for key in queue:
        for other in links.get(key, ()):
            if other not in reached:
                reached[other] = None
                queue.append(other)
    return reached


def _numbers(keys: Iterable[str], kind: str) -> list[int]:
    return [int(key[1:]) for key in keys if key[0] == kind]


def _lacking(needed: Mapping[str, int], shown: Mapping[str, int]) -> dict[str, int]:
    return {
        key: count - shown.get(key, 0) for key, count in needed.items() if count > shown.get(key, 0)
    }
