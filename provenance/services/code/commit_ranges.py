"""Which code lies between two commits, as the mirrors of registered repositories know it.

A question writes them as `X..Y`.

Unlike git's, a range holds both its ends: "between X and Y" as people say it.

Source: http.md, `GET /lineage/impact`.
"""

from pathlib import Path

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.selecting import select_among
from jobprov.provenance.errors import BadInputError, LimitError, NotFoundError
from jobprov.provenance.services.code.repositories import list_repositories
from jobprov.provenance.software.mirrors import Mirror
from jobprov.provenance.software.resolving import ResolvedRef, resolve
from jobprov.provenance.software.urls import parse_url

MOST_ENTRIES = 20_000
_BY_COMMIT = "SELECT id FROM software WHERE revision {among}"
_BY_RESOLUTION = (
    "SELECT s.id FROM software AS s JOIN resolutions AS r ON r.id = s.resolution_id"
    ' WHERE r."commit" {among}'
)


def resolve_range(connection: Connection, filters: JobFilters, mirrors: Path) -> JobFilters:
    """Return filters in which a range of commits is replaced by the software entries in it.

    Others as they are.

    Raises:
        BadInputError: the first commit is no ancestor of the last, or one of them is not named.
        NotFoundError: no mirror has both.
        LimitError: jobs used more than twenty thousand different entries in it.
    """
    first, dots, last = (filters.revision or "").partition("..")
    if not dots:
        return filters
    if not first or not last or last.startswith("."):
        raise BadInputError(
            "revision: a range is X..Y, two commits or tags.", {"revision": ["X..Y"]}
        )
    commits = _commits_between(connection, first, last, mirrors)
    keys = {
        row[0]
        for statement in (_BY_COMMIT, _BY_RESOLUTION)
        for row in select_among(connection, statement, commits)
    }
    if len(keys) > MOST_ENTRIES:
        raise LimitError(
            f"Jobs used more than {MOST_ENTRIES} states of code between {first} and {last}.",
            MOST_ENTRIES,
        )
    return filters._replace(revision=None, software_keys=frozenset(keys))


def _commits_between(connection: Connection, first: str, last: str, mirrors: Path) -> list[str]:
    """Return the commits of the range in every mirror that has both ends."""
    found: list[str] = []
    are_known = False
    for repository in list_repositories(connection):
        folder = mirrors / str(repository.id)
        if not (folder / "HEAD").exists():
            continue  # not fetched yet
        mirror = Mirror(folder, parse_url(repository.url))
        start, end = resolve(mirror, first), resolve(mirror, last)
        if isinstance(start, ResolvedRef) and isinstance(end, ResolvedRef):
            are_known = True
            found += mirror.commits_between(start.commit, end.commit)
    if not are_known:
        raise NotFoundError(
            f"No repository fetched here has both {first} and {last}: `jobprov repository list`, "
            "`jobprov repository fetch NAME`."
        )
    if not found:
        raise BadInputError(
            f"revision: {first} is no ancestor of {last}.",
            {"revision": ["the first is no ancestor"]},
        )
    return found
