"""Direct neighbours of many files and jobs: those that a picture shows, and how many it leaves out.

A picture takes a few statements, however large the history is.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, ScalarSelect, Select, bindparam, func, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Claim, Identity, Job, Mention, Parent, Producer
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.lineage.graph import SHARED_ROLES, Edge, neighbours
from jobprov.provenance.lineage.keys import key_of_claim, key_of_file, key_of_job, row_numbers

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


class ParentRow(NamedTuple):
    """A parent of a claim, for one claim that it may resolve to.

    Attributes:
        child: the claim that was made from it.
        producer_job: who made the parent; None, as claim and whether it is sure, where nobody did.
        is_input: whether the job of the child read it, or only declared it.
        role: in which it was read, other than a shared one.
        shared_role: the same of shared roles.
    """

    child: int
    identity_id: int
    file_id: int
    claim_id: int | None
    is_sure: bool | None
    producer_job: int | None
    is_input: bool
    role: str | None
    shared_role: str | None


class ConsumerRow(NamedTuple):
    """A job that read an identity."""

    identity_id: int
    job_id: int
    role: str | None


class ChildRow(NamedTuple):
    """What was made from an identity; see `ParentRow` for `is_input`."""

    identity_id: int
    claim_id: int
    job_id: int
    is_input: bool


class SharedRow(NamedTuple):
    """An input that a job shares with many others."""

    job_id: int
    identity_id: int
    role: str


def _role(used: Select[int], *, is_shared: bool) -> ScalarSelect[Any]:
    # The mention is joined once more, by its place: otherwise SQLite searches everything that the
    # job read for each of its inputs
    read = aliased(Mention)
    condition = read.role.in_(SHARED_ROLES) if is_shared else read.role.not_in(SHARED_ROLES)
    read_as = used.where(
        read.job_id == Mention.job_id, read.position == Mention.position, condition
    )
    return read_as.with_only_columns(func.min(read.role)).scalar_subquery()


_child = aliased(Claim)
_READ = select(Mention.job_id).where(
    Mention.identity_id == Parent.identity_id, Mention.job_id == _child.job_id
)
_PARENTS = (
    select(
        Parent.claim_id.label("child"),
        Parent.identity_id,
        Identity.file_id,
        Producer.claim_id,
        Producer.is_sure,
        Claim.job_id.label("producer_job"),
        _READ.exists().label("is_input"),
        _role(_READ, is_shared=False).label("role"),
        _role(_READ, is_shared=True).label("shared_role"),
    )
    .join(_child, _child.id == Parent.claim_id)
    .join(Identity, Identity.id == Parent.identity_id)
    .outerjoin(Producer, Producer.identity_id == Parent.identity_id)
    .outerjoin(Claim, Claim.id == Producer.claim_id)
    .where(Parent.claim_id.in_(bindparam("claims", expanding=True)))
    .order_by(Parent.claim_id, Parent.identity_id, Producer.claim_id)
    .limit(bindparam("most"))
)
_CONSUMERS = (
    select(Mention.identity_id, Mention.job_id, Mention.role)
    .where(Mention.identity_id.in_(bindparam("identities", expanding=True)))
    .order_by(Mention.identity_id, Mention.job_id)
    .limit(bindparam("most"))
)
_USED = select(Mention.job_id).where(
    Mention.identity_id == Parent.identity_id, Mention.job_id == Claim.job_id
)
_CHILDREN = (
    select(Parent.identity_id, Parent.claim_id, Claim.job_id, _USED.exists().label("is_input"))
    .join(Claim, Claim.id == Parent.claim_id)
    .where(Parent.identity_id.in_(bindparam("identities", expanding=True)))
    .order_by(Parent.identity_id, Parent.claim_id)
    .limit(bindparam("most"))
)
_SHARED = (
    select(Mention.job_id, Mention.identity_id, Mention.role)
    .where(Mention.job_id.in_(bindparam("jobs", expanding=True)), Mention.role.in_(SHARED_ROLES))
    .order_by(Mention.job_id, Mention.position)
)


def parent_rows(connection: Connection, claims: Sequence[int], most: int) -> list[ParentRow]:
    """Return the parents of these claims, a row for each claim that one of them resolves to."""
    rows = run(connection, _PARENTS, {"claims": claims, "most": most})
    return list(map(ParentRow._make, rows))


def consumer_rows(
    connection: Connection, identities: Sequence[int], limit: int
) -> list[ConsumerRow]:
    """Return the jobs that read these identities, those without outputs among them.

    The picture has room for `limit` nodes; some of the rows lead to the same node.
    """
    rows = run(connection, _CONSUMERS, {"identities": identities, "most": 4 * limit})
    return list(map(ConsumerRow._make, rows))


def child_rows(connection: Connection, identities: Sequence[int], limit: int) -> list[ChildRow]:
    """Return what was made from these identities; see `consumer_rows` for the limit."""
    rows = run(connection, _CHILDREN, {"identities": identities, "most": 4 * limit})
    return list(map(ChildRow._make, rows))


def shared_rows(connection: Connection, jobs: Sequence[int]) -> list[SharedRow]:
    """Return the inputs that these jobs share with many others, in the order of their records."""
    return list(map(SharedRow._make, run(connection, _SHARED, {"jobs": jobs})))


def hidden_inputs(connection: Connection, start: str, edges: Collection[Edge]) -> dict[str, int]:
    """Return how many direct inputs or producers the picture leaves out before each node.

    Only nodes that led to `start` are looked at; those with nothing left out are not returned.
    """
    _, before = neighbours((edge.source, edge.target) for edge in edges)
    reached = _reached(start, before)
    shown = Counter(edge.target for edge in edges if edge.role not in SHARED_ROLES)
    # A claim has one job before it, which made it; a job has its inputs
    needed = {key_of_claim(claim): 1 for claim in row_numbers(reached, "c")}
    for job, count in run(connection, _INPUTS, {"jobs": row_numbers(reached, "j")}):
        needed[key_of_job(job)] = count
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
        needed[key_of_job(job)] = count
    return _lacking(needed, shown)


def _uses(connection: Connection, keys: Iterable[str]) -> Counter[str]:
    """Return how many jobs read each of these files, without reruns for comparison."""
    listed = list(keys)
    file_of: dict[int, str] = {}
    for identity, claim in select_among(connection, _OF_CLAIMS, row_numbers(listed, "c")):
        file_of[identity] = key_of_claim(claim)
    for identity, file in select_among(connection, _OF_FILES, row_numbers(listed, "f")):
        file_of[identity] = key_of_file(file)
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
