"""Direct neighbours of many files in one statement: their parents, readers and children."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, bindparam, func, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.statements.driver import Row
from jobprov.provenance.db.tables import Claim, Identity, Mention, Parent, Producer
from jobprov.provenance.lineage.graph import SHARED_ROLES


def _role(used: Select[int], *, is_shared: bool) -> ScalarSelect[Any]:
    # The mention is joined once more, by its place: otherwise SQLite searches everything that the
    # job read for each of its inputs
    read = aliased(Mention)
    condition = read.role.in_(SHARED_ROLES) if is_shared else read.role.not_in(SHARED_ROLES)
    found = used.where(read.job_id == Mention.job_id, read.position == Mention.position, condition)
    return found.with_only_columns(func.min(read.role)).scalar_subquery()


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


def parent_rows(connection: Connection, claims: Sequence[int], most: int) -> Sequence[Any]:
    """Return the parents of these claims, one row for each claim that a parent resolves to.

    There are at most `most` rows: (child, identity_id, file_id, claim_id, is_sure, producer_job,
    is_input, role, shared_role). `is_input` says whether the job of the child read the parent, or
    only declared it; `role` and `shared_role` are the roles in which it was read.
    """
    return run(connection, _PARENTS, {"claims": claims, "most": most})


def consumer_rows(connection: Connection, identities: Sequence[int], limit: int) -> Sequence[Any]:
    """Return (identity_id, job_id, role) of the jobs that read these identities.

    Jobs without outputs are among them. The picture has room for `limit` nodes; some of the rows
    lead to the same node.
    """
    return run(connection, _CONSUMERS, {"identities": identities, "most": 4 * limit})


def child_rows(connection: Connection, identities: Sequence[int], limit: int) -> Sequence[Any]:
    """Return (identity_id, claim_id, job_id, is_input) of what was made from these identities.

    See `parent_rows`.
    """
    return run(connection, _CHILDREN, {"identities": identities, "most": 4 * limit})


def shared_rows(connection: Connection, jobs: Sequence[int]) -> list[Row]:
    """Return (job_id, identity_id, role) of the inputs that these jobs share with many others.

    The rows are in the order of the jobs' records.
    """
    return run(connection, _SHARED, {"jobs": jobs})
