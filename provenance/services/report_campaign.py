"""A campaign in one document: how far it is, what waits, why jobs failed, what they took. For a page, a mail or a meeting.

Source: http.md, `GET /campaigns/{campaign}/report`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from provenance.db.queries.jobs import JobFilters
from provenance.services.count_errors import count_errors
from provenance.services.ledger import Documents
from provenance.services.list_jobs import list_jobs
from provenance.services.sum_resources import sum_resources
from provenance.services.tasks import show_campaign, task_waivers

MOST_CAUSES = 10
MOST_WAIVED_TASKS = 20
_MEASURES = ("wall_seconds", "cpu_efficiency", "max_rss_bytes")


def report_campaign(
    connection: Connection, store: Documents, experiment: str, campaign: str, *, now: datetime
) -> dict[str, Any]:
    """Return `{made_at, last_record_at, campaign, errors, resources, waivers}`.

    `campaign` is what `GET /campaigns/{campaign}` answers; `errors` what `GET /statistics/errors` does, the ten most frequent causes;
    `resources` has `{stage, jobs, measures}` with `median` and `p90` of run time, CPU efficiency and memory; `waivers` are those in
    force, each with its `task_id`, of at most 20 tasks. `last_record_at` is when a record came last, None before the
    first.

    Raises:
        NotFoundError: no task or job names the campaign.
        LimitError: counting took more than five seconds.
    """
    filters = JobFilters(experiment=experiment, campaign=campaign)
    found = show_campaign(connection, store, experiment, campaign)
    errors = count_errors(connection, filters)
    newest = list_jobs(connection, filters, limit=1)["jobs"]
    waived = [task["task_id"] for task in found["tasks"] if task["waived"]][:MOST_WAIVED_TASKS]
    return {
        "made_at": now.isoformat(),
        "last_record_at": newest[0]["received_at"] if newest else None,
        "campaign": found,
        "errors": {**errors, "causes": errors["causes"][:MOST_CAUSES]},
        "resources": [_resources(group) for group in sum_resources(connection, filters)["groups"]],
        "waivers": [
            {"task_id": task, **waiver}
            for task in waived
            for waiver in task_waivers(connection, store, task, experiment=experiment)
        ],
    }


def _resources(group: dict[str, Any]) -> dict[str, Any]:
    told = [name for name in _MEASURES if name in group["measures"]]
    measures = {name: {key: group["measures"][name][key] for key in ("median", "p90")} for name in told}
    return {"stage": group["name"], "jobs": group["jobs"], "measures": measures}
