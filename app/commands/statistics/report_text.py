"""A report as text: for a terminal and for the plain part of a mail."""

from jobprov.app.commands.terminal.opening import table
from jobprov.app.reports.rows import headline, moment, tables
from jobprov.provenance.answers.campaigns import CampaignReport


def report_text(report: CampaignReport, address: str) -> str:
    """Return the report as lines; `address` is that of its campaign's page."""
    campaign = report.campaign
    lines = [
        f"Campaign {campaign.campaign} of {campaign.experiment}, {moment(report.made_at)}",
        headline(report.campaign),
    ]
    for shown in tables(report):
        lines += ["", shown.title]
        columns = {str(place): title.upper() for place, title in enumerate(shown.columns)}
        rows = []
        for row in shown.rows:
            # by place: two columns may have one title
            rows.append({str(place): _short(cell) for place, cell in enumerate(row)})
        lines.append(table(rows, columns))
        lines += [shown.note] if shown.note else []
    last = f"Last record: {moment(report.last_record_at)}"
    if not report.is_current:
        last += f"; counted {moment(report.counted_at)}, more was recorded since"
    return "\n".join([*lines, "", last, address])


def _short(cell: str) -> str:
    words = " ".join(cell.split())
    return words if len(words) <= 100 else words[:99] + "…"  # noqa: PLR2004 - what a terminal holds
