"""What file catalogs said of the files, inputs and processes of tasks.

It is not derived from the ledger: a catalog is asked again.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Key, NameText, key_of


class CatalogFileRow(Base):
    """A file as the catalog of its experiment knows it.

    `task_id` and `job_uuid` are what its metadata say.
    """

    __tablename__ = "catalog_files"
    __table_args__ = (UniqueConstraint("name", "namespace", "experiment_id"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    process_id: Mapped[int | None] = mapped_column(BigInteger)
    seen_at: Mapped[datetime]
    namespace: Mapped[str] = mapped_column(NameText)
    name: Mapped[str] = mapped_column(NameText)
    checksums: Mapped[str]
    task_id: Mapped[str | None]
    job_uuid: Mapped[str | None] = mapped_column(String(36))


class CatalogOutput(Base):
    """A file that is an output of a task, or was one until the catalog retired it.

    It is the child of a unit; the unit is '' where the catalog knows no unit as a parent.
    `presence` is one of `Presence`.
    """

    __tablename__ = "catalog_outputs"
    task_id: Mapped[int] = key_of("tasks.id")
    unit: Mapped[str] = mapped_column(NameText, primary_key=True)
    file_id: Mapped[int] = key_of("catalog_files.id")
    presence: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))

    __table_args__ = (
        Index("ix_catalog_outputs_file_id", "file_id"),
        # Of a million outputs few are gone, and these alone cost their units the state
        Index(
            "ix_catalog_outputs_gone",
            "task_id",
            sqlite_where=text("presence = 2"),
            postgresql_where=text("presence = 2"),
        ),
        {"sqlite_with_rowid": False},
    )


class UnarrivedFile(Base):
    """A file, by its name at birth, that a job wrote and that never arrived in the catalog.

    It does not count among the outputs of the job (`recording/output_counts.py`).
    """

    __tablename__ = "unarrived_files"
    task_id: Mapped[int] = key_of("tasks.id")
    job_id: Mapped[int] = key_of("jobs.id")
    file_id: Mapped[int] = key_of("files.id")

    __table_args__ = ({"sqlite_with_rowid": False},)


class CatalogUse(Base):
    """A unit was given to a process of the task's project."""

    __tablename__ = "catalog_uses"
    task_id: Mapped[int] = key_of("tasks.id")
    unit: Mapped[str] = mapped_column(NameText, primary_key=True)
    process_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)

    __table_args__ = ({"sqlite_with_rowid": False},)


class CatalogProcess(Base):
    """A consumer process of a task's project: one batch job, on a node."""

    __tablename__ = "catalog_processes"
    task_id: Mapped[int] = key_of("tasks.id")
    process_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    batch_id: Mapped[str | None]
    node: Mapped[str | None]
    status: Mapped[str | None]

    __table_args__ = ({"sqlite_with_rowid": False},)


class CatalogSync(Base):
    """How far a task was compared with its catalog.

    It has the next unit of the pass under way, and when the last whole pass ended. Files that were
    found already are looked at again in turn: `checked_unit` and `checked_file` name the last one.
    """

    __tablename__ = "catalog_syncs"
    task_id: Mapped[int] = key_of("tasks.id")
    next_unit: Mapped[int]
    asked_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    problem: Mapped[str | None]
    checked_unit: Mapped[str | None] = mapped_column(NameText)
    checked_file: Mapped[int | None] = mapped_column(BigInteger)
