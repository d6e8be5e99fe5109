"""Alerts, their messages, and whose turn it is to look for new ones.

Alerts and deliveries follow from the ledger, except what says what is under way. Turns do not.
"""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Key, NameText, UuidBytes, key_of


class AlertRow(Base):
    """One time that a rule held for a subject, '' for the whole experiment.

    `calm_since` is since when the rule no longer holds while the alert is not over yet: it is not
    derived, and at worst an alert is over some minutes later.
    """

    __tablename__ = "alerts"
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    calm_since: Mapped[datetime | None]
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    uuid: Mapped[str] = mapped_column(UuidBytes)
    condition: Mapped[str]
    rule: Mapped[str] = mapped_column(NameText)
    subject: Mapped[str] = mapped_column(NameText)
    words: Mapped[str]
    ended_words: Mapped[str | None]
    page: Mapped[str]

    __table_args__ = (
        UniqueConstraint("uuid", "experiment_id"),
        Index("ix_alerts_experiment_id_id", "experiment_id", "id"),
        Index(
            "uq_alerts_open",
            "experiment_id",
            "rule",
            "subject",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )


class AlertDeliveryRow(Base):
    """That an alert began, or is over, for one receiver; `state` is a place in `DELIVERY_STATES`.

    What is under way is not derived: `due_at`, `leased_until`, `attempts`, `is_uncertain` (the
    answer to the last try was lost) and `problem`.
    """

    __tablename__ = "alert_deliveries"
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    state: Mapped[int] = mapped_column(SmallInteger)
    is_end: Mapped[bool]
    is_uncertain: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    receiver: Mapped[str] = mapped_column(NameText)
    problem: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("alert_id", "is_end", "receiver"),
        Index(
            "ix_alert_deliveries_waiting",
            "due_at",
            sqlite_where=text("state = 0"),
            postgresql_where=text("state = 0"),
        ),
    )


class AlertCheckRow(Base):
    """When an experiment was last looked at, and whose turn it is; a working row.

    `turn` grows with each check: what an earlier one found is not written any more.
    """

    __tablename__ = "alert_checks"
    experiment_id: Mapped[int] = key_of("experiments.id")
    checked_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    turn: Mapped[int]
    problem: Mapped[str | None]
