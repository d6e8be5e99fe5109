"""Campaigns' stages and tasks, units that are done without, and what batch systems run and hold.

Stages, tasks and waivers are derived from the ledger. What a queue holds is neither derived nor in
the ledger: the next report brings it again. How many jobs it held is kept as samples over time.
"""

from datetime import datetime

from sqlalchemy import (
    Boolean,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
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
    key_of,
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
    output_patterns: Mapped[str | None]
    has_several_stages: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class WaivedUnit(Base):
    """A unit without which its task goes on; the ledger entry says who let it, and why."""

    __tablename__ = "waived_units"
    __table_args__ = ({"sqlite_with_rowid": False},)
    task_id: Mapped[int] = key_of("tasks.id")
    unit: Mapped[str] = mapped_column(NameText, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class QueueReport(Base):
    """The last report of a schedd's queue, as far as it has jobs of an experiment.

    `left_out` is how many jobs it had no room for.
    """

    __tablename__ = "queue_reports"
    __table_args__ = (UniqueConstraint("experiment_id", "schedd"),)
    asked_at: Mapped[datetime]
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
    since: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
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
    host: Mapped[str | None]
    site: Mapped[str | None]
    hold_reason: Mapped[str | None]
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(12))

    __table_args__ = (
        UniqueConstraint("report_id", "batch_id"),
        Index("ix_queue_jobs_job", "job_uuid", "experiment_id"),
        Index("ix_queue_jobs_task", "experiment_id", "task_id", "standing"),
    )


class QueueSample(Base):
    """How many jobs of an experiment a schedd's queue had at one time.

    Of a report `step_seconds` is 0 and `start` that of its five minutes, of which it was the first.
    When it is old, one row with the means stands for all of an hour, later of a day: `step_seconds`
    is how long that is. A rebuilt database has none of them.
    """

    __tablename__ = "queue_samples"
    start: Mapped[datetime] = mapped_column(UtcInstant, index=True)
    idle: Mapped[float] = mapped_column(Float)
    held: Mapped[float] = mapped_column(Float)
    running: Mapped[float] = mapped_column(Float)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    step_seconds: Mapped[int]
    schedd: Mapped[str] = mapped_column(NameText)

    __table_args__ = (UniqueConstraint("experiment_id", "schedd", "step_seconds", "start"),)


class QueueSampleStage(Base):
    """How many jobs of a sample belong to a stage; what is left of the sample has no known one."""

    __tablename__ = "queue_sample_stages"
    __table_args__ = ({"sqlite_with_rowid": False},)
    idle: Mapped[float] = mapped_column(Float)
    held: Mapped[float] = mapped_column(Float)
    running: Mapped[float] = mapped_column(Float)
    sample_id: Mapped[int] = key_of("queue_samples.id")
    stage_id: Mapped[int] = key_of("stages.id")
