"""`jobprov experiment`: which experiments are private, and who may read them.

It works on the database directly, so that only operators can use it.
"""

from datetime import UTC, datetime

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, opens_service
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.app.wiring import Service
from jobprov.provenance.answers.privacy import Reader, Readers
from jobprov.provenance.errors import ConflictError, NotFoundError
from jobprov.provenance.records.reading.documents import check_experiment_name
from jobprov.provenance.services.intake.issuers import read_issuers
from jobprov.provenance.services.intake.privacy import (
    issued_readers,
    list_experiments,
    login_readers,
    make_private,
    open_again,
    token_readers,
)
from jobprov.provenance.services.upkeep.sealing import try_sealing
from jobprov.provenance.spelling import names_like


@click.group(cls=Group)
def experiment() -> None:
    """Make experiments private or open, and show who may read them."""


@experiment.command()
@click.argument("name")
@click.option("--why", help="The reason, for the audit trail.")
@click.option("--force", is_flag=True, help="Also one of which nothing is known here yet.")
@opens_service
def private(*, name: str, why: str | None, force: bool, service: Service, as_json: bool) -> None:
    """Hide experiment NAME from all but those who have a role in it or a token that reads it.

    With --force also before its first record or token. Services notice within seconds; from then on
    every write to any experiment needs a token.
    """
    check_experiment_name(name)
    known = _known_names(service)
    if name not in known and not force:
        raise _unknown(name, known)
    has_changed = service.write(lambda writing: make_private(writing, name, why))
    _seal(service, name)
    readers = _readers(service, name)
    text = f"{name} is private." if has_changed else f"{name} was private before."
    if name not in known:
        text += " Nothing is recorded of it yet."
    if not readers:
        text += (
            " Nobody can read it yet: give somebody a role in it (JOBPROV_LOGIN) or a token "
            f"(`jobprov token create --experiment {name} --scope read`)."
        )
    document = {"experiment": name, "is_private": True, "has_changed": has_changed}
    emit(document, text, as_json=as_json)


@experiment.command("open")
@click.argument("name")
@click.option("--why", help="The reason, for the audit trail.")
@opens_service
def open_one(*, name: str, why: str | None, service: Service, as_json: bool) -> None:
    """Show experiment NAME to everybody who may read the service; services notice within seconds."""
    if name in service.settings.private_experiments:
        raise ConflictError(
            f"JOBPROV_PRIVATE_EXPERIMENTS names {name}: take it out there, restart the service, and "
            "give this command again."
        )
    has_changed = service.write(lambda writing: open_again(writing, name, why))
    _seal(service, name)
    text = f"{name} is open." if has_changed else f"{name} was open before."
    document = {"experiment": name, "is_private": False, "has_changed": has_changed}
    emit(document, text, as_json=as_json)


@experiment.command("list")
@opens_service
def list_them(*, service: Service, as_json: bool) -> None:
    """List experiments, and which of them are private."""
    with service.reading() as connection:
        listed = list_experiments(connection, service.settings.private_experiments)
    rows = []
    for entry in listed:
        state = f"private (by {entry.by})" if entry.is_private else "open"
        rows.append((entry.experiment, state))
    text = cell_table(("EXPERIMENT", "STATE"), rows) if rows else "No experiment is known yet."
    emit(listed, text, as_json=as_json)


@experiment.command()
@click.argument("name")
@opens_service
def readers(*, name: str, service: Service, as_json: bool) -> None:
    """Show who may read experiment NAME, by the settings that this command has.

    Whoever may run `jobprov` on the machine of the service reads everything.
    """
    check_experiment_name(name)
    is_private = name in service.private_experiments()
    who = _readers(service, name)
    if not is_private:
        who = [_of_open_experiment(service), *who]
    rows = [(reader.kind, reader.who, reader.note) for reader in who]
    text = f"{name} is {'private' if is_private else 'open'}.\n"
    text += cell_table(("BY", "WHO", ""), rows) if rows else "Nobody reads it."
    emit(Readers(name, is_private, who), text, as_json=as_json)


def _known_names(service: Service) -> list[str]:
    with service.reading() as connection:
        listed = list_experiments(connection, service.settings.private_experiments)
    return [one.experiment for one in listed]


def _unknown(name: str, known: list[str]) -> NotFoundError:
    """Return the refusal of a name that may be mistyped: the right one would stay open."""
    return NotFoundError(
        f"Nothing is known of an experiment {name}, so nothing was changed. "
        "`jobprov experiment list` shows those that are known; to make one private before its "
        "first record, add --force.",
        names_like(name, known),
    )


def _readers(service: Service, name: str) -> list[Reader]:
    """Return who reads an experiment if it is private."""
    roles = [] if service.login is None else service.login.rules.allow.get(name, [])
    issuers = read_issuers(service.settings.token_issuers)
    with service.reading() as connection:
        tokens = token_readers(connection, name, datetime.now(UTC))
    return [*login_readers(roles), *issued_readers(issuers, name), *tokens]


def _of_open_experiment(service: Service) -> Reader:
    if service.settings.reading == "open":
        return Reader("all", "everybody who can reach the service", None)
    return Reader("all", "whoever has a role, or a token that reads, in any experiment", None)


def _seal(service: Service, name: str) -> None:
    """Have the archive know it at once: a database that is rebuilt must not open an experiment."""
    problem = try_sealing(service.database, service.writer, service.store, name)
    if problem is not None:
        click.echo(
            f"The archive does not know it yet ({problem}). Until `jobprov archive seal` has "
            "worked, a database that is rebuilt would not know it either.",
            err=True,
        )


COMMANDS = {"experiment": experiment}
EXAMPLES = {
    "experiment private": (
        "jobprov experiment private toyexp --why 'before publication'",
        "jobprov experiment private newexp --force --why 'before its first record'",
    ),
    "experiment open": ("jobprov experiment open toyexp --why 'published'",),
    "experiment list": ("jobprov experiment list",),
    "experiment readers": ("jobprov experiment readers toyexp",),
}
