"""Impact: the files that some jobs made, and everything that was made from these.

The jobs are chosen by a commit, a parameter's value, a host, an input file, or any other filter.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.histories.impact import Impact, ImpactedFile, InferredCode
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.db.queries.fragments.claim_places import place_of
from jobprov.provenance.db.queries.histories.impact import (
    MOST_FILES,
    MOST_SEEDS,
    Conditions,
    MadeClaim,
    TouchedFile,
    count_jobs,
    count_touched,
    in_order,
    inferred_code,
    jobs_that,
    made_claims,
    next_claims,
    touched_files,
)
from jobprov.provenance.db.queries.histories.walks import with_descendants
from jobprov.provenance.db.queries.lookup.files.contents import read_differently
from jobprov.provenance.db.queries.lookup.files.versions import (
    numbers_that_tell_apart,
    versions_of,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.services.lookup.named_filters import named_filters
from jobprov.provenance.services.lookup.parameter_filters import read_conditions
from jobprov.provenance.services.paging import check_limit, next_cursor, read_cursor

MOST_LISTED = 1000
MOST_FOLLOWED = 20_000
"""Jobs whose files are followed for a page; a stream follows a hundred thousand files."""
_STRETCH = 10_000
"""Files that a stream reads at once."""
_NUMBERED_AT_ONCE = 1000
_FILTERS = (
    "revision",
    "software",
    "parameter",
    "variable",
    "seed",
    "host",
    "site",
    "file",
    "experiment",
    "campaign",
    "stage",
    "task_id",
    "state",
    "started_after",
    "started_before",
)
_ADVICE = "narrow it down, or ask for direct=true"


class _Reach(NamedTuple):
    """The touched files.

    Attributes:
        made: claims of the chosen jobs themselves.
        files: how many files are touched.
        jobs: how many jobs made these files.
        listed: claims of the files on the page, and of one more if there is a next page.
        is_cut: whether a limit ended the walk.
    """

    made: list[MadeClaim]
    files: int
    jobs: int
    listed: list[int]
    is_cut: bool


def find_impact(
    connection: Connection,
    filters: JobFilters,
    *,
    is_direct: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Impact:
    """Return the impact of jobs: counts, and a page of the touched files.

    If there are more than twenty thousand jobs, these are only counted, and the page has what they
    made themselves.

    Args:
        filters: which jobs; at least one filter must be set.
        is_direct: only what these jobs made themselves.

    Raises:
        BadInputError: no filter, or a wrong state, limit, cursor or condition on parameters.
        NotFoundError, AmbiguousError: for a filter by file; see `find_file`.
        LimitError: the jobs made more than 100,000 files, or it took more than five seconds.
    """
    check_limit(limit, MOST_LISTED)
    after = read_cursor(cursor) or 0
    with time_limit(connection, _ADVICE):
        conditions = _conditions(filters)
        named = named_filters(connection, filters)
        chosen = jobs_that(connection, named, conditions)
        inferred = inferred_code(connection, filters)
        if chosen is None:
            return Impact(0, 0, 0, 0, is_truncated=False, inferred=inferred, files=[], next=None)
        jobs = count_jobs(connection, chosen)
        if jobs > MOST_FOLLOWED:
            claims = next_claims(connection, chosen, after=after, most=limit + 1)
            page = _page(connection, claims, set(claims), limit)
            return _impact_of_too_many(jobs, inferred, page)
        if is_direct:
            reach = _direct_reach(connection, chosen, after, limit)
        else:
            reach = _whole_reach(connection, chosen, after, limit)
        contents_differ = _contents_differ(connection, named)
    page = _page(connection, reach.listed, {claim.claim for claim in reach.made}, limit)
    return Impact(
        jobs=jobs,
        made=sum(claim.alias_of is None for claim in reach.made),
        touched_jobs=reach.jobs,
        touched=reach.files,
        is_truncated=reach.is_cut,
        inferred=inferred,
        files=page.files,
        next=page.next,
        contents_differ=contents_differ,
    )


def _contents_differ(connection: Connection, named: JobFilters) -> bool:
    """Return whether the question is about a file from outside that had different contents."""
    file = named.reads_key or named.file_key
    if file is None or named.identity_keys is not None or versions_of(connection, [file]):
        return False
    return bool(read_differently(connection, [file]))


def _direct_reach(connection: Connection, chosen: Conditions, after: int, limit: int) -> _Reach:
    """Return what the chosen jobs made themselves."""
    made = made_claims(connection, chosen, most=MOST_FILES)
    named = [claim for claim in made if claim.alias_of is None]
    jobs = {claim.job for claim in named}
    listed = _listed(named, after)[: limit + 1]
    return _Reach(made, len(named), len(jobs), listed, is_cut=len(made) >= MOST_FILES)


def _whole_reach(connection: Connection, chosen: Conditions, after: int, limit: int) -> _Reach:
    """Return what the chosen jobs made, and all that was made from it."""
    made = _seeds(connection, chosen)
    claims = _with_products(connection, made)
    touched = count_touched(connection, claims)
    listed = in_order(connection, claims, after=after, most=limit + 1)
    return _Reach(made, touched.files, touched.jobs, listed, is_cut=len(claims) >= MOST_FILES)


def _seeds(connection: Connection, chosen: Conditions) -> list[MadeClaim]:
    """Return what the chosen jobs made themselves, where the walk begins.

    Raises:
        LimitError: these are too many files.
    """
    made = made_claims(connection, chosen, most=MOST_SEEDS + 1)
    if len(made) > MOST_SEEDS:
        raise LimitError(f"These jobs made more than {MOST_SEEDS} files; {_ADVICE}.", MOST_SEEDS)
    return made


def _with_products(connection: Connection, made: Sequence[MadeClaim]) -> list[int]:
    """Return these claims and those of everything that was made from them."""
    if not made:
        return []
    return with_descendants(connection, [claim.claim for claim in made], most=MOST_FILES)


def _listed(made: Sequence[MadeClaim], after: int = 0) -> list[int]:
    """Return the claims beyond the place `after`, without other names of the same bytes."""
    listed = []
    for claim in made:
        if claim.alias_of is None and place_of(claim.job, claim.position) > after:
            listed.append(claim.claim)
    return listed


class _Page(NamedTuple):
    """A page of files, and where the next one begins."""

    files: list[ImpactedFile]
    next: str | None


def _impact_of_too_many(jobs: int, inferred: list[InferredCode], page: _Page) -> Impact:
    """Return the impact of jobs that are too many to be followed: only they are counted."""
    return Impact(
        jobs=jobs,
        made=None,
        touched_jobs=None,
        touched=None,
        is_truncated=True,
        inferred=inferred,
        files=page.files,
        next=page.next,
    )


def _page(
    connection: Connection, claims: Sequence[int], direct: AbstractSet[int], limit: int
) -> _Page:
    shown = list(islice(touched_files(connection, claims), limit + 1))
    files = list(_described(connection, shown[:limit], direct))
    return _Page(files, next_cursor(shown, limit, lambda file: file.place))


def stream_impact(
    connection: Connection, filters: JobFilters, *, is_direct: bool = False
) -> Iterator[ImpactedFile]:
    """Yield every touched file, as in `find_impact`.

    Raises:
        BadInputError: see `find_impact`.
        LimitError: the jobs made more than 100,000 files, too many to be followed, or the search
            took more than five seconds.
    """
    with time_limit(connection, _ADVICE):
        conditions = _conditions(filters)
        chosen = jobs_that(connection, named_filters(connection, filters), conditions)
        if chosen is None:
            return
        are_many_jobs = is_direct and count_jobs(connection, chosen) > MOST_SEEDS
        if are_many_jobs:
            made: list[MadeClaim] = []
            claims: list[int] = []
        elif is_direct:
            made = made_claims(connection, chosen, most=MOST_FILES)
            claims = _listed(made)
        else:
            made = _seeds(connection, chosen)
            claims = in_order(connection, _with_products(connection, made))
    # Outside the time limit: from here on, files are sent to the client as they are read
    if are_many_jobs:
        yield from _described(connection, _made_by_many(connection, chosen), None)
        return
    direct = {claim.claim for claim in made}
    yield from _described(connection, touched_files(connection, claims), direct)


def _made_by_many(connection: Connection, chosen: Conditions) -> Iterator[TouchedFile]:
    """Yield what very many jobs made, reading some files at a time."""
    after = 0
    while claims := next_claims(connection, chosen, after=after, most=_STRETCH):
        for file in touched_files(connection, claims):
            yield file
            after = file.place


def _conditions(filters: JobFilters) -> list[ParameterCondition]:
    """Return the conditions on parameters.

    Raises:
        BadInputError: no filter is set, or a condition cannot be read.
    """
    if filters == JobFilters():
        message = "Say which jobs: by commit, parameter, host, file, task or time."
        raise BadInputError(message, {name: ["one of these is needed"] for name in _FILTERS})
    return read_conditions(filters)


def _described(
    connection: Connection, files: Iterable[TouchedFile], direct: AbstractSet[int] | None
) -> Iterator[ImpactedFile]:
    """Yield files with the numbers of their versions.

    Args:
        direct: claims of the chosen jobs themselves; None where all files are theirs.
    """
    files_left = iter(files)
    while batch := list(islice(files_left, _NUMBERED_AT_ONCE)):
        numbers = numbers_that_tell_apart(connection, {file.file for file in batch})
        for file in batch:
            is_direct = direct is None or file.claim in direct
            yield _file(file, numbers.get(file.claim), is_direct=is_direct)


def _file(file: TouchedFile, version: int | None, *, is_direct: bool) -> ImpactedFile:
    return ImpactedFile(
        name=file.name,
        namespace=file.namespace,
        experiment=file.experiment,
        url=file_page(file.name, file.experiment, file.namespace),
        job_id=file.job_id,
        job_url=job_page(file.job_id),
        task_id=file.task_id,
        stage=file.stage,
        is_direct=is_direct,
        version=version,
    )
