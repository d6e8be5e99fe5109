"""What made this file: its versions, producer, parents, children, consumers and places."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.files import FileAnswer, RecordedVersion
from jobprov.provenance.answers.lookup.jobs import JobSummary, TaskOfJob
from jobprov.provenance.db.queries.catalogs.retired import is_retired
from jobprov.provenance.db.queries.catalogs.unarrived import is_unarrived
from jobprov.provenance.db.queries.lookup.files.by_name import (
    NEAREST,
    FoundFile,
    children_of,
    consumers,
    find_files,
    nearest_names,
    new_names_among,
    other_names_of,
    parents_of,
    read_contents,
    sightings_of,
)
from jobprov.provenance.db.queries.lookup.files.focus import (
    Focus,
    identities_of,
    identities_of_crowd,
    identities_of_versions,
)
from jobprov.provenance.db.queries.lookup.files.versions import Version, last_tries, versions_of
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.search.files import find_files as search_files
from jobprov.provenance.db.queries.search.matches import SearchText
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import AmbiguousError, BadInputError, NotFoundError
from jobprov.provenance.services.search.near_names import near_names

_MOST_PLACES = 5


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
        experiment: where several know the name.
        namespace: where several know the name; '' for none.
        of: which file of the question it is: `a` or `b` where it is about two, `file` or `reads`
            where it is a filter of jobs.

    Raises:
        NotFoundError: no record mentions it; `nearest` holds names like it, or `known_in` where
            else it is.
        AmbiguousError: several experiments or namespaces know it.
    """
    files = find_files(connection, name, experiment=experiment, namespace=namespace)
    if not files:
        raise _unknown(connection, name, experiment, namespace)
    if len(files) > 1:
        born = _born_as(connection, files)
        if born is None:
            raise _ambiguous(name, files, of)
        return born
    return files[0]


def _born_as(connection: Connection, files: Sequence[FoundFile]) -> FoundFile | None:
    """Return the file as a job recorded it, if all others are what a catalog calls it since.

    It got a namespace, or was moved to another one.
    """
    new_names = new_names_among(connection, [file.id for file in files])
    for file in files:
        if len(new_names.get(file.id, ())) == len(files) - 1:
            return file
    return None


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

    `experiment` holds for both; `experiment_a` and `experiment_b` replace it for one.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
    """
    return (
        find_file(connection, a, experiment=experiment_a or experiment, of="a"),
        find_file(connection, b, experiment=experiment_b or experiment, of="b"),
    )


def name_for_questions(connection: Connection, file: FoundFile) -> str:
    """Return the shortest name by which a two-file question finds this one in its experiment."""
    full_name = f"{file.namespace}:{file.name}"
    if file.namespace:
        return full_name
    is_alone = len(find_files(connection, file.name, experiment=file.experiment)) == 1
    return file.name if is_alone else full_name


def _unknown(
    connection: Connection, name: str, experiment: str | None, namespace: str | None
) -> NotFoundError:
    """Return the error for a name that is not recorded, or only elsewhere."""
    is_narrowed = experiment is not None or namespace is not None
    elsewhere = find_files(connection, name) if is_narrowed else []
    if not elsewhere:
        # a job may have read it without knowing its namespace
        bare = name.rpartition(":")[2]
        is_bare_known = bare != name and bool(find_files(connection, bare))
        nearest = [bare] if is_bare_known else _names_like(connection, name)
        return NotFoundError(f"No record mentions a file named {name}.", nearest)
    places = [(file.experiment, file.namespace) for file in elsewhere]
    known = "; ".join(_place(*place) for place in places[:_MOST_PLACES])
    if len(places) > _MOST_PLACES:
        known += f", and {len(places) - _MOST_PLACES} more"
    here = _place(experiment, namespace)
    return NotFoundError(
        f"No record mentions a file named {name} in {here}; it is known in {known}.",
        known_in=places,
    )


def _names_like(connection: Connection, name: str) -> list[str]:
    """Return names that hold this one, since people remember a part; else those spelled like it.

    Else those that begin like it.
    """
    alike = search_files(connection, SearchText(name, NEAREST)).hits
    alike = alike or near_names(connection, name, ("file",), NEAREST)
    return [hit.text for hit in alike] or nearest_names(connection, name)


def _place(experiment: str | None, namespace: str | None) -> str:
    """Return an experiment and a namespace in words; None is any."""
    parts = []
    if experiment:
        parts.append(f"experiment {experiment}")
    if namespace == "":
        parts.append("no namespace")
    elif namespace is not None:
        parts.append(f"namespace {namespace}")
    return ", ".join(parts)


def _ambiguous(name: str, files: Sequence[FoundFile], of: str | None) -> AmbiguousError:
    """Return the error for a name of several files, with the question that finds each."""
    choices = [(file.experiment, file.namespace) for file in files]
    if of is None:
        how = "say which with experiment= and namespace="
        questions = [{"experiment": file.experiment, "namespace": file.namespace} for file in files]
    else:
        parameter = "file_experiment" if of in ("file", "reads") else f"experiment_{of}"
        how = f"say which with {parameter}=, and with its namespace before it, {of}=NAMESPACE:NAME"
        questions = [
            {of: f"{file.namespace}:{file.name}", parameter: file.experiment} for file in files
        ]
    return AmbiguousError(f"{len(files)} files are named {name}; {how}.", choices, questions)


def show_file(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
) -> FileAnswer:
    """Return what made a file, and what was made from it.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: there is no such version.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    return show_found(connection, file, version=version)


def show_found(
    connection: Connection, file: FoundFile, *, version: int | None = None
) -> FileAnswer:
    """Return everything known of a file that was looked up already.

    Where several campaigns wrote a name, what was made from it in another one is left out.

    Raises:
        BadInputError: there is no such version.
    """
    versions = versions_of(connection, [file.id]).get(file.id, [])
    jobs = summaries_of(connection, [version.job_id for version in versions])
    sightings = sightings_of(connection, file.id)
    chosen = _choose(versions, version)
    identities, number, producer, parents = None, None, None, []
    task: TaskOfJob | None
    if chosen is not None:
        identities = _identities_of_campaign(connection, file, versions, chosen, jobs)
        number, producer = chosen.number, jobs[chosen.job_id]
        parents = parents_of(connection, chosen.claim_id)
        task = producer.task
    else:
        task = _task_by_catalog(connection, file, sightings)
    aliases = other_names_of(connection, versions)
    if identities is None and aliases:
        identities = identities_of(connection, Focus(file.id, None))
    read_by = consumers(connection, file.id, identities=identities)
    written_by = None
    if not versions:
        written_by = _last_try(connection, file)
    return FileAnswer(
        file=file.as_answer(),
        version=number,
        is_placeholder=chosen is None,
        is_crowded=file.is_crowded,
        versions=[_version(version, jobs[version.job_id]) for version in reversed(versions)],
        producer=producer,
        written_by=written_by,
        parents=parents,
        children=children_of(connection, file.id, identities=identities),
        consumers=read_by.first,
        consumer_count=read_by.job_count,
        locations=_locations(sightings),
        task=task,
        aliases=aliases,
        sightings=sightings,
        is_retired=_is_retired(connection, file, aliases),
        is_unarrived=chosen is not None and is_unarrived(connection, chosen.job_id, file.id),
        read_contents=[] if versions else read_contents(connection, file.id),
    )


def _locations(sightings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the places at which catalogs and transfer services saw a file."""
    locations: set[str] = set()
    for sighting in sightings:
        locations.update(sighting.get("locations") or ())
    return sorted(locations)


def _is_retired(connection: Connection, file: FoundFile, aliases: Sequence[str]) -> bool:
    """Return whether the catalog of its experiment has retired a file under all its names."""
    names = {(file.namespace, file.name)}
    for alias in aliases:
        namespace, _, name = alias.rpartition(":")
        names.add((namespace, name))
    return is_retired(connection, file.experiment, names)


def _task_by_catalog(
    connection: Connection, file: FoundFile, sightings: Sequence[Mapping[str, Any]]
) -> TaskOfJob | None:
    """Return the task that a catalog or transfer service names for a file that no job claims."""
    for sighting in sightings:
        metadata = sighting.get("metadata") or {}
        task_id = metadata.get("prov.task_id")
        if task_id:
            for task in find_tasks(connection, task_id, file.experiment):
                return TaskOfJob(task.task_id, task.campaign, task.stage, unit=None)
    return None


def _choose(versions: Sequence[Version], number: int | None) -> Version | None:
    """Return the version with a number, by default the newest; None where no job made the file."""
    if number is None:
        return versions[-1] if versions else None
    for version in versions:
        if version.number == number:
            return version
    problem = f"there is no version {number}; the file has {len(versions)}"
    raise BadInputError.of_field("version", problem)


def _identities_of_campaign(
    connection: Connection,
    file: FoundFile,
    versions: Sequence[Version],
    chosen: Version,
    jobs: Mapping[int, JobSummary],
) -> dict[int, bool] | None:
    """Return the identities of the chosen version's campaign; None if no other wrote the name.

    For a crowded name, they are always those of its versions.
    """
    campaign = jobs[chosen.job_id].task.campaign
    ours: list[int] = []
    theirs: list[int] = []
    for version in versions:
        if jobs[version.job_id].task.campaign == campaign:
            ours.append(version.claim_id)
        else:
            theirs.append(version.claim_id)
    if file.is_crowded:
        return identities_of_crowd(connection, ours)
    if not theirs:
        return None
    return identities_of_versions(connection, file.id, ours, theirs)


def _last_try(connection: Connection, file: FoundFile) -> JobSummary | None:
    """Return the job that wrote a file last without success."""
    job_keys = last_tries(connection, [file.id])
    return next(iter(summaries_of(connection, job_keys.values()).values()), None)


def _version(version: Version, job: JobSummary) -> RecordedVersion:
    return RecordedVersion(
        number=version.number,
        job=job,
        size_bytes=version.size_bytes,
        checksums=list(version.checksums),
        status=version.status,
        data_tier=version.data_tier,
        event_count=version.event_count,
    )
