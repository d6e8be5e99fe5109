"""Jobs, what they share, and what their modules took and were seeded with.

All of it is derived: from the ledger, and for running and lost jobs from provisional records.
"""

from datetime import datetime

from sqlalchemy import (
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
    DigestBytes,
    Key,
    NameText,
    UuidBytes,
    key_of,
)


class Host(Base):
    """A worker node at a site; '' for what was not said."""

    __tablename__ = "hosts"
    __table_args__ = (UniqueConstraint("hostname", "site", "facility"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    hostname: Mapped[str] = mapped_column(NameText)
    site: Mapped[str] = mapped_column(Text, index=True)
    facility: Mapped[str]


class GapSet(Base):
    """A list of gaps that many jobs share."""

    __tablename__ = "gap_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    document: Mapped[str]


class Job(Base):
    """One execution, merged from its witnesses: what lists, searches and lineage need.

    The record itself is in the ledger.
    """

    # PostgreSQL aligns: eight bytes first, then four, then two, then what varies in length
    __tablename__ = "jobs"
    received_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    wall_seconds: Mapped[float | None] = mapped_column(Float)
    cpu_seconds: Mapped[float | None] = mapped_column(Float)
    max_rss_bytes: Mapped[int | None] = mapped_column(Count)
    exit_code: Mapped[int | None] = mapped_column(Count)
    exit_signal: Mapped[int | None] = mapped_column(Count)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"))
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stages.id"))
    host_id: Mapped[int | None] = mapped_column(ForeignKey("hosts.id"))
    software_set_id: Mapped[int | None] = mapped_column(ForeignKey("software_sets.id"))
    closure_set_id: Mapped[int | None] = mapped_column(ForeignKey("closure_sets.id"))
    gap_set_id: Mapped[int | None] = mapped_column(ForeignKey("gap_sets.id"))
    output_count: Mapped[int]
    state: Mapped[int] = mapped_column(SmallInteger)
    level: Mapped[int] = mapped_column(SmallInteger)
    index_version: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    uuid: Mapped[str] = mapped_column(UuidBytes)
    unit: Mapped[str | None] = mapped_column(NameText)
    batch_id: Mapped[str | None] = mapped_column(NameText)
    retry_of: Mapped[str | None] = mapped_column(UuidBytes)
    rerun_of: Mapped[str | None] = mapped_column(UuidBytes)
    failed_step: Mapped[str | None]
    error_class: Mapped[str | None]
    message: Mapped[str | None]
    recipe: Mapped[bytes | None] = mapped_column(LargeBinary(17))
    result: Mapped[bytes | None] = mapped_column(LargeBinary(20))

    __table_args__ = (
        UniqueConstraint("uuid", "experiment_id"),
        Index(
            "ix_jobs_recipe",
            "recipe",
            "result",
            sqlite_where=text("recipe IS NOT NULL"),
            postgresql_where=text("recipe IS NOT NULL"),
        ),
        Index(
            "ix_jobs_bad",
            "state",
            sqlite_where=text("state >= 2"),
            postgresql_where=text("state >= 2"),
        ),
        # Few; a count that an index answers leaves them out by it
        Index(
            "ix_jobs_rerun",
            "id",
            sqlite_where=text("rerun_of IS NOT NULL"),
            postgresql_where=text("rerun_of IS NOT NULL"),
        ),
        Index("ix_jobs_task_id_state", "task_id", "state"),
        # Whether a unit was done before, without a look at all jobs of its task
        Index("ix_jobs_task_id_unit", "task_id", "unit"),
        Index("ix_jobs_started_at", "started_at"),
        Index("ix_jobs_ended_at", "ended_at"),
        Index("ix_jobs_batch_id", "batch_id"),
        # The newest jobs of a host, in order; the rest counts them without a look at their rows
        Index(
            "ix_jobs_host_id_id_experiment_id_state",
            "host_id",
            "id",
            "experiment_id",
            "state",
        ),
        Index(
            "ix_jobs_software_set_id_experiment_id_state",
            "software_set_id",
            "experiment_id",
            "state",
        ),
        Index("ix_jobs_closure_set_id", "closure_set_id"),
    )


class NodeAttempt(Base):
    """A job that was begun in a place where others may have been begun for the same unit. Derived.

    `node` is a digest of that place; see `records/attempts.py`. `unit` is what the job's own record
    names: where that does not know its unit, `jobs.unit` may be what another attempt knows.
    """

    __tablename__ = "node_attempts"
    __table_args__ = (
        # Which units a node knows, without a look at all of its attempts
        Index("ix_node_attempts_node", "node", "knows_unit", "unit"),
        {"sqlite_with_rowid": False},
    )
    node: Mapped[int] = mapped_column(Count)
    job_id: Mapped[int] = key_of("jobs.id")
    knows_unit: Mapped[bool]
    unit: Mapped[str | None]


class ModuleSet(Base):
    """Modules that jobs ran, in order: a JSON list of [step, path, label, type]. Derived."""

    __tablename__ = "module_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    document: Mapped[str]


class ModuleCost(Base):
    """What each module of a job took, in the order of its set.

    It is packed by `recording/module_rows.py`, and derived.
    """

    __tablename__ = "module_costs"
    __table_args__ = (
        Index("ix_module_costs_module_set_id", "module_set_id"),
        {"sqlite_with_rowid": False},
    )
    job_id: Mapped[int] = key_of("jobs.id")
    module_set_id: Mapped[int] = mapped_column(ForeignKey("module_sets.id"))
    costs: Mapped[bytes]


class RandomEngine(Base):
    """What a random engine of jobs is called: step, module, instance and kind. Derived."""

    __tablename__ = "random_engines"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(NameText, unique=True)


class JobSeed(Base):
    """A seed that a random engine of a job began with. Derived."""

    __tablename__ = "job_seeds"
    __table_args__ = (Index("ix_job_seeds_seed", "seed"), {"sqlite_with_rowid": False})
    job_id: Mapped[int] = key_of("jobs.id")
    seed: Mapped[int] = mapped_column(Count, primary_key=True, autoincrement=False)
    engine_id: Mapped[int] = key_of("random_engines.id")
