"""The samples of an analysis, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks import Samples
from jobprov.provenance.schemas.production_queries import CampaignQuery
from jobprov.provenance.services.tasks.samples import list_samples

section = Section("samples", "Samples by data tier: done and expected.")


@section.call(
    "GET",
    "/samples",
    answers={200: Samples},
    parameters=parameters(CampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_samples() -> Response:
    """Return the declared tasks of an experiment as samples by data tier."""
    experiment, service = asked(CampaignQuery)["experiment"], get_service()
    with service.reading() as connection:
        return json_answer(list_samples(connection, service.store, experiment))
