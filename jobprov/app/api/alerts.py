"""Alerts over HTTP: what rules found, and which receivers got it."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.alerts import AlertList
from jobprov.provenance.schemas.queries import AlertsQuery
from jobprov.provenance.services.alerts.lists import list_alerts

section = Section("alerts", "What rules of experiments found, and whom it was told.")


@section.get("/alerts", AlertList, query=AlertsQuery, errors=(404,))
def get_alerts() -> Response:
    """Return alerts, the newest first, with the messages about them."""
    query = asked(AlertsQuery)
    with get_service().reading() as connection:
        return json_answer(list_alerts(connection, **query))
