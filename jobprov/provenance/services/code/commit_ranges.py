"""The code between two commits, `X..Y`, as the mirrors of registered repositories know it.

Unlike git's, such a range includes both ends, as people mean it when they say "between X and Y".

Source: http.md, `GET /lineage/impact`.
"""

from pathlib import Path

from sqlalchemy import Connection

from jobprov.provenance.db.queries.code.repositories import registered_repositories
from jobprov.provenance.db.queries.code.software import keys_of_commits
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError, LimitError, NotFoundError
from jobprov.provenance.software.mirrors import Mirror
from jobprov.provenance.software.resolving import ResolvedRef, resolve
from jobprov.provenance.software.urls import parse_url

MOST_ENTRIES = 20_000


def resolve_range(connection: Connection, filters: JobFilters, mirrors: Path) -> JobFilters:
    """Return filters with the software entries of a range in place of the range.

    Filters without a range are returned as they are.

    Raises:
        BadInputError: the first commit is not an ancestor of the last, or one of them is missing.
        NotFoundError: no mirror has both.
        LimitError: jobs used more than twenty thousand different entries in the range.
    """
    first, dots, last = (filters.revision or "").partition("..")
    if not dots:
        return filters
    # X...Y means something else to git: what is in one of the two and not in both
    if not first or not last or last.startswith("."):
        raise BadInputError(
            "revision: a range is X..Y, two commits or tags.", {"revision": ["X..Y"]}
        )
    keys = keys_of_commits(connection, _commits_between(connection, first, last, mirrors))
    if len(keys) > MOST_ENTRIES:
        raise LimitError(
            f"Jobs used more than {MOST_ENTRIES} states of code between {first} and {last}.",
            MOST_ENTRIES,
        )
    return filters._replace(revision=None, software_keys=frozenset(keys))


def _commits_between(connection: Connection, first: str, last: str, mirrors: Path) -> list[str]:
    """Return the commits of the range, from every mirror that has both ends."""
    commits: list[str] = []
    are_known = False
    for repository in registered_repositories(connection):
        folder = mirrors / str(repository.id)
        if not (folder / "HEAD").exists():
            continue  # not fetched yet
        mirror = Mirror(folder, parse_url(repository.url))
        start, end = resolve(mirror, first), resolve(mirror, last)
        if isinstance(start, ResolvedRef) and isinstance(end, ResolvedRef):
            are_known = True
            commits += mirror.commits_between(start.commit, end.commit)
    if not are_known:
        raise NotFoundError(
            f"No repository fetched here has both {first} and {last}: `jobprov repository list`, "
            "`jobprov repository fetch NAME`."
        )
    if not commits:
        raise BadInputError(
            f"revision: {first} is not an ancestor of {last}.",
            {"revision": ["the first is not an ancestor"]},
        )
    return commits
