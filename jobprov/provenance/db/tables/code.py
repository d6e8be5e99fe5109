"""Code that jobs used, and what the service found out about it.

Repositories and product maps are operators' acts; software rows come from records; resolutions and
ref observations are ledger entries.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, DigestBytes, Key, NameText, key_of


class Repository(Base):
    """A repository that an operator registered; records may only name one."""

    __tablename__ = "repositories"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    url: Mapped[str]
    match_key: Mapped[str] = mapped_column(NameText, unique=True)
    is_local: Mapped[bool]
    fetched_at: Mapped[datetime | None]


class ProductMapRow(Base):
    """An operator says which repository an installed product is built from.

    `manager` is empty where any is meant.
    """

    __tablename__ = "product_maps"
    __table_args__ = (UniqueConstraint("name", "manager"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(NameText)
    manager: Mapped[str] = mapped_column(String(40))
    repository_id: Mapped[int] = mapped_column(ForeignKey("repositories.id"))
    template: Mapped[str]


class SoftwareRow(Base):
    """One distinct software entry of records, as JSON, with the columns that queries need."""

    __tablename__ = "software"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    name: Mapped[str | None]
    match_key: Mapped[str | None] = mapped_column(NameText, index=True)
    requested_ref: Mapped[str | None] = mapped_column(NameText)
    revision: Mapped[str | None] = mapped_column(NameText, index=True)
    document: Mapped[bytes]
    resolution_id: Mapped[int | None] = mapped_column(ForeignKey("resolutions.id"))


class SoftwareSet(Base):
    """The software list of a record; shared by all jobs of a release."""

    __tablename__ = "software_sets"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)


class SoftwareSetMember(Base):
    """An entry of a software list."""

    __tablename__ = "software_set_members"
    __table_args__ = ({"sqlite_with_rowid": False},)
    software_set_id: Mapped[int] = key_of("software_sets.id")
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    software_id: Mapped[int] = mapped_column(ForeignKey("software.id"), index=True)


class Resolution(Base):
    """What a (repository, asked ref or commit) turned out to be.

    It is entered once by digest, and immutable.
    """

    __tablename__ = "resolutions"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    match_key: Mapped[str] = mapped_column(NameText)
    asked: Mapped[str]
    commit: Mapped[str] = mapped_column(String(64), index=True)
    pack_sha256: Mapped[str | None] = mapped_column(DigestBytes)
    is_referenced: Mapped[bool]
    document: Mapped[str]
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class RefObservation(Base):
    """A ref pointed at this object; a second object for a tag means that the tag moved."""

    __tablename__ = "ref_observations"
    __table_args__ = (UniqueConstraint("match_key", "ref", "oid"),)
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    match_key: Mapped[str] = mapped_column(NameText)
    ref: Mapped[str]
    oid: Mapped[str] = mapped_column(String(64))
    first_seen_at: Mapped[datetime]
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
