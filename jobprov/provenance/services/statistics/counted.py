"""When a kept answer is up to date, and when it is counted again.

Answers about many jobs are kept, and counted again in the background, at most a twentieth of the
time. `services/kept_answers` decides which.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.db.queries.kept_answers import KeptAnswer, newest_entry

MOST_COUNTED_AT_ONCE = 20_000
"""Jobs: counting more takes longer than a page may, so the answer about more is kept."""
_LEAST_PAUSE = timedelta(seconds=10)
_SHARE = 20

T = TypeVar("T")


def count_now(connection: Connection, count: Callable[[], T]) -> tuple[T, KeptAnswer]:
    """Return what `count` returns, and the kept form of it."""
    start, now = time.monotonic(), datetime.now(UTC)
    entry = newest_entry(connection)
    answer = count()
    seconds = time.monotonic() - start
    document = msgspec.json.encode(answer).decode()
    return answer, KeptAnswer(entry, now, seconds, document)


def is_current(connection: Connection, kept: KeptAnswer) -> bool:
    """Return whether nothing final was recorded since."""
    # It may be smaller: a reader may not see all experiments
    return newest_entry(connection) <= kept.entry_id


def recount_at(kept: KeptAnswer) -> datetime:
    """Return when it may be counted again."""
    return kept.counted_at + max(_LEAST_PAUSE, timedelta(seconds=_SHARE * kept.seconds))
