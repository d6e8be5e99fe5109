"""A bounded picture of a file's history: nearest first, level by level, a few statements a level."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from provenance.db.keys import chunks
from provenance.db.queries.hidden_neighbours import hidden_inputs, hidden_outputs
from provenance.db.queries.node_facts import file_nodes, job_nodes
from provenance.db.queries.versions import versions_of
from provenance.db.queries.walking import Counts, count_walk
from provenance.db.tables import Claim, Identity, Job, Mention, Parent, Producer
from provenance.lineage.graph import SHARED_ROLES, Edge, FileNode, Graph, Node, Omitted

MOST_COUNTED = 20_000
"""Files beside a picture that are counted; of more it says that there are at least so many."""
DIRECTIONS = ("ancestors", "descendants", "both")


class Focus(NamedTuple):
    """Where a walk starts: a version of a file (its claim), or a file that no recorded job made (claim None)."""

    file_id: int
    claim_id: int | None


@dataclass
class _Picture:
    """What the walk has met so far; file nodes are claims (`c7`) or placeholders (`f9`), job nodes `j3`."""

    limit: int
    order: dict[str, None] = field(default_factory=dict)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    is_truncated: bool = False
    ends: list[int] = field(default_factory=list)
    """How many nodes there were after each level."""
    up: int = 0
    down: int = 0

    def add(self, key: str) -> bool:
        """Return whether the node is in the picture, after adding it where there is room."""
        if key in self.order:
            return True
        if len(self.order) >= self.limit:
            self.is_truncated = True
            return False
        self.order[key] = None
        return True

    def join(self, source: str, target: str, *, is_sure: bool = True, role: str = "") -> None:
        held = self.edges.get((source, target))
        if held is None or (role and not held.role):  # a shared input may be met first as a parent, which says no role
            self.edges[source, target] = Edge(source, target, is_sure, role)


def draw_neighbourhood(
    connection: Connection, focus: Focus, *, direction: str = "both", depth: int | None = None, limit: int = 200
) -> Graph:
    """Return the graph around `focus`, at most `limit` nodes, nearest first, with counts of what is left out.

    Args:
        connection: to read from.
        focus: where to start.
        direction: `ancestors`, `descendants` or `both`.
        depth: levels of jobs to walk; None for as many as the limit holds.
        limit: most nodes.
    """
    picture = _Picture(limit)
    start = f"c{focus.claim_id}" if focus.claim_id is not None else f"f{focus.file_id}"
    picture.add(start)
    up = [focus.claim_id] if focus.claim_id is not None and direction != "descendants" else []
    down = [start] if direction != "ancestors" else []
    level = 0
    while (up or down) and not picture.is_truncated and (depth is None or level < depth):
        before = len(picture.order)
        up = _one_level_up(connection, picture, up)
        between = len(picture.order)
        down = _one_level_down(connection, picture, down)
        picture.up += between - before
        picture.down += len(picture.order) - between
        picture.ends.append(len(picture.order))
        level += 1
    _add_shared_inputs(connection, picture)
    by_key: dict[str, Node] = {node.key: node for node in file_nodes(connection, picture.order)}
    by_key |= {node.key: node for node in job_nodes(connection, picture.order)}
    return Graph(
        start,
        tuple(_ordered(picture, by_key)),
        tuple(picture.edges.values()),
        _omitted(connection, picture, focus, direction) if picture.is_truncated or up or down else Omitted(),
        picture.is_truncated or bool(up or down),
    )


def _ordered(picture: _Picture, nodes: Mapping[str, Node]) -> Iterator[Node]:
    """Yield the nodes level by level, those of a level as one looks for them: jobs by stage, files by name."""
    keys = list(picture.order)
    for start, end in pairwise((0, 1, *picture.ends, len(keys))):
        yield from sorted((nodes[key] for key in keys[start:end] if key in nodes), key=_place_in_level)


def _place_in_level(node: Node) -> tuple[bool, str, str, int]:
    if isinstance(node, FileNode):
        return True, node.name, node.namespace, node.version or 0
    return False, node.stage or "", node.label, 0


def _one_level_up(connection: Connection, picture: _Picture, claims: Sequence[int]) -> list[int]:
    """Add the jobs that made these claims and their parents; return the claims to go on from."""
    found: dict[int, None] = {}
    for part in chunks(claims):
        made_by = select(Claim.id, Claim.job_id).where(Claim.id.in_(part))
        jobs = {row[0]: row[1] for row in connection.execute(made_by)}
        for claim, job in sorted(jobs.items()):
            if picture.add(f"j{job}"):
                picture.join(f"j{job}", f"c{claim}")
        parents = _parents_of(connection, part, 4 * picture.limit)
        picture.is_truncated |= len(parents) == 4 * picture.limit
        for row in parents:
            job = jobs[row.child]
            if row.claim_id is not None and row.producer_job == job:
                continue  # a job's output never satisfies its own input
            key = f"c{row.claim_id}" if row.claim_id is not None else f"f{row.file_id}"
            is_new = key not in picture.order
            if f"j{job}" in picture.order and picture.add(key):
                picture.join(key, f"j{job}", is_sure=row.is_sure is not False)
                if is_new and row.claim_id is not None:
                    found[row.claim_id] = None
    return list(found)


def _parents_of(connection: Connection, claims: Sequence[int], most: int) -> Sequence[Any]:
    """Return (child, identity_id, file_id, claim_id, is_sure, producer_job) of the parents of these claims, at most so many."""
    query = (
        select(
            Parent.claim_id.label("child"),
            Parent.identity_id,
            Identity.file_id,
            Producer.claim_id,
            Producer.is_sure,
            Claim.job_id.label("producer_job"),
        )
        .join(Identity, Identity.id == Parent.identity_id)
        .outerjoin(Producer, Producer.identity_id == Parent.identity_id)
        .outerjoin(Claim, Claim.id == Producer.claim_id)
        .where(Parent.claim_id.in_(claims))
        .order_by(Parent.claim_id, Parent.identity_id, Producer.claim_id)
        .limit(most)
    )
    return connection.execute(query).all()


def _one_level_down(connection: Connection, picture: _Picture, keys: Sequence[str]) -> list[str]:
    """Add the jobs that consumed these files and what they made of them; return the files to go on from."""
    found: dict[str, None] = {}
    source_of = _identities_of(connection, keys)
    for part in chunks(sorted(source_of)):
        for row in _consumers_of(connection, part, picture.limit):
            source, is_sure = source_of[row.identity_id]
            if picture.add(f"j{row.job_id}"):
                picture.join(source, f"j{row.job_id}", is_sure=is_sure, role=row.role or "")
        for identity, claim, job in connection.execute(
            select(Parent.identity_id, Parent.claim_id, Claim.job_id)
            .join(Claim, Claim.id == Parent.claim_id)
            .where(Parent.identity_id.in_(part))
            .order_by(Parent.identity_id, Parent.claim_id)
            .limit(4 * picture.limit)
        ):
            source, is_sure = source_of[identity]
            if source == f"c{claim}":
                continue
            is_new = f"c{claim}" not in picture.order
            if picture.add(f"j{job}") and picture.add(f"c{claim}"):
                picture.join(source, f"j{job}", is_sure=is_sure)
                picture.join(f"j{job}", f"c{claim}")
                if is_new:
                    found[f"c{claim}"] = None
    return list(found)


def _identities_of(connection: Connection, keys: Sequence[str]) -> dict[int, tuple[str, bool]]:
    """Return the identities that resolve to these files: by identity, the file's node and whether that is sure."""
    found: dict[int, tuple[str, bool]] = {}
    claims = [int(key[1:]) for key in keys if key[0] == "c"]
    for part in chunks(claims):
        query = select(Producer.identity_id, Producer.claim_id, Producer.is_sure).where(Producer.claim_id.in_(part))
        for identity, claim, is_sure in connection.execute(query):
            found[identity] = (f"c{claim}", is_sure)
    for part in chunks([int(key[1:]) for key in keys if key[0] == "f"]):
        query_files = select(Identity.id, Identity.file_id).where(Identity.file_id.in_(part))
        for identity, file in connection.execute(query_files):
            found.setdefault(identity, (f"f{file}", True))
    return found


def _consumers_of(connection: Connection, identities: Sequence[int], limit: int) -> Iterable[Any]:
    """Yield (identity_id, job_id, role) of the jobs that mention these identities, those of no output among them."""
    query = (
        select(Mention.identity_id, Mention.job_id, Mention.role)
        .where(Mention.identity_id.in_(identities))
        .order_by(Mention.identity_id, Mention.job_id)
        .limit(4 * limit)
    )
    return connection.execute(query)


def _add_shared_inputs(connection: Connection, picture: _Picture) -> None:
    """Add what jobs of the picture shared with many others (calibration, geometry) where there is room."""
    jobs = [int(key[1:]) for key in picture.order if key[0] == "j"]
    for part in chunks(jobs):
        query = (
            select(Mention.job_id, Mention.role, Identity.file_id, func.min(Producer.claim_id))
            .join(Identity, Identity.id == Mention.identity_id)
            .outerjoin(Producer, Producer.identity_id == Mention.identity_id)
            .where(Mention.job_id.in_(part), Mention.role.in_(SHARED_ROLES))
            .group_by(Mention.job_id, Mention.role, Identity.file_id)
            .order_by(Mention.job_id, Identity.file_id)
        )
        for job, role, file, claim in connection.execute(query):
            key = f"c{claim}" if claim is not None else f"f{file}"
            if picture.add(key):
                picture.join(key, f"j{job}", role=role or "")


def _omitted(connection: Connection, picture: _Picture, focus: Focus, direction: str) -> Omitted:
    """Return how much the picture leaves out, by counting the whole walk."""
    up = down = Counts(0, 0)
    if direction != "descendants" and focus.claim_id is not None:
        above = count_walk(connection, focus.claim_id, "ancestors", most=MOST_COUNTED)
        up = Counts(above.files, above.jobs + 1, above.is_least)  # and the job that made the file itself
    if direction != "ancestors":
        down = count_walk(connection, focus.claim_id, "descendants", file=focus.file_id, most=MOST_COUNTED)
    files = sum(key[0] != "j" for key in picture.order) - 1
    jobs = sum(key[0] == "j" for key in picture.order)
    start, edges = next(iter(picture.order)), picture.edges.values()
    return Omitted(
        inputs_of=hidden_inputs(connection, start, edges) if direction != "descendants" else {},
        outputs_of=hidden_outputs(connection, start, edges) if direction != "ancestors" else {},
        by_kind={"file": max(0, up.files + down.files - files), "job": max(0, up.jobs + down.jobs - jobs)},
        ancestors=max(0, up.files + up.jobs - picture.up),
        descendants=max(0, down.files + down.jobs - picture.down),
        is_least=up.is_least or down.is_least,
    )


def focus_of(
    connection: Connection, file_id: int, version: int | None = None, *, as_of: datetime | None = None
) -> Focus:
    """Return the focus for a file: its newest version, or the one with this number; with `as_of`, of those recorded then."""
    claims = versions_of(connection, [file_id]).get(file_id, [])
    if as_of is not None:
        query = select(Job.id).where(Job.id.in_([claim.job_id for claim in claims]), Job.received_at <= as_of)
        known = {row[0] for row in connection.execute(query)}
        claims = [claim for claim in claims if claim.job_id in known]
    if not claims:
        return Focus(file_id, None)
    chosen = next((claim for claim in claims if claim.number == version), claims[-1])
    return Focus(file_id, chosen.claim_id)
