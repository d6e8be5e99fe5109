"""What needs somebody: one answer for the first page, the call and the command."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt

NeedKind = Literal[
    "alert",
    "cause",
    "site",
    "stage",
    "gap",
    "units",
    "hidden",
    "workflow",
    "held",
    "stuck",
    "queue",
    "proof",
    "unsealed",
    "backup",
    "token",
    "letters",
    "name",
]
OF_SERVICE: frozenset[NeedKind] = frozenset({"unsealed", "backup", "token", "letters", "name"})
"""What whoever runs the service looks after. All other needs are of a production."""


class NewCause(Struct, frozen=True):
    """A cause of failures that was not seen before a window.

    Attributes:
        jobs: how many failed of it.
        first_at: when the first of them ended.
    """

    experiment: str
    cause_id: str
    words: str
    jobs: int
    first_at: str


class NewCauses(CountedAt, frozen=True):
    """The new causes of a window.

    Attributes:
        ended: how many jobs ended in it, up to 20,000.
        unseen_experiments: that were not looked at, as there are too many.
    """

    causes: list[NewCause]
    ended: int
    unseen_experiments: int


class WorseSite(Struct, frozen=True, kw_only=True):
    """A site at which a larger share of jobs did not succeed than before.

    Attributes:
        failures: how many of the `ended` jobs of the last 24 hours failed, were killed or lost.
        failures_before: how many of the `ended_before` jobs of the seven days before did.
        since: the hour from which on it was worse.
    """

    experiment: str
    site: str
    failures: int
    ended: int
    failures_before: int
    ended_before: int
    since: str


class WorseSites(CountedAt, frozen=True):
    """The sites that got worse within a day.

    Attributes:
        sites: those of most failures first.
        ended: how many jobs were looked at.
    """

    sites: list[WorseSite]
    ended: int


class SlowerStage(Struct, frozen=True, kw_only=True):
    """A stage whose jobs take longer than before.

    Attributes:
        campaign: '' where its jobs name none.
        jobs: how many of the last 24 hours succeeded.
        seconds: the median of how long they took.
        jobs_before, seconds_before: the same of the seven days before.
        since: the hour from which on they took longer.
    """

    experiment: str
    campaign: str
    stage: str
    jobs: int
    seconds: float
    jobs_before: int
    seconds_before: float
    since: str


class SlowerStages(CountedAt, frozen=True):
    """The stages that got slower within a day.

    Attributes:
        stages: those of most jobs first.
        ended: how many jobs were looked at.
    """

    stages: list[SlowerStage]
    ended: int


class GrowingGap(Struct, frozen=True, kw_only=True):
    """A gap that more jobs have than before.

    Attributes:
        jobs: how many of the `ended` jobs of the last 24 hours have it.
        jobs_before: how many of the `ended_before` jobs of the seven days before had it.
        site, stage: where most of them ran; None where these name none.
        since: the first hour in which so many jobs had it.
    """

    experiment: str
    code: str
    jobs: int
    ended: int
    jobs_before: int
    ended_before: int
    site: str | None
    stage: str | None
    since: str


class GrowingGaps(CountedAt, frozen=True):
    """The gaps that grew within a day.

    Attributes:
        gaps: those of most jobs first.
        ended: how many jobs were looked at.
    """

    gaps: list[GrowingGap]
    ended: int


class Need(Struct, frozen=True, kw_only=True):
    """Something that needs somebody.

    Attributes:
        kind: `alert` (a rule holds), `cause` (of failures, not seen before the window), `site` (at
            which more jobs fail than before), `stage` (whose jobs take longer than before), `gap`
            (of records, that grows), `units` (of a stage in which nothing runs or waits),
            `hidden` (failures of commands whose unit another command did), `workflow` (stopped),
            `held` and `stuck` (jobs), `queue` (not reported any more), `proof` (reruns that did not
            pass), `unsealed` (ledger entries that are only in the database), `backup` (none for
            days), `token` (in use, that expires), `letters` (dead letters that wait), `name` (of a
            new experiment, that differs from another's only in case).
        experiment: None where it is not of one.
        count: how many jobs, units, recipes, queues, entries or days; 1 for an alert, a workflow
            and a name.
        words: what it is, a sentence without its full stop.
        since: when it began, a time in UTC; None where that is not known.
        url: the path of the page that lists them.
    """

    kind: NeedKind
    experiment: str | None
    count: int
    words: str
    since: str | None
    url: str


class Attention(CountedAt, frozen=True):
    """What needs somebody now.

    Attributes:
        counted_at: when new causes were looked for; all else is of now.
        window: how long ago a cause of failures may have come up first and still be new.
        needs: in the order of `NeedKind`, at most five of each kind.
        left_out: how many more there are, as far as they are counted.
        since: when the oldest of them began; None where none of them says so.
        unseen_experiments: whose causes were not looked for, as there are too many.
        problems: what keeps the service from recording, a sentence each, as `/ready` has it.
    """

    window: str
    needs: list[Need]
    left_out: int
    since: str | None
    unseen_experiments: int
    problems: Sequence[str] = ()
