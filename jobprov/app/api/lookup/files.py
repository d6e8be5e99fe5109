"""Files over HTTP: what made one, lists of them, what a catalog saw."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import sent_document
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.catalogs.sightings import SightingAnswer
from jobprov.provenance.answers.lookup.files import FileAnswer, FileList
from jobprov.provenance.db.queries.lookup.lists.files import FileFilters
from jobprov.provenance.schemas.queries import FilesQuery, FileVersionQuery
from jobprov.provenance.services.catalogs.sightings import (
    SightedFile,
    read_sighting,
    record_sighting,
)
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.lookup.files import list_files

file_section = Section("file", "What made a file.")
files_section = Section("files", "Files.")
_SIGHTING_BYTES = 1024 * 1024


@file_section.get("/files/<name>", FileAnswer, query=FileVersionQuery, errors=(300, 404))
def get_file(name: str) -> Response:
    """Return what made a file, and what was made from it."""
    query = asked(FileVersionQuery)
    with get_service().reading() as connection:
        return json_answer(show_file(connection, checked_name(name), **query))


@files_section.get("/files", FileList, query=FilesQuery, errors=(413,))
def get_files() -> Response:
    """Return files in the order of their names."""
    query = asked(FilesQuery)
    limit, cursor = query.pop("limit", 100), query.pop("cursor", None)
    with get_service().reading() as connection:
        return json_answer(list_files(connection, FileFilters(**query), limit=limit, cursor=cursor))


@files_section.post(
    "/files", {201: SightingAnswer, 200: SightingAnswer}, body=SightedFile, errors=(409,)
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
