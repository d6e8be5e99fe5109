"""The first page of a copy of several campaigns: all of them, each with a link to its pages."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from jinja2 import Environment, PackageLoader, Template

from jobprov.app.reports.rows import headline, moment
from jobprov.provenance.answers.addresses import campaign_page, report_page
from jobprov.provenance.answers.campaigns import CampaignProgress
from jobprov.provenance.lineage.words import number, shown


def site_index(campaigns: Sequence[CampaignProgress], *, made_at: datetime, service: str) -> str:
    """Return the page of several campaigns of one experiment as HTML.

    Its links are addresses of the service, as those of any page before it is copied.
    """
    rows = []
    for campaign in campaigns:
        rows.append(
            {
                "campaign": campaign.campaign,
                "page": campaign_page(campaign.campaign, campaign.experiment),
                "report": report_page(campaign.campaign, campaign.experiment),
                "headline": headline(campaign),
                "stages": ", ".join(stage.stage or "no stage" for stage in campaign.stages),
                "tasks": number(campaign.task_count),
            }
        )
    return _template().render(
        experiment=campaigns[0].experiment,
        campaigns=rows,
        made_at=moment(made_at),
        service=service,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("app"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = shown
    return environment.get_template("statistics/site_index.html")
