"""What a campaign's people want a mail about, and what the last mail said.

A stage is done, too many jobs fail, or nothing moves any more. What a mail said is remembered, so
that a report on changes comes once for each.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from jobprov.provenance.answers.campaigns import CampaignReport
from jobprov.provenance.errors import BadInputError
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


def default_file(service: str, experiment: str, campaign: str) -> Path:
    """Return the file in which the last report of this campaign is remembered.

    It lies below XDG_STATE_HOME or ~/.local/state.
    """
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = hashlib.sha256(json.dumps([service, experiment, campaign]).encode()).hexdigest()[:16]
    return Path(base) / "jobprov" / f"report-{name}.json"


def remembered(file: Path) -> set[str]:
    """Return what held at the last report; nothing before the first.

    Raises:
        BadInputError: the file is there and cannot be read.
    """
    try:
        return set(json.loads(file.read_text(encoding="utf-8"))["conditions"])
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInputError(
            f"--state: {file} is not what a report left there ({problem}); remove it to begin anew."
        ) from None


def remember(file: Path, conditions: Mapping[str, str]) -> None:
    """Keep what holds now: written whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=file.parent, delete=False, encoding="utf-8"
    ) as stream:
        json.dump({"conditions": dict(conditions)}, stream, indent=1)
        written = Path(stream.name)
    written.replace(file)
