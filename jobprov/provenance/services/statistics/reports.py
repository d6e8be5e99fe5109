"""A campaign in one document: how far it is, what waits, why jobs failed, what they took.

It is for a page, a mail or a meeting.

Source: http.md, `GET /campaigns/{campaign}/report`.
"""

from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.answers.statistics.campaigns import (
    CampaignProgress,
    CampaignReport,
    MeasureQuantiles,
    StageResources,
    TaskWaiver,
)
from jobprov.provenance.answers.statistics.resources import ResourceGroup, ResourceSums
from jobprov.provenance.answers.statistics.spending import Spending
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.tasks.tasks import task_waivers

MOST_CAUSES = 10
MOST_WAIVED_TASKS = 20
_MEASURES = ("wall_seconds", "cpu_efficiency", "max_rss_bytes")


class CountedParts(NamedTuple):
    """What was counted of a campaign.

    These are the answers of `GET /campaigns/{campaign}`, `/statistics/errors` and
    `/statistics/resources`, and what it cost: None where that is not counted yet.
    """

    campaign: CampaignProgress
    errors: ErrorCounts
    resources: ResourceSums
    spending: Spending | None


def report_campaign(
    connection: Connection, store: Store, parts: CountedParts, *, now: datetime
) -> CampaignReport:
    """Return the report of a campaign: its answers, shortened, with the waivers in force."""
    campaign, errors, resources, spending = parts
    counted = [part for part in parts if part is not None]
    filters = JobFilters(experiment=campaign.experiment, campaign=campaign.campaign)
    newest = list_jobs(connection, filters, limit=1).jobs
    return CampaignReport(
        made_at=now.isoformat(),
        counted_at=min(part.counted_at for part in counted),
        is_current=all(part.is_current for part in counted),
        last_record_at=newest[0].received_at if newest else None,
        campaign=campaign,
        errors=msgspec.structs.replace(errors, causes=errors.causes[:MOST_CAUSES]),
        resources=[_stage_resources(group) for group in resources.groups],
        waivers=_waivers_of(connection, store, campaign),
        spending=spending,
    )


def _waivers_of(
    connection: Connection, store: Store, campaign: CampaignProgress
) -> list[TaskWaiver]:
    waived_tasks = [task.task_id for task in campaign.tasks if task.waived]
    waivers = []
    for task_id in waived_tasks[:MOST_WAIVED_TASKS]:
        standing = task_waivers(connection, store, task_id, experiment=campaign.experiment)
        waivers += [TaskWaiver(task_id=task_id, **asdict(waiver)) for waiver in standing]
    return waivers


def _stage_resources(group: ResourceGroup) -> StageResources:
    measures = {}
    for name in _MEASURES:
        if name in group.measures:
            sums = group.measures[name]
            measures[name] = MeasureQuantiles(sums.median, sums.p90)
    return StageResources(group.name, group.jobs, measures)
