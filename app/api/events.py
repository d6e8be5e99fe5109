"""OpenLineage events over HTTP, as its stock clients send them."""

from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from app.api.answers import json_answer, public_url, record_answer
from app.api.asking import parameters
from app.api.bodies import read_body
from app.api.documenting import OBJECT, Section
from app.api.guard import check_experiment, writing_grant
from app.api.secrets import refuse_secrets, refuse_secrets_of
from app.wiring import get_service
from provenance.errors import BadInputError
from provenance.records.decoding import LIMIT_BYTES
from provenance.records.openlineage import run_event_of
from provenance.records.openlineage_static import DatasetEvent, JobEvent, sightings_of_event, static_event_of
from provenance.records.repairing import parse_object
from provenance.schemas.parameters import read_query
from provenance.schemas.queries import EventQuery
from provenance.services.record_events import make_record, record_event
from provenance.services.record_static_events import record_static_event
from provenance.services.submissions import STATUS
from provenance.services.write_tokens import Grant

section = Section("events", "OpenLineage events.")


@section.call(
    "POST",
    "/lineage",
    body=OBJECT,
    answers={201: OBJECT, 200: OBJECT},
    parameters=parameters(EventQuery),
    errors=(409, 413, 415, 422),
    writes=True,
)
def post_event() -> Response:
    """Take an OpenLineage event: a run becomes a job, a job alone a declared task, datasets files. 201 where it said anything new."""
    grant = writing_grant()
    experiment = _experiment(grant)
    document = parse_object(read_body(LIMIT_BYTES), "The event")
    refuse_secrets(document)
    static = static_event_of(document)
    if static is not None:
        return _take_static(static, document, experiment, grant)
    event = run_event_of(document)
    refuse_secrets_of(make_record([event], experiment))  # what is wrong is named by its place in this event
    service, now = get_service(), datetime.now(UTC)
    outcome = service.write(
        lambda writing: record_event(writing, event, experiment=experiment), received_at=now, submitter=grant.submitter
    )
    return json_answer(record_answer(outcome, public_url()), STATUS[outcome.change])


def _take_static(event: JobEvent | DatasetEvent, document: dict[str, Any], experiment: str, grant: Grant) -> Response:
    """Take an event of a job or dataset alone."""
    sightings_of_event(event, experiment)  # what is wrong is said before anything is written
    service, now = get_service(), datetime.now(UTC)
    answer = service.write(
        lambda writing: record_static_event(
            writing,
            event,
            document,
            experiment=experiment,
        ),
        received_at=now,
        submitter=grant.submitter,
    )
    return json_answer(answer, 201 if answer["change"] == "created" else 200)


def _experiment(grant: Grant) -> str:
    """Return whose the run is: what the address says, else what the token is of."""
    experiment = read_query(EventQuery, request.args).get("experiment") or grant.experiment
    if experiment is None:
        message = "experiment: say whose run it is, with a token or with experiment= in the address."
        raise BadInputError(message, {"experiment": ["missing"]})
    check_experiment(grant, experiment)
    return experiment
