"""What a campaign's people want a mail about.

A stage is done, too many jobs fail, or nothing moves any more.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from jobprov.provenance.answers.campaigns import CampaignReport
from jobprov.provenance.lineage.words import counted, percent

LEAST_OVER = 10
"""Jobs that have to be over before a share of failures means anything."""

_BAD = ("failed", "killed", "lost")
_OVER = ("succeeded", *_BAD)


def conditions(
    report: CampaignReport, *, failure_share: float, stuck_after: timedelta, now: datetime
) -> dict[str, str]:
    """Return what holds of a campaign that people want a mail about, in words, by name.

    A name stays the same for as long as what it stands for holds.

    A stage is done when all its expected units were made or waived; units of it may have succeeded
    without output; it fails when more than
    `failure_share` of at least ten jobs that are over did not succeed; the campaign is stuck when
    units are missing and no record came for `stuck_after`.
    """
    holding = {}
    for stage in report.campaign.stages:
        name = stage.stage or "without a name"
        if stage.units.expected and stage.units.missing == 0:
            holding[f"done {name}"] = f"stage {name} is done"
        if stage.units.no_output:
            units = counted(stage.units.no_output, "unit")
            holding[f"no output {name}"] = f"{units} of stage {name} succeeded without output"
        over, bad = _count(stage.states, _OVER), _count(stage.states, _BAD)
        if _fails_too_often(over, bad, failure_share):
            share = percent(bad / over, 0)
            holding[f"failing {name}"] = f"{share} of the jobs of stage {name} failed"
    silence = _silence(report, now)
    if silence is not None and silence > stuck_after:
        hours = silence.total_seconds() / 3600
        holding["stuck"] = f"no record came for {hours:.0f} hours, and units are missing"
    return holding


def _fails_too_often(over: int, bad: int, failure_share: float) -> bool:
    return over >= LEAST_OVER and bad > failure_share * over


def _silence(report: CampaignReport, now: datetime) -> timedelta | None:
    """Return how long no record came although units are missing; None where none is missing."""
    is_waiting = any(task.missing for task in report.campaign.tasks)
    if not is_waiting or report.last_record_at is None:
        return None
    return now - datetime.fromisoformat(report.last_record_at)


def _count(states: dict[str, int], names: Iterable[str]) -> int:
    return sum(states.get(name, 0) for name in names)
