"""A report as one page that needs nothing else: it prints, saves and travels by mail."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup

from jobprov.app.indentation import WithoutIndentation
from jobprov.app.reports.rows import FIGURES, UNBROKEN, headline, moment, tables
from jobprov.provenance.answers.statistics.campaigns import CampaignReport
from jobprov.provenance.lineage.words import shown

_STYLE = Path(__file__).parents[1] / "static" / "report.css"


def report_page(report: CampaignReport, address: str, *, stylesheet: str | None = None) -> str:
    """Return the report as HTML.

    Args:
        report: of a campaign.
        address: that of its campaign's page.
        stylesheet: where the style lies; without it the style is inside, so that the page can be
            sent.
    """
    style = None
    if stylesheet is None:
        style = Markup(_STYLE.read_text(encoding="utf-8"))  # noqa: S704 - the text is ours
    return template("statistics/report.html").render(
        campaign=report.campaign,
        stylesheet=stylesheet,
        style=style,
        address=address,
        headline=headline(report.campaign),
        made_at=moment(report.made_at),
        counted_at=None if report.is_current else moment(report.counted_at),
        last_record_at=moment(report.last_record_at),
        tables=list(tables(report)),
        figures=FIGURES,
        unbroken=UNBROKEN,
    )


@cache
def template(name: str) -> Template:
    """Return a template of what is read outside of the service; a page of it stands alone."""
    environment = Environment(
        loader=PackageLoader("jobprov.app"),
        autoescape=True,
        trim_blocks=True,
        extensions=[WithoutIndentation],
    )
    environment.filters["shown"] = shown
    return environment.get_template(name)
