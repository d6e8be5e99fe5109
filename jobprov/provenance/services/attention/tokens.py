"""Tokens in use that expire soon: from then on all jobs that send one are refused."""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from sqlalchemy import Connection

from jobprov.provenance.db.queries.intake import TokenRow, list_tokens

WARNED_BEFORE = timedelta(days=14)
TOLD_AFTER = timedelta(days=7)
IN_USE = timedelta(days=30)
"""A token that nobody sent for so long is missed by nobody."""


def expiring_tokens(
    connection: Connection, now: datetime, *, hidden: AbstractSet[str] = frozenset()
) -> list[datetime]:
    """Return when tokens in use expire, or lately expired, that no other takes the place of.

    Upload tickets are left out: they end with their tasks. Who revokes a token means it to end.

    Args:
        connection: one that sees all experiments.
        now: the present.
        hidden: experiments that the reader may not see.
    """
    tokens = list_tokens(connection, with_tickets=False)
    moments = []
    for token in tokens:
        if token.experiment in hidden or token.revoked_at is not None or token.expires_at is None:
            continue
        is_near = now - TOLD_AFTER <= token.expires_at <= now + WARNED_BEFORE
        is_used = token.last_used_at is not None and token.last_used_at >= now - IN_USE
        if is_near and is_used and not any(_replaces(other, token) for other in tokens):
            moments.append(token.expires_at)
    return sorted(moments)


def _replaces(other: TokenRow, token: TokenRow) -> bool:
    """Whether one was made later under the same name, as `jobprov token rotate` does, and lasts."""
    if other.number <= token.number or other.revoked_at is not None:
        return False
    if (other.experiment, other.name) != (token.experiment, token.name):
        return False
    return other.expires_at is None or (
        token.expires_at is not None and other.expires_at > token.expires_at
    )
