"""What made a file, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup import FileAnswer
from jobprov.provenance.schemas.queries import FileVersionQuery
from jobprov.provenance.services.lookup.file import show_file

section = Section("file", "What made a file.")


@section.call(
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
