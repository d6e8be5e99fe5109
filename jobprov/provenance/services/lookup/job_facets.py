"""How many of the jobs of a list have each state, site, stage and so on."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.job_facets import JOB_FACETS, FacetValue, JobFacet, JobFacets
from jobprov.provenance.db.connections.narrowed import is_narrowed
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.configurations.jobs_that_meet import conditions_that_meet
from jobprov.provenance.db.queries.configurations.parameters import ParameterSearch
from jobprov.provenance.db.queries.lookup.lists.job_facets import (
    NEWEST_COUNTED,
    FacetCounts,
    Value,
    count_by,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, look_up_keys, without
from jobprov.provenance.db.queries.statistics.home import recorded_amounts
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.named_filters import named_filters
from jobprov.provenance.services.lookup.parameter_filters import read_conditions

USUAL_VALUES = 20
_NARROWER = "narrow it down by task, host or time"


def read_facets(words: str | None) -> list[str]:
    """Return the facets that are named with commas between them; all of them for None.

    Raises:
        BadInputError: a name is not a facet, or there are too many.
    """
    if words is None:
        return list(JOB_FACETS)
    names = [name.strip() for name in words.split(",")]
    for name in names:
        if name not in JOB_FACETS:
            problem = f"{name[:40]!r} is not one of {', '.join(JOB_FACETS)}"
            raise BadInputError.of_field("by", problem)
    if len(names) > len(JOB_FACETS):
        problem = f"at most {len(JOB_FACETS)} at a time, not {len(names)}"
        raise BadInputError.of_field("by", problem)
    return list(dict.fromkeys(names))


def count_facets(
    connection: Connection,
    filters: JobFilters,
    facets: Sequence[str] = JOB_FACETS,
    *,
    limit: int = USUAL_VALUES,
) -> JobFacets:
    """Return how many jobs pass the filters, and how many of them have each value.

    The counts of a facet that is itself filtered by leave out its own filter, and so show what else
    there is to choose.

    Args:
        facets: names of `JOB_FACETS`.
        limit: values of each at most, the most frequent ones.

    Raises:
        BadInputError: a filter cannot be read.
        NotFoundError, AmbiguousError: the file that the jobs touch; see `find_file`.
        LimitError: counting took more than five seconds.
    """
    recorded = None
    if filters == JobFilters() and not is_narrowed(connection):
        recorded = recorded_amounts(connection).jobs
    asked = read_conditions(filters)
    filters = named_filters(connection, filters)
    filtered_by = [name for name in facets if getattr(filters, name) is not None]
    others = [name for name in facets if name not in filtered_by]
    with time_limit(connection, _NARROWER):
        searches = [ParameterSearch(connection, condition) for condition in asked]
        conditions = conditions_that_meet(searches)
        if conditions is None:
            return _without_values(facets, counted_of=NEWEST_COUNTED, is_exact=True)
        filters = look_up_keys(connection, filters)
        counted = count_by(connection, filters, others, conditions)
        listed = {name: _facet(name, counted, limit) for name in others}
        for name in filtered_by:
            unfiltered = without(filters, {name})
            counts = count_by(connection, unfiltered, [name], conditions)
            listed[name] = _facet(name, counts, limit)
    return JobFacets(
        total=counted.total,
        is_exact=counted.is_exact,
        recorded=recorded,
        counted_of=NEWEST_COUNTED,
        facets=[listed[name] for name in facets],
    )


def uncounted(facets: Sequence[str]) -> JobFacets:
    """Return the answer for jobs that were not counted."""
    return _without_values(facets, counted_of=0, is_exact=False)


def _without_values(facets: Sequence[str], *, counted_of: int, is_exact: bool) -> JobFacets:
    listed = [JobFacet(name, [], more=0, is_exact=is_exact) for name in facets]
    return JobFacets(0, is_exact=is_exact, recorded=None, counted_of=counted_of, facets=listed)


def _facet(name: str, counted: FacetCounts, limit: int) -> JobFacet:
    counts: Counter[Value] = counted.by[name]
    # the same order each time where counts are the same; what is not known comes last
    ordered = sorted(counts.items(), key=lambda item: (item[0] is None, -item[1], str(item[0])))
    values = [FacetValue(value, count) for value, count in ordered[:limit]]
    return JobFacet(name, values, more=len(ordered) - len(values), is_exact=counted.is_exact)
