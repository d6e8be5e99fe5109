"""The table of all countings: what pages and calls count of many jobs and keep."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from jobprov.provenance.answers.attention import GrowingGaps, NewCauses, SlowerStages, WorseSites
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
from jobprov.provenance.db.queries.statistics.home import count_states
from jobprov.provenance.db.queries.statistics.throughput import have_more_ended
from jobprov.provenance.db.queries.tasks.campaigns import campaign_counts
from jobprov.provenance.services.estimates.estimates import estimate
from jobprov.provenance.services.failures.errors import count_errors
from jobprov.provenance.services.kept_answers.kept_answers import (
    COUNT,
    Asked,
    Counting,
    QuestionFields,
    count_again,
    question_of,
)
from jobprov.provenance.services.reruns.proof_lists import list_proofs, total_jobs
from jobprov.provenance.services.statistics.campaign_graph import FoldedCampaign, fold_campaign
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
"""Jobs: the first page asks for more than the campaigns, so that fewer are counted for it."""
_MOST_ENDED_AT_ONCE = 2000
"""Jobs of a window: the answer about more is kept, since the cause of each is looked up."""
_MOST_GAPS_AT_ONCE = 500
"""Jobs of eight days: the gaps of so many are counted for each first page, of more kept."""
_FIRST_PAGE = "24h"
"""The window of throughput on the first page."""
_FIRST_WINDOWS = (_FIRST_PAGE, DEFAULT_SINCE, "28d", "364d")
_OfDays = TypeVar("_OfDays", NewCauses, GrowingGaps, WorseSites, SlowerStages)
WINDOW_FIELDS = ("since", "ended_after", "ended_before", "step", "steps")
"""The fields of a question for the window of throughput; times as texts."""
KEPT_FILTERS = frozenset({"experiment", "campaign", "stage"})
"""Questions about anything narrower (a task, a host, a release, a time) are counted when asked."""


def enqueue_first_counts(parts: Parts) -> int:
    """Have the usual first questions counted before anybody waits for them; return how many.

    These are about large campaigns, and about throughput in the usual windows. Questions that were
    counted before are left out.
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
            fields = {"experiment": campaign.experiment, "campaign": campaign.campaign}
            yield from _questions(CAMPAIGN, fields)
            yield from _questions(FOLDED, fields)


def _of_windows(connection: Connection) -> Iterator[str]:
    """Yield the questions of the first page and of throughput about windows with many jobs."""
    now = datetime.now(UTC)
    for since in _FIRST_WINDOWS:
        if not have_more_ended(connection, now - length_of(since, "since"), MOST_COUNTED_AT_ONCE):
            continue
        # As the page of throughput asks where the reader chose no window
        fields = {} if since == DEFAULT_SINCE else {"since": since}
        yield from _questions(THROUGHPUT, {**fields, "by": "state", "measure": "jobs"})
        yield from _questions(MARKS, fields)
        if since == _FIRST_PAGE:
            yield from _questions(THROUGHPUT, fields)


def _questions(counting: Counting[Any], fields: QuestionFields) -> Iterator[str]:
    question = question_of(counting.kind, fields)
    if question is not None:
        yield question


def count_question(parts: Parts, question: str) -> None:
    """Count the answer to a kept question again: the handler of the work `count`."""
    count_again(parts, question, COUNTINGS)


def _errors(asked: Asked) -> ErrorCounts:
    filters, options = filters_and_options(asked.fields, "by", "sort")
    return count_errors(asked.connection, filters, **options, seconds=asked.seconds)


def _resources(asked: Asked) -> ResourceSums:
    filters, options = filters_and_options(asked.fields, "by")
    return sum_resources(asked.connection, filters, **options, seconds=asked.seconds)


def _estimate(asked: Asked) -> Estimate:
    filters, options = filters_and_options(asked.fields, "files", "events", "slots")
    return estimate(asked.connection, asked.store, filters, **options, seconds=asked.seconds)


def _throughput(asked: Asked) -> Throughput:
    filters, options = filters_and_options(asked.fields, "by", "measure", *WINDOW_FIELDS)
    window = _window(options)
    return count_throughput(asked.connection, filters, window, **options, seconds=asked.seconds)


def _marks(asked: Asked) -> Marks:
    filters, options = filters_and_options(asked.fields, *WINDOW_FIELDS)
    return find_marks(asked.connection, filters, _window(options), seconds=asked.seconds)


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


def _campaigns(asked: Asked) -> CampaignList:
    with time_limit(asked.connection, "ask for one campaign", seconds=asked.seconds):
        return list_campaigns(asked.connection, asked.store)


def _campaign(asked: Asked) -> CampaignProgress:
    with time_limit(asked.connection, "ask for its tasks one by one", seconds=asked.seconds):
        return show_campaign(
            asked.connection, asked.store, asked.fields["experiment"], asked.fields["campaign"]
        )


def _folded(asked: Asked) -> FoldedCampaign:
    fields = asked.fields
    return fold_campaign(
        asked.connection, fields["experiment"], fields["campaign"], seconds=asked.seconds
    )


def _spending(asked: Asked) -> Spending:
    filters = JobFilters(**asked.fields)
    return count_spending(asked.connection, filters, datetime.now(UTC), seconds=asked.seconds)


def _states(asked: Asked) -> JobStates:
    with time_limit(asked.connection, "ask again in a minute", seconds=asked.seconds):
        return JobStates(counts=count_states(asked.connection))


def _proofs(asked: Asked) -> ProofList:
    with time_limit(asked.connection, "ask for one experiment", seconds=asked.seconds):
        return list_proofs(asked.connection, **asked.fields)


def _new_causes(asked: Asked) -> NewCauses:
    now = datetime.now(UTC)
    since = now - length_of(asked.fields["since"], "since")
    return list_new_causes(asked.connection, since, now, seconds=asked.seconds)


def _growing_gaps(asked: Asked) -> GrowingGaps:
    return list_growing_gaps(asked.connection, datetime.now(UTC), seconds=asked.seconds)


def _worse_sites(asked: Asked) -> WorseSites:
    return list_worse_sites(asked.connection, datetime.now(UTC), seconds=asked.seconds)


def _slower_stages(asked: Asked) -> SlowerStages:
    return list_slower_stages(asked.connection, datetime.now(UTC), seconds=asked.seconds)


def _timeline(asked: Asked) -> Timeline:
    task = find_task(
        asked.connection, asked.fields["task_id"], experiment=asked.fields["experiment"]
    )
    return show_timeline(
        asked.connection, asked.store, task, by=asked.fields.get("by"), seconds=asked.seconds
    )


def filters_and_options(fields: QuestionFields, *names: str) -> tuple[JobFilters, dict[str, Any]]:
    """Return the filters of a question, and its options of these names."""
    filters, options = {}, {}
    for name, value in fields.items():
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


def _for_first_page(
    kind: str,
    answer_type: type[_OfDays],
    answer: Callable[[Asked], _OfDays],
    most: int = _MOST_ENDED_AT_ONCE,
) -> Counting[_OfDays]:
    """Return the counting of what changed within days, which the first page shows."""
    return Counting(kind, answer_type, answer, lambda days: days.ended, most, timedelta(minutes=10))


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
FOLDED = Counting("folded", FoldedCampaign, _folded, lambda folded: folded.jobs)
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
NEW_CAUSES = _for_first_page("new_causes", NewCauses, _new_causes)
GROWING_GAPS = _for_first_page("growing_gaps", GrowingGaps, _growing_gaps, _MOST_GAPS_AT_ONCE)
WORSE_SITES = _for_first_page("worse_sites", WorseSites, _worse_sites)
SLOWER_STAGES = _for_first_page("slower_stages", SlowerStages, _slower_stages)
_ALL: tuple[Counting[Any], ...] = (
    ERRORS,
    ESTIMATE,
    RESOURCES,
    THROUGHPUT,
    MARKS,
    CAMPAIGN,
    FOLDED,
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
