"""Answers that are kept, as they are replaced."""

from datetime import datetime

from sqlalchemy import Connection

from jobprov.provenance.db.queries.kept_answers import KeptAnswer
from jobprov.provenance.db.tables import KeptAnswerRow
from jobprov.provenance.db.tables.base import table_of

_ANSWERS = table_of(KeptAnswerRow)


def keep_answer(
    connection: Connection, question: str, kept: KeptAnswer, *, forget_before: datetime
) -> None:
    """Keep what was counted for a question in the place of what was kept.

    Forget what was counted before a time, of any question.
    """
    # estimates may be asked for any number of files: each number is a question of its own
    is_old = (_ANSWERS.c.question == question) | (_ANSWERS.c.counted_at < forget_before)
    connection.execute(_ANSWERS.delete().where(is_old))
    connection.execute(_ANSWERS.insert().values({"question": question, **kept._asdict()}))
