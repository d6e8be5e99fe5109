"""A bounded picture of a file's history: nearest first, level by level, a few statements a level."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from provenance.db.keys import chunks
from provenance.db.queries.hidden_neighbours import hidden_inputs, hidden_outputs
from provenance.db.queries.node_facts import file_nodes, job_nodes
from provenance.db.queries.side_counts import count_makers, count_users
from provenance.db.queries.versions import versions_of
from provenance.db.queries.walking import Counts
from provenance.db.tables import Claim, Identity, Job, Mention, Parent, Producer
from provenance.lineage.graph import SHARED_ROLES, Edge, FileNode, Graph, LeftOut, Node, Omitted
from provenance.lineage.sides import Tally, sides_of, tally

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
        up = _one_level_up(connection, picture, up)
        down = _one_level_down(connection, picture, down)
        picture.ends.append(len(picture.order))
        level += 1
    _add_shared_inputs(connection, picture)
    by_key: dict[str, Node] = {node.key: node for node in file_nodes(connection, picture.order)}
    by_key |= {node.key: node for node in job_nodes(connection, picture.order)}
    graph = Graph(
        start,
        tuple(_ordered(picture, by_key)),
        tuple(picture.edges.values()),
        is_truncated=picture.is_truncated,
        direction=direction,
    )
    if not (picture.is_truncated or up or down):
        return graph
    omitted = _omitted(connection, graph, focus)
    is_more = any((omitted.ancestors, omitted.descendants, omitted.inputs_of, omitted.outputs_of))
    # the last level may have been the end of history
    return replace(graph, omitted=omitted, is_truncated=graph.is_truncated or is_more)


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
            source, is_sure, maker = source_of[row.identity_id]
            if row.job_id != maker and picture.add(f"j{row.job_id}"):
                picture.join(source, f"j{row.job_id}", is_sure=is_sure, role=row.role or "")
        for identity, claim, job in connection.execute(
            select(Parent.identity_id, Parent.claim_id, Claim.job_id)
            .join(Claim, Claim.id == Parent.claim_id)
            .where(Parent.identity_id.in_(part))
            .order_by(Parent.identity_id, Parent.claim_id)
            .limit(4 * picture.limit)
        ):
            source, is_sure, maker = source_of[identity]
            if job == maker:
                continue  # a job's output never satisfies its own input
            is_new = f"c{claim}" not in picture.order
            if picture.add(f"j{job}") and picture.add(f"c{claim}"):
                picture.join(source, f"j{job}", is_sure=is_sure)
                picture.join(f"j{job}", f"c{claim}")
                if is_new:
                    found[f"c{claim}"] = None
    return list(found)


def _identities_of(connection: Connection, keys: Sequence[str]) -> dict[int, tuple[str, bool, int | None]]:
    """Return the identities that resolve to these files: by identity, the file's node, whether that is sure, and the job that made it."""
    found: dict[int, tuple[str, bool, int | None]] = {}
    claims = [int(key[1:]) for key in keys if key[0] == "c"]
    for part in chunks(claims):
        query = (
            select(Producer.identity_id, Producer.claim_id, Producer.is_sure, Claim.job_id)
            .join(Claim, Claim.id == Producer.claim_id)
            .where(Producer.claim_id.in_(part))
        )
        for identity, claim, is_sure, job in connection.execute(query):
            found[identity] = (f"c{claim}", is_sure, job)
    for part in chunks([int(key[1:]) for key in keys if key[0] == "f"]):
        query_files = select(Identity.id, Identity.file_id).where(Identity.file_id.in_(part))
        for identity, file in connection.execute(query_files):
            found.setdefault(identity, (f"f{file}", True, None))
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


def _omitted(connection: Connection, graph: Graph, focus: Focus) -> Omitted:
    """Return how much the graph leaves out on the sides that were asked for, by counting the whole walk."""
    makers, users = sides_of(graph)
    before = after = None
    if graph.direction != "descendants":
        most = MOST_COUNTED
        up = Counts(0, 0) if focus.claim_id is None else count_makers(connection, focus.claim_id, most=most)
        before = _left_out(up, tally(makers))
    if graph.direction != "ancestors":
        after = _left_out(count_users(connection, focus.claim_id, focus.file_id, most=MOST_COUNTED), tally(users))
    sides = [side for side in (before, after) if side is not None]
    return Omitted(
        inputs_of=hidden_inputs(connection, graph.focus, graph.edges) if before is not None else {},
        outputs_of=hidden_outputs(connection, graph.focus, graph.edges) if after is not None else {},
        by_kind={"file": sum(side.files for side in sides), "job": sum(side.jobs for side in sides)},
        ancestors=before.files + before.jobs if before is not None else 0,
        descendants=after.files + after.jobs if after is not None else 0,
        is_least=any(side.is_least for side in sides),
        before=before,
        after=after,
    )


def _left_out(walked: Counts, shown: Tally) -> LeftOut:
    """Return what of a walk is not shown; a walk that ended early may have met other nodes than those that are."""
    return LeftOut(max(0, walked.files - shown.files), max(0, walked.jobs - shown.jobs), walked.is_least)


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
