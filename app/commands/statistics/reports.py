"""`jobprov report`: a campaign in one text or page, printed or mailed."""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.statistics.report_text import report_text
from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option, settings_with, url_option
from jobprov.app.reports.rows import headline
from jobprov.provenance.answers.addresses import campaign_page
from jobprov.provenance.answers.campaigns import CampaignReport
from jobprov.provenance.client import Client

_PATIENCE_SECONDS = 180.0
_PAUSE_SECONDS = 2.0
FORMS = ("text", "html", "json")


@click.command()
@click.argument("campaign")
@click.option("--experiment", required=True, help="Of this experiment.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="text",
    show_default=True,
    help="html prints well.",
)
@click.option(
    "--mail",
    "receivers",
    multiple=True,
    metavar="ADDRESS",
    help="Mail it there instead; may be repeated.",
)
@click.option(
    "--on-change",
    is_flag=True,
    help="Mail only when a stage is done, fails too often, or all stands still.",
)
@click.option(
    "--failure-share",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Share of failed jobs of a stage that is too much.",
)
@click.option(
    "--stuck-hours",
    type=click.FloatRange(0, min_open=True),
    default=6,
    show_default=True,
    help="Hours without a record that are too long.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where --on-change keeps what it said last.",
)
@url_option
@json_option
def report(
    *,
    campaign: str,
    experiment: str,
    form: str,
    receivers: tuple[str, ...],
    on_change: bool,
    failure_share: float,
    stuck_hours: float,
    state: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Report how far CAMPAIGN is: stages, tasks that wait, waivers, why jobs failed, what they took.

    Exit code 1 while units are missing; with --mail, 0 once the mail is on its way. For cron: --mail ADDRESS --on-change.
    """  # fmt: skip
    client = client_for(url)
    found = client.report(campaign, experiment=experiment)
    if receivers:
        found = _counted_now(client, found)
    address = f"{client.url}{campaign_page(campaign, experiment)}"
    if receivers:
        limits = {"failure_share": failure_share, "stuck_after": timedelta(hours=stuck_hours)}
        _mail(
            found,
            address,
            receivers,
            _state_file(client.url, found, state) if on_change else None,
            limits,
        )
        return
    if form == "html":
        # Jinja is for those who ask for a page
        from jobprov.app.reports.page import report_page  # noqa: PLC0415

        click.echo(report_page(found, address))
    else:
        emit(found, report_text(found, address), as_json=as_json or form == "json")
    sys.exit(1 if any(task.missing for task in found.campaign.tasks) else 0)


def _counted_now(client: Client, found: CampaignReport) -> CampaignReport:
    """Return a report that was counted after it was asked for, where the service had one of before.

    That one after three minutes.

    Nobody looks at a campaign in the night: the counts that the service keeps would be those of
    yesterday's mail.
    """
    asked_at, give_up_at = (
        datetime.fromisoformat(found.made_at),
        time.monotonic() + _PATIENCE_SECONDS,
    )
    while not found.is_current and datetime.fromisoformat(found.counted_at) < asked_at:
        if time.monotonic() > give_up_at:
            break
        time.sleep(_PAUSE_SECONDS)
        found = client.report(found.campaign.campaign, experiment=found.campaign.experiment)
    return found


def _state_file(service: str, found: CampaignReport, state: Path | None) -> Path:
    # As are those of a mail
    from jobprov.app.reports.remembering import default_file  # noqa: PLC0415

    return state or default_file(service, found.campaign.experiment, found.campaign.campaign)


def _mail(
    found: CampaignReport,
    address: str,
    receivers: tuple[str, ...],
    state: Path | None,
    limits: dict[str, Any],
) -> None:
    from jobprov.app.reports.changes import conditions  # noqa: PLC0415
    from jobprov.app.reports.mailing import compose, send  # noqa: PLC0415
    from jobprov.app.reports.page import report_page  # noqa: PLC0415
    from jobprov.app.reports.remembering import remember, remembered  # noqa: PLC0415

    settings = settings_with()
    holds = conditions(found, now=datetime.now(UTC), **limits)
    news = (
        [words for name, words in holds.items() if name not in remembered(state)] if state else []
    )
    if state and not news:
        remember(state, holds)  # what holds no longer may come again
        click.echo("Nothing changed; no mail.")
        return
    name = found.campaign.campaign
    subject = f"{name}: {'; '.join(news)}" if news else f"{name}: {headline(found)}"
    said = [f"{words[0].upper()}{words[1:]}." for words in news]
    text = "\n".join([*said, *([""] if said else []), report_text(found, address)])
    send(
        compose(
            subject,
            text,
            report_page(found, address),
            sender=settings.mail_from,
            receivers=receivers,
        ),
        settings.smtp_url,
    )
    if state:
        remember(state, holds)
    click.echo(f"Mailed to {', '.join(receivers)}: {subject}")


COMMANDS = {"report": report}
