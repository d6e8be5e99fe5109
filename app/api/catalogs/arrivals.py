"""What was written and did not arrive in time, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.catalogs import Arrivals
from jobprov.provenance.catalogs.opening import read_catalogs
from jobprov.provenance.schemas.production_queries import ArrivalsQuery
from jobprov.provenance.services.catalogs.arrivals import list_arrivals

section = Section("arrivals", "Files on their way into the catalog.")


@section.call(
    "GET",
    "/arrivals",
    answers={200: Arrivals},
    parameters=parameters(ArrivalsQuery),
    errors=(401, 404, 422),
)
def get_arrivals() -> Response:
    """Return how many files were written and arrived, a day each, and those that are late."""
    query = asked(ArrivalsQuery)
    service = get_service()
    catalogs = read_catalogs(service.settings.catalogs)
    with service.reading() as connection:
        return json_answer(list_arrivals(connection, catalogs=catalogs, **query))
