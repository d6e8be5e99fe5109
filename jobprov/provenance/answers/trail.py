"""Who changed something, when, and from where: the audit trail, which is part of the ledger."""

from datetime import datetime

from msgspec import Struct

ACTS = (
    "capsule",
    "comparators",
    "erasure",
    "orders",
    "privacy",
    "reclassification",
    "retry_policies",
    "rules",
    "task",
    "token",
    "verdict",
    "waiver",
    "workflow",
    "workflow_state",
)
"""Kinds of ledger entries that somebody is answerable for."""


class Act(Struct, frozen=True):
    """Something that somebody did, as one entry of the ledger keeps it.

    Attributes:
        at: when it came.
        kind: of the entry, one of `ACTS`.
        about: what it is about, in words.
        submitter: whose token or login sent it; None where none was needed. Of an erasure, who is
            named with it.
        who, why: what a form or command was told, as it was told.
        through: `page`, `call` or `command`; None where the service did it of its own accord.
        address: of the client, or the name of the machine where a command was given.
        request: the number of the request (`X-Request-Id`), as the log has it.
        user: of a command the login name of whoever gave it, of a page who is logged in.
    """

    at: datetime
    kind: str
    about: str
    submitter: str | None
    who: str | None
    why: str | None
    through: str | None
    address: str | None
    request: str | None
    user: str | None


class Trail(Struct, frozen=True):
    """What was done in an experiment, newest first.

    Attributes:
        next: what goes into `cursor` of the next call; None at the end.
    """

    experiment: str
    acts: list[Act]
    next: str | None
