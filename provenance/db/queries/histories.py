"""The whole history around a file as a graph of keys: what filters, paths, ends, sums and views of the past are answered from.

A few statements however large it is, at most fifty thousand files each way, which take 150 MB; facts of the nodes are read elsewhere,
for those that are shown. Keys are those of the picture: claims `c7`, files that nobody claims `f9`, jobs `j3`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import Connection

from provenance.db.driver import Row
from provenance.db.queries.neighbourhood import Focus
from provenance.db.queries.walking import met_claims, met_identities
from provenance.db.selecting import select_among
from provenance.lineage.graph import SHARED_ROLES, neighbours

MOST_FILES = 50_000
_MOST_LINKS = 200_000  # as the statements say
_MOST_BADGED = 10_000
"""Jobs after the start of which shared inputs are looked up: badges of a picture, which shows a thousand."""
_CLAIMS = "SELECT id, job_id FROM claims WHERE id {among}"
_PARENTS = "SELECT claim_id, identity_id FROM parents WHERE claim_id {among} LIMIT 200000"
_CHILDREN = "SELECT identity_id, claim_id FROM parents WHERE identity_id {among} LIMIT 200000"
_PRODUCED = "SELECT identity_id, claim_id, is_sure FROM producers WHERE claim_id {among}"
_SEEN = "SELECT id FROM identities WHERE file_id {among}"
_MENTIONS = "SELECT job_id, identity_id, role FROM mentions WHERE job_id {among} LIMIT 200000"
_CONSUMERS = "SELECT job_id, identity_id, role FROM mentions WHERE identity_id {among} LIMIT 200000"
_RESOLVED = """
SELECT i.id, i.file_id, min(r.claim_id)
FROM identities AS i LEFT JOIN producers AS r ON r.identity_id = i.id
WHERE i.id {among} GROUP BY i.id, i.file_id
"""


Step = Callable[[str], Iterable[str]]
"""What lies one link away from a key."""


class Link(NamedTuple):
    """How a file and a job hang together: as `Edge` of the drawn graph says it."""

    is_sure: bool
    role: str


@dataclass
class History:
    """Everything that a walk met.

    Attributes:
        start: key of the file that was asked for.
        links: from a file to a job that consumed it, from a job to a file that it made.
        is_cut: whether a limit ended the walk.
    """

    start: str
    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    is_cut: bool = False

    def join(self, source: str, target: str, *, is_sure: bool = True, role: str = "") -> None:
        """Add a link; a role that is known stays."""
        held = self.links.get((source, target))
        if held is None or (role and not held.role):
            self.links[source, target] = Link(is_sure, role)

    @cached_property
    def _neighbours(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        return neighbours(self.links)

    def after(self, key: str) -> list[str]:
        """Return what follows a node directly."""
        return self._neighbours[0].get(key, [])

    def before(self, key: str) -> list[str]:
        """Return what comes directly before a node."""
        return self._neighbours[1].get(key, [])

    def distances(self) -> dict[str, int]:
        """Return how many links away from the start each node is, nearest first; a job is one link, its inputs are two."""
        found: dict[str, int] = {}
        for step in (self.before, self.after):
            for key, distance in self.reached(step).items():
                found[key] = min(distance, found.get(key, distance))
        for (source, target), link in self.links.items():
            if link.role in SHARED_ROLES and target in found:
                found.setdefault(source, found[target] + 1)
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def reached(self, step: Step) -> dict[str, int]:
        """Return the distance from the start of all that lies before (`step=before`) or after it, itself included."""
        return spread([self.start], step)


def spread(start: Iterable[str], step: Step) -> dict[str, int]:
    """Return the distance of every key that is reached from the start, breadth first."""
    found = dict.fromkeys(start, 0)
    level, distance = list(found), 0
    while level:
        distance += 1
        reached = dict.fromkeys(near for key in level for near in step(key) if near not in found)
        found.update(dict.fromkeys(reached, distance))
        level = list(reached)
    return found


def read_history(connection: Connection, focus: Focus, *, direction: str = "both", most: int = MOST_FILES) -> History:
    """Return the history before and after `focus`, or one of both, at most `most` files each way."""
    history = History(f"c{focus.claim_id}" if focus.claim_id is not None else f"f{focus.file_id}")
    if direction != "descendants" and focus.claim_id is not None:
        _add_ancestors(connection, history, focus.claim_id, most)
    if direction != "ancestors":
        _add_descendants(connection, history, focus, most)
    return history


def jobs_of(history: History) -> list[int]:
    """Return the integer keys of the jobs in a history, in order."""
    return sorted({int(key[1:]) for ends in history.links for key in ends if key[0] == "j"})


def _add_ancestors(connection: Connection, history: History, claim: int, most: int) -> None:
    rows = met_identities(connection, claim, most=most)
    maker = {row.claim_id: row.job_id for row in rows if row.claim_id is not None}
    maker.update(select_among(connection, _CLAIMS, [claim]))
    keys: dict[int, list[tuple[str, bool, int | None]]] = {}
    for row in rows:
        key = f"f{row.file_id}" if row.claim_id is None else f"c{row.claim_id}"
        keys.setdefault(row.identity_id, []).append((key, row.is_sure is not False, row.job_id))
    for made, job in maker.items():
        history.join(f"j{job}", f"c{made}")
    jobs = sorted({job for job in maker.values() if job is not None})
    mentions = select_among(connection, _MENTIONS, jobs)
    role_of = {(job, identity): role or "" for job, identity, role in mentions}
    parents = select_among(connection, _PARENTS, sorted(made for made in maker if made is not None))
    for made, identity in parents:
        job = maker[made]
        for key, is_sure, source in keys.get(identity, ()):
            if source != job and job is not None:  # a job's output never satisfies its own input
                history.join(key, f"j{job}", is_sure=is_sure, role=role_of.get((job, identity), ""))
    _add_shared(connection, history, mentions)
    history.is_cut |= len(keys) >= most or len(parents) >= _MOST_LINKS or len(mentions) >= _MOST_LINKS


def _add_shared(connection: Connection, history: History, mentions: list[Row]) -> None:
    """Add what jobs shared with many others: no parent of what they made, and no way on."""
    shared = [mention for mention in mentions if mention[2] in SHARED_ROLES]
    resolved = select_among(connection, _RESOLVED, sorted({mention[1] for mention in shared}))
    key_of = {identity: f"f{file}" if claim is None else f"c{claim}" for identity, file, claim in resolved}
    for job, identity, role in shared:
        history.join(key_of[identity], f"j{job}", role=role)


def _add_descendants(connection: Connection, history: History, focus: Focus, most: int) -> None:
    made = met_claims(connection, focus.claim_id, file=focus.file_id, most=most)
    sources = _sources(connection, history.start, focus, made)
    maker = {f"c{claim}": job for claim, job in made.items()}
    if focus.claim_id is not None:
        maker.update((history.start, job) for _, job in select_among(connection, _CLAIMS, [focus.claim_id]))
    mentions = select_among(connection, _CONSUMERS, sorted(sources))
    for job, identity, role in mentions:
        for key, is_sure in sources[identity]:
            if maker.get(key) != job:
                history.join(key, f"j{job}", is_sure=is_sure, role=role or "")
    children = select_among(connection, _CHILDREN, sorted(sources))
    for identity, claim in children:
        for key, is_sure in sources[identity]:
            if claim in made and maker.get(key) != made[claim]:
                history.join(key, f"j{made[claim]}", is_sure=is_sure)
    for claim, job in made.items():
        history.join(f"j{job}", f"c{claim}")
    consumers = sorted({*made.values(), *(job for job, _, _ in mentions)})[:_MOST_BADGED]
    _add_shared(connection, history, select_among(connection, _MENTIONS, consumers))
    history.is_cut |= len(made) >= most or len(mentions) >= _MOST_LINKS or len(children) >= _MOST_LINKS


def _sources(
    connection: Connection, start: str, focus: Focus, made: dict[int, int]
) -> dict[int, list[tuple[str, bool]]]:
    """Return which nodes each identity resolves to: those of the walk, and the start with its other names."""
    found: dict[int, list[tuple[str, bool]]] = {}
    if focus.claim_id is None:
        for (identity,) in select_among(connection, _SEEN, [focus.file_id]):
            found[identity] = [(start, True)]
    else:
        own = _with_aliases(connection, focus.claim_id)
        for identity, _, is_sure in select_among(connection, _PRODUCED, own):
            found.setdefault(identity, []).append((start, bool(is_sure)))
    for identity, claim, is_sure in select_among(connection, _PRODUCED, sorted(made)):
        found.setdefault(identity, []).append((f"c{claim}", bool(is_sure)))
    return found


def _with_aliases(connection: Connection, claim: int) -> list[int]:
    """Return a claim and those of the same bytes under other names; an alias is a claim of the same job."""
    jobs = [job for _, job in select_among(connection, _CLAIMS, [claim])]
    others = select_among(connection, "SELECT id, alias_of FROM claims WHERE job_id {among}", jobs)
    return [claim, *(other for other, birth in others if birth == claim)]
