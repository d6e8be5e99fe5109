"""Takes the texts of an erased record from the database's working rows.

It also tells where else they still stand.

What goes: dead letters and log tails of the job that hold one, and answers that are kept. Rows that
many share (names of files and hosts, addresses of repositories, values of parameters) stay, and are
told: a database that is rebuilt from the ledger has none of them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, String, Text, delete, func, or_, select

from jobprov.provenance.db.base import Base, table_of
from jobprov.provenance.db.queries.lookup.job import FoundJob
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import DeadLetter, FoldedGraphRow, KeptAnswerRow, LogTailPiece
from jobprov.provenance.records.erasing import forms_of, holds_any

_MOST_TEXTS = 20
_PACKED = (("closures", "document"), ("provisional_records", "body"), ("dead_letters", "body"))


def remove_traces(connection: Connection, job: FoundJob, texts: Sequence[str]) -> None:
    """Remove what holds any of the texts: letters and log tails of a job, kept answers of all."""
    forms = forms_of(texts)
    letters = connection.execute(
        select(DeadLetter.id, DeadLetter.body).where(DeadLetter.job_id == job.job_id)
    ).all()
    for number, body in letters:
        if holds_any(unpack(body), forms):
            connection.execute(delete(DeadLetter).where(DeadLetter.id == number))
    for name in _tails_holding(connection, job.key, forms):
        here = (LogTailPiece.job_id == job.key) & (LogTailPiece.name == name)
        connection.execute(delete(LogTailPiece).where(here))
    for kept in (table_of(KeptAnswerRow), table_of(FoldedGraphRow)):
        for row in connection.execute(select(kept)).mappings().all():
            if holds_any(row["document"].encode(), forms):
                mine = [column == row[column.name] for column in kept.primary_key.columns]
                connection.execute(delete(kept).where(*mine))


def _tails_holding(connection: Connection, job: int, forms: Sequence[bytes]) -> list[str]:
    """Return the logs of which the tail holds a text; one that two pieces share is found, too."""
    query = select(LogTailPiece.name, LogTailPiece.content).where(LogTailPiece.job_id == job)
    contents: dict[str, bytes] = {}
    for name, content in connection.execute(query.order_by(LogTailPiece.name, LogTailPiece.start)):
        contents[name] = contents.get(name, b"") + unpack(content)
    return [name for name, content in contents.items() if holds_any(content, forms)]


def find_remains(connection: Connection, texts: Sequence[str]) -> dict[str, int]:
    """Return how many rows hold any of the texts still, by table and column.

    The bytes of the ledger are left out, and every table is read.
    """
    found: dict[str, int] = {}
    if not texts or len(texts) > _MOST_TEXTS:
        return found
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos
    needles = [form.decode(errors="ignore") for form in forms_of(texts)]
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, String | Text):
                query = select(func.count()).select_from(table)
                count = connection.execute(
                    query.where(or_(*(place(column, text) > 0 for text in needles)))
                ).scalar_one()
                if count:
                    found[f"{table.name}.{column.name}"] = count
    return found | _packed_remains(connection, forms_of(texts))


def _packed_remains(connection: Connection, forms: Sequence[bytes]) -> dict[str, int]:
    found = {}
    for name, column in _PACKED:
        packed: Any = Base.metadata.tables[name].c[column]
        rows = connection.execution_options(yield_per=500).execute(select(packed))
        if count := sum(holds_any(unpack(row[0]), forms) for row in rows):
            found[f"{name}.{column}"] = count
    return found
