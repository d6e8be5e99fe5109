"""What needs somebody now; of each kind, only a few needs are listed."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import (
    alerts_page,
    campaign_page,
    jobs_list,
    manual_page,
    proofs_page,
    queue_page,
    task_page,
    throughput_page,
)
from jobprov.provenance.answers.attention import (
    Attention,
    GrowingGap,
    GrowingGaps,
    Need,
    NeedKind,
    NewCause,
    NewCauses,
    SlowerStage,
    SlowerStages,
    WorseSite,
    WorseSites,
)
from jobprov.provenance.answers.statistics.campaigns import (
    CampaignList,
    CampaignStages,
    StageProgress,
)
from jobprov.provenance.answers.tasks.queue import Queue
from jobprov.provenance.answers.tasks.tasks import NEEDS_SOMEBODY, UNDER_WAY
from jobprov.provenance.db.queries.alerts.watched import not_reproduced_by_experiment
from jobprov.provenance.db.queries.lookup.experiments import experiment_names, first_entry_at
from jobprov.provenance.db.queries.recording.dead_letters import MOST_COUNTED, count_waiting
from jobprov.provenance.db.queries.tasks.queue import QueueScope, held_since, stages_in_queue
from jobprov.provenance.db.queries.tasks.shared_units import tasks_that_hide_failures
from jobprov.provenance.db.queries.upkeep import count_unsealed, oldest_entry_at
from jobprov.provenance.lineage.words import (
    counted,
    duration,
    elided,
    hidden_failure_words,
    not_reproduced_words,
    number,
    percent,
    unbroken,
)
from jobprov.provenance.services.alerts.lists import list_alerts
from jobprov.provenance.services.orders.workflow_steps import list_workflows
from jobprov.provenance.services.tasks.queue import FRESH
from jobprov.provenance.services.tasks.unit_states import SILENT_AFTER
from jobprov.provenance.times import minute_text, utc_text, utc_text_or_none

MOST_SHOWN = 5
"""Needs of a kind."""
SEALED_WITHIN = timedelta(days=2)
"""A service that runs seals each hour."""
_LONGEST = 200
_REASONS, _LONGEST_REASON = 2, 50
"""How many reasons for held jobs are named, and how long each may be."""
_HIDDEN_FOR = timedelta(days=7)
"""For so long after a failure it is told that its unit counts all the same."""
_NEW_FOR = timedelta(days=30)
"""For so long after its first entry it is told that an experiment has nearly another's name."""
_MOST_COUNTED = 10_000
"""Ledger entries; of more, `at least` so many are shown."""


class Backups(NamedTuple):
    """When the service was last backed up, and how long that may be ago.

    Attributes:
        last_at: None where that is not known.
        within: None where backups are not watched.
    """

    last_at: datetime | None
    within: timedelta | None


class CountedAnswers(NamedTuple):
    """What was counted of many jobs in the background; None where it was not counted yet.

    Attributes:
        causes: the new causes of failures.
        campaigns: the newest ones.
        sites: those that got worse.
        stages: those that got slower.
        gaps: those that grow.
    """

    causes: NewCauses | None
    campaigns: CampaignList | None
    sites: WorseSites | None
    stages: SlowerStages | None
    gaps: GrowingGaps | None


class NeedsOfKind(NamedTuple):
    """The needs of a kind that are shown, and how many more there are."""

    needs: list[Need]
    left_out: int = 0


def list_needs(
    connection: Connection,
    store: Store,
    *,
    counted_answers: CountedAnswers,
    queue: Queue,
    backups: Backups,
    tokens_expire_at: Sequence[datetime] = (),
    window: str,
    now: datetime,
) -> Attention:
    """Return what needs somebody.

    Args:
        store: the archive, for the declarations of workflows.
        counted_answers: of all experiments.
        queue: how many jobs run and wait, of all experiments.
        backups: when the last one was made.
        tokens_expire_at: when tokens in use expire, in order (`expiring_tokens`).
        window: of the new causes, such as `24h`.
    """
    causes = counted_answers.causes
    kinds = [
        _alerts(connection),
        *_counted_kinds(counted_answers),
        _waiting_stages(connection, counted_answers.campaigns, now),
        _hidden_failures(connection, now),
        _stopped_workflows(connection, store),
        _held(connection, queue, now),
        _stuck(queue),
        _silent_queues(queue),
        _not_reproduced(connection),
        _unsealed(connection, now),
        _backups(connection, backups, now),
        _tokens(tokens_expire_at, now),
        _dead_letters(connection),
        _names_alike(connection, now),
    ]
    needs: list[Need] = []
    for kind in kinds:
        needs += kind.needs
    needs = _without_repeats(needs)
    counted_at, is_current, unseen_experiments = utc_text(now), False, 0
    if causes is not None:
        counted_at, is_current = causes.counted_at, causes.is_current
        unseen_experiments = causes.unseen_experiments
    return Attention(
        counted_at=counted_at,
        is_current=is_current,
        window=window,
        needs=needs,
        left_out=sum(kind.left_out for kind in kinds),
        since=min((need.since for need in needs if need.since), default=None),
        unseen_experiments=unseen_experiments,
    )


def _without_repeats(needs: Iterable[Need]) -> list[Need]:
    """Return the needs without those whose page an alert leads to already."""
    pages_of_alerts: set[str] = set()
    without_repeats = []
    for need in needs:
        if need.kind == "alert":
            pages_of_alerts.add(need.url)
        elif need.url in pages_of_alerts:
            continue
        without_repeats.append(need)
    return without_repeats


def _alerts(connection: Connection) -> NeedsOfKind:
    listed = list_alerts(connection, state="open", limit=MOST_SHOWN)
    needs = []
    for alert in listed.alerts:
        needs.append(
            Need(
                kind="alert",
                experiment=alert.experiment,
                count=1,
                words=elided(alert.words, _LONGEST),
                since=alert.began_at,
                url=alert.url,
            )
        )
    if listed.next is not None:
        words = f"more alerts than the {MOST_SHOWN - 1} newest"
        needs[-1] = _of_service("alert", 1, words, None, alerts_page())
    return NeedsOfKind(needs)


def _counted_kinds(answers: CountedAnswers) -> Iterator[NeedsOfKind]:
    """Yield the needs that each counted answer holds, in the order in which they are shown."""
    if answers.sites is not None:
        yield _most_first([_site_need(site) for site in answers.sites.sites])
    if answers.stages is not None:
        yield _most_first([_stage_need(stage) for stage in answers.stages.stages])
    if answers.causes is not None:
        yield _most_first([_cause_need(cause) for cause in answers.causes.causes])
    if answers.gaps is not None:
        yield _most_first([_gap_need(gap) for gap in answers.gaps.gaps])


def _cause_need(cause: NewCause) -> Need:
    words = f"{counted(cause.jobs, 'job')} failed with a new cause: {cause.words}"
    return Need(
        kind="cause",
        experiment=cause.experiment,
        count=cause.jobs,
        words=elided(words, _LONGEST),
        since=cause.first_at,
        url=jobs_list(experiment=cause.experiment, cause_id=cause.cause_id),
    )


def _site_need(site: WorseSite) -> Need:
    return Need(
        kind="site",
        experiment=site.experiment,
        count=site.failures,
        words=elided(_site_words(site), _LONGEST),
        since=site.since,
        url=throughput_page(experiment=site.experiment, site=site.site, since="8d"),
    )


def _site_words(site: WorseSite) -> str:
    share, before = site.failures / site.ended, site.failures_before / site.ended_before
    return (
        f"{site.site} got worse: {percent(share)} of its jobs did not succeed in 24 hours "
        f"({number(site.failures)} of {number(site.ended)}), {percent(before)} in the 7 days before"
    )


def _stage_need(stage: SlowerStage) -> Need:
    return Need(
        kind="stage",
        experiment=stage.experiment,
        count=stage.jobs,
        words=elided(_stage_words(stage), _LONGEST),
        since=stage.since,
        url=throughput_page(
            experiment=stage.experiment,
            campaign=stage.campaign or None,
            stage=stage.stage,
            measure="wall_seconds",
            by="site",
            since="8d",
        ),
    )


def _stage_words(stage: SlowerStage) -> str:
    name = stage.stage
    if stage.campaign:
        name += f" of {stage.campaign}"
    takes, took = unbroken(duration(stage.seconds)), unbroken(duration(stage.seconds_before))
    return (
        f"stage {name} got slower: its jobs take {takes} (median of {number(stage.jobs)} in "
        f"24 hours), {took} in the 7 days before"
    )


def _gap_need(gap: GrowingGap) -> Need:
    return Need(
        kind="gap",
        experiment=gap.experiment,
        count=gap.jobs,
        words=elided(_gap_words(gap), _LONGEST),
        since=gap.since,
        url=jobs_list(experiment=gap.experiment, stage=gap.stage, site=gap.site),
    )


def _gap_words(gap: GrowingGap) -> str:
    places = []
    if gap.stage is not None:
        places.append(f"of stage {gap.stage}")
    if gap.site is not None:
        places.append(f"at {gap.site}")
    words = (
        f"{counted(gap.jobs, 'job')} of {number(gap.ended)} in 24 hours have the gap {gap.code}, "
        f"of the 7 days before {number(gap.jobs_before)} of {number(gap.ended_before)}"
    )
    if places:
        words += f"; most {' '.join(places)}"
    return words


def _waiting_stages(
    connection: Connection, campaigns: CampaignList | None, now: datetime
) -> NeedsOfKind:
    """Return stages that miss units which nothing will make by itself."""
    if campaigns is None:
        return NeedsOfKind([])
    needs = []
    in_queue = stages_in_queue(connection, now - FRESH)
    for campaign in campaigns.campaigns:
        for stage in campaign.stages:
            units = _units_that_need_somebody(stage)
            key = (campaign.experiment, campaign.campaign, stage.stage or "")
            if units and key not in in_queue:
                needs.append(_waiting_stage(campaign, stage, units))
    return _most_first(needs)


def _waiting_stage(campaign: CampaignStages, stage: StageProgress, units: int) -> Need:
    name = f"stage {stage.stage or 'without a name'} of {campaign.campaign or 'no campaign'}"
    url = jobs_list(experiment=campaign.experiment)
    if campaign.campaign:
        url = campaign_page(campaign.campaign, campaign.experiment)
    return Need(
        kind="units",
        experiment=campaign.experiment,
        count=units,
        words=f"{counted(units, 'unit')} of {name} {'needs' if units == 1 else 'need'} a decision, "
        "and no job of the stage is queued or running",
        since=campaign.last_ends.get(stage.stage or ""),
        url=url,
    )


def _units_that_need_somebody(stage: StageProgress) -> int:
    """Return how many units wait for a decision, 0 while others of the stage are on their way.

    Also 0 where the expected number of units was not declared.
    """
    states = stage.units.states
    if not stage.units.missing or any(states.get(state) for state in UNDER_WAY):
        return 0
    return sum(count for state, count in states.items() if state in NEEDS_SOMEBODY)


def _hidden_failures(connection: Connection, now: datetime) -> NeedsOfKind:
    """Return tasks with units that count although a command of the same submission failed."""
    needs = []
    for task in tasks_that_hide_failures(connection, now - _HIDDEN_FOR):
        words = f"task {task.task_id}: {hidden_failure_words(task.units)}"
        needs.append(
            Need(
                kind="hidden",
                experiment=task.experiment,
                count=task.units,
                words=elided(words, _LONGEST),
                since=utc_text_or_none(task.since),
                url=task_page(task.task_id, task.experiment),
            )
        )
    return _most_first(needs)


def _stopped_workflows(connection: Connection, store: Store) -> NeedsOfKind:
    needs = []
    for workflow in list_workflows(connection, store).workflows:
        if workflow.state != "stopped":
            continue
        words = f"workflow {workflow.name} was stopped by {workflow.who or 'somebody'}"
        if workflow.why:
            words += f": {workflow.why}"
        needs.append(
            Need(
                kind="workflow",
                experiment=workflow.experiment,
                count=1,
                words=elided(words, _LONGEST),
                since=None,
                url=workflow.url,
            )
        )
    return _first(needs)


def _held(connection: Connection, queue: Queue, now: datetime) -> NeedsOfKind:
    held = queue.counts.held
    if not held:
        return NeedsOfKind([])
    since = held_since(connection, QueueScope(now - SILENT_AFTER))
    words = f"{counted(held, 'job')} {_are(held)} held by the batch system"
    if reasons := _reasons_words(queue):
        words += f": {reasons}"
    return _one("held", held, words, utc_text_or_none(since), queue_page())


def _reasons_words(queue: Queue) -> str:
    """Return the reasons for which most jobs are held; '' where no queue reports one."""
    words = []
    for reason in queue.held_reasons[:_REASONS]:
        if reason.words:
            words.append(f"{elided(reason.words, _LONGEST_REASON)} ({number(reason.jobs)})")
    return "; ".join(words)


def _stuck(queue: Queue) -> NeedsOfKind:
    stuck = queue.counts.stuck
    if not stuck:
        return NeedsOfKind([])
    words = (
        f"{counted(stuck, 'job')} {_are(stuck)} stuck: no CPU used and no log line for 15 minutes"
    )
    return _one("stuck", stuck, words, None, queue_page())


def _silent_queues(queue: Queue) -> NeedsOfKind:
    old = [source for source in queue.sources if source.is_old]
    if not old:
        return NeedsOfKind([])
    names = elided(", ".join(source.schedd for source in old), _LONGEST)
    verb = "has" if len(old) == 1 else "have"
    words = f"{counted(len(old), 'queue')} {verb} stopped reporting: {names}"
    return _one("queue", len(old), words, min(source.as_of for source in old), queue_page())


def _not_reproduced(connection: Connection) -> NeedsOfKind:
    needs = []
    for name, (recipes, since) in not_reproduced_by_experiment(connection).items():
        needs.append(
            Need(
                kind="proof",
                experiment=name,
                count=recipes,
                words=not_reproduced_words(recipes),
                since=utc_text_or_none(since),
                url=proofs_page(name),
            )
        )
    return _most_first(needs)


def _unsealed(connection: Connection, now: datetime) -> NeedsOfKind:
    unsealed = count_unsealed(connection, most=_MOST_COUNTED)
    if unsealed.oldest_at is None or now - unsealed.oldest_at <= SEALED_WITHIN:
        return NeedsOfKind([])
    entries = f"{number(unsealed.entries)} entries"
    if unsealed.entries == 1:
        entries = "1 entry"
    elif unsealed.entries == _MOST_COUNTED:
        entries = f"at least {entries}"
    verb = _are(unsealed.entries)
    words = f"{entries} of the ledger {verb} not sealed into the archive"
    url = manual_page("how-to/look-after-the-archive", "seal")
    return _one("unsealed", unsealed.entries, words, utc_text(unsealed.oldest_at), url)


def _backups(connection: Connection, backups: Backups, now: datetime) -> NeedsOfKind:
    """Return the need of a backup: none was made for days, or none since the first record."""
    if backups.within is None:
        return NeedsOfKind([])
    last_at = backups.last_at
    # Where none was ever made, what was recorded first is as old as it may be
    unsaved_since = oldest_entry_at(connection) if last_at is None else last_at
    if unsaved_since is None or now - unsaved_since <= backups.within:
        return NeedsOfKind([])
    days = (now - unsaved_since).days
    words = f"no backup for {counted(days, 'day')}"
    if last_at is None:
        words = f"no backup yet, and the oldest record is {counted(days, 'day')} old"
    url = manual_page("how-to/look-after-the-archive", "back-up-and-restore")
    return _one("backup", days, words, utc_text(unsaved_since), url)


def _tokens(expire_at: Sequence[datetime], now: datetime) -> NeedsOfKind:
    """Return the need of new tokens; the names of tokens are for operators alone."""
    if not expire_at:
        return NeedsOfKind([])
    first, count = expire_at[0], len(expire_at)
    verb, when, them = "expire", f"from {minute_text(first)} on", "them"
    if count == 1:
        verb, when, them = "expires", f"on {minute_text(first)}", "it"
    since, refused = None, "will be refused"
    if first <= now:
        verb, since, refused = "expired", utc_text(first), "are refused"
    words = f"{counted(count, 'token')} in use {verb} {when}: records sent with {them} {refused}"
    return _one("token", count, words, since, manual_page("how-to/run-a-service", "tokens"))


def _dead_letters(connection: Connection) -> NeedsOfKind:
    waiting = count_waiting(connection)
    if not waiting:
        return NeedsOfKind([])
    count = sum(waits.letters for waits in waiting)
    kept = "is kept as a dead letter" if count == 1 else "are kept as dead letters"
    words = f"{counted(count, 'record')} could not be read and {kept}"
    if count == MOST_COUNTED:
        words = f"at least {words}"
    names = [waits.experiment for waits in waiting if waits.experiment is not None]
    if names:
        words += f", from {elided(', '.join(names), _LONGEST)}"
    since = min(waits.oldest_at for waits in waiting)
    url = manual_page("how-to/run-a-service", "dead-letters")
    return _one("letters", count, words, utc_text(since), url)


def _names_alike(connection: Connection, now: datetime) -> NeedsOfKind:
    """Return new experiments whose name differs from an older one's only in case: slips, mostly."""
    names_by_folded: dict[str, list[str]] = {}
    for name in experiment_names(connection):
        names_by_folded.setdefault(name.casefold(), []).append(name)
    needs = []
    for names in names_by_folded.values():
        if len(names) > 1:
            needs += _newer_names(connection, names, now)
    return _first(needs)


def _newer_names(connection: Connection, names: Sequence[str], now: datetime) -> list[Need]:
    """Return a need for each of these names whose first entry came last month, after another's."""
    first_at: dict[str, datetime] = {}
    for name in names:
        moment = first_entry_at(connection, name)
        if moment is not None:
            first_at[name] = moment
    in_order = sorted(first_at, key=lambda name: (first_at[name], name))
    needs = []
    for name in in_order[1:]:
        if now - first_at[name] <= _NEW_FOR:
            needs.append(_newer_name(name, in_order[0], first_at[name]))
    return needs


def _newer_name(name: str, older: str, since: datetime) -> Need:
    return Need(
        kind="name",
        experiment=name,
        count=1,
        words=f"{name} is a new experiment, beside {older}: did its jobs mean {older}?",
        since=utc_text(since),
        url=jobs_list(experiment=name),
    )


def _of_service(kind: NeedKind, count: int, words: str, since: str | None, url: str) -> Need:
    """Return a need of the whole service, not of one experiment."""
    return Need(kind=kind, experiment=None, count=count, words=words, since=since, url=url)


def _one(kind: NeedKind, count: int, words: str, since: str | None, url: str) -> NeedsOfKind:
    return NeedsOfKind([_of_service(kind, count, words, since, url)])


def _most_first(needs: list[Need]) -> NeedsOfKind:
    return _first(sorted(needs, key=lambda need: (-need.count, need.words)))


def _first(needs: list[Need]) -> NeedsOfKind:
    return NeedsOfKind(needs[:MOST_SHOWN], max(0, len(needs) - MOST_SHOWN))


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
