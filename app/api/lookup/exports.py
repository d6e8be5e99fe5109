"""Jobs in the formats of PROV, OpenLineage and in-toto, over HTTP."""

from flask import Response

from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.bundle.description.exports import FORMS
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.bundles.job_bundle import build_bundle, export_job

section = Section("exports", "Jobs in the formats of PROV, OpenLineage and in-toto.")
# text first: makers of clients read every answer as the first type that they know
_CONTENT_TYPES = (
    "text/provenance-notation",
    "application/json",
    "application/x-ndjson",
    "application/vnd.in-toto+json",
)


@section.call(
    "GET",
    "/jobs/<job_id>/exports/<form>",
    answers={200: (_CONTENT_TYPES, "The job in this form.")},
    parameters=parameters(ExperimentQuery),
    errors=(300, 401, 404, 409, 422),
)
def get_export(job_id: str, form: str) -> Response:
    """Return the job as its bundle holds it.

    The forms are `prov-json`, `prov-n`, `openlineage` (events, one a line) and `in-toto` (a
    statement).
    """
    if form not in FORMS:
        known = ", ".join(FORMS)
        raise NotFoundError(f"There is no form {form[:40]!r}; there are {known}.", list(FORMS))
    query, service = asked(ExperimentQuery), get_service()
    bundle = build_bundle(
        service.database, service.writer, service.store, checked_name(job_id, "job_id"), **query
    )
    return Response(export_job(bundle, form), content_type=FORMS[form][1])
