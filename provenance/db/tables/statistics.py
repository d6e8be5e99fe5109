"""Sums over many jobs: answers that are kept, and what the modules of jobs took.

Kept answers are not in the ledger, since they can be counted anew. What modules took is derived.
"""

from datetime import datetime

from sqlalchemy import (
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import (
    Base,
    Count,
    DigestBytes,
    Key,
    NameText,
    UtcInstant,
)


class KeptAnswerRow(Base):
    """What the answer to a question was when it was last counted.

    The question is its words as JSON.

    `entry_id` is the newest ledger entry that was there then. `seconds` is how long the counting
    took, which says how soon it may be done again.
    """

    __tablename__ = "kept_answers"
    question: Mapped[str] = mapped_column(String(300), primary_key=True)
    entry_id: Mapped[int] = mapped_column(Key)
    counted_at: Mapped[datetime] = mapped_column(UtcInstant)
    seconds: Mapped[float] = mapped_column(Float)
    document: Mapped[str] = mapped_column(Text)


class FoldedGraphRow(Base):
    """What a campaign's folded graph was when it was last counted.

    `entry_id` is the newest ledger entry that was there then: while it still is, nothing can have
    changed. `seconds` is how long the counting took, which says how soon it may be done again.
    """

    __tablename__ = "folded_graphs"
    __table_args__ = ({"sqlite_with_rowid": False},)
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id"), primary_key=True, autoincrement=False
    )
    campaign: Mapped[str] = mapped_column(NameText, primary_key=True)
    entry_id: Mapped[int] = mapped_column(Key)
    counted_at: Mapped[datetime] = mapped_column(UtcInstant)
    seconds: Mapped[float] = mapped_column(Float)
    document: Mapped[str] = mapped_column(Text)


class ModuleSet(Base):
    """Modules that jobs ran, in order: a JSON list of [step, path, label, type]. Derived."""

    __tablename__ = "module_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    document: Mapped[str] = mapped_column(Text)


class RandomEngine(Base):
    """What a random engine of jobs is called: step, module, instance and kind. Derived."""

    __tablename__ = "random_engines"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(NameText, unique=True)


class JobSeed(Base):
    """A seed that a random engine of a job began with. Derived."""

    __tablename__ = "job_seeds"
    __table_args__ = (Index("ix_job_seeds_seed", "seed"), {"sqlite_with_rowid": False})
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )
    seed: Mapped[int] = mapped_column(Count, primary_key=True, autoincrement=False)
    engine_id: Mapped[int] = mapped_column(
        ForeignKey("random_engines.id"), primary_key=True, autoincrement=False
    )


class ModuleCost(Base):
    """What each module of a job took, in the order of its set.

    It is packed by `recording/module_rows.py`, and derived.
    """

    __tablename__ = "module_costs"
    __table_args__ = (
        Index("ix_module_costs_module_set_id", "module_set_id"),
        {"sqlite_with_rowid": False},
    )
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )
    module_set_id: Mapped[int] = mapped_column(ForeignKey("module_sets.id"))
    costs: Mapped[bytes] = mapped_column(LargeBinary)
