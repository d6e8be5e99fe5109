"""Jobs and what they share.

All of it is derived: from the ledger, and for running and lost jobs from provisional records.
"""

from datetime import datetime

from sqlalchemy import (
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import (
    Base,
    Count,
    DigestBytes,
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
    (a line each) are what that says.
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


class Host(Base):
    """A worker node at a site; '' for what was not said."""

    __tablename__ = "hosts"
    __table_args__ = (UniqueConstraint("hostname", "site", "facility"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    hostname: Mapped[str] = mapped_column(NameText)
    site: Mapped[str] = mapped_column(Text, index=True)
    facility: Mapped[str] = mapped_column(Text)


class GapSet(Base):
    """A list of gaps that many jobs share."""

    __tablename__ = "gap_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    document: Mapped[str] = mapped_column(Text)


class Closure(Base):
    """One FHiCL configuration: main file, search path and include closure.

    All jobs that ran it share it.
    """

    __tablename__ = "closures"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    parameter_set_id: Mapped[str | None] = mapped_column(String(64))


class ClosureFile(Base):
    """A file of a closure."""

    __tablename__ = "closure_files"
    __table_args__ = ({"sqlite_with_rowid": False},)
    closure_id: Mapped[int] = mapped_column(
        ForeignKey("closures.id"), primary_key=True, autoincrement=False
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str | None] = mapped_column(DigestBytes, index=True)
    name: Mapped[str] = mapped_column(NameText)


class ClosureSet(Base):
    """The configurations that a job's steps ran, in order; shared by all jobs of a task."""

    __tablename__ = "closure_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)


class ClosureSetMember(Base):
    """Which configuration a step ran."""

    __tablename__ = "closure_set_members"
    __table_args__ = ({"sqlite_with_rowid": False},)
    closure_set_id: Mapped[int] = mapped_column(
        ForeignKey("closure_sets.id"), primary_key=True, autoincrement=False
    )
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    closure_id: Mapped[int] = mapped_column(ForeignKey("closures.id"), index=True)


class Job(Base):
    """One execution, merged from its witnesses: what lists, searches and lineage need.

    The record itself is in the ledger.
    """

    # PostgreSQL aligns: eight bytes first, then four, then two, then what varies in length
    __tablename__ = "jobs"
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
    started_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)
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
    failed_step: Mapped[str | None] = mapped_column(Text)
    error_class: Mapped[str | None] = mapped_column(Text)
    message: Mapped[str | None] = mapped_column(Text)
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
        Index("ix_jobs_batch_id", "batch_id"),
        Index("ix_jobs_host_id_experiment_id_state", "host_id", "experiment_id", "state"),
        Index(
            "ix_jobs_software_set_id_experiment_id_state",
            "software_set_id",
            "experiment_id",
            "state",
        ),
        Index("ix_jobs_closure_set_id", "closure_set_id"),
    )


class ProvisionalRecord(Base):
    """A running or lost record of one witness: a working row, replaced by any later record.

    It is not in the ledger.
    """

    __tablename__ = "provisional_records"
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )
    witness: Mapped[str] = mapped_column(String(1000), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class AwaitedBlob(Base):
    """A blob that a job's record names and its experiment does not possess yet."""

    __tablename__ = "awaited_blobs"
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )

    __table_args__ = (Index("ix_awaited_blobs_job_id", "job_id"), {"sqlite_with_rowid": False})


class Verdict(Base):
    """A rerun's outcome, appended; the document is the ledger entry's."""

    __tablename__ = "verdicts"
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False
    )
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    level: Mapped[str] = mapped_column(String(8))
    document: Mapped[str] = mapped_column(Text)
    posted_at: Mapped[datetime] = mapped_column(UtcInstant)


class Proof(Base):
    """How the newest rerun of a recipe by `jobprov prove` or a drill ended.

    Recipes without a row were not rerun yet. It is derived from the verdict of its entry. A job
    without a recipe has a key of its own here: `queries/fragments/proofs.py`.
    """

    __tablename__ = "proofs"
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id"), primary_key=True, autoincrement=False
    )
    recipe: Mapped[bytes] = mapped_column(LargeBinary(17), primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
    state: Mapped[int] = mapped_column(SmallInteger)
    proved_at: Mapped[datetime] = mapped_column(UtcInstant)
    message: Mapped[str | None] = mapped_column(Text)

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
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id"), primary_key=True, autoincrement=False
    )
    recipe: Mapped[bytes] = mapped_column(LargeBinary(17), primary_key=True)
