"""The whole history around a file as a graph of keys (see `lineage.keys`).

Filters, paths, ends, costs and views of the past need it. It takes a few statements, and at most
fifty thousand files each way, which take 150 MB. Facts about the nodes are read elsewhere, only for
those that are shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.histories.own_inputs import own_inputs
from jobprov.provenance.db.queries.histories.shared_inputs import resolve_shared
from jobprov.provenance.db.queries.histories.walks import (
    MetIdentity,
    met_claims,
    met_count,
    met_identities,
)
from jobprov.provenance.db.queries.lookup.files.focus import Focus, identities_of, jobs_of_claims
from jobprov.provenance.db.statements.driver import Row
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.lineage.flow import Flow, Link, Neighbours, node_of
from jobprov.provenance.lineage.graph import SHARED_ROLES, neighbours, plain_role
from jobprov.provenance.lineage.keys import key_of_claim, key_of_file, key_of_job, row_numbers

MOST_FILES = 50_000
_MOST_LINKS = 200_000  # as the statements say
_MOST_BADGED = 10_000
"""Jobs after the start whose shared inputs are looked up, for badges of a thousand nodes."""
# Each in the order of the index that answers it, at no cost: a limit cuts off the same rows each
# time, and edges are in one order, wherever PostgreSQL put the rows
_PARENTS = """
SELECT claim_id, identity_id FROM parents WHERE claim_id {among}
ORDER BY claim_id, identity_id LIMIT 200000
"""
_CHILDREN = """
SELECT identity_id, claim_id FROM parents WHERE identity_id {among}
ORDER BY identity_id, claim_id LIMIT 200000
"""
_PRODUCED = """
SELECT identity_id, claim_id, is_sure FROM producers WHERE claim_id {among}
ORDER BY claim_id, identity_id
"""
_MENTIONS = """
SELECT job_id, identity_id, role FROM mentions WHERE job_id {among}
ORDER BY job_id, position LIMIT 200000
"""
_CONSUMERS = """
SELECT job_id, identity_id, role FROM mentions WHERE identity_id {among}
ORDER BY identity_id, job_id LIMIT 200000
"""
Step = Callable[[str], Iterable[str]]
"""What lies one link away from a key."""


class Source(NamedTuple):
    """A node that an identity resolves to, and whether it surely does."""

    key: str
    is_sure: bool


@dataclass
class History:
    """Everything that a walk met.

    Attributes:
        start: key of the file that was asked for.
        links: from a file to a job that consumed it, and from a job to a file that it made.
        is_cut: whether a limit ended the walk.
        sources: for each file that a job made, what it was made from: inputs of the job, or others
            of its outputs.
        direction: the way that was walked. Links alone do not show it: in a circle, what is before
            the start is also after it.
    """

    start: str
    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    is_cut: bool = False
    sources: dict[str, set[str]] = field(default_factory=dict)
    direction: str = "both"

    def join(
        self,
        source: str,
        target: str,
        *,
        is_sure: bool = True,
        role: str = "",
        is_parent: bool = True,
    ) -> None:
        """Add a link, or what else is known of it: sure before possible, a role before none."""
        known = self.links.get((source, target))
        if known is not None:
            is_sure, is_parent = is_sure or known.is_sure, is_parent or known.is_parent
            role = plain_role((known.role, role))
        self.links[source, target] = Link(is_sure, role, is_parent)

    def note_sources(
        self, claims: Iterable[int], sources: Iterable[tuple[int, Iterable[Source]]]
    ) -> None:
        """Note what claims were made from; `sources` are (claim, nodes) of those with any."""
        for claim in claims:
            self.sources.setdefault(key_of_claim(claim), set())
        for claim, nodes in sources:
            self.sources[key_of_claim(claim)].update(node.key for node in nodes)

    @cached_property
    def _neighbours(self) -> Neighbours:
        return neighbours(self.links)

    def after(self, key: str) -> list[str]:
        """Return the nodes directly after a node."""
        return self._neighbours[0].get(key, [])

    def before(self, key: str) -> list[str]:
        """Return the nodes directly before a node."""
        return self._neighbours[1].get(key, [])

    def children(self, key: str) -> list[str]:
        """Return the nodes directly after a node, without jobs that only share it with many."""
        return [near for near in self.after(key) if self.links[key, near].is_parent]

    @cached_property
    def flow(self) -> Flow:
        """The links as steps on and back that follow only what was really made from what."""
        return Flow(self.links, self.sources, self._neighbours)

    def distances(self) -> dict[str, int]:
        """Return the distance of each node from the start, in links, nearest first.

        The job that made the start is one link away, the inputs of that job are two.
        """
        before: dict[str, int] = {}
        after: dict[str, int] = {}
        if self.direction != "descendants":
            before = self.distances_before()
        if self.direction != "ancestors":
            after = self.distances_after()
        distances = dict(before)
        for node, distance in after.items():
            if node not in before or distance < before[node]:
                distances[node] = distance
        for (source, target), link in self.links.items():
            if link.role in SHARED_ROLES and target in distances:
                distances.setdefault(source, distances[target] + 1)
        return dict(sorted(distances.items(), key=lambda item: item[1]))

    def distances_before(self) -> dict[str, int]:
        """Return the distance from the start of itself and everything before it."""
        return nodes_of(spread([self.start], self.flow.before))

    def distances_after(self) -> dict[str, int]:
        """Return the distance from the start of itself and everything after it."""
        return nodes_of(spread([self.start], self.flow.after))


def nodes_of(reached: Mapping[str, int]) -> dict[str, int]:
    """Return the distances of nodes, nearest first: that of the nearest part of each job."""
    distances: dict[str, int] = {}
    for key, distance in reached.items():
        distances.setdefault(node_of(key), distance)
    return distances


def spread(start: Iterable[str], step: Step) -> dict[str, int]:
    """Return the distance of every key that is reached from the start, nearest first."""
    distances = dict.fromkeys(start, 0)
    level, distance = list(distances), 0
    while level:
        distance += 1
        reached: dict[str, int] = {}
        for key in level:
            for near in step(key):
                if near not in distances:
                    reached[near] = distance
        level = list(reached)
        distances.update(reached)
    return distances


def read_history(connection: Connection, focus: Focus, *, direction: str) -> History:
    """Return the history before and after `focus`, or one of them, up to `MOST_FILES` each way."""
    history = History(focus.key, direction=direction)
    if direction != "descendants" and focus.claim_id is not None:
        _add_ancestors(connection, history, focus.claim_id)
    if direction != "ancestors":
        _add_descendants(connection, history, focus)
    return history


def jobs_of(history: History) -> list[int]:
    """Return the integer keys of the jobs in a history, in order."""
    keys = set(chain.from_iterable(history.links))
    return sorted(row_numbers(keys, "j"))


def _add_ancestors(connection: Connection, history: History, claim: int) -> None:
    rows = met_identities(connection, claim)
    maker = _makers_above(rows)
    maker.update(jobs_of_claims(connection, [claim]))
    for made, job in sorted(maker.items()):
        history.join(key_of_job(job), key_of_claim(made))
    mentions = select_among(connection, _MENTIONS, sorted(set(maker.values())))
    parents = select_among(connection, _PARENTS, sorted(maker))

    # Each input of a job once, whichever of its outputs were made from it
    inputs = dict.fromkeys((maker[made], identity) for made, identity in parents)
    sources = _Sources(rows)
    role_of = _roles(mentions)
    sources_of_input: dict[tuple[int, int], list[Source]] = {}
    for job, identity in inputs:
        sources_of_input[job, identity] = sources.outside(job, identity)
        role = role_of.get((job, identity), "")
        for source in sources_of_input[job, identity]:
            history.join(source.key, key_of_job(job), is_sure=source.is_sure, role=role)

    made_from = []
    for made, identity in parents:
        job = maker[made]
        nodes = sources_of_input[job, identity] or sources.inside(job, identity)
        made_from.append((made, nodes))
    history.note_sources(maker, made_from)
    _add_shared(connection, history, mentions)
    if met_count(rows) >= MOST_FILES or max(len(parents), len(mentions)) >= _MOST_LINKS:
        history.is_cut = True


def _makers_above(rows: Iterable[MetIdentity]) -> dict[int, int]:
    """Return the job that made each claim that a walk back met."""
    maker: dict[int, int] = {}
    for row in rows:
        if row.claim_id is not None and row.job_id is not None:
            maker[row.claim_id] = row.job_id
    return maker


class _Sources:
    """The nodes that identities resolve to, on the way back."""

    def __init__(self, rows: Sequence[MetIdentity]) -> None:
        self._own = own_inputs(rows)
        self._file = {row.identity_id: key_of_file(row.file_id) for row in rows}
        self._made: dict[int, list[tuple[Source, int | None]]] = {}
        for row in rows:
            if row.claim_id is not None:
                source = Source(key_of_claim(row.claim_id), bool(row.is_sure))
                self._made.setdefault(row.identity_id, []).append((source, row.job_id))
        for made in self._made.values():
            made.sort()

    def outside(self, job: int, identity: int) -> list[Source]:
        """Return the nodes that an input of a job resolves to, never what the job made itself."""
        made = self._made.get(identity, [])
        by_others = [source for source, maker in made if maker != job]
        is_own = bool(made) and (job, identity) not in self._own
        if by_others or is_own or identity not in self._file:
            return by_others
        return [Source(self._file[identity], is_sure=True)]

    def inside(self, job: int, identity: int) -> list[Source]:
        """Return the job's own outputs that an input resolves to, which other outputs declare."""
        if (job, identity) in self._own:
            return []
        return [source for source, maker in self._made.get(identity, []) if maker == job]


def _roles(mentions: Iterable[Row]) -> dict[tuple[int, int], str]:
    """Return the role in which each job read each identity."""
    roles: dict[tuple[int, int], str] = {}
    for job, identity, role in mentions:
        roles[job, identity] = plain_role((roles.get((job, identity), ""), role or ""))
    return roles


def _add_shared(connection: Connection, history: History, mentions: Iterable[Row]) -> None:
    """Add inputs that jobs shared with many others. They are no parents: no walk follows them."""
    shared = [mention for mention in mentions if mention[2] in SHARED_ROLES]
    for read in resolve_shared(connection, shared):
        history.join(read.file, read.job, is_sure=read.is_sure, role=read.role, is_parent=False)


def _add_descendants(connection: Connection, history: History, focus: Focus) -> None:
    made = met_claims(connection, focus.claim_id, file=focus.file_id)
    below = _Below(
        made,
        _sources_below(connection, focus, made),
        _makers_below(connection, focus, made),
    )
    mentions = select_among(connection, _CONSUMERS, sorted(below.sources))
    children = select_among(connection, _CHILDREN, sorted(below.sources))
    parent_and_child = [(identity, claim) for identity, claim in children if claim in made]
    _add_readers(history, mentions, below)
    _add_made(history, parent_and_child, below)

    read = {(job, identity) for job, identity, _ in mentions}
    made_from = []
    for identity, claim in parent_and_child:
        nodes = below.sources[identity]
        if (made[claim], identity) in read:
            nodes = below.not_made_by(made[claim], identity)
        made_from.append((claim, nodes))
    history.note_sources(made, made_from)

    jobs = {job for job, _ in read}.union(made.values())
    badged_jobs = sorted(jobs)[:_MOST_BADGED]
    _add_shared(connection, history, select_among(connection, _MENTIONS, badged_jobs))
    if len(made) >= MOST_FILES or len(mentions) >= _MOST_LINKS or len(children) >= _MOST_LINKS:
        history.is_cut = True


class _Below(NamedTuple):
    """What a walk down met.

    Attributes:
        made: the job that made each claim.
        sources: the nodes that each identity resolves to.
        maker: the job that made each node, including the start.
    """

    made: Mapping[int, int]
    sources: Mapping[int, Sequence[Source]]
    maker: Mapping[str, int]

    def not_made_by(self, job: int, identity: int) -> list[Source]:
        """Return the nodes of an identity that a job did not make itself.

        What a job reads is never its own output.
        """
        return [node for node in self.sources[identity] if self.maker.get(node.key) != job]


def _add_readers(history: History, mentions: Iterable[Row], below: _Below) -> None:
    """Add the jobs that read files, except for each file's own maker."""
    for job, identity, role in mentions:
        # Not `not_made_by`: there are up to 200,000 mentions, and a call costs more than the test
        for key, is_sure in below.sources[identity]:
            if below.maker.get(key) != job:
                history.join(
                    key, key_of_job(job), is_sure=is_sure, role=role or "", is_parent=False
                )


def _add_made(history: History, parent_and_child: Iterable[tuple[int, int]], below: _Below) -> None:
    """Add each parent of a file to the job that made it, and each job to the files that it made."""
    # A parent is joined once, for all children of one job
    parent_and_job = dict.fromkeys(
        (identity, below.made[claim]) for identity, claim in parent_and_child
    )
    for identity, job in parent_and_job:
        for key, is_sure in below.not_made_by(job, identity):
            history.join(key, key_of_job(job), is_sure=is_sure)
    for claim, job in sorted(below.made.items()):
        history.join(key_of_job(job), key_of_claim(claim))


def _makers_below(connection: Connection, focus: Focus, made: Mapping[int, int]) -> dict[str, int]:
    """Return the job that made each node, including the start."""
    maker = {key_of_claim(claim): job for claim, job in made.items()}
    if focus.claim_id is not None:
        for job in jobs_of_claims(connection, [focus.claim_id]).values():
            maker[focus.key] = job
    return maker


def _sources_below(
    connection: Connection, focus: Focus, made: Iterable[int]
) -> dict[int, list[Source]]:
    """Return the nodes that each identity resolves to, the start by any of its names."""
    nodes: dict[int, list[Source]] = {}
    for identity, is_sure in identities_of(connection, focus).items():
        nodes.setdefault(identity, []).append(Source(focus.key, is_sure))
    others = sorted({*made} - {focus.claim_id})
    for identity, claim, is_sure in select_among(connection, _PRODUCED, others):
        nodes.setdefault(identity, []).append(Source(key_of_claim(claim), bool(is_sure)))
    return nodes
