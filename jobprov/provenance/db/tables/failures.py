"""Rules of experiments and what they made of failures.

All is derived: tables of rules are ledger entries; classes come from records and logs.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Key, key_of


class RuleTableRow(Base):
    """A version of an experiment's table of rules, from 1; the document is the ledger entry's."""

    __tablename__ = "rule_tables"
    __table_args__ = (UniqueConstraint("experiment_id", "version"),)
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    version: Mapped[int]
    built_in: Mapped[int] = mapped_column(SmallInteger)
    document: Mapped[str]
    created_at: Mapped[datetime]


class Reclassification(Base):
    """Failures recorded before it are read by the rules of then.

    They are those of one task, or of the whole experiment.
    """

    __tablename__ = "reclassifications"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"), index=True)
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"))
    version: Mapped[int]
    created_at: Mapped[datetime]


class FailureClass(Base):
    """What a job's failure was.

    With it stand the rule, its version (0: no table of the experiment), the line of a log that
    told, and the cause: a key that failures of one cause share, and words.
    """

    __tablename__ = "failure_classes"
    job_id: Mapped[int] = key_of("jobs.id")
    log_at: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Key)
    built_in: Mapped[int] = mapped_column(SmallInteger)
    transient: Mapped[bool | None]
    class_name: Mapped[str]
    rule: Mapped[str | None]
    log_name: Mapped[str | None]
    cause_key: Mapped[str]
    cause: Mapped[str]

    __table_args__ = (
        Index("ix_failure_classes_class_name", "class_name", "job_id"),
        Index("ix_failure_classes_cause_key", "cause_key", "job_id"),
    )
