"""`jobprov report`: a campaign in one text, for a mail or a meeting."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from app.commands.asking import client_for
from app.commands.opening import emit, json_option, table, url_option
from app.commands.sentences import cause_words
from provenance.lineage.words import counted, duration, number

_UNITS = ("expected", "produced", "running", "failed", "waived", "missing")
_CAUSES = 5


@click.command()
@click.argument("campaign")
@click.option("--experiment", required=True, help="Of this experiment.")
@url_option
@json_option
def report(*, campaign: str, experiment: str, url: str | None, as_json: bool) -> None:
    """Report how far CAMPAIGN is: stages, tasks that wait, why jobs failed. Exit code 1 while units are missing."""
    client = client_for(url)
    found = client.campaign(campaign, experiment=experiment)
    errors = client.errors(campaign=campaign, experiment=experiment)
    emit({**found, "errors": errors}, "\n".join(_lines(found, errors, client.url)), as_json=as_json)
    sys.exit(1 if any(task["missing"] for task in found["tasks"]) else 0)


def _lines(found: dict[str, Any], errors: dict[str, Any], url: str) -> Iterator[str]:
    yield f"Campaign {found['campaign']} of {found['experiment']}, {datetime.now(UTC):%-d %b %Y %H:%M} UTC"
    yield ""
    columns = {"stage": "STAGE", **{name: name.upper() for name in _UNITS}}
    stages = [{"stage": stage["stage"] or "no stage", **_counts(stage["units"])} for stage in found["stages"]]
    yield table(stages, columns)
    if found["seconds_left"]:
        yield f"About {duration(found['seconds_left'])} left at the present pace."
    waiting = [
        {"task": task["task_id"], **_counts(task)} for task in found["tasks"] if task["missing"] or task["waived"]
    ]
    if waiting:
        yield ""
        yield "Tasks with units missing or waived:"
        yield table(waiting, {"task": "TASK", **{name: name.upper() for name in _UNITS}})
        yield "Which: jobprov missing TASK"
    yield ""
    yield f"{counted(errors['failures'], 'failure')} in {counted(errors['jobs'], 'job')}, {counted(errors['cause_count'], 'cause')}."
    for cause in errors["causes"][:_CAUSES]:
        yield f"{number(cause['count']):>7}  {cause_words(cause)}"
    for outlier in errors["outliers"]:
        yield f"{outlier['kind'].capitalize()} {outlier['name']} stands out: {outlier['failures']} of {outlier['jobs']} failed."
    yield f"{url}/campaigns/{found['experiment']}/{found['campaign']}"


def _counts(units: dict[str, Any]) -> dict[str, str | None]:
    return {name: None if units[name] is None else number(units[name]) for name in _UNITS}


COMMANDS = {"report": report}
