"""`jobprov report`: a campaign in one text or page, printed or mailed."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import (
    OutputFile,
    emit,
    option_with_default,
    settings_with,
)
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.app.reports.rows import headline, moment, progress_line, tables
from jobprov.provenance.answers.addresses import campaign_page
from jobprov.provenance.answers.statistics.campaigns import CampaignReport
from jobprov.provenance.client import Client

_PATIENCE_SECONDS = 180.0
_PAUSE_SECONDS = 2.0
FORMS = ("text", "html", "json")


class _Limits(NamedTuple):
    """What is worth a mail: a larger share of failures, or a longer time without a record."""

    failure_share: float
    stuck_after: timedelta


@click.command()
@click.argument("campaign")
@click.option("--experiment", required=True, help="Of this experiment.")
@option_with_default("--format", click.Choice(FORMS), "text", "html prints well.", to="form")
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
    help="Mail only when a stage is done, fails too often, or nothing moves.",
)
@option_with_default(
    "--failure-share",
    click.FloatRange(0, 1),
    0.1,
    "Share of failed jobs of a stage that is too much.",
)
@option_with_default(
    "--stuck-hours",
    click.FloatRange(0, min_open=True),
    6,
    "Hours without a record after which nothing moves.",
)
@click.option(
    "--state",
    type=OutputFile(),
    help="The file in which --on-change remembers its last mail.",
)
@asks_service
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
    client: Client,
    as_json: bool,
) -> None:
    """Report how far CAMPAIGN is: stages, waiting tasks, waivers, why jobs failed, what they took.

    Exit code 1 while units are missing; with --mail, 0 once the mail is on its way. For cron:
    --mail ADDRESS --on-change.
    """  # fmt: skip
    campaign_report = client.report(campaign, experiment=experiment)
    address = f"{client.url}{campaign_page(campaign, experiment)}"
    if receivers:
        campaign_report = _counted_now(client, campaign_report)
        state_file = _state_file(client.url, campaign_report, state) if on_change else None
        limits = _Limits(failure_share, timedelta(hours=stuck_hours))
        _mail(campaign_report, address, receivers, state_file, limits)
        return
    if form == "html":
        # Jinja is for those who ask for a page
        from jobprov.app.reports.page import report_page  # noqa: PLC0415

        click.echo(report_page(campaign_report, address))
    else:
        text = report_text(campaign_report, address)
        emit(campaign_report, text, as_json=as_json or form == "json")
    sys.exit(1 if any(task.missing for task in campaign_report.campaign.tasks) else 0)


def _counted_now(client: Client, report: CampaignReport) -> CampaignReport:
    """Return a report counted after it was asked for; the last one there is after three minutes.

    Nobody looks at a campaign in the night: the counts that the service keeps would be those of
    yesterday's mail.
    """
    asked_at = datetime.fromisoformat(report.made_at)
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not report.is_current and datetime.fromisoformat(report.counted_at) < asked_at:
        if time.monotonic() > give_up_at:
            break
        time.sleep(_PAUSE_SECONDS)
        report = client.report(report.campaign.campaign, experiment=report.campaign.experiment)
    return report


def _state_file(service: str, report: CampaignReport, state: Path | None) -> Path:
    # Imported here, as all about mails is: most reports are not mailed
    from jobprov.app.reports.mails import default_file  # noqa: PLC0415

    return state or default_file(service, report.campaign.experiment, report.campaign.campaign)


def _mail(
    report: CampaignReport,
    address: str,
    receivers: tuple[str, ...],
    state_file: Path | None,
    limits: _Limits,
) -> None:
    """Mail the report; with a state file only if something changed since the last mail."""
    # Jinja and mail are for those who ask for a mail
    from jobprov.app.reports.mails import (  # noqa: PLC0415
        compose,
        conditions,
        remember,
        remembered,
        send,
    )
    from jobprov.app.reports.page import report_page  # noqa: PLC0415

    settings = settings_with()
    holding = conditions(
        report,
        failure_share=limits.failure_share,
        stuck_after=limits.stuck_after,
        now=datetime.now(UTC),
    )
    news: list[str] = []
    if state_file is not None:
        before = remembered(state_file)
        news = [condition for name, condition in holding.items() if name not in before]
        if not news:
            remember(state_file, holding)  # what holds no longer may come again
            click.echo("Nothing changed; no mail.")
            return
    subject = f"{report.campaign.campaign}: {'; '.join(news) or progress_line(report.campaign)}"
    mail = compose(
        subject,
        _mail_text(report, address, news),
        report_page(report, address),
        sender=settings.mail_from,
        receivers=receivers,
    )
    send(mail, settings.smtp_url)
    if state_file is not None:
        remember(state_file, holding)  # after sending: a mail that failed is tried again
    click.echo(f"Mailed to {', '.join(receivers)}: {subject}")


def _mail_text(report: CampaignReport, address: str, news: Sequence[str]) -> str:
    lines = [f"{condition[0].upper()}{condition[1:]}." for condition in news]
    if lines:
        lines.append("")
    return "\n".join([*lines, report_text(report, address, is_mail=True)])


def report_text(report: CampaignReport, address: str, *, is_mail: bool = False) -> str:
    """Return the report as lines; `address` is that of its campaign's page."""
    campaign = report.campaign
    lines = [
        f"Campaign {campaign.campaign} of {campaign.experiment}, {moment(report.made_at)}",
        headline(report.campaign),
    ]
    for shown in tables(report):
        lines += ["", shown.title]
        titles = [title.upper() for title in shown.columns]
        lines.append(cell_table(titles, shown.rows, is_whole=is_mail))
        lines += [shown.note] if shown.note else []
    last = f"Last record: {moment(report.last_record_at)}"
    if not report.is_current:
        last += f"; counted {moment(report.counted_at)}, more was recorded since"
    return "\n".join([*lines, "", last, address])


COMMANDS = {"report": report}
EXAMPLES = {
    "report": (
        "jobprov report demo-2026 --experiment toyexp",
        "jobprov report demo-2026 --experiment toyexp --mail us@example.org --on-change",
    ),
}
