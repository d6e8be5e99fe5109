"""Answers that count the jobs of whole campaigns and experiments.

Up to 20,000 jobs are counted when somebody asks. The answer about more jobs is kept; it is counted
again in the background when somebody asks and anything was recorded since, at most a twentieth of
the time. What can be asked in this way is in `counting.py`.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, Engine

from jobprov.archive.store import Store
from jobprov.provenance.answers.counted import CountedAt
from jobprov.provenance.db.changes.kept_answers import keep_answer
from jobprov.provenance.db.queries.kept_answers import KeptAnswer, read_answer
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.statistics.counted import (
    MOST_COUNTED_AT_ONCE,
    count_now,
    is_current,
    recount_at,
)
from jobprov.provenance.services.work.queue import Parts, enqueue
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.times import exact_utc_text

COUNT = "count"
_LONGEST_QUESTION = 200  # it is the key of a work item
_FRESH = timedelta(minutes=1)
"""Some answers change without a ledger entry (classes of failures, running jobs).

An older one is counted again.
"""
_KEPT_FOR = timedelta(days=7)
PATIENCE_SECONDS = 5.0
"""How long somebody waits for a count."""
_BACKGROUND_SECONDS = 600.0
_TRIED_AGAIN_SECONDS = 600.0
_MOST_NOTED = 1000
_too_long: "WeakKeyDictionary[Engine, dict[str, float]]" = WeakKeyDictionary()
"""By database and question, until when it is not counted while somebody waits."""

QuestionFields = Mapping[str, Any]
"""What a question asks for: the parameters of the call, by name."""
Answer = TypeVar("Answer", bound=CountedAt)


class Asked(NamedTuple):
    """A question to be counted now.

    Attributes:
        seconds: that counting may take.
    """

    connection: Connection
    store: Store
    fields: QuestionFields
    seconds: float


class Counting(NamedTuple, Generic[Answer]):
    """How the answers of one kind are counted.

    Attributes:
        kind: its name, in the questions under which answers are kept.
        answer_type: of its answers.
        answer: counts the answer to a question.
        jobs: how many jobs an answer counted.
        most: an answer that counted more is kept; None: the usual number.
        fresh_for: an older answer is not shown but counted again while somebody waits; None: any is
            shown, with the moment when it was counted.
    """

    kind: str
    answer_type: type[Answer]
    answer: Callable[[Asked], Answer]
    jobs: Callable[[Answer], int]
    most: int | None = None
    fresh_for: timedelta | None = None

    def may_show(self, kept: KeptAnswer) -> bool:
        """Return whether an answer that was kept may be shown still."""
        return self.fresh_for is None or datetime.now(UTC) - kept.counted_at <= self.fresh_for


class CountedAnswer(NamedTuple, Generic[Answer]):
    """An answer, or that there is none yet.

    Attributes:
        content: with `counted_at` and `is_current` (False where something was recorded since); None
            where counting takes too long for whoever asks, and is left to the background.
        question: under which the answer is kept; None where it is not.
        to_keep: what was counted now and is to be kept; see `follow_up`.
        recount_at: when it is to be counted again; None where it need not be.
    """

    content: Answer | None
    question: str | None = None
    to_keep: KeptAnswer | None = None
    recount_at: datetime | None = None

    @property
    def needs_follow_up(self) -> bool:
        """Whether `follow_up` has anything to write."""
        return self.to_keep is not None or self.recount_at is not None

    def answer(self) -> Answer:
        """Return the answer.

        Raises:
            LimitError: it is being counted in the background.
        """
        if self.content is None:
            message = (
                "These are too many jobs to count while you wait; they are counted in the "
                "background: ask again in a minute."
            )
            raise LimitError(message, MOST_COUNTED_AT_ONCE)
        return self.content


def question_of(kind: str, fields: QuestionFields) -> str | None:
    """Return the question under which an answer is kept; None where it is too long."""
    given = {name: value for name, value in fields.items() if value is not None}
    # sorted, so that the same question has one text whatever the order of its words
    text = json.dumps(
        {"kind": kind, **given}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return text if len(text) <= _LONGEST_QUESTION else None


def ask(
    connection: Connection,
    store: Store,
    counting: Counting[Answer],
    fields: QuestionFields,
    question: str | None,
    *,
    patience: float = PATIENCE_SECONDS,
) -> CountedAnswer[Answer]:
    """Return the answer to a question, as it was last counted where that is kept.

    Without `question` it is counted now.

    Args:
        question: under which it is kept.
        patience: seconds that somebody waits for what is not kept.

    Raises:
        LimitError: counting took longer than that, and the answer is not one that is kept.
        ProvenanceError: whatever counting raises.
    """
    if question is None:
        answer, counted = _count(counting, Asked(connection, store, fields, patience))
        return CountedAnswer(_dated(answer, counted))
    kept = read_answer(connection, question)
    if kept is not None and counting.may_show(kept):
        return _from_kept(connection, counting, question, kept)
    if patience <= 0 or _took_too_long(connection, question):
        return _left_to_background(connection, counting, question, kept)
    try:
        answer, counted = _count(counting, Asked(connection, store, fields, patience))
    except LimitError:
        if patience >= PATIENCE_SECONDS:
            _note_too_long(connection, question)
        return _left_to_background(connection, counting, question, kept)
    most = min(counting.most or MOST_COUNTED_AT_ONCE, MOST_COUNTED_AT_ONCE)
    to_keep = None
    if counting.jobs(answer) > most:
        to_keep = counted
    return CountedAnswer(_dated(answer, counted), question, to_keep)


def follow_up(writing: Writing, counted: CountedAnswer[Any]) -> None:
    """Keep what was counted of many jobs, or note that it is to be counted again."""
    if counted.question is None:
        return
    if counted.to_keep is not None:
        _keep(writing.connection, counted.question, counted.to_keep)
    else:
        enqueue(writing.connection, COUNT, counted.question, due_at=counted.recount_at)


def count_again(parts: Parts, question: str, countings: Mapping[str, Counting[Any]]) -> None:
    """Count the answer to a question and keep it."""
    fields = json.loads(question)
    counting = countings[fields.pop("kind")]
    with parts.database.reading.connect() as connection:
        asked = Asked(connection, parts.store, fields, _BACKGROUND_SECONDS)
        _, counted = _count(counting, asked)
    parts.writer.run(lambda writing: _keep(writing.connection, question, counted))


def _took_too_long(connection: Connection, question: str) -> bool:
    """Return whether somebody waited for this count in vain within the last ten minutes.

    Without this, everybody who looks at a page would have it counted for five seconds.
    """
    until = _too_long.get(connection.engine, {}).get(question, 0.0)
    return time.monotonic() < until


def _note_too_long(connection: Connection, question: str) -> None:
    noted = _too_long.setdefault(connection.engine, {})
    if len(noted) >= _MOST_NOTED:
        noted.clear()
    noted[question] = time.monotonic() + _TRIED_AGAIN_SECONDS


def _left_to_background(
    connection: Connection, counting: Counting[Answer], question: str, kept: KeptAnswer | None
) -> CountedAnswer[Answer]:
    if kept is not None:
        return _from_kept(connection, counting, question, kept)
    return CountedAnswer(None, question, recount_at=datetime.now(UTC))


def _count(counting: Counting[Answer], asked: Asked) -> tuple[Answer, KeptAnswer]:
    """Return the answer to a question, and the form in which it is kept."""
    return count_now(asked.connection, lambda: counting.answer(asked))


def _from_kept(
    connection: Connection, counting: Counting[Answer], question: str, kept: KeptAnswer
) -> CountedAnswer[Answer]:
    nothing_new = is_current(connection, kept)
    is_due = not nothing_new or datetime.now(UTC) - kept.counted_at > _FRESH
    answer = msgspec.json.decode(kept.document, type=counting.answer_type)
    dated = _dated(answer, kept, is_current=nothing_new)
    if not is_due:
        return CountedAnswer(dated, question)
    return CountedAnswer(dated, question, recount_at=recount_at(kept))


def _dated(answer: Answer, counted: KeptAnswer, *, is_current: bool = True) -> Answer:
    """Return an answer with the moment when it was counted."""
    counted_at = exact_utc_text(counted.counted_at)
    return msgspec.structs.replace(answer, counted_at=counted_at, is_current=is_current)


def _keep(connection: Connection, question: str, counted: KeptAnswer) -> None:
    keep_answer(connection, question, counted, forget_before=datetime.now(UTC) - _KEPT_FOR)
