"""Answers that are kept, by the question.

`services/kept_answers/kept_answers.py` decides which, and when to count again.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import KeptAnswerRow, LedgerEntry
from jobprov.provenance.db.tables.base import table_of

_TABLE = table_of(KeptAnswerRow)


class KeptAnswer(NamedTuple):
    """An answer as it was counted; see `KeptAnswerRow`."""

    entry_id: int
    counted_at: datetime
    seconds: float
    document: str


def newest_entry(connection: Connection) -> int:
    """Return the key of the newest ledger entry, 0 where there is none.

    While it is the same, nothing final has changed.
    """
    return connection.execute(select(func.max(LedgerEntry.id))).scalar() or 0


def read_answer(connection: Connection, question: str) -> KeptAnswer | None:
    """Return the kept answer to a question, None where there is none."""
    columns = (_TABLE.c.entry_id, _TABLE.c.counted_at, _TABLE.c.seconds, _TABLE.c.document)
    row = connection.execute(select(*columns).where(_TABLE.c.question == question)).first()
    return None if row is None else KeptAnswer(*row)
