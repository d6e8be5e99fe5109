"""Bundles, and what their reruns showed: plans, comparators, capsules, verdicts and proofs.

All is derived, since the documents are ledger entries, but for plans of bundles and what is due.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Count, DigestBytes, Key, NameText, key_of


class BundlePlan(Base):
    """A bundle as first built: its content (a blob), and the digest of every later build."""

    __tablename__ = "bundle_plans"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    number: Mapped[int]
    level: Mapped[int]
    ingredients_sha256: Mapped[str] = mapped_column(DigestBytes)
    plan_sha256: Mapped[str] = mapped_column(DigestBytes)
    tar_sha256: Mapped[str | None] = mapped_column(DigestBytes)
    tar_bytes: Mapped[int | None] = mapped_column(Count)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("ledger_entries.id"))


class ComparatorSet(Base):
    """One version of an experiment's rules; the newest counts."""

    __tablename__ = "comparator_sets"
    __table_args__ = (UniqueConstraint("experiment_id", "version"),)
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    version: Mapped[int]
    document: Mapped[str]


class CapsuleRow(Base):
    """One registration: the blob that holds an environment.

    Where several serve a job, the newest counts.
    """

    __tablename__ = "capsules"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"), index=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(String(10))
    sha256: Mapped[str] = mapped_column(DigestBytes)
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class CapsuleUse(Base):
    """Which jobs a registration serves.

    These are the jobs with this software list in a stage of this name; an empty name means no
    stage.
    """

    __tablename__ = "capsule_uses"
    __table_args__ = ({"sqlite_with_rowid": False},)
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    software_set_sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    stage: Mapped[str] = mapped_column(NameText, primary_key=True)


class Verdict(Base):
    """A rerun's outcome, appended; the document is the ledger entry's."""

    __tablename__ = "verdicts"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    level: Mapped[str] = mapped_column(String(8))
    document: Mapped[str]
    posted_at: Mapped[datetime]


class Proof(Base):
    """How the newest rerun of a recipe by `jobprov prove` or a drill ended.

    Recipes without a row were not rerun yet. It is derived from the verdict of its entry. A job
    without a recipe has a key of its own here: `queries/fragments/proofs.py`.
    """

    __tablename__ = "proofs"
    experiment_id: Mapped[int] = key_of("experiments.id")
    recipe: Mapped[bytes] = mapped_column(LargeBinary(17), primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
    state: Mapped[int] = mapped_column(SmallInteger)
    proved_at: Mapped[datetime]
    message: Mapped[str | None]

    __table_args__ = (
        # Those that are rerun again; 1 is proven
        Index(
            "ix_proofs_not_proven",
            "experiment_id",
            "proved_at",
            sqlite_where=text("state <> 1"),
            postgresql_where=text("state <> 1"),
        ),
        {"sqlite_with_rowid": False},
    )


class DueProof(Base):
    """A recipe that is not proven, of whose jobs something has come since: it is rerun soon.

    A working row: without it, the recipe is rerun when its proof is old.
    """

    __tablename__ = "due_proofs"
    __table_args__ = ({"sqlite_with_rowid": False},)
    experiment_id: Mapped[int] = key_of("experiments.id")
    recipe: Mapped[bytes] = mapped_column(LargeBinary(17), primary_key=True)
