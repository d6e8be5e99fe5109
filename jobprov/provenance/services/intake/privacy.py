"""Private experiments: made so by operators, listed, and who may read them.

That an experiment is private is an entry of its ledger, so that it is in the audit trail and comes
back when the database is rebuilt. How it is hidden: docs/decisions/0031-private-experiments.md.
"""

import threading
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from sqlalchemy import Connection, Engine

from jobprov.provenance.answers.privacy import ListedExperiment, Reader
from jobprov.provenance.db.changes.intake import set_private
from jobprov.provenance.db.queries.intake import list_tokens
from jobprov.provenance.db.queries.lookup.experiments import experiment_names, private_experiments
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.reading.documents import check_experiment_name
from jobprov.provenance.services.intake.issuers import Allowance, Condition, ExperimentIssuer
from jobprov.provenance.services.intake.logins import RoleRow
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing

_SECONDS_KEPT = 1.0
READING_SCOPES = frozenset({Scope.READ, Scope.ADMIN})


class PrivateExperiments:
    """Knows which experiments are private; asks the database each second at most.

    Args:
        by_setting: those that the setting names.
        engine: of the database, which knows those that were made private by command.

    Attributes:
        last_names: the names as they were known last.
    """

    def __init__(self, by_setting: frozenset[str], engine: Engine) -> None:
        self._by_setting, self._engine = by_setting, engine
        self.last_names = by_setting
        self._until = 0.0
        self._lock = threading.Lock()

    def names(self) -> frozenset[str]:
        """Return their names. A database that cannot be asked is an error, so nothing is shown."""
        if time.monotonic() < self._until:
            return self.last_names
        # One asks for all who wait: sixteen threads asked at once, each second
        with self._lock:
            moment = time.monotonic()
            if moment >= self._until:
                with self._engine.connect() as connection:
                    self.last_names = self._by_setting.union(private_experiments(connection))
                self._until = moment + _SECONDS_KEPT
        return self.last_names


def make_private(writing: Writing, experiment: str, why: str | None) -> bool:
    """Make an experiment private, also one that has no record yet; return whether it was open.

    Raises:
        BadInputError: no experiment can have this name.
    """
    check_experiment_name(experiment)
    return _change(writing, experiment, why, is_private=True)


def open_again(writing: Writing, experiment: str, why: str | None) -> bool:
    """Make a private experiment an open one; return whether it was private.

    Raises:
        NotFoundError: nothing is known of such an experiment.
    """
    known = experiment_names(writing.connection)
    if experiment not in known:
        raise NotFoundError(
            f"There is no experiment {experiment}; `jobprov experiment list` shows them."
        )
    return _change(writing, experiment, why, is_private=False)


def _change(writing: Writing, experiment: str, why: str | None, *, is_private: bool) -> bool:
    was_private = experiment in private_experiments(writing.connection)
    if was_private == is_private:
        return False
    key = intern_experiments(writing, {experiment})[experiment]
    enter_document(writing, key, "privacy", {"is_private": is_private, "why": why})
    set_private(writing.connection, key, is_private=is_private)
    return True


def list_experiments(
    connection: Connection, by_setting: AbstractSet[str]
) -> list[ListedExperiment]:
    """Return every experiment that is known or that the setting names, in order."""
    by_command = set(private_experiments(connection))
    listed = []
    for name in sorted({*by_setting, *experiment_names(connection)}):
        by = None
        if name in by_setting:
            by = "setting"
        elif name in by_command:
            by = "command"
        listed.append(ListedExperiment(name, by is not None, by))
    return listed


def login_readers(rows: Sequence[RoleRow]) -> list[Reader]:
    """Return who reads an experiment by a role in it."""
    return [Reader("login", f"{row.role}: {_condition(row)}", None) for row in rows]


def issued_readers(issuers: Sequence[ExperimentIssuer], experiment: str) -> list[Reader]:
    """Return whose tokens read an experiment: those of its issuers that are allowed to."""
    readers = []
    for listed in issuers:
        if listed.experiment != experiment:
            continue
        for allowance in listed.issuer.allow:
            if READING_SCOPES.intersection(allowance.may):
                who = f"{listed.issuer.issuer}: {_condition(allowance)}"
                readers.append(Reader("issued token", who, None))
    return readers


def token_readers(connection: Connection, experiment: str, now: datetime) -> list[Reader]:
    """Return the tokens that read an experiment and have not ended."""
    readers = []
    for token in list_tokens(connection):
        has_ended = token.expires_at is not None and token.expires_at <= now
        if token.experiment != experiment or token.revoked_at is not None or has_ended:
            continue
        if token.task_id is None and READING_SCOPES.intersection(token.scopes.split()):
            note = None
            if token.expires_at is not None:
                note = f"ends {token.expires_at.date().isoformat()}"
            readers.append(Reader("token", f"{token.number} {token.name}", note))
    return readers


def _condition(row: Condition) -> str:
    """Return what somebody has to be or have, in words."""
    parts = []
    if isinstance(row, Allowance) and row.scope is not None:
        parts.append(f"scope {row.scope}")
    if row.group is not None:
        parts.append(f"group {row.group}")
    if row.subject is not None:
        parts.append(f"subject {row.subject}")
    return " and ".join(parts)
