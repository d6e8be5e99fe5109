"""A report as text: for a terminal and for the plain part of a mail."""

from typing import Any

from jobprov.app.commands.terminal.opening import table
from jobprov.app.reports.rows import headline, moment, tables


def report_text(report: dict[str, Any], address: str) -> str:
    """Return the report as lines; `address` is that of its campaign's page."""
    campaign = report["campaign"]
    lines = [
        f"Campaign {campaign['campaign']} of {campaign['experiment']}, {moment(report['made_at'])}",
        headline(report),
    ]
    for found in tables(report):
        lines += ["", found.title]
        columns = {str(place): title.upper() for place, title in enumerate(found.columns)}
        rows = [{str(place): _short(cell) for place, cell in enumerate(row)} for row in found.rows]
        lines.append(table(rows, columns))
        lines += [found.note] if found.note else []
    last = f"Last record: {moment(report['last_record_at'])}"
    if not report.get("is_current", True):
        last += f"; counted {moment(report['counted_at'])}, more was recorded since"
    return "\n".join([*lines, "", last, address])


def _short(cell: str) -> str:
    words = " ".join(cell.split())
    return words if len(words) <= 100 else words[:99] + "…"  # noqa: PLR2004 - what a terminal holds
