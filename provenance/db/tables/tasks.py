"""Campaigns' stages and tasks, units that are done without, and what batch systems run and hold.

Stages, tasks and waivers are derived from the ledger. What a queue holds is neither derived nor in
the ledger: the next report brings it again.
"""

from datetime import datetime

from sqlalchemy import (
    Boolean,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import (
    Base,
    Count,
    Key,
    NameText,
    UtcInstant,
    UuidBytes,
)


class Stage(Base):
    """A stage of a campaign; the campaign is its name, '' where none was said."""

    __tablename__ = "stages"
    __table_args__ = (UniqueConstraint("experiment_id", "campaign", "name"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    campaign: Mapped[str] = mapped_column(NameText)
    name: Mapped[str] = mapped_column(NameText)


class TaskRow(Base):
    """A task: one submission of a stage.

    `entry_id` is its declaration, where one was made; `declared_stage_id` and `output_patterns`
    (a line each) are what that says. With `has_several_stages`, a job may be of another stage than
    its task, as its record says (Snakemake's rules run under one task).
    """

    __tablename__ = "tasks"
    __table_args__ = (UniqueConstraint("experiment_id", "task_id"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    task_id: Mapped[str] = mapped_column(NameText)
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stages.id"), index=True)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("ledger_entries.id"))
    declared_stage_id: Mapped[int | None] = mapped_column(ForeignKey("stages.id"))
    output_patterns: Mapped[str | None] = mapped_column(Text)
    has_several_stages: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class WaivedUnit(Base):
    """A unit without which its task goes on; the ledger entry says who let it, and why."""

    __tablename__ = "waived_units"
    __table_args__ = ({"sqlite_with_rowid": False},)
    task_id: Mapped[int] = mapped_column(
        ForeignKey("tasks.id"), primary_key=True, autoincrement=False
    )
    unit: Mapped[str] = mapped_column(NameText, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class QueueReport(Base):
    """The last report of a schedd's queue, as far as it has jobs of an experiment.

    `left_out` is how many jobs it had no room for.
    """

    __tablename__ = "queue_reports"
    __table_args__ = (UniqueConstraint("experiment_id", "schedd"),)
    asked_at: Mapped[datetime] = mapped_column(UtcInstant)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    left_out: Mapped[int]
    schedd: Mapped[str] = mapped_column(NameText)


class QueueJob(Base):
    """A job of a queue.

    `job_uuid` is the job id of the attempt that runs or was last. `fingerprint` changes when
    anything else of the row does. `standing` is what it does, a place in `STANDINGS`.
    `usual_seconds` is how long jobs of its stage take. `cpu_changed_measured` is what
    `measured_seconds` was when `cpu_seconds` last grew.
    """

    # PostgreSQL aligns: eight bytes first, then four, then two, then what varies in length
    __tablename__ = "queue_jobs"
    since: Mapped[datetime | None] = mapped_column(UtcInstant)
    started_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    memory_bytes: Mapped[int | None] = mapped_column(Count)
    requested_memory_bytes: Mapped[int | None] = mapped_column(Count)
    usual_seconds: Mapped[float | None] = mapped_column(Float)
    cpu_seconds: Mapped[float | None] = mapped_column(Float)
    measured_seconds: Mapped[float | None] = mapped_column(Float)
    cpu_changed_measured: Mapped[float | None] = mapped_column(Float)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("queue_reports.id"))
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    standing: Mapped[int] = mapped_column(SmallInteger)
    job_uuid: Mapped[str] = mapped_column(UuidBytes)
    batch_id: Mapped[str] = mapped_column(NameText)
    task_id: Mapped[str] = mapped_column(NameText)
    unit: Mapped[str | None] = mapped_column(NameText)
    host: Mapped[str | None] = mapped_column(Text)
    site: Mapped[str | None] = mapped_column(Text)
    hold_reason: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(12))

    __table_args__ = (
        UniqueConstraint("report_id", "batch_id"),
        Index("ix_queue_jobs_job", "job_uuid", "experiment_id"),
        Index("ix_queue_jobs_task", "experiment_id", "task_id", "standing"),
    )
