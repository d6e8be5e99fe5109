"""What operators set up and what the service remembers to do.

None of it is derived from the ledger, except experiments.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, DigestBytes, Key, UtcInstant


class Experiment(Base):
    """An experiment; made by the first token or record that names it."""

    __tablename__ = "experiments"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)


class WriteToken(Base):
    """A write token of an experiment, stored hashed (256 random bits need no slow hash).

    With a task, it is an upload ticket. Scopes are words with spaces between them.
    """

    __tablename__ = "write_tokens"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    name: Mapped[str] = mapped_column(String(200))
    task_id: Mapped[str | None] = mapped_column(Text)
    scopes: Mapped[str] = mapped_column(String(80))
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class WorkItem(Base):
    """Background work, leased by whoever drains it; (kind, key) is there once."""

    __tablename__ = "work"
    __table_args__ = (UniqueConstraint("kind", "key"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(200))
    due_at: Mapped[datetime] = mapped_column(UtcInstant, index=True)
    leased_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(Text)


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


class DeadLetter(Base):
    """A body that was authenticated but could not be decoded.

    It is kept, so that a bug in a hook loses nothing.
    """

    __tablename__ = "dead_letters"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"))
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
    job_id: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    task_id: Mapped[str | None] = mapped_column(Text)
