"""Files and the edges between them. All derived.

A *file* is a name. An *identity* is one set of checksums and a size under which a name was seen.
Jobs *claim* to have produced an identity of a file and *mention* the identities that they consumed.
`producers` says which claims an identity resolves to; `parents` says from which identities a claim
was made. Walks alternate the two.

Source: record.md, "Files and edges"; docs/decisions/0002-identities.md for why edges hang on
identities.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, ChecksumBytes, Count, Key, NameText, key_of


class File(Base):
    """(experiment, namespace, name).

    A crowded name has so many claims that only equal checksums link (see `edges.py`).
    """

    __tablename__ = "files"
    __table_args__ = (UniqueConstraint("name", "namespace", "experiment_id"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    namespace: Mapped[str] = mapped_column(NameText)
    name: Mapped[str] = mapped_column(NameText)
    is_crowded: Mapped[bool] = mapped_column(default=False)


class Identity(Base):
    """One set of checksums and a size under which a file was seen.

    `checksums` are sorted and joined by blanks.

    `campaign` is of the job that saw it, where there is no checksum to tell it from a file of the
    same name in another campaign; else ''.

    `key` is a digest of it all: an index entry of a few bytes, beside those of the same file.
    """

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("file_id", "key"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id"))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    key: Mapped[bytes] = mapped_column(LargeBinary(11))
    checksums: Mapped[str] = mapped_column(ChecksumBytes)
    campaign: Mapped[str] = mapped_column(NameText)


class Claim(Base):
    """A job says that it produced this identity; a renamed file's claim has `alias_of`."""

    __tablename__ = "claims"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id"))
    alias_of: Mapped[int | None] = mapped_column(Key)
    event_count: Mapped[int | None] = mapped_column(Count)
    position: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[str | None]
    data_tier: Mapped[str | None]

    __table_args__ = (
        # In the order of keys: of a name that many jobs write, the last are found at its end
        Index("ix_claims_file_id", "file_id", "id"),
        # A job may have ten thousand claims, and hardly any of them is another name
        Index(
            "ix_claims_alias_of",
            "alias_of",
            sqlite_where=text("alias_of IS NOT NULL"),
            postgresql_where=text("alias_of IS NOT NULL"),
        ),
    )


class Mention(Base):
    """A job consumed this identity."""

    __tablename__ = "mentions"
    job_id: Mapped[int] = key_of("jobs.id")
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id"))
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    role: Mapped[str | None]
    status: Mapped[str | None]

    __table_args__ = (
        Index("ix_mentions_identity_id", "identity_id", "job_id"),
        {"sqlite_with_rowid": False},
    )


class Parent(Base):
    """The claim was made from this identity."""

    __tablename__ = "parents"
    claim_id: Mapped[int] = key_of("claims.id")
    identity_id: Mapped[int] = key_of("identities.id")

    __table_args__ = (
        Index("ix_parents_identity_id", "identity_id", "claim_id"),
        {"sqlite_with_rowid": False},
    )


class Producer(Base):
    """The identity resolves to this claim.

    It is not sure where nothing but the absence of a contradiction links them.
    """

    __tablename__ = "producers"
    identity_id: Mapped[int] = key_of("identities.id")
    claim_id: Mapped[int] = key_of("claims.id")
    is_sure: Mapped[bool]

    __table_args__ = (
        Index("ix_producers_claim_id", "claim_id", "identity_id"),
        {"sqlite_with_rowid": False},
    )


class Sighting(Base):
    """A file as a catalog or transfer service saw it; the document is the ledger entry's."""

    __tablename__ = "sightings"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id"), index=True)
    identity_id: Mapped[int] = mapped_column(ForeignKey("identities.id"))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"), index=True)
    job_uuid: Mapped[str | None] = mapped_column(String(36), index=True)
    output: Mapped[str | None]
    document: Mapped[str]
    seen_at: Mapped[datetime]
