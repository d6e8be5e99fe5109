"""Rows of bundle plans and comparators; their ledger entries are there before."""

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import BundlePlan, ComparatorSet
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import allocate_keys

_PLANS = table_of(BundlePlan)
_COMPARATORS = table_of(ComparatorSet)


class NewPlan(NamedTuple):
    """A plan of a bundle as its ledger entry has it; columns of `BundlePlan`."""

    entry_id: int
    level: int
    ingredients_sha256: str
    plan_sha256: str
    tar_bytes: int


def add_plan(connection: Connection, job: int, plan: NewPlan) -> None:
    """Write a plan of a job's bundle; its number follows those of the job's earlier plans."""
    query = select(func.max(BundlePlan.number)).where(BundlePlan.job_id == job)
    last = connection.execute(query).scalar_one() or 0
    [key] = allocate_keys(connection, _PLANS, 1)
    row = {"id": key, "job_id": job, "number": last + 1, **plan._asdict()}
    connection.execute(_PLANS.insert(), [row])


def note_tar_digest(connection: Connection, plan: int, tar_sha256: str) -> None:
    """Write the digest of a plan's tar, unless one is there: the first build is the measure."""
    is_first = (_PLANS.c.id == plan) & _PLANS.c.tar_sha256.is_(None)
    connection.execute(_PLANS.update().where(is_first).values(tar_sha256=tar_sha256))


def add_comparators(connection: Connection, *, experiment: int, entry: int, document: str) -> int:
    """Write rules of an experiment, given as JSON; return their version, from 1."""
    query = select(func.max(ComparatorSet.version)).where(ComparatorSet.experiment_id == experiment)
    version: int = (connection.execute(query).scalar_one() or 0) + 1
    row = {
        "entry_id": entry,
        "experiment_id": experiment,
        "version": version,
        "document": document,
    }
    connection.execute(_COMPARATORS.insert(), [row])
    return version
