"""The one place that opens database, archive and writer, and hands them to whoever answers.

Use cases know none of this; they take a connection and a store. Errors of the archive become errors
of the package here or in `app/errors.py`, nowhere else.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast
from urllib.parse import unquote

from sqlalchemy import Connection as Connection  # noqa: PLC0414 - for pages, which import no SQL
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from jobprov.app.config import Settings
from jobprov.archive.errors import ArchiveError
from jobprov.archive.opening import open_store
from jobprov.archive.store import Store
from jobprov.archive.store import Stored as Stored  # noqa: PLC0414 - for calls
from jobprov.provenance.catalogs.opening import CatalogSettings, read_catalogs
from jobprov.provenance.db.changes.intake import note_token_use
from jobprov.provenance.db.changes.upkeep import write_again
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.connections.narrowed import NarrowedDatabase
from jobprov.provenance.db.connections.standby import Standby
from jobprov.provenance.db.queries.upkeep import has_jobs, known_archive
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.errors import (
    BadInputError,
    ConflictError,
    ProvenanceError,
    UnreachableError,
)
from jobprov.provenance.services.alerts.rounds import AlertSettings
from jobprov.provenance.services.intake.blobs import BlobQuota, LostBlobs, Unclaimed
from jobprov.provenance.services.intake.excerpts import Excerpts
from jobprov.provenance.services.intake.issuers import check_address, read_issuers
from jobprov.provenance.services.intake.logins import LoginRules, read_login_rules
from jobprov.provenance.services.intake.privacy import PrivateExperiments
from jobprov.provenance.services.intake.tokens import TokenBook
from jobprov.provenance.services.ledger.chains import archived_experiments
from jobprov.provenance.services.recording.dead_letters import LetterQuota
from jobprov.provenance.services.recording.jobs import name_ahead, record_jobs
from jobprov.provenance.services.recording.submissions import Outcome, Submission
from jobprov.provenance.services.upkeep.archive_identity import strange_archive, tie_archive
from jobprov.provenance.services.work.queue import Parts
from jobprov.provenance.services.writing import Writer, Writing

if TYPE_CHECKING:
    from flask import Flask

    from jobprov.provenance.services.intake.identity_provider import IdentityProvider
    from jobprov.provenance.services.intake.issued_tokens import IssuedTokens

T = TypeVar("T")
_WRITE_SECONDS = 10.0
_BELIEVED_SECONDS = 5.0
_NOTE_SECONDS = 2.0
_LEAST_KEY = 32
_log = logging.getLogger("jobprov.tokens")


@dataclass(frozen=True)
class Login:
    """How people log in on the pages.

    Attributes:
        rules: the file of the operator.
        provider: asks who somebody is; None where a reverse proxy says that.
    """

    rules: LoginRules
    provider: "IdentityProvider | None"


@dataclass(frozen=True)
class Privacy:
    """How experiments are kept from those who may not see them.

    Attributes:
        known: knows which experiments are private.
        hidden: returns which experiments are hidden from the sender of the request; outside a
            request it fails.
    """

    known: PrivateExperiments
    hidden: Callable[[], frozenset[str]]


@dataclass(frozen=True)
class ReadStandby:
    """A standby that answers what may be some seconds old.

    Attributes:
        known: knows how far it is behind.
        may_lag: returns whether what the request reads may be old; outside a request it may not.
        stay_with_primary: has the rest of the request read from the primary.
    """

    known: Standby
    may_lag: Callable[[], bool]
    stay_with_primary: Callable[[], None]


@dataclass(frozen=True)
class Service:
    """What a request works with; one a process.

    Attributes:
        tokens: what write tokens allow.
        issued_tokens: checks what issuers of experiments signed; None where no issuer is named.
        login: how people log in on the pages; None where nobody does.
        lost_blobs: finds what experiments sent and the archive has no more.
        blob_quota: how much each experiment may send.
        letter_quota: how many records that cannot be decoded each experiment may have.
        unclaimed: blobs that came before the record that says whose they are.
        excerpts: what records have in common, sent once.
        written: until when (`until`, of the monotonic clock) it is believed that all can be
            written.
        narrowed: reads the database as those do from whom some experiments are hidden.
        privacy: keeps experiments from those who may not see them; None for commands, whose user
            has the database at hand.
        standby: answers some of what is read; None where none is set, and for commands.
        batch_turns: taken by those who decode a batch and have it written: more at once would only
            take memory.
    """

    settings: Settings
    database: Database
    store: Store
    writer: Writer
    tokens: TokenBook
    issued_tokens: "IssuedTokens | None"
    login: Login | None
    lost_blobs: LostBlobs
    blob_quota: BlobQuota
    letter_quota: LetterQuota
    unclaimed: Unclaimed
    excerpts: Excerpts
    batch_turns: Semaphore
    written: dict[str, float]
    narrowed: NarrowedDatabase
    _record: Callable[[Writing, Sequence[Submission]], list[Outcome]] = field(repr=False)
    privacy: Privacy | None = None
    standby: ReadStandby | None = None

    @property
    def physics_variables(self) -> PhysicsVariables:
        """Which variables of a job's environment decide physics."""
        return PhysicsVariables(self.settings.physics_variables)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database and writes nothing.

        In a request it sees what the sender may see, and where a standby is set it may be there.
        """
        with self._reading_engine().connect() as connection:
            yield connection
            # nothing: but after a rollback psycopg forgets every statement that it prepared
            connection.commit()

    @contextmanager
    def reading_everything(self) -> Iterator[Connection]:
        """Yield a connection that sees all experiments, for decisions that are shown to nobody."""
        with self.database.reading.connect() as connection:
            yield connection
            connection.commit()

    def _reading_engine(self) -> Engine:
        readable = self.readable()
        # What is hidden from somebody is left out by temporary views, which a standby cannot have
        is_narrowed = readable is not self.database
        if self.standby is None or is_narrowed or not self.standby.may_lag():
            return readable.reading
        engine = self.standby.known.engine()
        if engine is None:
            self.standby.stay_with_primary()
            return readable.reading
        return engine

    def readable(self) -> Database:
        """Return the database as the sender of the request may read it, always the primary."""
        return self._without(self.hidden_experiments())

    def readable_by_readers_of(self, experiment: str) -> Database:
        """Return the database as everybody may read it who may read an experiment.

        What is made from it for one of them can be kept for all.
        """
        return self._without(self.private_experiments() - {experiment})

    def _without(self, hidden: frozenset[str]) -> Database:
        if not hidden:
            return self.database
        return self.database._replace(reading=self.narrowed.reading(hidden))

    def hidden_experiments(self) -> frozenset[str]:
        """Return the experiments that the sender of the request may not see."""
        return frozenset() if self.privacy is None else self.privacy.hidden()

    def private_experiments(self) -> frozenset[str]:
        """Return the experiments that the setting or a command made private, whoever asks."""
        if self.privacy is not None:
            return self.privacy.known.names()
        by_setting = self.settings.private_experiments
        return PrivateExperiments(by_setting, self.database.reading).names()

    def has_private_experiments(self) -> bool:
        """Return whether any experiment is private."""
        return self.privacy is not None and bool(self.privacy.known.names())

    def catalogs(self) -> dict[str, CatalogSettings]:
        """Return the catalogs of the experiments that the sender of the request may see.

        Raises:
            BadInputError: the operator's file is wrong.
        """
        hidden = self.hidden_experiments()
        catalogs = read_catalogs(self.settings.catalogs)
        return {name: catalog for name, catalog in catalogs.items() if name not in hidden}

    def needs_token(self) -> bool:
        """Return whether writing needs a token; without one it is for this machine alone."""
        return (
            self.issued_tokens is not None
            or self.login is not None
            or self.has_private_experiments()
            or self.tokens.exist()
        )

    def write(
        self,
        use_case: Callable[[Writing], T],
        *,
        received_at: datetime | None = None,
        submitter: str | None = None,
    ) -> T:
        """Return what the use case returns, after the commit that holds its work.

        Args:
            use_case: what to do.
            received_at: when that came which is written; now, where it is not given.
            submitter: who sent it.
        """
        if self.standby is not None:
            self.standby.stay_with_primary()  # the request sees what it wrote
        return self.writer.run(use_case, received_at=received_at, submitter=submitter)

    def record(self, submission: Submission) -> Outcome:
        """Record one job; those that wait at the same time share a transaction."""
        return self.writer.run_gathered(self._record, submission)

    def record_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Record a batch in one transaction; return the outcomes in order."""
        if not submissions:
            return []
        return self.writer.run(
            lambda writing: self._record(writing, submissions),
            len(submissions),
            lambda writing: name_ahead(writing, submissions),
        )

    def problems(self) -> list[str]:
        """Return what keeps the service from its work, a sentence each; none if it is ready."""
        problems = []
        archive = None
        try:
            with self.reading_everything() as connection:
                archive = known_archive(connection)
        except SQLAlchemyError:
            problems.append(
                "The database does not answer, or its schema is not there: see whether it runs, "
                "and has room; `jobprov migrate` makes the schema of a new one."
            )
        try:
            strange = strange_archive(archive, self.store)
        except ArchiveError as problem:
            strange = str(problem)
        if strange is not None:
            problems.append(strange)
        return problems or self._writing_problems()

    def _writing_problems(self) -> list[str]:
        """Return why nothing can be written; what could be written is believed for some seconds."""
        if time.monotonic() < self.written["until"]:
            return []
        try:
            self.writer.try_writing(lambda writing: write_again(writing.connection), _WRITE_SECONDS)
            self.store.try_writing()
        except (ArchiveError, ProvenanceError, SQLAlchemyError) as problem:
            return [f"Nothing can be written: {problem}"]
        self.written["until"] = time.monotonic() + _BELIEVED_SECONDS
        return []

    def parts(self) -> Parts:
        """Return what background work needs."""
        settings = self.settings
        return Parts(
            self.database,
            self.writer,
            self.store,
            settings.git_mirrors,
            settings.trusted_git_hosts,
        )

    def alerts(self) -> AlertSettings | None:
        """Return what alerts need to know; None where the operator named no file of rules."""
        settings = self.settings
        if settings.alerts is None:
            return None
        address = settings.public_url or f"http://{settings.host}:{settings.port}"
        folders = [settings.data]
        if settings.archive_url.startswith("file:"):
            folders.append(Path(unquote(settings.archive_url.removeprefix("file:"))))
        # of folders on one disk the first speaks for all
        by_disk = {folder.stat().st_dev: folder for folder in reversed(folders) if folder.exists()}
        return AlertSettings(settings.alerts, address, tuple(by_disk.values()))

    def close(self) -> None:
        """Finish what is queued and close every connection."""
        self.writer.close()
        self.database.dispose()
        self.narrowed.dispose()
        if self.standby is not None:
            self.standby.known.dispose()


def open_service(settings: Settings) -> Service:
    """Return a service on the settings' database and archive.

    Raises:
        UnreachableError: the database's address is none.
        BadUrlError, ArchiveUnreachableError: the archive cannot be opened.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    database = open_database(settings.database_url)
    store = open_store(settings.archive_url)
    unclaimed = Unclaimed()

    def record(writing: Writing, submissions: Sequence[Submission]) -> list[Outcome]:
        unclaimed.adopt(writing, [submission.decoded for submission in submissions])
        return record_jobs(writing, submissions)

    # PostgreSQL writes one in a process of its own while the next is decoded; with SQLite both wait
    # for Python's lock
    turns = Semaphore(1 if database.is_sqlite else 2)
    writer = Writer(database, store, PhysicsVariables(settings.physics_variables))

    def note_use(number: int) -> None:
        try:
            writer.try_writing(
                lambda writing: note_token_use(writing.connection, number, writing.received_at),
                _NOTE_SECONDS,
            )
        except (ProvenanceError, SQLAlchemyError) as problem:
            # Whoever reads is answered all the same
            _log.warning("The use of token %d cannot be noted: %s", number, problem)

    return Service(
        settings=settings,
        database=database,
        store=store,
        writer=writer,
        tokens=TokenBook(database.reading, note_use),
        issued_tokens=_issued_tokens(settings.token_issuers),
        login=_login(settings),
        lost_blobs=LostBlobs(store),
        blob_quota=BlobQuota(settings.blob_quota_gb * 10**9),
        letter_quota=LetterQuota(),
        unclaimed=unclaimed,
        excerpts=Excerpts(),
        batch_turns=turns,
        written={"until": 0.0},
        narrowed=NarrowedDatabase(settings.database_url),
        _record=record,
    )


def _issued_tokens(file: Path | None) -> "IssuedTokens | None":
    """Return what checks the tokens of the issuers that a file names; None without a file.

    Raises:
        BadInputError: the file is wrong, or the packages for it are not installed.
    """
    if file is None:
        return None
    try:
        # an extra, and 6 MB
        from jobprov.provenance.services.intake.issued_tokens import (  # noqa: PLC0415
            IssuedTokens,
        )
    except ImportError as problem:
        raise BadInputError(
            f"JOBPROV_TOKEN_ISSUERS needs packages that are not installed ({problem}): "
            "`./scripts/setup production`, or pip install 'jobprov[jwt]'.",
            {"JOBPROV_TOKEN_ISSUERS": ["not installed"]},
        ) from None
    return IssuedTokens(read_issuers(file))


def _login(settings: Settings) -> Login | None:
    """Return how people log in; None where the operator named no file.

    Raises:
        BadInputError: the file is wrong, the key of sessions is short, the service does not know its
            own address, or the packages for it are not installed.
    """
    if settings.login is None:
        return None
    rules = read_login_rules(settings.login)
    if settings.secret_key and len(settings.secret_key) < _LEAST_KEY:
        raise BadInputError(
            f"JOBPROV_LOGIN needs a JOBPROV_SECRET_KEY of {_LEAST_KEY} characters or more: whoever "
            "guesses a shorter one can log in as anybody.",
            {"JOBPROV_SECRET_KEY": [f"{_LEAST_KEY} characters or more"]},
        )
    if rules.provider is None:
        return Login(rules, None)
    if not settings.public_url:
        raise BadInputError(
            "JOBPROV_LOGIN needs JOBPROV_PUBLIC_URL: the address that the provider sends people "
            "back to, as it was registered there.",
            {"JOBPROV_PUBLIC_URL": ["missing"]},
        )
    check_address(settings.public_url, "JOBPROV_PUBLIC_URL", "JOBPROV_LOGIN")
    try:
        # an extra, and 10 MB
        from jobprov.provenance.services.intake.identity_provider import (  # noqa: PLC0415
            IdentityProvider,
        )
    except ImportError as problem:
        raise BadInputError(
            f"JOBPROV_LOGIN needs packages that are not installed ({problem}): "
            "`./scripts/setup production`, or pip install 'jobprov[login]'.",
            {"JOBPROV_LOGIN": ["not installed"]},
        ) from None
    return Login(rules, IdentityProvider(rules.provider, rules.named_groups()))


class ArchiveState(NamedTuple):
    """How a database and its archive stand to each other.

    Attributes:
        problem: why the service cannot work with its archive; None if it can.
        lacks_jobs: whether the database has no job although the archive has records of some.
    """

    problem: ConflictError | UnreachableError | None
    lacks_jobs: bool = False


def archive_state(settings: Settings) -> ArchiveState:
    """Tie the database to its archive, and return how they stand to each other.

    A process of its own calls it, so only errors that can be sent between processes come back.
    """
    try:
        service = open_service(settings)
        try:
            tie_archive(service.database, service.store)
            with service.reading() as connection:
                is_filled = has_jobs(connection)
            return ArchiveState(None, not is_filled and bool(archived_experiments(service.store)))
        finally:
            service.close()
    except ConflictError as problem:
        return ArchiveState(ConflictError(str(problem)))
    except (ArchiveError, UnreachableError) as problem:
        return ArchiveState(UnreachableError(str(problem)))


def get_service() -> Service:
    """Return the service of the running application."""
    return cast("Service", _running_application().extensions["jobprov"])


@cache
def _running_application() -> "Flask":
    """Return a stand-in for the running application, one object for all callers."""
    # Commands that open the service do without a web server's 12 MB
    from flask import current_app  # noqa: PLC0415

    return current_app
