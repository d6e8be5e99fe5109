"""Direct neighbours that a bounded picture of a history leaves out, at the places where it breaks off: a few statements a picture."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, func, select

from provenance.db.keys import chunks
from provenance.db.tables import Claim, Identity, Job, Mention, Producer
from provenance.lineage.graph import SHARED_ROLES, Edge, neighbours

MOST_USES = 10_000
"""Uses of files that are counted; a file that more jobs read is said to have at least so many."""


def hidden_inputs(connection: Connection, start: str, edges: Collection[Edge]) -> dict[str, int]:
    """Return how many direct inputs and producers the picture lacks before each node that led to `start`; none where none."""
    _, before = neighbours((edge.source, edge.target) for edge in edges)
    reached = _reached(start, before)
    shown = Counter(edge.target for edge in edges if edge.role not in SHARED_ROLES)
    needed = {key: 1 for key in reached if key[0] == "c"}  # the job that made it
    for part in chunks(_numbers(reached, "j")):
        query = (
            select(Mention.job_id, func.count(Mention.identity_id.distinct()))
            .where(Mention.job_id.in_(part), func.coalesce(Mention.role, "").not_in(SHARED_ROLES))
            .group_by(Mention.job_id)
        )
        needed |= {f"j{job}": count for job, count in connection.execute(query)}
    return _lacking(needed, shown)


def hidden_outputs(connection: Connection, start: str, edges: Collection[Edge]) -> dict[str, int]:
    """Return how many direct products and uses the picture lacks after each node that came of `start`; none where none."""
    after, _ = neighbours((edge.source, edge.target) for edge in edges)
    reached = _reached(start, after)
    shown = Counter(edge.source for edge in edges)
    needed: Counter[str] = Counter()
    for part in chunks(_numbers(reached, "j")):
        query = (
            select(Claim.job_id, func.count())
            .where(Claim.job_id.in_(part), Claim.alias_of.is_(None))
            .group_by(Claim.job_id)
        )
        needed.update({f"j{job}": count for job, count in connection.execute(query)})
    needed.update(_uses(connection, reached))
    return _lacking(needed, shown)


def _uses(connection: Connection, keys: Iterable[str]) -> Counter[str]:
    """Return how many jobs read each of these files, reruns for comparison apart."""
    file_of: dict[int, str] = {}
    listed = list(keys)
    for part in chunks(_numbers(listed, "c")):
        rows = connection.execute(select(Producer.identity_id, Producer.claim_id).where(Producer.claim_id.in_(part)))
        file_of.update((identity, f"c{claim}") for identity, claim in rows)
    for part in chunks(_numbers(listed, "f")):
        rows = connection.execute(select(Identity.id, Identity.file_id).where(Identity.file_id.in_(part)))
        file_of.update((identity, f"f{file}") for identity, file in rows)
    uses: Counter[str] = Counter()
    left = MOST_USES
    for part in chunks(sorted(file_of)):
        some = (
            select(Mention.identity_id)
            .join(Job, Job.id == Mention.job_id)
            .where(Mention.identity_id.in_(part), Job.rerun_of.is_(None))
            .limit(left)
            .subquery()
        )
        query = select(some.c.identity_id, func.count()).group_by(some.c.identity_id)
        for identity, count in connection.execute(query):
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
    return {key: count - shown.get(key, 0) for key, count in needed.items() if count > shown.get(key, 0)}
