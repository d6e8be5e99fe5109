"""Lists of files by name, a page at a time."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.lookup.files import FileList, ListedFile
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.lookup.files.versions import Version, versions_of
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.lookup.lists.files import FileFilters, FileRow, list_file_rows
from jobprov.provenance.services.lookup.jobs import MOST_LISTED
from jobprov.provenance.services.paging import (
    bad_cursor,
    check_limit,
    next_cursor,
    read_json_cursor,
    write_json_cursor,
)

_LARGEST_KEY = 2**62


class _Place(NamedTuple):
    """Where a page ends: at the file with this name, of the experiment with this key."""

    name: str
    namespace: str
    experiment: int


def list_files(
    connection: Connection, filters: FileFilters, *, limit: int = 100, cursor: str | None = None
) -> FileList:
    """Return the first files that pass the filters, or those behind the file that the cursor names.

    Raises:
        BadInputError: the limit or cursor cannot be read.
        LimitError: the search took more than five seconds.
    """
    check_limit(limit, MOST_LISTED)
    after = _read_cursor(cursor)
    with time_limit(connection, "narrow it down by the beginning of the name, or by task"):
        # one more than is shown: then there is a next page
        rows = list_file_rows(connection, filters, limit=limit + 1, after=after)
    return FileList(_described(connection, rows[:limit]), next=next_cursor(rows, limit, _cursor))


def _cursor(row: FileRow) -> str:
    return write_json_cursor(_Place(row.name, row.namespace, row.experiment_key))


def list_namesakes(
    connection: Connection,
    names: Sequence[str],
    *,
    experiment: str | None,
    namespace: str | None,
    most: int,
) -> list[ListedFile]:
    """Return the files of the first of these names that any has, by experiment and namespace."""
    for name in names:
        filters = FileFilters(experiment=experiment, namespace=namespace, whole_name=name)
        rows = list_file_rows(connection, filters, limit=most, after=None)
        if rows:
            return _described(connection, rows)
    return []


def _described(connection: Connection, listed: Sequence[FileRow]) -> list[ListedFile]:
    """Return files with what is known of their newest versions."""
    versions = versions_of(connection, [row.key for row in listed])
    newest = {file: of_file[-1] for file, of_file in versions.items()}
    jobs = summaries_of(connection, [version.job_id for version in newest.values()])
    files: list[ListedFile] = []
    for row in listed:
        file = _placeholder(row)
        if row.key in newest:
            version = newest[row.key]
            file = _made(file, version, len(versions[row.key]), jobs[version.job_id])
        files.append(file)
    return files


def _made(file: ListedFile, version: Version, version_count: int, job: JobSummary) -> ListedFile:
    return replace(
        file,
        is_placeholder=False,
        version_count=version_count,
        size_bytes=version.size_bytes,
        checksums=list(version.checksums),
        data_tier=version.data_tier,
        event_count=version.event_count,
        job_id=job.job_id,
        state=job.state,
        task_id=job.task.task_id,
    )


def _placeholder(row: FileRow) -> ListedFile:
    """Return a file that no recorded job made."""
    return ListedFile(
        name=row.name,
        namespace=row.namespace,
        experiment=row.experiment,
        url=file_page(row.name, row.experiment, row.namespace),
        is_placeholder=True,
        version_count=0,
        size_bytes=None,
        checksums=[],
        data_tier=None,
        event_count=None,
        job_id=None,
        state=None,
        task_id=None,
    )


def _read_cursor(cursor: str | None) -> _Place | None:
    if cursor is None:
        return None
    place = read_json_cursor(cursor, _Place)
    if "\0" in place.name + place.namespace:
        raise bad_cursor()
    return place._replace(experiment=min(place.experiment, _LARGEST_KEY))
