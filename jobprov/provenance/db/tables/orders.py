"""Workflows, orders and retry policies. Derived from the ledger, but for leases of orders."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Count, Key, NameText, UuidBytes, key_of


class WorkflowRow(Base):
    """A version of a declared workflow.

    The declaration is the ledger entry's, as is who last let it run or stopped it, and why.
    """

    __tablename__ = "workflows"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
    state_entry_id: Mapped[int | None] = mapped_column(ForeignKey("ledger_entries.id"))
    version: Mapped[int]
    name: Mapped[str] = mapped_column(String(60))

    __table_args__ = (UniqueConstraint("experiment_id", "name", "version"),)


class Order(Base):
    """One job that is to be submitted once, and what became of that.

    What it is to do is the ledger entry's.
    """

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    placed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    exit_code: Mapped[int | None] = mapped_column(Count)
    exit_signal: Mapped[int | None] = mapped_column(Count)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
    workflow_id: Mapped[int | None] = mapped_column(ForeignKey("workflows.id"))
    position: Mapped[int]
    attempt: Mapped[int] = mapped_column(SmallInteger)
    uuid: Mapped[str] = mapped_column(UuidBytes, unique=True)
    unit: Mapped[str] = mapped_column(NameText)
    retry_of: Mapped[str | None] = mapped_column(UuidBytes)
    batch_id: Mapped[str | None] = mapped_column(NameText)
    problem: Mapped[str | None]

    __table_args__ = (
        Index("ix_orders_task_id", "task_id", "unit"),
        Index(
            "ix_orders_open",
            "id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )


class OrderInput(Base):
    """A file that an ordered job reads."""

    __tablename__ = "order_inputs"
    order_id: Mapped[int] = key_of("orders.id")
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(NameText)

    __table_args__ = ({"sqlite_with_rowid": False},)


class OrderLease(Base):
    """Who may submit an order, and until when nobody else may; not derived."""

    __tablename__ = "order_leases"
    order_id: Mapped[int] = key_of("orders.id")
    leased_until: Mapped[datetime]
    holder: Mapped[str] = mapped_column(String(200))


class RetryPolicyRow(Base):
    """What an experiment has tried again unasked, of a stage, or of every other one (`''`)."""

    __tablename__ = "retry_policies"
    experiment_id: Mapped[int] = key_of("experiments.id")
    stage: Mapped[str] = mapped_column(NameText, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
    document: Mapped[str]

    __table_args__ = ({"sqlite_with_rowid": False},)
