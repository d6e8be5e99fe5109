"""A bounded picture of a file's history: nearest nodes first, with a few statements per level."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.histories.neighbours import (
    ChildRow,
    ConsumerRow,
    ParentRow,
    child_rows,
    consumer_rows,
    hidden_inputs,
    hidden_outputs,
    parent_rows,
    shared_rows,
)
from jobprov.provenance.db.queries.histories.shared_inputs import resolve_shared
from jobprov.provenance.db.queries.histories.whole_walks import Met, met_above, met_below, met_of
from jobprov.provenance.db.queries.lookup.files.focus import Focus, identities_of, jobs_of_claims
from jobprov.provenance.db.queries.lookup.node_facts import file_nodes, job_nodes
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.lineage.graph import (
    Edge,
    FileNode,
    Graph,
    LeftOut,
    Node,
    Omitted,
    plain_role,
)
from jobprov.provenance.lineage.keys import key_of_claim, key_of_file, key_of_job, row_numbers

MOST_COUNTED = 20_000
"""Files outside of a picture that are counted. If there are more, it says "at least so many"."""
DIRECTIONS = ("ancestors", "descendants", "both")
_PRODUCED = "SELECT identity_id, claim_id, is_sure FROM producers WHERE claim_id {among}"


@dataclass
class _Picture:
    """The nodes and edges that the walk has met; see `lineage.keys` for the keys of nodes."""

    limit: int
    order: dict[str, None] = field(default_factory=dict)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    is_truncated: bool = False
    ends: list[int] = field(default_factory=list)
    """How many nodes there were after each level."""
    refused: set[str] = field(default_factory=set)
    """Nodes for which there was no room."""
    above: set[str] = field(default_factory=set)
    """Files from which the walk went up. The two ways are apart: a file that the walk down met may
    still have to be left on the way up."""
    below: set[str] = field(default_factory=set)
    """Files from which the walk went down."""

    def add(self, key: str) -> bool:
        """Add a node if there is room; return whether it is in the picture."""
        if key in self.order:
            return True
        if len(self.order) >= self.limit:
            self.is_truncated = True
            self.refused.add(key)
            return False
        self.order[key] = None
        return True

    def join(self, source: str, target: str, *, is_sure: bool = True, role: str = "") -> None:
        """Add an edge, or what else is known of it: sure goes before possible."""
        known = self.edges.get((source, target))
        if known is not None:
            is_sure, role = is_sure or known.is_sure, plain_role((known.role, role))
        self.edges[source, target] = Edge(source, target, is_sure, role)


def draw_neighbourhood(
    connection: Connection,
    focus: Focus,
    *,
    direction: str = "both",
    depth: int | None = None,
    limit: int = 200,
) -> Graph:
    """Return the graph around `focus`, nearest first, with counts of what is left out.

    Args:
        focus: where to start.
        direction: `ancestors`, `descendants` or `both`.
        depth: levels of jobs to walk; None for as many as the limit holds.
        limit: at most this many nodes.
    """
    picture = _Picture(limit)
    picture.add(focus.key)
    is_at_ends = _walk(connection, picture, focus, direction, depth)
    # Last: calibration files and their like must not take the room of ancestors
    _add_shared_inputs(connection, picture)
    omitted = Omitted()
    if picture.is_truncated or not is_at_ends:
        omitted = _omitted(connection, picture, focus, direction)
    is_more = bool(omitted.ancestors or omitted.descendants or omitted.is_least)
    return Graph(
        focus.key,
        tuple(_ordered(picture, _nodes(connection, picture))),
        tuple(picture.edges.values()),
        omitted,
        is_truncated=picture.is_truncated or is_more,
        direction=direction,
    )


def _walk(
    connection: Connection, picture: _Picture, focus: Focus, direction: str, depth: int | None
) -> bool:
    """Add the nodes level by level; return whether the walk came to the ends of the history.

    It stops before them at a depth, or where the picture is full.
    """
    up = _claims_to_go_up_from(focus, direction)
    down = [focus.key] if direction != "ancestors" else []
    level = 0
    while (up or down) and not picture.is_truncated and (depth is None or level < depth):
        up = _one_level_up(connection, picture, up)
        down = _one_level_down(connection, picture, down, focus)
        picture.ends.append(len(picture.order))
        level += 1
    return not up and not down


def _nodes(connection: Connection, picture: _Picture) -> dict[str, Node]:
    """Return the nodes of the picture with what is known of them, by key."""
    nodes: dict[str, Node] = {}
    for file in file_nodes(connection, picture.order):
        nodes[file.key] = file
    for job in job_nodes(connection, picture.order):
        nodes[job.key] = job
    return nodes


def _claims_to_go_up_from(focus: Focus, direction: str) -> list[int]:
    if focus.claim_id is None or direction == "descendants":
        return []
    return [focus.claim_id]


def _ordered(picture: _Picture, nodes: Mapping[str, Node]) -> Iterator[Node]:
    """Yield the nodes level by level: in each level the jobs by stage, then the files by name."""
    keys = list(picture.order)
    for start, end in pairwise((0, 1, *picture.ends, len(keys))):
        level = [nodes[key] for key in keys[start:end] if key in nodes]
        yield from sorted(level, key=_place_in_level)


def _place_in_level(node: Node) -> tuple[bool, str, str, int]:
    if isinstance(node, FileNode):
        return True, node.name, node.namespace, node.version or 0
    return False, node.stage or "", node.label, 0


def _one_level_up(connection: Connection, picture: _Picture, claims: Sequence[int]) -> list[int]:
    """Add the jobs that made these claims and their parents; return the claims to go on from."""
    next_claims: dict[int, None] = {}
    level = list(claims)
    # More than one round if outputs were made from other outputs of the same job: these belong to
    # the same level
    while level:
        picture.above.update(key_of_claim(claim) for claim in level)
        inside: dict[int, None] = {}
        for part in chunks(level):
            jobs = jobs_of_claims(connection, part)
            for claim, job in sorted(jobs.items()):
                if picture.add(key_of_job(job)) and key_of_claim(claim) in picture.order:
                    picture.join(key_of_job(job), key_of_claim(claim))
            parents = parent_rows(connection, part, 4 * picture.limit)
            picture.is_truncated |= len(parents) == 4 * picture.limit
            for (claim, _), rows in _by_input(parents).items():
                _add_input(picture, jobs[claim], rows, next_claims, inside)
        level = [claim for claim in inside if key_of_claim(claim) not in picture.above]
    return [claim for claim in next_claims if key_of_claim(claim) not in picture.above]


def _add_input(
    picture: _Picture,
    job: int,
    rows: Sequence[ParentRow],
    next_claims: dict[int, None],
    inside: dict[int, None],
) -> None:
    """Add what a job read: `rows` are those of one identity.

    The claims to go on from are added to `next_claims`, or to `inside` if the job itself made them.
    A job's output never counts as its own input: if no other job made it, its maker is unknown.
    """
    made_elsewhere = [row for row in rows if row.producer_job != job]
    if not made_elsewhere and not rows[0].is_input:
        for row in rows:
            if row.claim_id is not None:
                inside[row.claim_id] = None
        return
    if key_of_job(job) not in picture.order:
        return
    if not made_elsewhere:
        # One row is enough: it stands for the file alone
        _add_source(picture, job, rows[0], None)
    for row in made_elsewhere:
        is_added = _add_source(picture, job, row, row.claim_id)
        if is_added and row.claim_id is not None:
            next_claims[row.claim_id] = None


def _add_source(picture: _Picture, job: int, row: ParentRow, claim: int | None) -> bool:
    """Add an input of a job, the file alone without a claim; return whether it has room."""
    key = key_of_file(row.file_id)
    is_sure = True
    if claim is not None:
        key = key_of_claim(claim)
        is_sure = bool(row.is_sure)
    if not picture.add(key):
        return False
    role = plain_role((row.role or "", row.shared_role or ""))
    picture.join(key, key_of_job(job), is_sure=is_sure, role=role)
    return True


def _by_input(rows: Iterable[ParentRow]) -> dict[tuple[int, int], list[ParentRow]]:
    inputs: dict[tuple[int, int], list[ParentRow]] = {}
    for row in rows:
        inputs.setdefault((row.child, row.identity_id), []).append(row)
    return inputs


def _one_level_down(
    connection: Connection, picture: _Picture, keys: Sequence[str], focus: Focus
) -> list[str]:
    """Add the jobs that read these files and what they made; return the files to go on from."""
    picture.below.update(keys)
    next_files: dict[str, None] = {}
    sources_of = _identities_of(connection, keys, focus)
    jobs = jobs_of_claims(connection, row_numbers(keys, "c"))
    maker = {key_of_claim(claim): job for claim, job in jobs.items()}
    for part in chunks(sorted(sources_of)):
        for use in consumer_rows(connection, part, picture.limit):
            sources = _made_by_others(use.job_id, sources_of[use.identity_id], maker)
            _add_reader(picture, use, sources)
        for made in child_rows(connection, part, picture.limit):
            sources = _made_by_others(made.job_id, sources_of[made.identity_id], maker)
            if made.is_input and not sources:
                continue
            if _add_child(picture, made, sources):
                next_files[key_of_claim(made.claim_id)] = None
    return [key for key in next_files if key not in picture.below]


class _Source(NamedTuple):
    """A file that an identity may stand for, and whether it surely does."""

    key: str
    is_sure: bool


def _made_by_others(
    job: int, sources: Sequence[_Source], maker: Mapping[str, int]
) -> list[_Source]:
    """Return the sources that a job did not make itself: what it reads is never its own output."""
    return [source for source in sources if maker.get(source.key) != job]


def _add_reader(picture: _Picture, use: ConsumerRow, sources: Sequence[_Source]) -> None:
    """Add a job that read some of these files, if there is room."""
    job = key_of_job(use.job_id)
    if sources and picture.add(job):
        for source in sources:
            picture.join(source.key, job, is_sure=source.is_sure, role=use.role or "")


def _add_child(picture: _Picture, made: ChildRow, sources: Sequence[_Source]) -> bool:
    """Add a file that was made from others, and its job; return whether there was room."""
    job, child = key_of_job(made.job_id), key_of_claim(made.claim_id)
    if not (picture.add(job) and picture.add(child)):
        return False
    for source in sources:
        picture.join(source.key, job, is_sure=source.is_sure)
    picture.join(job, child)
    return True


def _identities_of(
    connection: Connection, keys: Sequence[str], focus: Focus
) -> dict[int, list[_Source]]:
    """Return the files that each identity resolves to.

    The focus is found by the identities of all its names.
    """
    files: dict[int, list[_Source]] = {}
    if focus.key in keys:
        for identity, is_sure in identities_of(connection, focus).items():
            files[identity] = [_Source(focus.key, is_sure)]
    claims = [claim for claim in row_numbers(keys, "c") if claim != focus.claim_id]
    for identity, claim, is_sure in select_among(connection, _PRODUCED, claims):
        source = _Source(key_of_claim(claim), bool(is_sure))
        files.setdefault(identity, []).append(source)
    return files


def _add_shared_inputs(connection: Connection, picture: _Picture) -> None:
    """Add what jobs shared with many others (calibration, geometry), where there is room."""
    for part in chunks(row_numbers(picture.order, "j")):
        for read in resolve_shared(connection, shared_rows(connection, part)):
            if picture.add(read.file):
                picture.join(read.file, read.job, is_sure=read.is_sure, role=read.role)


def _omitted(connection: Connection, picture: _Picture, focus: Focus, direction: str) -> Omitted:
    """Return how much the picture leaves out: of whole walks, and of shared inputs of its jobs."""
    goes_up, goes_down = direction != "descendants", direction != "ancestors"
    up = met_above(connection, focus, most=MOST_COUNTED) if goes_up else Met()
    down = met_below(connection, focus, most=MOST_COUNTED) if goes_down else Met()
    drawn = met_of(picture.order)
    left = (up | down | met_of(picture.refused)) - drawn
    if not left and not left.is_cut:
        return Omitted()
    by_kind = {"file": left.files, "job": len(left.jobs)}
    omitted = Omitted(by_kind=by_kind, descendants=len(left), is_least=left.is_cut)
    edges = picture.edges.values()
    if goes_up:
        # What only the walk down met comes after; all else, with the shared inputs, comes before
        before = left - (down - up)
        omitted = replace(
            omitted,
            inputs_of=hidden_inputs(connection, focus.key, edges),
            ancestors=len(before),
            descendants=len(left) - len(before),
            before=_left_out(up, drawn),
        )
    if goes_down:
        omitted = replace(
            omitted,
            outputs_of=hidden_outputs(connection, focus.key, edges),
            after=_left_out(down, drawn),
        )
    return omitted


def _left_out(met: Met, drawn: Met) -> LeftOut:
    """Return how many of the nodes that a whole walk met are not in the picture."""
    left = met - drawn
    return LeftOut(left.files, len(left.jobs), left.is_cut)
