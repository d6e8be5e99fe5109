"""What is around a list of jobs: its first line, counts to narrow it down, heads that sort it."""

from collections.abc import Mapping
from typing import NamedTuple

from jobprov.app.web.frame.formats import (
    asked_minute,
    counted,
    exit_code,
    number,
    with_full_stop,
)
from jobprov.app.web.frame.page import here
from jobprov.provenance.answers.lookup.job_facets import JobFacets
from jobprov.provenance.answers.lookup.jobs import JobList
from jobprov.provenance.db.queries.lookup.lists.job_orders import MOST_SORTED
from jobprov.provenance.services.lookup.job_tables import AroundJobs

_STATES = ("running", "succeeded", "failed", "killed", "lost")
_HAVE_INDEX = ("received_at", "started_at", "ended_at")
_ASCENDING_FIRST = ("stage", "task_id", "unit", "site", "host", "state")
ORDER_WORDS = {
    "received_at": "recorded",
    "started_at": "started",
    "ended_at": "ended",
    "wall_seconds": "time taken",
    "cpu_seconds": "CPU",
    "max_rss_bytes": "memory",
    "exit_code": "exit code",
    "output_count": "output files",
    "state": "state",
    "stage": "stage",
    "task_id": "task",
    "unit": "unit",
    "site": "site",
    "host": "host",
}
_TIME_WORDS = {
    "started_after": "a start after",
    "started_before": "a start before",
    "received_after": "a record after",
}
_FACET_TITLES = {
    "experiment": "Experiment",
    "campaign": "Campaign",
    "stage": "Stage",
    "task_id": "Task",
    "site": "Site",
    "host": "Host",
    "exit_code": "Exit code",
    "failed_step": "Failed step",
    "failure_class": "Failure class",
}


class StateCount(NamedTuple):
    """How many jobs are in a state, in words, and whether the list is of such jobs."""

    state: str
    jobs: str
    is_asked_for: bool


class Choice(NamedTuple):
    """A value that a list can be narrowed down to.

    Attributes:
        value: None where nothing is known.
        words: the value as people read it.
        jobs: how many, in words, as there may be more.
        url: the list of those jobs; None where no filter finds them.
    """

    value: str | None
    words: str
    jobs: str
    url: str | None


class Facet(NamedTuple):
    """What a list can be narrowed down to by one filter.

    Attributes:
        more: how many further values there are.
    """

    name: str
    title: str
    choices: list[Choice]
    more: int


class Head(NamedTuple):
    """The head of a column that sorts.

    Attributes:
        url: the list in its order; None where it is too long for that.
        direction: `ascending` or `descending` where the list is in its order, else None.
    """

    url: str | None
    direction: str | None


def count_states(facets: JobFacets, filters: Mapping[str, str]) -> list[StateCount]:
    """Return the count of each state, in the order of the page."""
    by_state = facets.facets[0]
    counts = {value.value: value.count for value in by_state.values}
    asked_for = [state.strip() for state in filters.get("state", "").split(",")]
    states = []
    for state in _STATES:
        count = counts.get(state, 0)
        words = _count_words(count, is_exact=by_state.is_exact)
        states.append(StateCount(state, words, state in asked_for))
    return states


def facets_of(facets: JobFacets) -> dict[str, Facet]:
    """Return what else a list can be narrowed down by: values that not all of its jobs share."""
    shown = {}
    for facet in facets.facets[1:]:
        choices = []
        for value in facet.values:
            text = None if value.value is None else str(value.value)
            url = None if text is None else here(**{facet.by: text, "cursor": None})
            count = _count_words(value.count, is_exact=facet.is_exact)
            words = exit_code(value.value) if facet.by == "exit_code" else text or ""
            choices.append(Choice(text, words, count, url))
        title = _FACET_TITLES[facet.by]
        shown[facet.by] = Facet(facet.by, title, choices, facet.more)
    return shown


def shared_by_all(facets: JobFacets, filters: Mapping[str, str]) -> list[str]:
    """Return what all jobs of a list have in common beyond its filters: `site RAL`."""
    if facets.total < 2:  # noqa: PLR2004 - several
        return []
    shared = []
    for facet in facets.facets[1:]:
        is_shared = len(facet.values) == 1 and not facet.more and facet.values[0].value is not None
        if is_shared and facet.by not in filters:
            shared.append(f"{_FACET_TITLES[facet.by].lower()} {facet.values[0].value}")
    return shared


def _count_words(count: int, *, is_exact: bool) -> str:
    if is_exact or not count:
        return number(count) if is_exact else ""
    return f"over {number(count)}"


def head_of(name: str, sort: str | None, around: AroundJobs) -> Head:
    """Return what the head of a column leads to: its order, or the other way round."""
    sort = sort or "-received_at"
    direction = None
    if sort.removeprefix("-") == name:
        direction = "descending" if sort.startswith("-") else "ascending"
    if name not in _HAVE_INDEX and not around.is_short:
        return Head(None, direction)
    is_ascending = name in _ASCENDING_FIRST
    if direction is not None:
        is_ascending = direction == "descending"
    wanted = name if is_ascending else f"-{name}"
    return Head(here(sort=wanted, cursor=None), direction)


def why_unsorted() -> str:
    """Return why not every column of a long list sorts it."""
    return (
        f"More than {number(MOST_SORTED)} jobs may be in this list: it is sorted by what indexes "
        "have, when jobs were recorded, started and ended. Filter by task, host, site, time or a "
        "state other than succeeded to sort it by the other columns."
    )


def first_line(
    listed: JobList,
    facets: JobFacets,
    filters: Mapping[str, str],
    *,
    cause: str | None,
    sort: str | None,
    cursor: str | None,
) -> str:
    """Return what the list is, in words: how many jobs there are, and which of them are shown.

    `cause` is what the filter by a cause stands for.
    """
    conditions = [_condition(name, value, cause) for name, value in filters.items()]
    narrowed = ""
    if conditions:
        narrowed = f" with {', '.join(conditions)}"
    count = len(listed.jobs)
    is_whole = listed.next is None and cursor is None
    if is_whole and not count:
        return f"No job{narrowed} is recorded."
    if is_whole:
        order = f", by {_order_words(sort)}" if sort and count > 1 else ""
        return with_full_stop(f"{counted(count, 'job')}{narrowed}{order}")
    if not count:
        return f"None of the jobs{narrowed} is among those that this page looks at."
    shown = f"the {count} newest are shown"
    if sort:
        shown = f"{count} are shown, by {_order_words(sort)}"
    elif cursor:
        shown = f"{count} older ones are shown"
    return f"{_total_words(facets, count)}{narrowed}; {shown}."


def _condition(name: str, value: str, cause: str | None) -> str:
    """Return a filter in words."""
    if name == "job_id" and "," in value:
        return f"one of {value.count(',') + 1} ids"
    if name == "cause_id" and cause:
        return f"the cause {cause}"
    if not value:
        return f"no {name}"
    if name in _TIME_WORDS:
        return f"{_TIME_WORDS[name]} {asked_minute(value)}"
    return f"{name.replace('_', ' ')} {value.replace(',', ', ')}"


def _total_words(facets: JobFacets, shown: int) -> str:
    """Return how many jobs there are, as far as they were counted."""
    if facets.is_exact:
        return counted(facets.total, "job")
    if facets.recorded is not None:
        return f"About {counted(facets.recorded, 'job')}"
    return f"Over {counted(max(facets.total, shown), 'job')}"


def _order_words(sort: str) -> str:
    name = sort.removeprefix("-")
    if name in _ASCENDING_FIRST:
        way = "backwards" if sort.startswith("-") else "in order"
    elif name in _HAVE_INDEX:
        way = "latest first" if sort.startswith("-") else "earliest first"
    else:
        way = "largest first" if sort.startswith("-") else "smallest first"
    return f"{ORDER_WORDS.get(name, name)}, {way}"
