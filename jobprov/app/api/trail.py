"""The audit trail over HTTP, for those who administer an experiment."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.trail import Trail
from jobprov.provenance.schemas.queries import TrailQuery
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.ledger.trail import show_trail

section = Section("trail", "Who changed what, when and from where.")


@section.get("/trail", Trail, query=TrailQuery, errors=(404,), needs_token=True)
def get_trail() -> Response:
    """Return what was done in an experiment, newest first; this needs a token with scope admin."""
    grant = writing_grant(Scope.ADMIN)
    query = asked(TrailQuery)
    check_experiment(grant, query["experiment"])
    service = get_service()
    with service.reading() as connection:
        return json_answer(show_trail(connection, service.store, **query))
