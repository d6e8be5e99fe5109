"""`jobprov alerts`: look at rules, send what there is to tell, list it, and try receivers.

It works on the database directly, as only operators can.
"""

import sys
from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    list_limit_option,
    opened_service,
    opens_service,
    settings_with,
)
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.app.config import Settings
from jobprov.provenance.answers.alerts import Alert, AlertDelivery
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.alerts.lists import STATES, list_alerts
from jobprov.provenance.services.alerts.messages import trial
from jobprov.provenance.services.alerts.receivers import send
from jobprov.provenance.services.alerts.rounds import Round, run_alerts
from jobprov.provenance.services.alerts.rules import Receiver, read_alert_rules

if TYPE_CHECKING:
    from jobprov.app.wiring import Service


@click.group(cls=Group)
def alerts() -> None:
    """Check rules of alerts, send what is due, list alerts, and test receivers.

    The rules and the receivers are in the file of JOBPROV_ALERTS.
    """


@alerts.command()
@data_option
@json_option
def check(*, data: str | None, as_json: bool) -> None:
    """Check all rules now, and send what is due; exit code 1 where something failed.

    A running service does this by itself each minute; nothing is sent twice.
    """
    with opened_service(_settings(data)) as service:
        settings = service.alerts()
        assert settings is not None  # noqa: S101 - `_settings` saw to it
        done = run_alerts(service.parts(), settings, is_forced=True)
    emit(done, "\n".join(_sentences(done)), as_json=as_json)
    if done.failed or any(checked.problem for checked in done.checked):
        sys.exit(1)


@alerts.command("list")
@click.option("--experiment", help="Alerts of this experiment alone.")
@click.option(
    "--state", type=click.Choice(STATES), help="Only open alerts, or only those that are over."
)
@list_limit_option
@click.option("--cursor", help="`next` of the answer before.")
@opens_service
def list_all(
    *,
    experiment: str | None,
    state: str | None,
    limit: int,
    cursor: str | None,
    service: "Service",
    as_json: bool,
) -> None:
    """List alerts, the newest first, and who got a message."""
    with service.reading() as connection:
        listed = list_alerts(
            connection, experiment=experiment, state=state, limit=limit, cursor=cursor
        )
    text = table(listed.alerts, _COLUMNS)
    if not listed.alerts:
        text = "There are no such alerts."
    if listed.next:
        text += f"\nThere are more: --cursor {listed.next}"
    emit(listed, text, as_json=as_json)


@alerts.command()
@click.argument("experiment")
@click.argument("receivers", nargs=-1, metavar="[RECEIVER]...")
@data_option
@json_option
def test(*, experiment: str, receivers: tuple[str, ...], data: str | None, as_json: bool) -> None:
    """Send a message to each RECEIVER of EXPERIMENT, or to all; exit code 1 where one fails.

    Nothing is written, and no database is needed.
    """
    settings = _settings(data)
    chosen = _chosen(settings, experiment, receivers)
    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    problems: dict[str, str | None] = {}
    for name, receiver in chosen.items():
        message = trial(experiment, name, address)
        problems[name] = send(name, receiver, message.title, message.body).problem
    lines = []
    for name, problem in problems.items():
        lines.append(f"{name}: {'sent' if problem is None else f'not sent: {problem}'}")
    emit(problems, "\n".join(lines), as_json=as_json)
    if any(problem is not None for problem in problems.values()):
        sys.exit(1)


def _settings(data: str | None) -> Settings:
    """Return the settings, with a file of rules.

    Raises:
        BadInputError: none is named.
    """
    settings = settings_with(data=data)
    if settings.alerts is None:
        raise BadInputError(
            "JOBPROV_ALERTS names no file with rules (docs/how-to/be-told.md).",
            {"JOBPROV_ALERTS": ["not set"]},
        )
    return settings


def _chosen(settings: Settings, experiment: str, names: tuple[str, ...]) -> dict[str, Receiver]:
    """Return the receivers that are to be tried.

    Raises:
        NotFoundError: the file has no such experiment, or no such receiver.
    """
    assert settings.alerts is not None  # noqa: S101 - `_settings` saw to it
    rules = read_alert_rules(settings.alerts)
    if experiment not in rules:
        known = ", ".join(rules) or "none"
        raise NotFoundError(f"The file has no experiment {experiment}; it has {known}.")
    known_receivers = rules[experiment].receivers
    for name in names:
        if name not in known_receivers:
            raise NotFoundError(
                f"{experiment} has no receiver {name}; it has {', '.join(known_receivers)}."
            )
    return {name: known_receivers[name] for name in names or known_receivers}


def _sentences(done: Round) -> list[str]:
    lines = []
    for checked in done.checked:
        began, over = counted(checked.began, "alert"), checked.over
        lines.append(f"{checked.experiment}: {began} began, {over} over.")
        if checked.problem:
            lines.append(f"{checked.experiment}: not all rules were looked at: {checked.problem}")
    for name in done.unrecorded:
        lines.append(f"{name}: nothing is recorded of it yet.")
    lines.append(f"{counted(done.sent, 'message')} sent, {done.failed} failed.")
    return lines


def _delivery(delivery: AlertDelivery) -> str:
    text = f"{delivery.receiver} ({delivery.about}): {delivery.state}"
    return f"{text}, {delivery.problem}" if delivery.problem else text


_COLUMNS: Columns[Alert] = {
    "BEGAN": lambda alert: alert.began_at,
    "OVER": lambda alert: alert.ended_at,
    "EXPERIMENT": lambda alert: alert.experiment,
    "RULE": lambda alert: alert.rule,
    "FOUND": lambda alert: alert.words,
    "TOLD": lambda alert: "; ".join(map(_delivery, alert.deliveries)),
}


COMMANDS = {"alerts": alerts}
EXAMPLES = {
    "alerts check": ("jobprov alerts check",),
    "alerts list": ("jobprov alerts list --experiment toyexp",),
    "alerts test": ("jobprov alerts test toyexp",),
}
