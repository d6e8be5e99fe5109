"""A campaign in one document: how far it is, what waits, why jobs failed, what they took.

It is for a page, a mail or a meeting.

Source: http.md, `GET /campaigns/{campaign}/report`.
"""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.answers.statistics import ResourceGroup, ResourceSums
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.tasks.tasks import task_waivers

MOST_CAUSES = 10
MOST_WAIVED_TASKS = 20
_MEASURES = ("wall_seconds", "cpu_efficiency", "max_rss_bytes")


class Counted(NamedTuple):
    """What was counted of a campaign.

    These are the answers of `GET /campaigns/{campaign}`, `/statistics/errors` and
    `/statistics/resources`.
    """

    campaign: dict[str, Any]
    errors: ErrorCounts
    resources: ResourceSums


def report_campaign(
    connection: Connection, store: Store, counted: Counted, *, now: datetime
) -> dict[str, Any]:
    """Return the report of a campaign.

    It is `{made_at, counted_at, is_current, last_record_at, campaign, errors, resources, waivers}`.

    `campaign` and `errors` are those answers, of the errors the ten most frequent causes;
    `resources` has `{stage, jobs, measures}` with `median` and `p90` of run time, CPU efficiency
    and memory; `waivers` are those in force, each with its `task_id`, of at most 20 tasks.
    `counted_at` is when the oldest of them was counted, `is_current` whether nothing was recorded
    since; `last_record_at` is when a record came last, None before the first.
    """
    found, errors, resources = counted
    experiment = found["experiment"]
    newest = list_jobs(
        connection, JobFilters(experiment=experiment, campaign=found["campaign"]), limit=1
    ).jobs
    waived = [task["task_id"] for task in found["tasks"] if task["waived"]][:MOST_WAIVED_TASKS]
    return {
        "made_at": now.isoformat(),
        "counted_at": min(found["counted_at"], errors.counted_at, resources.counted_at),
        "is_current": found["is_current"] and errors.is_current and resources.is_current,
        "last_record_at": newest[0].received_at if newest else None,
        "campaign": found,
        "errors": msgspec.structs.replace(errors, causes=errors.causes[:MOST_CAUSES]),
        "resources": [_resources(group) for group in resources.groups],
        "waivers": [
            {"task_id": task, **asdict(waiver)}
            for task in waived
            for waiver in task_waivers(connection, store, task, experiment=experiment)
        ],
    }


def _resources(group: ResourceGroup) -> dict[str, Any]:
    measures = {}
    for name in _MEASURES:
        if name in group.measures:
            sums = group.measures[name]
            measures[name] = {"median": sums.median, "p90": sums.p90}
    return {"stage": group.name, "jobs": group.jobs, "measures": measures}
