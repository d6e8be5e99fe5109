"""What made this file: the file, its versions, producer, parents, children, consumers and where it lies."""

from typing import Any

from sqlalchemy import Connection, bindparam, select

from provenance.db.queries.files import (
    FoundFile,
    children_of,
    consumers,
    find_files,
    nearest_names,
    parents_of,
    sightings_of,
)
from provenance.db.queries.jobs import job_summaries
from provenance.db.queries.versions import Version, last_tries, versions_of
from provenance.db.tables import Claim, File
from provenance.errors import AmbiguousError, NotFoundError

_named = select(File.name).join(Claim, Claim.file_id == File.id)
# an alias is a claim of the same job, and no index has `alias_of`
_ALIASES = _named.where(
    Claim.job_id.in_(bindparam("jobs", expanding=True)), Claim.alias_of.in_(bindparam("claims", expanding=True))
)
_BIRTHS = _named.where(Claim.id.in_(bindparam("births", expanding=True)))


def find_file(
    connection: Connection, name: str, *, experiment: str | None = None, namespace: str | None = None
) -> FoundFile:
    """Return the one file of this name.

    Raises:
        NotFoundError: no record mentions it; `nearest` holds names like it.
        AmbiguousError: several experiments or namespaces know it.
    """
    found = find_files(connection, name, experiment=experiment, namespace=namespace)
    if not found and namespace is None and ":" in name:
        space, _, bare = name.partition(":")
        found = find_files(connection, bare, experiment=experiment, namespace=space)
    if not found:
        raise NotFoundError(f"No record mentions a file named {name}.", nearest_names(connection, name))
    if len(found) > 1:
        choices = [(file.experiment, file.namespace) for file in found]
        raise AmbiguousError(
            f"{len(found)} files are named {name}; say which with experiment= and namespace=.", choices
        )
    return found[0]


def show_file(
    connection: Connection, name: str, *, experiment: str | None = None, namespace: str | None = None
) -> dict[str, Any]:
    """Return everything that the page of a file shows, in the words of the HTTP interface.

    Raises:
        NotFoundError: no record mentions it.
        AmbiguousError: several experiments or namespaces know it.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    versions = versions_of(connection, [file.id]).get(file.id, [])
    count, first_consumers = consumers(connection, file.id)
    jobs = job_summaries(connection, [version.job_id for version in versions])
    sightings = sightings_of(connection, file.id)
    newest = versions[-1] if versions else None
    tries = {} if versions else last_tries(connection, [file.id])
    return {
        "file": file.to_json(),
        "is_placeholder": not versions,
        "is_crowded": file.is_crowded,
        "versions": [_version_json(version, jobs[version.job_id]) for version in reversed(versions)],
        "producer": jobs[newest.job_id] if newest else None,
        "written_by": next(iter(job_summaries(connection, tries.values()).values()), None),
        "parents": parents_of(connection, newest.claim_id) if newest else [],
        "children": children_of(connection, file.id),
        "consumers": first_consumers,
        "consumer_count": count,
        "locations": sorted({place for seen in sightings for place in seen.get("locations") or ()}),
        "task": jobs[newest.job_id]["task"] if newest else None,
        "aliases": _aliases(connection, versions),
        "sightings": sightings,
    }


def _version_json(version: Version, job: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": version.number,
        "job": job,
        "size_bytes": version.size_bytes,
        "checksums": list(version.checksums),
        "status": version.status,
        "data_tier": version.data_tier,
        "event_count": version.event_count,
    }


def _aliases(connection: Connection, versions: list[Version]) -> list[str]:
    """Return other names of the same bytes: what it was renamed to, and what it was called at birth."""
    asked = {
        "claims": [version.claim_id for version in versions],
        "jobs": sorted({version.job_id for version in versions}),
        "births": [version.alias_of for version in versions if version.alias_of is not None],
    }
    queries = [query for word, query in (("claims", _ALIASES), ("births", _BIRTHS)) if asked[word]]
    return sorted({row[0] for query in queries for row in connection.execute(query, asked)})
