"""How many units of campaigns were not done yet over the last days, read in one statement for all."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from jobprov.provenance.answers.statistics.campaigns import BurnDown, StageProgress
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.tasks.campaigns import done_in_steps
from jobprov.provenance.times import utc_text

STEP = timedelta(hours=6)
STEPS = 28
"""A week."""
_SECONDS = STEP.total_seconds()

Campaign = tuple[str, str]
"""Its experiment and its name."""


class DoneLately:
    """What campaigns got done within the last week.

    Args:
        connection: where from.
        now: in the last step.
        of: of one campaign alone.
    """

    def __init__(self, connection: Connection, now: datetime, of: Campaign | None = None) -> None:
        self._start = datetime.fromtimestamp(now.timestamp() // _SECONDS * _SECONDS, UTC)
        self._start -= (STEPS - 1) * STEP
        self._done: defaultdict[tuple[Campaign, str], Counter[int]] = defaultdict(Counter)
        self._last_ends: defaultdict[Campaign, dict[str, datetime]] = defaultdict(dict)
        for row in done_in_steps(connection, Window(self._start, now, STEP), of):
            campaign = (row.experiment, row.campaign)
            # A clock that is ahead does not make a step that is to come
            self._done[campaign, row.stage][min(row.place, STEPS - 1)] += row.units
            last_ends = self._last_ends[campaign]
            last_ends[row.stage] = max(row.last_end, last_ends.get(row.stage, row.last_end))

    def burn_down(self, campaign: Campaign, stages: Sequence[StageProgress]) -> BurnDown | None:
        """Return how the units that are left became fewer; None where nobody knows how many."""
        expected, left, declared = 0, 0, 0
        done: Counter[int] = Counter()
        for stage in stages:
            if stage.units.expected is None or stage.units.missing is None:
                continue
            declared += 1
            expected += stage.units.expected
            left += stage.units.missing
            done += self._done[campaign, stage.stage or ""]
        if not declared:
            return None
        series = [left]
        for place in range(STEPS - 1, 0, -1):
            series.append(min(expected, series[-1] + done[place]))
        series.reverse()
        return BurnDown(
            start=utc_text(self._start),
            step_seconds=int(_SECONDS),
            expected=expected,
            left=series,
            is_whole=declared == len(stages),
        )

    def last_ends(self, campaign: Campaign) -> dict[str, str]:
        """Return by stage when its last job ended; those of which none did lately are left out."""
        return {stage: utc_text(moment) for stage, moment in self._last_ends[campaign].items()}
