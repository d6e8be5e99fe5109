"""`jobprov token`: write tokens of experiments.

It works on the database directly, so that only operators can use it.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, opens_service, option_with_default
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.db.queries.intake import TokenRow, list_tokens
from jobprov.provenance.services.intake.tokens import (
    OF_JOBS,
    Scope,
    create_token,
    revoke_token,
    rotate_token,
)
from jobprov.provenance.times import minute_text

if TYPE_CHECKING:
    from jobprov.app.wiring import Service

_COLUMNS: Columns[TokenRow] = {
    "NUMBER": lambda token: token.number,
    "EXPERIMENT": lambda token: token.experiment,
    "NAME": lambda token: token.name,
    "SCOPES": lambda token: token.scopes,
    "TASK": lambda token: token.task_id,
    "MADE": lambda token: token.created_at,
    "EXPIRES": lambda token: token.expires_at,
    "REVOKED": lambda token: token.revoked_at,
    "LAST USED": lambda token: token.last_used_at,
}


@click.group(cls=Group)
def token() -> None:
    """Make, list, replace and revoke write tokens."""


@token.command()
@click.option("--experiment", required=True, help="The experiment that may be written to.")
@click.option("--name", required=True, help="Who or what will use it.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=sorted(scope.value for scope in OF_JOBS),
    show_default=True,
    help="What it allows; may be repeated.",
)
@option_with_default("--days", click.IntRange(1, 36500), 365, "How long it is good.")
@click.option("--forever", is_flag=True, help="It does not expire.")
@opens_service
def create(
    *,
    experiment: str,
    name: str,
    scopes: tuple[str, ...],
    days: int,
    forever: bool,
    service: "Service",
    as_json: bool,
) -> None:
    """Make a token and print it, this once: only its SHA-256 is kept.

    `record` is for hooks and witnesses; `declare` for tasks, waivers, rules and comparators; `run`
    for workflows, retries and the agent, which runs their programs; `read` for pages and calls
    where reading needs a token; `admin` for all of these.
    """
    good_days = None if forever else days
    now = datetime.now(UTC)
    made = service.write(
        lambda writing: create_token(
            writing,
            experiment=experiment,
            name=name,
            now=now,
            days=good_days,
            scopes={Scope(scope) for scope in scopes},
        )
    )
    document = {"token": made, "experiment": experiment, "name": name, "scopes": sorted(scopes)}
    emit({**document, "days": good_days}, made, as_json=as_json)


@token.command("list")
@opens_service
def list_them(*, service: "Service", as_json: bool) -> None:
    """List tokens, without their secret text, which is not kept.

    The last use of a token is noted once an hour, but not for upload tickets.
    """
    with service.reading() as connection:
        tokens = list_tokens(connection)
    text = table(tokens, _COLUMNS) if tokens else "There are no tokens."
    emit([listed._asdict() for listed in tokens], text, as_json=as_json)


@token.command()
@click.argument("number", type=click.IntRange(1, 2**62))
@option_with_default(
    "--keep-hours", click.IntRange(0, 24 * 365), 24, "How long the old one stays good."
)
@opens_service
def rotate(*, number: int, keep_hours: int, service: "Service", as_json: bool) -> None:
    """Make a token like another and print it, this once; the other one ends soon.

    It has the same experiment, name and scopes, and lasts as long as the other did. Before the old
    one ends, give the new one to all who use it.
    """
    keep = timedelta(hours=keep_hours)
    now = datetime.now(UTC)
    rotation = service.write(lambda writing: rotate_token(writing, number, now=now, keep=keep))
    ends_at = rotation.old_ends_at.isoformat(timespec="seconds")
    click.echo(f"Token {number} ends {minute_text(rotation.old_ends_at)}.", err=True)
    document = {"token": rotation.token, "old_number": number, "old_ends_at": ends_at}
    emit(document, rotation.token, as_json=as_json)


@token.command()
@click.argument("number", type=click.IntRange(1, 2**62))
@opens_service
def revoke(*, number: int, service: "Service", as_json: bool) -> None:
    """Make a token worthless; services notice within seconds."""
    service.write(lambda writing: revoke_token(writing, number, datetime.now(UTC)))
    emit({"number": number, "is_revoked": True}, f"Token {number} is revoked.", as_json=as_json)


COMMANDS = {"token": token}
EXAMPLES = {
    "token create": (
        "jobprov token create --experiment toyexp --name production --scope record --days 365",
    ),
    "token list": ("jobprov token list",),
    "token rotate": ("jobprov token rotate 3 --keep-hours 48",),
    "token revoke": ("jobprov token revoke 3",),
}
