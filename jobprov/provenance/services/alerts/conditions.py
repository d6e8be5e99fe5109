"""What rules find when they are looked at: one function for each kind of rule.

Each returns what it found, at most `MOST_SUBJECTS`, or None where that is not known yet.
"""

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import (
    campaign_page,
    errors_page,
    home_page,
    jobs_list,
    proofs_page,
    queue_page,
)
from jobprov.provenance.answers.statistics.campaigns import StageProgress
from jobprov.provenance.db.queries.alerts.watched import (
    MOST_LOOKED_AT,
    EndedJobs,
    EndedScope,
    QueuedJobs,
    causes_since,
    count_not_reproduced,
    ended_by,
    held_jobs,
    newest_record_at,
    stuck_jobs,
)
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.words import (
    counted,
    elided,
    not_reproduced_words,
    number,
    percent,
    size,
)
from jobprov.provenance.services.alerts.events import Found
from jobprov.provenance.services.alerts.rules import (
    AnyRule,
    Disk,
    DrillDiffers,
    FailureCount,
    FailureShare,
    Held,
    JobsRule,
    NewCause,
    NoRecord,
    StageDone,
    Stuck,
)
from jobprov.provenance.services.kept_answers.counting import CAMPAIGN
from jobprov.provenance.services.kept_answers.kept_answers import CountedAnswer, ask, question_of
from jobprov.provenance.services.statistics.throughput import length_of
from jobprov.provenance.times import minute_text

MOST_SUBJECTS = 20
_GB = 10**9
_LONGEST = 200
_CLOCKS_DIFFER = timedelta(minutes=1)
"""A job whose node's clock is ahead by more counts once the end that it names has come."""


class Experiment(NamedTuple):
    """An experiment that is looked at."""

    key: int
    name: str


class Watch:
    """One look at an experiment.

    What was read for one rule is not read again for another.

    Attributes:
        to_follow: answers that are to be kept or counted again, since somebody asked.

    Args:
        folders: whose disks are looked at.
        open_subjects: of a rule, those for which it held before.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        experiment: Experiment,
        *,
        now: datetime,
        folders: Sequence[Path],
        open_subjects: Callable[[str], frozenset[str]],
    ) -> None:
        self.to_follow: list[CountedAnswer[Any]] = []
        self._connection = connection
        self._store = store
        self._experiment = experiment
        self._now = now
        self._folders = folders
        self._open_subjects = open_subjects
        self._campaigns: dict[str, list[StageProgress] | None] = {}
        self._ended: dict[tuple[EndedScope, str | None], list[EndedJobs]] = {}

    def look(self, rule: AnyRule) -> list[Found] | None:
        """Return what a rule finds now; None where that is not known yet."""
        return _LOOKS[type(rule)](self, rule)

    def _failure_share(self, rule: FailureShare) -> list[Found]:
        ranked = []
        for ended in self._ended_jobs(rule, rule.by):
            share = ended.failures / ended.jobs if ended.jobs else 0.0
            if ended.jobs >= rule.least and share > rule.over:
                words = (
                    f"{percent(share, 0)} of {_jobs(ended.jobs)} that ended within {rule.window} "
                    f"failed, more than {percent(rule.over, 0)}"
                )
                ranked.append(self._of_facet(rule, rule.by, ended, words))
        return _worst(ranked)

    def _failure_count(self, rule: FailureCount) -> list[Found]:
        ranked = []
        for ended in self._ended_jobs(rule, rule.by):
            if ended.failures > rule.over:
                words = (
                    f"{number(ended.failures)} of {_jobs(ended.jobs)} that ended within "
                    f"{rule.window} failed, more than {number(rule.over)}"
                )
                ranked.append(self._of_facet(rule, rule.by, ended, words))
        return _worst(ranked)

    def _ended_jobs(self, rule: JobsRule, by: str | None) -> list[EndedJobs]:
        question = (self._scope(rule), by)
        if question not in self._ended:
            ended = ended_by(self._connection, question[0], by=by)
            self._ended[question] = sorted(ended, key=lambda jobs: (-jobs.failures, jobs.facet))
        return self._ended[question]

    def _scope(self, rule: JobsRule) -> EndedScope:
        since = self._now - length_of(rule.window, "window")
        until = self._now + _CLOCKS_DIFFER
        return EndedScope(self._experiment.key, since, rule.campaign, rule.stage, rule.site, until)

    def _of_facet(self, rule: JobsRule, by: str | None, ended: EndedJobs, words: str) -> "_Ranked":
        filters = {"campaign": rule.campaign, "stage": rule.stage, "site": rule.site}
        if by is not None and ended.facet:
            filters[by] = ended.facet
            words = f"{by} {ended.facet}: {words}"
        elif by is not None:
            words = f"no {by} named: {words}"
        page = errors_page(experiment=self._experiment.name, **filters)
        return _Ranked(ended.failures, Found(ended.facet, words, page))

    def _new_causes(self, rule: NewCause) -> list[Found]:
        scope = self._scope(rule)
        known = self._open_subjects(rule.name)
        found = []
        # More than are shown, since those that failed before too are left out
        for cause in causes_since(
            self._connection, scope, least=rule.least, most=10 * MOST_SUBJECTS
        ):
            if cause.is_new or cause.key in known:
                words = (
                    f"{_jobs(cause.jobs)} failed with a new cause: {elided(cause.words, _LONGEST)}"
                )
                page = jobs_list(experiment=self._experiment.name, cause_id=cause.key)
                found.append(Found(cause.key, words, page))
            if len(found) == MOST_SUBJECTS:
                break
        return found

    def _stuck(self, rule: Stuck) -> list[Found]:
        jobs = stuck_jobs(self._connection, self._experiment.key)
        return self._queued(jobs, rule.over, "stuck")

    def _held(self, rule: Held) -> list[Found]:
        jobs = held_jobs(self._connection, self._experiment.key)
        return self._queued(jobs, rule.over, "held")

    def _queued(self, queued: QueuedJobs, over: int, state: str) -> list[Found]:
        if queued.jobs <= over:
            return []
        tasks = ", ".join(
            f"{elided(task.task_id, 60)} ({number(task.jobs)})" for task in queued.tasks
        )
        are = "is" if queued.jobs == 1 else "are"
        words = f"{_jobs(queued.jobs)} {are} {state}, most of them of {tasks}"
        return [Found("", words, queue_page(self._experiment.name))]

    def _no_record(self, rule: NoRecord) -> list[Found]:
        newest = newest_record_at(self._connection, self._experiment.key)
        if newest is None:
            return []
        hours = (self._now - newest).total_seconds() / 3600
        if hours <= rule.hours:
            return []
        words = f"no record came since {minute_text(newest)}, more than {rule.hours:g} hours"
        return [Found("", words, jobs_list(experiment=self._experiment.name))]

    def _disk(self, rule: Disk) -> list[Found]:
        least = round(rule.below_gb * _GB)
        found = []
        for folder in self._folders:
            free = shutil.disk_usage(folder).free
            if free < least:
                words = f"{size(free)} are left on the disk of {folder}, less than {size(least)}"
                found.append(Found(str(folder), words, home_page()))
        return found

    def _not_reproduced(self, rule: DrillDiffers) -> list[Found]:
        recipes = count_not_reproduced(self._connection, self._experiment.key)
        if recipes <= rule.over:
            return []
        words = not_reproduced_words(recipes)
        return [Found("", words, proofs_page(self._experiment.name))]

    def _stages_done(self, rule: StageDone) -> list[Found] | None:
        stages = self._stages(rule.campaign)
        if stages is None:
            return None
        found = []
        for stage in stages:
            if stage.units.expected and stage.units.missing == 0 and _is_asked(rule, stage):
                found.append(self._stage_found(rule.campaign, stage))
        return found[:MOST_SUBJECTS]

    def _stages(self, campaign: str) -> list[StageProgress] | None:
        """Return the stages of a campaign; None where they are still being counted."""
        if campaign not in self._campaigns:
            question_fields = {"experiment": self._experiment.name, "campaign": campaign}
            question = question_of(CAMPAIGN.kind, question_fields)
            try:
                counted_stages = ask(
                    self._connection, self._store, CAMPAIGN, question_fields, question
                )
            except NotFoundError:
                return []
            if counted_stages.needs_follow_up:
                self.to_follow.append(counted_stages)
            progress = counted_stages.content
            self._campaigns[campaign] = None if progress is None else progress.stages
        return self._campaigns[campaign]

    def _stage_found(self, campaign: str, stage: StageProgress) -> Found:
        units = counted(stage.units.expected or 0, "unit")
        words = f"stage {stage.stage or 'without a name'} of {campaign} is done: {units}"
        if stage.units.waived:
            words += f", {number(stage.units.waived)} of them waived"
        page = campaign_page(campaign, self._experiment.name)
        return Found(stage.stage or "", words, page)


class _Ranked(NamedTuple):
    """What was found, and how many jobs failed."""

    failures: int
    found: Found


def _worst(ranked: Sequence[_Ranked]) -> list[Found]:
    """Return the findings with most failures, which come first."""
    return [finding.found for finding in ranked[:MOST_SUBJECTS]]


def _is_asked(rule: StageDone, stage: StageProgress) -> bool:
    return rule.stage is None or rule.stage == stage.stage


def _jobs(count: int) -> str:
    """Return a number of jobs; of more than are looked at, that they are the newest."""
    if count >= MOST_LOOKED_AT:
        return f"the newest {number(count)} jobs"
    return counted(count, "job")


_LOOKS: dict[type[AnyRule], Callable[[Watch, Any], list[Found] | None]] = {
    FailureShare: Watch._failure_share,  # noqa: SLF001
    FailureCount: Watch._failure_count,  # noqa: SLF001
    NewCause: Watch._new_causes,  # noqa: SLF001
    Stuck: Watch._stuck,  # noqa: SLF001
    Held: Watch._held,  # noqa: SLF001
    NoRecord: Watch._no_record,  # noqa: SLF001
    Disk: Watch._disk,  # noqa: SLF001
    DrillDiffers: Watch._not_reproduced,  # noqa: SLF001
    StageDone: Watch._stages_done,  # noqa: SLF001
}
