"""What operators set up, and what the service remembers: work to do, and answers that it counted.

None of it is derived from the ledger, except experiments. Answers can be counted anew.
"""

from datetime import datetime

from sqlalchemy import Float, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Key, UtcInstant


class Experiment(Base):
    """An experiment; made by the first token or record that names it.

    That it is private is in the ledger: the newest entry of the kind `privacy` counts.
    """

    __tablename__ = "experiments"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    is_private: Mapped[bool] = mapped_column(server_default=text("false"))


class WorkItem(Base):
    """Background work, leased by whoever drains it; (kind, key) is there once."""

    __tablename__ = "work"
    __table_args__ = (UniqueConstraint("kind", "key"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(200))
    due_at: Mapped[datetime] = mapped_column(UtcInstant, index=True)
    leased_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None]


class Derivation(Base):
    """Which version all rows of one kind have reached.

    What was derived otherwise by an earlier one was derived again.
    """

    __tablename__ = "derivations"
    what: Mapped[str] = mapped_column(String(40), primary_key=True)
    version: Mapped[int] = mapped_column(SmallInteger)


class OwnArchive(Base):
    """The identity of the archive that belongs to this database: one row, or none at first.

    Not derived: a database that was rebuilt takes it from the archive when a service starts.
    """

    __tablename__ = "own_archive"
    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(String(64))


class KeptAnswerRow(Base):
    """What the answer to a question was when it was last counted.

    The question is its words as JSON.

    `entry_id` is the newest ledger entry that was there then. `seconds` is how long the counting
    took, which says how soon it may be done again.
    """

    __tablename__ = "kept_answers"
    question: Mapped[str] = mapped_column(String(300), primary_key=True)
    entry_id: Mapped[int] = mapped_column(Key)
    counted_at: Mapped[datetime]
    seconds: Mapped[float] = mapped_column(Float)
    document: Mapped[str]
