"""What the home page shows: the newest jobs, what campaigns there are, how much is recorded."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from provenance.db.queries.jobs import JobFilters, list_job_rows
from provenance.db.queries.tasks import begun_at
from provenance.db.recording.job_rows import STATES
from provenance.db.tables import Experiment, File, Job, Stage, TaskRow
from provenance.services.reproduction import reproduction_facts

NEWEST = 20
MOST_STAGES = 200


def home_facts(connection: Connection) -> dict[str, Any]:
    """Return `{experiments, newest, states, file_count, campaigns, reproduction}`; counts come from indexes alone.

    `file_count` is the highest key: files are never removed, so it is their number, or a little more.
    """
    newest = [summary for _, summary in list_job_rows(connection, JobFilters(), limit=NEWEST, before=None)]
    files = connection.execute(select(func.max(File.id))).scalar_one() or 0
    experiments = [row[0] for row in connection.execute(select(Experiment.name).order_by(Experiment.name))]
    campaigns = campaign_counts(connection)
    return {
        "experiments": experiments,
        "newest": newest,
        "job_count": connection.execute(select(func.max(Job.id))).scalar_one() or 0,
        "file_count": files,
        "campaigns": campaigns,
        "reproduction": reproduction_facts(connection, datetime.now(UTC)),
    }


def campaign_counts(
    connection: Connection, campaign: str | None = None, experiment: str | None = None
) -> list[dict[str, Any]]:
    """Return campaigns with their stages and the number of jobs in each state, newest campaign first.

    Stages stand in the order of production: as the first recorded job of each began, since records arrive in any order.
    """
    query = (
        select(Experiment.name, Stage.campaign, Stage.name, Job.state, func.count(), func.min(Job.id))
        .select_from(Stage)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .join(TaskRow, TaskRow.stage_id == Stage.id)
        .join(Job, Job.task_id == TaskRow.id)
        .group_by(Experiment.name, Stage.campaign, Stage.name, Job.state)
    )
    if campaign is not None:
        query = query.where(Stage.campaign == campaign)
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, title, stage, state, count, first in connection.execute(query):
        row = found.setdefault((name, title), {}).setdefault(stage, {"stage": stage, "states": {}, "first": first})
        row["states"][STATES[state]] = count
        row["first"] = min(row["first"], first)
    begun = begun_at(connection, [stage["first"] for stages in found.values() for stage in stages.values()])
    campaigns: list[dict[str, Any]] = [
        {"experiment": name, "campaign": title, "stages": sorted(stages.values(), key=lambda row: begun[row["first"]])}
        for (name, title), stages in found.items()
    ]
    return sorted(campaigns, key=lambda row: -max(stage["first"] for stage in row["stages"]))[:MOST_STAGES]
