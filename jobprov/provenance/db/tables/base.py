"""What all tables share: names of constraints, and column types that fit both databases.

The types behave alike on SQLite and PostgreSQL.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    type_coerce,
)
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from jobprov.provenance.records.files.checksums import pack_checksums, unpack_checksums

ColumnValue = str | int | float | bytes | datetime | None
"""What stands in a column of a row, before the column's type makes of it what the driver takes."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UUID_LENGTH = 36


def table_of(model: Any) -> Table:
    """Return the Core table of a mapped class."""
    return model.__table__  # type: ignore[no-any-return]


class Key(TypeDecorator[int]):
    """An integer key: four bytes on PostgreSQL, where most of what a job takes is keys.

    It has eight where an operator widened the keys.

    Values are therefore bound as the wider ones. See docs/decisions/0018-narrow-rows.md.
    """

    impl = Integer
    cache_ok = True

    def bind_expression(self, bindparam: BindParameter[int]) -> ColumnElement[int]:
        """Return the value as an integer of eight bytes."""
        return type_coerce(bindparam, BigInteger)


# A number that somebody counted or measured.
Count = BigInteger().with_variant(Integer(), "sqlite")


# Names sort by bytes on both databases, so that "begins with" is a range that their indexes answer.
NameText = Text().with_variant(Text(collation="C"), "postgresql")


class UtcInstant(TypeDecorator[datetime]):
    """An aware moment in UTC.

    It is `timestamptz` on PostgreSQL, and microseconds since 1970 on SQLite (8 bytes, sorts as
    time).
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of the dialect."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return what the driver stores; a naive moment is a mistake of ours and refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a moment without a time zone reached the database"
            raise ValueError(message)
        if dialect.name == "sqlite":
            return (value - EPOCH) // _MICROSECOND
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the moment, aware and in UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return EPOCH + _MICROSECOND * int(value)
        moment: datetime = value.astimezone(UTC)
        return moment


class Base(DeclarativeBase):
    """Root of all tables; every constraint has a name, so that migrations can change it."""

    type_annotation_map: ClassVar = {str: Text, bytes: LargeBinary, datetime: UtcInstant}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def key_of(column: str) -> MappedColumn[int]:
    """Return a part of a primary key that is the key of a row of another table."""
    return mapped_column(ForeignKey(column), primary_key=True, autoincrement=False)


class UuidBytes(TypeDecorator[str]):
    """A UUID: text in Python, 16 bytes in the database."""

    impl = LargeBinary(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> bytes | None:
        """Return the 16 bytes."""
        if value is None:
            return None
        if len(value) == _UUID_LENGTH:
            return bytes.fromhex(value.replace("-", ""))  # eight times as fast as the class
        return uuid.UUID(value).bytes

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> str | None:
        """Return the text form."""
        if value is None:
            return None
        digits = value.hex()  # here too the class would take several times as long
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class DigestBytes(TypeDecorator[str]):
    """A SHA-256: hex in Python, 32 bytes in the database."""

    impl = LargeBinary(32)
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> bytes | None:
        """Return the 32 bytes."""
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> str | None:
        """Return the hex form."""
        return None if value is None else bytes(value).hex()


class ChecksumBytes(TypeDecorator[str]):
    """Checksums: text in Python, their own bytes in the database.

    The text is `algorithm:value` words joined by blanks.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> bytes | None:
        """Return the bytes."""
        return None if value is None else pack_checksums(value)

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> str | None:
        """Return the words."""
        return None if value is None else unpack_checksums(value)


def binder(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """Return what makes a value of a column's type one for the driver.

    None where it is one already.

    Both drivers take `bytes` as they are; SQLAlchemy's own would wrap each, which cost a twentieth
    of recording a job.
    """
    own = kind.dialect_impl(dialect)
    if isinstance(own, TypeDecorator) and isinstance(own.load_dialect_impl(dialect), LargeBinary):
        return partial(_bound, own, dialect)
    return None if isinstance(own, LargeBinary) else own.bind_processor(dialect)


def _bound(kind: TypeDecorator[Any], dialect: Dialect, value: Any) -> Any:
    return kind.process_bind_param(value, dialect)
