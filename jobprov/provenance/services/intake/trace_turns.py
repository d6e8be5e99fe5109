"""Decides which jobs are traced: the first of each kind, so that the others cost nothing.

A job whose hook asks first gets the turn; another one gets it when no traced record came within
some hours, and after half a year, since releases change. A hook may have given up waiting when the
answer comes, and its job runs untraced. So a hook that confirms its turn is only offered it for a
moment. How many turns an experiment gives in an hour, and how many kinds are remembered, is
bounded: what makes every job a new kind must not trace them all.
"""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.recording import TraceAnswer, UsedByKind
from jobprov.provenance.db.changes.intake import give_turn, remove_turns_before, take_over_turn
from jobprov.provenance.db.queries.intake import Turn, count_turns, turn_of

WAITING = timedelta(hours=6)
OFFERED = timedelta(minutes=1)
REMEMBERED = timedelta(days=180)
MOST_KINDS = 20_000
MOST_AN_HOUR = 200


def may_get_turn(connection: Connection, experiment: str, key: str, now: datetime) -> bool:
    """Return whether a job of this kind may be the one to be traced; nothing is changed."""
    turn = turn_of(connection, experiment, key)
    return turn is None or _is_over(turn, now)


def take_turn(
    connection: Connection, experiment: str, key: str, now: datetime, *, is_offer: bool = False
) -> bool:
    """Give or offer the turn to the job that asks; return whether it is to be traced."""
    given_at = now
    if is_offer:
        given_at = now - WAITING + OFFERED  # so it lapses soon
    turn = turn_of(connection, experiment, key)
    if turn is not None:
        return _is_over(turn, now) and take_over_turn(
            connection, experiment, key, turn.given_at, given_at
        )
    if _count_of_last_hour(connection, experiment, now) >= MOST_AN_HOUR:
        return False
    if count_turns(connection, experiment) >= MOST_KINDS:
        remove_turns_before(connection, experiment, now - REMEMBERED)
        if count_turns(connection, experiment) >= MOST_KINDS:
            return False
    return give_turn(connection, experiment, key, given_at)


def what_kind_used(connection: Connection, experiment: str, key: str) -> TraceAnswer:
    """Return what is known of a kind of jobs to one that is not traced."""
    turn = turn_of(connection, experiment, key)
    if turn is None or turn.used is None:
        return TraceAnswer(is_wanted=False, is_pending=True)
    return TraceAnswer(is_wanted=False, used=msgspec.json.decode(turn.used, type=UsedByKind))


def _is_over(turn: Turn, now: datetime) -> bool:
    """Return whether the turn has lapsed: no trace came in time, or the trace is old."""
    if turn.traced_at is not None:
        return turn.traced_at < now - REMEMBERED
    return turn.given_at < now - WAITING


def _count_of_last_hour(connection: Connection, experiment: str, now: datetime) -> int:
    """Return how many turns were given in the last hour, and how many are offered."""
    given = count_turns(connection, experiment, now - timedelta(hours=1))
    lapsed = now - WAITING
    return given + count_turns(connection, experiment, lapsed, lapsed + OFFERED)
