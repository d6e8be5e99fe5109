"""Files over HTTP: what made one, lists of them, what a catalog saw; the search, and names."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import sent_document
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.catalogs.sightings import SightingAnswer
from jobprov.provenance.answers.lookup.files import FileAnswer, FileList
from jobprov.provenance.answers.lookup.jobs import RecordedNames
from jobprov.provenance.answers.lookup.search import Hits
from jobprov.provenance.db.queries.lookup.lists.files import FileFilters
from jobprov.provenance.db.queries.lookup.recorded_names import NameFilters
from jobprov.provenance.schemas.queries import (
    FilesQuery,
    FileVersionQuery,
    NamesQuery,
    SearchQuery,
)
from jobprov.provenance.services.catalogs.sightings import (
    SightedFile,
    read_sighting,
    record_sighting,
)
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.lookup.files import list_files
from jobprov.provenance.services.lookup.names import list_names
from jobprov.provenance.services.lookup.search import search

file_section = Section("file", "What made a file.")
files_section = Section("files", "Files.")
_SIGHTING_BYTES = 1024 * 1024
search_section = Section("search", "What a name or id could mean, and which names there are.")


@file_section.call(
    "GET",
    "/files/<name>",
    answers={200: FileAnswer},
    parameters=parameters(FileVersionQuery),
    errors=(300, 401, 404, 422),
)
def get_file(name: str) -> Response:
    """Return what made a file, and what was made from it."""
    query = asked(FileVersionQuery)
    with get_service().reading() as connection:
        return json_answer(show_file(connection, checked_name(name), **query))


@files_section.call(
    "GET",
    "/files",
    answers={200: FileList},
    parameters=parameters(FilesQuery),
    errors=(401, 413, 422),
)
def get_files() -> Response:
    """Return files in the order of their names."""
    query = asked(FilesQuery)
    limit, cursor = query.pop("limit", 100), query.pop("cursor", None)
    with get_service().reading() as connection:
        return json_answer(list_files(connection, FileFilters(**query), limit=limit, cursor=cursor))


@files_section.call(
    "POST",
    "/files",
    body=SightedFile,
    answers={201: SightingAnswer, 200: SightingAnswer},
    errors=(409, 413, 415, 422),
    writes=True,
)
def post_file() -> Response:
    """Take a file as a catalog or transfer service saw it, and join it to the job that made it.

    The answer is 201 where it is new, 200 where it was seen before.
    """
    grant = writing_grant()
    document = sent_document(_SIGHTING_BYTES)
    check_experiment(grant, read_sighting(document).experiment)
    seen = get_service().write(
        lambda writing: record_sighting(writing, document),
        submitter=grant.submitter,
    )
    return json_answer(seen, 201 if seen.change == "created" else 200)


@search_section.call(
    "GET",
    "/search",
    answers={200: Hits},
    parameters=parameters(SearchQuery),
    errors=(401, 413, 422),
)
def get_hits() -> Response:
    """Return names that hold a text, by kind, with counts; jobs by the beginning of their id."""
    query = asked(SearchQuery)
    with get_service().reading() as connection:
        return json_answer(search(connection, query.pop("q"), **query))


@search_section.call(
    "GET",
    "/names/<kind>",
    answers={200: RecordedNames},
    parameters=parameters(NamesQuery),
    errors=(401, 413, 422),
)
def get_names(kind: str) -> Response:
    """Return the names of `experiments`, `campaigns`, `stages`, `tasks` or `sites`, in order."""
    query = asked(NamesQuery)
    limit, cursor = query.pop("limit", 1000), query.pop("cursor", None)
    with get_service().reading() as connection:
        return json_answer(
            list_names(connection, kind, NameFilters(**query), limit=limit, cursor=cursor)
        )
