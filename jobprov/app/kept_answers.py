"""What is counted of many jobs, for pages and calls.

An answer that is kept where it counts many.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from flask import current_app
from msgspec.structs import replace

from jobprov.app.config import Settings
from jobprov.app.moments import BACKUP, last_done
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.answers.attention import Attention
from jobprov.provenance.answers.statistics.campaigns import CampaignList, CampaignReport
from jobprov.provenance.answers.statistics.marks import Marks
from jobprov.provenance.answers.statistics.spending import Spending
from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.answers.tasks.queue import Queue
from jobprov.provenance.answers.tasks.timelines import Timeline
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.attention.needs import Backups, CountedAnswers, list_needs
from jobprov.provenance.services.attention.tokens import expiring_tokens
from jobprov.provenance.services.kept_answers.counting import (
    CAMPAIGN,
    CAMPAIGNS,
    ERRORS,
    FOLDED,
    GROWING_GAPS,
    KEPT_FILTERS,
    MARKS,
    NEW_CAUSES,
    RESOURCES,
    SLOWER_STAGES,
    SPENDING,
    THROUGHPUT,
    TIMELINE,
    WINDOW_FIELDS,
    WORSE_SITES,
    filters_and_options,
)
from jobprov.provenance.services.kept_answers.kept_answers import (
    PATIENCE_SECONDS,
    Answer,
    Counting,
    ask,
    follow_up,
    question_of,
)
from jobprov.provenance.services.statistics.campaign_graph import (
    FoldedCampaign,
    fold_campaign,
)
from jobprov.provenance.services.statistics.reports import CountedParts, report_campaign
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.timelines import show_timeline
from jobprov.provenance.times import exact_utc_text

_LOOKED = "jobprov-problems"
_BELIEVED_SECONDS = 15


class _Looked(NamedTuple):
    """What kept the service from recording, believed until then by the monotonic clock."""

    until: float
    problems: list[str]


def read_answer(counting: Counting[Answer], **question_fields: str) -> Answer:
    """Return the answer to a question, with `counted_at` and `is_current`.

    Raises:
        ProvenanceError: whatever counting raises; LimitError where it takes too long while somebody
            waits.
    """
    return _read(counting, question_fields, question_of(counting.kind, question_fields))


def read_if_counted(counting: Counting[Answer], **question_fields: str) -> Answer | None:
    """Return the answer to a question; None while so many jobs are counted for the first time.

    Raises:
        ProvenanceError: whatever else counting raises.
    """
    try:
        return read_answer(counting, **question_fields)
    except LimitError:
        return None


def read_everything(counting: Counting[Answer]) -> Answer:
    """Return what is counted of all experiments, whoever asks; the caller leaves out what is hidden.

    Raises:
        LimitError: counting takes too long while somebody waits.
    """
    service = get_service()
    with service.reading_everything() as connection:
        question = question_of(counting.kind, {})
        counted = ask(connection, service.store, counting, {}, question)
    if counted.needs_follow_up:
        service.write(lambda writing: follow_up(writing, counted))
    return counted.answer()


def read_filtered(counting: Counting[Answer], filters: JobFilters, **how: Any) -> Answer:
    """Return what is counted of the jobs that pass the filters.

    For a task, a host, a release or a time it is counted now.
    """
    return _read_filtered(counting, filters, how, PATIENCE_SECONDS)


def read_throughput(question_fields: Mapping[str, Any]) -> Throughput:
    """Return what ended in the steps of a window of time, as a checked query asks for it.

    Raises:
        BadInputError: its window cannot be read.
        LimitError: counting takes too long while somebody waits.
    """
    filters, how = _filters_and_window(question_fields, "by", "measure")
    return read_filtered(THROUGHPUT, filters, **how)


def read_marked_throughput(question_fields: Mapping[str, Any]) -> Throughput:
    """Return throughput with the changes in its window, which do not depend on how jobs ended.

    Both are counted apart, perhaps at different moments: the answer is as old as the older one.

    Raises:
        BadInputError, LimitError: as for `read_throughput`; without the marks where only these take
            too long.
    """
    of_marks = dict(question_fields)
    for name in ("by", "measure", "state"):
        of_marks.pop(name, None)
    filters, window = _filters_and_window(of_marks)
    began = time.monotonic()
    try:
        throughput = read_throughput(question_fields)
    except LimitError:
        # The background counts both, or else the next one would wait for the marks
        with suppress(LimitError):
            _read_filtered(MARKS, filters, window, 0.0)
        raise
    left = PATIENCE_SECONDS - (time.monotonic() - began)
    try:
        found: Marks = _read_filtered(MARKS, filters, window, max(left, 0.0))
    except LimitError:
        return throughput
    return msgspec.structs.replace(
        throughput,
        marks=found.marks,
        marks_left_out=found.left_out,
        counted_at=min(throughput.counted_at, found.counted_at),
        is_current=throughput.is_current and found.is_current,
    )


def _filters_and_window(
    question_fields: Mapping[str, Any], *options: str
) -> tuple[JobFilters, dict[str, Any]]:
    """Return the filters of a question about a window, and how it is asked, with these options."""
    filters, how = filters_and_options(question_fields, *WINDOW_FIELDS, *options)
    for name, value in how.items():
        if isinstance(value, datetime):
            how[name] = value.isoformat()  # a kept question is JSON, which has no times
    return filters, how


def read_spending(experiment: str, campaign: str) -> Spending | None:
    """Return what a campaign cost; None while so many jobs are counted for the first time."""
    return read_if_counted(SPENDING, experiment=experiment, campaign=campaign)


def read_campaigns() -> CampaignList | None:
    """Return the newest campaigns; None while so many jobs are counted for the first time."""
    return read_if_counted(CAMPAIGNS)


def read_attention(window: str, campaigns: CampaignList | None, queue: Queue) -> Attention:
    """Return what needs somebody.

    Args:
        window: how long ago a cause of failures may have come up first and still be new: `24h`.
        campaigns: see `read_campaigns`.
        queue: how many jobs run and wait.

    Raises:
        BadInputError: the window cannot be read.
    """
    counted_answers = CountedAnswers(
        causes=read_if_counted(NEW_CAUSES, since=window),
        campaigns=campaigns,
        sites=read_if_counted(WORSE_SITES),
        stages=read_if_counted(SLOWER_STAGES),
        gaps=read_if_counted(GROWING_GAPS),
    )
    service, now = get_service(), datetime.now(UTC)
    with service.reading_everything() as connection:
        tokens_expire_at = expiring_tokens(connection, now, hidden=service.hidden_experiments())
    with service.reading() as connection:
        attention = list_needs(
            connection,
            service.store,
            counted_answers=counted_answers,
            queue=queue,
            backups=_backups(service.settings),
            tokens_expire_at=tokens_expire_at,
            window=window,
            now=now,
        )
    return replace(attention, problems=_recent_problems(service))


def _recent_problems(service: Service) -> list[str]:
    """Return what keeps the service from recording, as of the last seconds.

    To look means to write, so pages that many people watch do not look each time.
    """
    looked: _Looked | None = current_app.extensions.get(_LOOKED)
    if looked is None or time.monotonic() >= looked.until:
        problems = service.problems()
        looked = _Looked(time.monotonic() + _BELIEVED_SECONDS, problems)
        current_app.extensions[_LOOKED] = looked
    return looked.problems


def _backups(settings: Settings) -> Backups:
    """Return when `jobprov backup` was last done here, and how long that may be ago."""
    seconds = last_done(settings.data, BACKUP)
    last_at = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    within = timedelta(days=settings.backup_days) if settings.backup_days else None
    return Backups(last_at, within)


def read_timeline(
    task_id: str, *, experiment: str | None = None, unit: str | None = None, by: str | None = None
) -> Timeline:
    """Return when a task, or one of its units, waited and ran.

    Raises:
        NotFoundError: there is no such task, or nothing names the unit.
        AmbiguousError: several experiments have the task.
        BadInputError: both a unit and `by` are given.
        LimitError: reading takes too long while somebody waits.
    """
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, task_id, experiment=experiment)
        if unit is not None:
            timeline = show_timeline(connection, service.store, task, unit=unit, by=by)
            return msgspec.structs.replace(timeline, counted_at=exact_utc_text(datetime.now(UTC)))
    words = {"experiment": task.experiment, "task_id": task.task_id}
    if by is not None:
        words["by"] = by
    return read_answer(TIMELINE, **words)


def read_campaign_graph(experiment: str, campaign: str, task_ids: Sequence[str]) -> FoldedCampaign:
    """Return the folded graph of a campaign; of some of its tasks it is counted now.

    Raises:
        NotFoundError: there is no such campaign or task.
        LimitError: the tasks have too many jobs, or counting takes too long while somebody waits.
    """
    if not task_ids:
        return read_answer(FOLDED, experiment=experiment, campaign=campaign)
    with get_service().reading() as connection:
        folded = fold_campaign(connection, experiment, campaign, task_ids=task_ids)
    return msgspec.structs.replace(folded, counted_at=exact_utc_text(datetime.now(UTC)))


def read_report(experiment: str, campaign: str) -> CampaignReport:
    """Return the report of a campaign, of answers that are kept.

    Raises:
        NotFoundError: no task or job names the campaign.
        LimitError: counting takes too long while somebody waits.
    """
    filters = JobFilters(experiment=experiment, campaign=campaign)
    parts = CountedParts(
        read_answer(CAMPAIGN, experiment=experiment, campaign=campaign),
        read_filtered(ERRORS, filters),
        read_filtered(RESOURCES, filters),
        read_spending(experiment, campaign),
    )
    service = get_service()
    with service.reading() as connection:
        return report_campaign(connection, service.store, parts, now=datetime.now(UTC))


def _read_filtered(
    counting: Counting[Answer], filters: JobFilters, how: Mapping[str, Any], patience: float
) -> Answer:
    set_filters = {name: value for name, value in filters._asdict().items() if value is not None}
    question_fields = {
        **set_filters,
        **{name: value for name, value in how.items() if value is not None},
    }
    question = None
    # Others, such as times, have no text to be kept under
    if set_filters.keys() <= KEPT_FILTERS:
        question = question_of(counting.kind, question_fields)
    return _read(counting, question_fields, question, patience)


def _read(
    counting: Counting[Answer],
    question_fields: Mapping[str, object],
    question: str | None,
    patience: float = PATIENCE_SECONDS,
) -> Answer:
    service = get_service()
    if service.hidden_experiments() and "experiment" not in question_fields:
        # What is counted of some experiments is not kept for those who see all, nor the other way
        question = None
    with service.reading() as connection:
        counted = ask(
            connection, service.store, counting, question_fields, question, patience=patience
        )
    if counted.needs_follow_up:
        service.write(lambda writing: follow_up(writing, counted))
    return counted.answer()
