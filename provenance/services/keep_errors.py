"""Why jobs did not succeed, of whole campaigns and experiments too: what was counted for many jobs is kept.

Questions about a task, a host, a release or a time are counted when asked for, and so is everything of at most 20,000 jobs. Of more, the
answer is kept; it is counted again in the background when somebody asks and anything was recorded since, at most a twentieth of the time.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from provenance.db.keys import KnownKeys
from provenance.db.queries.error_counts import KeptCounts, keep_counts, read_counts
from provenance.db.queries.folded import newest_entry
from provenance.db.queries.jobs import JobFilters
from provenance.errors import LimitError
from provenance.services.count_errors import count_errors
from provenance.services.work import Parts, enqueue

COUNT_ERRORS = "count-errors"
MOST_COUNTED_AT_ONCE = 20_000
"""Jobs: the answer about more is kept."""
_KEPT_BY = ("experiment", "campaign", "stage")
_LONGEST_QUESTION = 200
_LEAST_PAUSE = timedelta(seconds=10)
_SHARE = 20
_FRESH = timedelta(minutes=1)
"""Classes of failures are read in the background, which adds nothing to the ledger: an older answer is counted again."""
_KEPT_FOR = timedelta(days=7)
_BACKGROUND_SECONDS = 600.0


class CountedErrors(NamedTuple):
    """An answer of `count_errors`, or that there is none yet.

    Attributes:
        found: with `counted_at` and `is_current` (False where something was recorded since); None where counting takes too long for
            whoever asks, and is left to the background.
        question: under which the answer is kept; None where it is not.
        to_keep: what was counted now and is to be kept; see `follow_up`.
        recount_at: when it is to be counted again; None where it need not be.
    """

    found: dict[str, Any] | None
    question: str | None = None
    to_keep: KeptCounts | None = None
    recount_at: datetime | None = None

    @property
    def needs_follow_up(self) -> bool:
        """Whether `follow_up` has anything to write."""
        return self.to_keep is not None or self.recount_at is not None

    def answer(self) -> dict[str, Any]:
        """Return what was found.

        Raises:
            LimitError: it is being counted in the background.
        """
        if self.found is None:
            message = "These are too many jobs to count while you wait; they are counted in the background: ask again in a minute."
            raise LimitError(message, MOST_COUNTED_AT_ONCE)
        return self.found


def answer_errors(
    connection: Connection, filters: JobFilters, *, by: str | None = None, sort: str = "count"
) -> CountedErrors:
    """Return what `count_errors` does, as it was last counted where that is kept.

    Raises:
        BadInputError: a facet or order that is none.
        LimitError: counting took more than five seconds, and the answer is not one that is kept.
    """
    question = _question(filters, by, sort)
    if question is not None and (kept := read_counts(connection, question)):
        return _from_kept(connection, question, kept)
    try:
        found, counted = _count(connection, filters, by, sort)
    except LimitError:
        if question is None:
            raise
        return CountedErrors(None, question, recount_at=datetime.now(UTC))
    is_kept = question is not None and found["jobs"] > MOST_COUNTED_AT_ONCE
    return CountedErrors(_said(found, counted), question, counted if is_kept else None)


def follow_up(connection: Connection, _known: KnownKeys, counted: CountedErrors) -> None:
    """Keep what was counted of many jobs, or note that it is to be counted again."""
    if counted.question is None:
        return
    if counted.to_keep is not None:
        _keep(connection, counted.question, counted.to_keep)
    else:
        enqueue(connection, COUNT_ERRORS, counted.question, due_at=counted.recount_at)


def count_again(parts: Parts, question: str) -> None:
    """Count the answer to a question and keep it: the handler of the work `count-errors`."""
    words = json.loads(question)
    by, sort = words.pop("by", None), words.pop("sort")
    with parts.database.reading.connect() as connection:
        _, counted = _count(connection, JobFilters(**words), by, sort, seconds=_BACKGROUND_SECONDS)
    parts.writer.run(lambda writing, _known: _keep(writing, question, counted))


def _question(filters: JobFilters, by: str | None, sort: str) -> str | None:
    """Return the question as text; None where the answer is not kept."""
    said = {name: value for name, value in filters._asdict().items() if value is not None}
    if said.keys() - set(_KEPT_BY):
        return None
    words = {**said, "sort": sort} | ({"by": by} if by is not None else {})
    text = json.dumps(words, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _LONGEST_QUESTION else None


def _count(
    connection: Connection, filters: JobFilters, by: str | None, sort: str, **limit: float
) -> tuple[dict[str, Any], KeptCounts]:
    start, now = time.monotonic(), datetime.now(UTC)
    entry = newest_entry(connection)
    found = count_errors(connection, filters, by=by, sort=sort, now=now, **limit)
    return found, KeptCounts(entry, now, time.monotonic() - start, json.dumps(found, separators=(",", ":")))


def _from_kept(connection: Connection, question: str, kept: KeptCounts) -> CountedErrors:
    is_current = newest_entry(connection) == kept.entry_id
    pause = max(_LEAST_PAUSE, timedelta(seconds=_SHARE * kept.seconds))
    is_due = not is_current or datetime.now(UTC) - kept.counted_at > _FRESH
    found = _said(json.loads(kept.document), kept, is_current=is_current)
    return CountedErrors(found, question, recount_at=kept.counted_at + pause if is_due else None)


def _said(found: dict[str, Any], counted: KeptCounts, *, is_current: bool = True) -> dict[str, Any]:
    moment = counted.counted_at.isoformat().replace("+00:00", "Z")
    return {**found, "counted_at": moment, "is_current": is_current}


def _keep(connection: Connection, question: str, counted: KeptCounts) -> None:
    keep_counts(connection, question, counted, forget_before=datetime.now(UTC) - _KEPT_FOR)
