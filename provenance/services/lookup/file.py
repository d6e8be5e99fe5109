"""What made this file: the file, its versions, producer, parents, children, consumers and where it lies."""

from typing import Any

from sqlalchemy import Connection, bindparam, select

from jobprov.provenance.db.composed import run
from jobprov.provenance.db.queries.lookup.files import (
    FoundFile,
    children_of,
    consumers,
    find_files,
    nearest_names,
    parents_of,
    sightings_of,
)
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.queries.lookup.versions import Version, last_tries, versions_of
from jobprov.provenance.db.tables import Claim, File
from jobprov.provenance.errors import AmbiguousError, NotFoundError

_PLACES = 5
_named = select(File.name).join(Claim, Claim.file_id == File.id)
# an alias is a claim of the same job, and no index has `alias_of`
_ALIASES = _named.where(
    Claim.job_id.in_(bindparam("jobs", expanding=True)),
    Claim.alias_of.in_(bindparam("claims", expanding=True)),
)
_BIRTHS = _named.where(Claim.id.in_(bindparam("births", expanding=True)))


def find_file(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    of: str | None = None,
) -> FoundFile:
    """Return the one file of this name.

    The name may be `namespace:name`, or `:name` for the one without a namespace.

    Args:
        connection: where from.
        name: its name.
        experiment: where several know the name.
        namespace: where several know the name; '' for none.
        of: which file of the question it is: `a` or `b` where it is about two, `file` or `reads`
            where it is a filter of jobs.

    Raises:
        NotFoundError: no record mentions it; `nearest` holds names like it, or `known_in` where
            else it is.
        AmbiguousError: several experiments or namespaces know it.
    """
    found = find_files(connection, name, experiment=experiment, namespace=namespace)
    if not found:
        raise _unknown(connection, name, experiment, namespace)
    if len(found) > 1:
        raise _ambiguous(name, found, of)
    return found[0]


def find_pair(
    connection: Connection,
    a: str,
    b: str,
    *,
    experiment: str | None = None,
    experiment_a: str | None = None,
    experiment_b: str | None = None,
) -> tuple[FoundFile, FoundFile]:
    """Return the two files that a question is about.

    `experiment` is of both where nothing else is said of one.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
    """
    return (
        find_file(connection, a, experiment=experiment_a or experiment, of="a"),
        find_file(connection, b, experiment=experiment_b or experiment, of="b"),
    )


def name_for_questions(connection: Connection, file: FoundFile) -> str:
    """Return the shortest name by which a question about two files finds this one in its experiment."""
    full = f"{file.namespace}:{file.name}"
    if file.namespace:
        return full
    return (
        file.name
        if len(find_files(connection, file.name, experiment=file.experiment)) == 1
        else full
    )


def _unknown(
    connection: Connection, name: str, experiment: str | None, namespace: str | None
) -> NotFoundError:
    """Return that nobody knows a name, or not there."""
    known = find_files(connection, name) if experiment is not None or namespace is not None else []
    if not known:
        return NotFoundError(
            f"No record mentions a file named {name}.", nearest_names(connection, name)
        )
    places = [(file.experiment, file.namespace) for file in known]
    words = [_place(*place) for place in places[:_PLACES]]
    more = f", and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    asked = _place(experiment, namespace)
    return NotFoundError(
        f"No record mentions a file named {name} in {asked}; it is known in {'; '.join(words)}{more}.",
        known_in=places,
    )


def _place(experiment: str | None, namespace: str | None) -> str:
    """Return an experiment and a namespace in words, as far as they are said."""
    spaces = {None: None, "": "no namespace"}
    words = (
        f"experiment {experiment}" if experiment else None,
        spaces.get(namespace, f"namespace {namespace}"),
    )
    return ", ".join(word for word in words if word)


def _ambiguous(name: str, found: list[FoundFile], of: str | None) -> AmbiguousError:
    """Return that several files have a name, with how to ask for each."""
    choices = [(file.experiment, file.namespace) for file in found]
    if of is None:
        how = "say which with experiment= and namespace="
        questions = [
            {"experiment": experiment, "namespace": namespace} for experiment, namespace in choices
        ]
    else:
        parameter = "file_experiment" if of in ("file", "reads") else f"experiment_{of}"
        how = f"say which with {parameter}=, and with its namespace before it, {of}=NAMESPACE:NAME"
        questions = [
            {of: f"{file.namespace}:{file.name}", parameter: file.experiment} for file in found
        ]
    return AmbiguousError(f"{len(found)} files are named {name}; {how}.", choices, questions)


def show_file(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
) -> dict[str, Any]:
    """Return everything that the page of a file shows, in the words of the HTTP interface.

    Raises:
        NotFoundError: no record mentions it.
        AmbiguousError: several experiments or namespaces know it.
    """
    return show_found(
        connection, find_file(connection, name, experiment=experiment, namespace=namespace)
    )


def show_found(connection: Connection, file: FoundFile) -> dict[str, Any]:
    """Return the same of a file that was found before."""
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
        "versions": [
            _version_json(version, jobs[version.job_id]) for version in reversed(versions)
        ],
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
    return sorted({row[0] for query in queries for row in run(connection, query, asked)})
