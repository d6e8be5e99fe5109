"""Rows outside of the ledger that can hold texts of an erased record, and where these remain."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, Table, Text, func, or_, select

from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import DeadLetter, FoldedGraphRow, KeptAnswerRow, LogTailPiece
from jobprov.provenance.db.tables.base import Base, table_of

_PACKED = (("closures", "document"), ("provisional_records", "body"), ("dead_letters", "body"))


class Letter(NamedTuple):
    """A dead letter: its number, and the bytes that could not be decoded."""

    number: int
    body: bytes


class KeptAnswer(NamedTuple):
    """An answer that is kept: its table, its primary key by column, and its document."""

    table: Table
    key: dict[str, str | int]
    document: str


def letters_of_job(connection: Connection, job_id: str) -> list[Letter]:
    """Return the dead letters of a job."""
    query = select(DeadLetter.id, DeadLetter.body).where(DeadLetter.job_id == job_id)
    return [Letter(number, unpack(packed)) for number, packed in connection.execute(query)]


def log_tails(connection: Connection, job: int) -> dict[str, bytes]:
    """Return the whole tail of each log of a job, by name."""
    query = (
        select(LogTailPiece.name, LogTailPiece.content)
        .where(LogTailPiece.job_id == job)
        .order_by(LogTailPiece.name, LogTailPiece.start)
    )
    tails: dict[str, bytes] = {}
    for name, content in connection.execute(query):
        tails[name] = tails.get(name, b"") + unpack(content)
    return tails


def kept_answers(connection: Connection) -> list[KeptAnswer]:
    """Return all kept answers."""
    answers: list[KeptAnswer] = []
    for table in (table_of(KeptAnswerRow), table_of(FoldedGraphRow)):
        names = [column.name for column in table.primary_key.columns]
        for row in connection.execute(select(table)).mappings():
            key = {name: row[name] for name in names}
            answers.append(KeptAnswer(table, key, row["document"]))
    return answers


def count_with_texts(connection: Connection, texts: Sequence[str]) -> dict[str, int]:
    """Return how many rows hold any of the texts, by `table.column`; reads every table."""
    counts: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, String | Text):
                count = _count_in(connection, table, column, texts)
                if count:
                    counts[f"{table.name}.{column.name}"] = count
    return counts


def _count_in(connection: Connection, table: Table, column: Any, texts: Sequence[str]) -> int:
    # Not LIKE: a text may contain its wildcards
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos
    holds_any = or_(*(place(column, text) > 0 for text in texts))
    query = select(func.count()).select_from(table).where(holds_any)
    return connection.execute(query).scalar_one()


def packed_values(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """Yield `table.column` and bytes of each compressed value outside of the ledger."""
    for name, column in _PACKED:
        packed = Base.metadata.tables[name].c[column]
        rows = connection.execution_options(yield_per=500).execute(select(packed))
        for (value,) in rows:
            yield f"{name}.{column}", unpack(value)
