"""What is counted of many jobs for pages and calls, and whose answers are kept: one table."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.attention import (
    GrowingGaps,
    NewCauses,
    SlowerStages,
    WorseSites,
)
from jobprov.provenance.answers.estimates import Estimate
from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.answers.reruns.proofs import ProofList
from jobprov.provenance.answers.statistics.campaigns import CampaignList, CampaignProgress
from jobprov.provenance.answers.statistics.marks import Marks
from jobprov.provenance.answers.statistics.resources import ResourceSums
from jobprov.provenance.answers.statistics.spending import Spending
from jobprov.provenance.answers.statistics.states import JobStates
from jobprov.provenance.answers.statistics.throughput import QUEUED, Throughput
from jobprov.provenance.answers.tasks.timelines import Timeline
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.kept_answers import read_answer
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.states import count_states
from jobprov.provenance.db.queries.statistics.throughput import have_more_ended
from jobprov.provenance.db.queries.tasks.campaigns import campaign_counts
from jobprov.provenance.services.estimates.estimates import estimate
from jobprov.provenance.services.failures.errors import count_errors
from jobprov.provenance.services.kept_answers.kept_answers import (
    COUNT,
    Counting,
    Words,
    count_again,
    question_of,
)
from jobprov.provenance.services.reruns.proof_lists import list_proofs, total_jobs
from jobprov.provenance.services.statistics.counted import MOST_COUNTED_AT_ONCE
from jobprov.provenance.services.statistics.growing_gaps import list_growing_gaps
from jobprov.provenance.services.statistics.marks import find_marks
from jobprov.provenance.services.statistics.new_causes import list_new_causes
from jobprov.provenance.services.statistics.resources import sum_resources
from jobprov.provenance.services.statistics.slower_stages import list_slower_stages
from jobprov.provenance.services.statistics.spending import count_spending
from jobprov.provenance.services.statistics.throughput import (
    DEFAULT_SINCE,
    USUAL_STEPS,
    count_throughput,
    length_of,
    read_window,
)
from jobprov.provenance.services.statistics.worse_sites import list_worse_sites
from jobprov.provenance.services.tasks.campaigns import list_campaigns, show_campaign
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.timelines import show_timeline
from jobprov.provenance.services.work.queue import Parts, enqueue_all

_MOST_LEARNT_AT_ONCE = 4000
"""A number of units: an estimate takes five times as long as counting as many jobs.

It reads no more than the newest units of a stage.
"""
_MOST_LISTED_AT_ONCE = 5000
"""Jobs: the first page asks for much besides the campaigns, so that fewer are counted for it."""
_MOST_ENDED_AT_ONCE = 2000
"""Jobs of a window: of more it is kept what they failed of, as each is looked up."""
_MOST_GAPS_AT_ONCE = 500
"""Jobs of eight days: gaps of so many are counted for each first page, of more they are kept."""
_FIRST_PAGE = "24h"
"""The window of throughput on the first page."""
_FIRST_WINDOWS = (_FIRST_PAGE, DEFAULT_SINCE, "28d", "364d")
WINDOW_FIELDS = ("since", "ended_after", "ended_before", "step", "steps")
"""The fields of a question for the time for which throughput is counted; times as texts."""
KEPT_FILTERS = frozenset({"experiment", "campaign", "stage"})
"""Questions about anything narrower (a task, a host, a release, a time) are counted when asked."""


def enqueue_first_counts(parts: Parts) -> int:
    """Have what many people ask first, and was never counted, counted before they wait for it.

    It is of large campaigns, and of the usual windows of throughput. Return how much there is.
    """
    with parts.database.reading.connect() as connection:
        questions = []
        for question in [*_of_campaigns(connection), *_of_windows(connection)]:
            if read_answer(connection, question) is None:
                questions.append(question)
    if questions:
        parts.writer.run(lambda writing: enqueue_all(writing.connection, COUNT, questions))
    return len(questions)


def _of_campaigns(connection: Connection) -> Iterator[str]:
    """Yield the questions about large campaigns."""
    for campaign in campaign_counts(connection):
        if campaign.job_count > MOST_COUNTED_AT_ONCE:
            words = {"experiment": campaign.experiment, "campaign": campaign.campaign}
            yield from _questions(CAMPAIGN, words)


def _of_windows(connection: Connection) -> Iterator[str]:
    """Yield the questions of the first page and of throughput's about windows of many jobs."""
    now = datetime.now(UTC)
    for since in _FIRST_WINDOWS:
        if not have_more_ended(connection, now - length_of(since, "since"), MOST_COUNTED_AT_ONCE):
            continue
        # As the page of throughput asks where the reader chose no window
        words = {} if since == DEFAULT_SINCE else {"since": since}
        yield from _questions(THROUGHPUT, {**words, "by": "state", "measure": "jobs"})
        yield from _questions(MARKS, words)
        if since == _FIRST_PAGE:
            yield from _questions(THROUGHPUT, words)


def _questions(counting: Counting[Any], words: Words) -> Iterator[str]:
    question = question_of(counting.kind, words)
    if question is not None:
        yield question


def count_question(parts: Parts, question: str) -> None:
    """Count the answer to a kept question again: the handler of the work `count`."""
    count_again(parts, question, COUNTINGS)


def _errors(
    connection: Connection, _store: Any, question_fields: Words, seconds: float
) -> ErrorCounts:
    filters, options = _apart(question_fields, "by", "sort")
    return count_errors(connection, filters, **options, seconds=seconds)


def _resources(
    connection: Connection, _store: Any, question_fields: Words, seconds: float
) -> ResourceSums:
    filters, options = _apart(question_fields, "by")
    return sum_resources(connection, filters, **options, seconds=seconds)


def _estimate(
    connection: Connection, store: Store, question_fields: Words, seconds: float
) -> Estimate:
    filters, options = _apart(question_fields, "files", "events", "slots")
    return estimate(connection, store, filters, **options, seconds=seconds)


def _throughput(
    connection: Connection, _store: Any, question_fields: Words, seconds: float
) -> Throughput:
    filters, options = _apart(question_fields, "by", "measure", *WINDOW_FIELDS)
    window = _window(options)
    return count_throughput(connection, filters, window, **options, seconds=seconds)


def _marks(connection: Connection, _store: Any, question_fields: Words, seconds: float) -> Marks:
    filters, options = _apart(question_fields, *WINDOW_FIELDS)
    return find_marks(connection, filters, _window(options), seconds=seconds)


def _window(options: dict[str, Any]) -> Window:
    """Return the window that options of a question name, and take these from them."""
    times = {name: _moment(options.pop(name, None)) for name in ("ended_after", "ended_before")}
    return read_window(
        datetime.now(UTC),
        since=options.pop("since", None),
        start=times["ended_after"],
        end=times["ended_before"],
        step=options.pop("step", None),
        steps=options.pop("steps", USUAL_STEPS),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _campaigns(connection: Connection, store: Store, _words: Words, seconds: float) -> CampaignList:
    with time_limit(connection, "ask for one campaign", seconds=seconds):
        return list_campaigns(connection, store)


def _campaign(
    connection: Connection, store: Store, question_fields: Words, seconds: float
) -> CampaignProgress:
    with time_limit(connection, "ask for its tasks one by one", seconds=seconds):
        return show_campaign(
            connection, store, question_fields["experiment"], question_fields["campaign"]
        )


def _spending(
    connection: Connection, _store: Any, question_fields: Words, seconds: float
) -> Spending:
    filters = JobFilters(**question_fields)
    return count_spending(connection, filters, datetime.now(UTC), seconds=seconds)


def _states(connection: Connection, _store: Any, _words: Words, seconds: float) -> JobStates:
    with time_limit(connection, "ask again in a minute", seconds=seconds):
        return JobStates(counts=count_states(connection))


def _proofs(
    connection: Connection, _store: Any, question_fields: Words, seconds: float
) -> ProofList:
    with time_limit(connection, "ask for one experiment", seconds=seconds):
        return list_proofs(connection, **question_fields)


def _new_causes(
    connection: Connection, _store: Any, question_fields: Words, seconds: float
) -> NewCauses:
    since = datetime.now(UTC) - length_of(question_fields["since"], "since")
    return list_new_causes(connection, since, seconds=seconds)


def _growing_gaps(
    connection: Connection, _store: Any, _words: Words, seconds: float
) -> GrowingGaps:
    return list_growing_gaps(connection, datetime.now(UTC), seconds=seconds)


def _worse_sites(connection: Connection, _store: Any, _words: Words, seconds: float) -> WorseSites:
    return list_worse_sites(connection, datetime.now(UTC), seconds=seconds)


def _slower_stages(
    connection: Connection, _store: Any, _words: Words, seconds: float
) -> SlowerStages:
    return list_slower_stages(connection, datetime.now(UTC), seconds=seconds)


def _timeline(
    connection: Connection, store: Store, question_fields: Words, seconds: float
) -> Timeline:
    task = find_task(
        connection, question_fields["task_id"], experiment=question_fields["experiment"]
    )
    return show_timeline(connection, store, task, by=question_fields.get("by"), seconds=seconds)


def _apart(question_fields: Words, *names: str) -> tuple[JobFilters, dict[str, Any]]:
    """Return the filters of a question, and its options of these names."""
    filters, options = {}, {}
    for name, value in question_fields.items():
        if name in names:
            options[name] = value
        else:
            filters[name] = value
    return JobFilters(**filters), options


def jobs_of(campaign: CampaignProgress) -> int:
    """Return how many jobs the stages of a campaign have."""
    return sum(sum(stage.states.values()) for stage in campaign.stages)


def counted_jobs(throughput: Throughput) -> int:
    """Return how many jobs were counted; 0 for queues, whose samples are kept anyway."""
    return 0 if throughput.measure in QUEUED else throughput.jobs


ERRORS = Counting("errors", ErrorCounts, _errors, lambda errors: errors.jobs)
ESTIMATE = Counting(
    "estimate",
    Estimate,
    _estimate,
    lambda estimate: sum(stage.learnt_from.units for stage in estimate.stages),
    _MOST_LEARNT_AT_ONCE,
)
RESOURCES = Counting("resources", ResourceSums, _resources, lambda sums: sums.jobs)
THROUGHPUT = Counting("throughput", Throughput, _throughput, counted_jobs)
MARKS = Counting("marks", Marks, _marks, lambda marks: marks.ended)
CAMPAIGN = Counting("campaign", CampaignProgress, _campaign, jobs_of)
CAMPAIGNS = Counting(
    "campaigns",
    CampaignList,
    _campaigns,
    lambda listed: listed.job_count,
    _MOST_LISTED_AT_ONCE,
)
SPENDING = Counting("spending", Spending, _spending, lambda spending: spending.total.jobs)
STATES = Counting(
    "states", JobStates, _states, lambda states: sum(count.jobs for count in states.counts)
)
TIMELINE = Counting("timeline", Timeline, _timeline, lambda timeline: timeline.jobs)
"""Of a whole task; that of a unit is read when asked."""
PROOFS = Counting("proofs", ProofList, _proofs, lambda listed: total_jobs(listed.campaigns))
NEW_CAUSES = Counting(
    "new_causes",
    NewCauses,
    _new_causes,
    lambda causes: causes.ended,
    most=_MOST_ENDED_AT_ONCE,
    fresh_for=timedelta(minutes=10),
)
GROWING_GAPS = Counting(
    "growing_gaps",
    GrowingGaps,
    _growing_gaps,
    lambda gaps: gaps.ended,
    most=_MOST_GAPS_AT_ONCE,
    fresh_for=timedelta(minutes=10),
)
WORSE_SITES = Counting(
    "worse_sites",
    WorseSites,
    _worse_sites,
    lambda sites: sites.ended,
    most=_MOST_ENDED_AT_ONCE,
    fresh_for=timedelta(minutes=10),
)
SLOWER_STAGES = Counting(
    "slower_stages",
    SlowerStages,
    _slower_stages,
    lambda stages: stages.ended,
    most=_MOST_ENDED_AT_ONCE,
    fresh_for=timedelta(minutes=10),
)
_ALL: tuple[Counting[Any], ...] = (
    ERRORS,
    ESTIMATE,
    RESOURCES,
    THROUGHPUT,
    MARKS,
    CAMPAIGN,
    CAMPAIGNS,
    SPENDING,
    PROOFS,
    STATES,
    NEW_CAUSES,
    GROWING_GAPS,
    WORSE_SITES,
    SLOWER_STAGES,
    TIMELINE,
)
COUNTINGS: Mapping[str, Counting[Any]] = {counting.kind: counting for counting in _ALL}
