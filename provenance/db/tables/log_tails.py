"""Ends of the logs of running jobs.

They are working rows outside the ledger, kept for as long as no record brought the log.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, Count, NameText, UtcInstant


class LogTailPiece(Base):
    """Some bytes of a log as they came, packed; `start` is the position of the first in the log.

    `first_event` and `last_event` are art's numbers of the events that begin in them, with the
    log's own clock, whatever its zone. They are not derived.
    """

    __tablename__ = "log_tails"
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(NameText, primary_key=True)
    start: Mapped[int] = mapped_column(Count, primary_key=True, autoincrement=False)
    size_bytes: Mapped[int]
    first_event: Mapped[int | None] = mapped_column(Count)
    last_event: Mapped[int | None] = mapped_column(Count)
    first_event_clock: Mapped[datetime | None] = mapped_column(UtcInstant)
    last_event_clock: Mapped[datetime | None] = mapped_column(UtcInstant)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
