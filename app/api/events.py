"""OpenLineage events over HTTP, as its stock clients send them."""

from datetime import UTC, datetime

from flask import Response, request

from app.api.answers import RecordAnswer, json_answer, public_url, record_answer
from app.api.asking import parameters
from app.api.bodies import read_body
from app.api.documenting import OBJECT, Section
from app.api.guard import check_experiment, writing_grant
from app.api.secrets import refuse_secrets, refuse_secrets_of
from app.wiring import get_service
from provenance.errors import BadInputError
from provenance.records.decoding import LIMIT_BYTES
from provenance.records.openlineage import read_event
from provenance.schemas.queries import EventQuery, read_query
from provenance.services.record_events import make_record, record_event
from provenance.services.record_jobs import STATUS
from provenance.services.write_tokens import Grant

section = Section("events", "OpenLineage events.")


@section.call(
    "POST",
    "/lineage",
    body=OBJECT,
    answers={201: RecordAnswer, 200: RecordAnswer},
    parameters=parameters(EventQuery),
    errors=(409, 413, 415, 422),
    writes=True,
)
def post_event() -> Response:
    """Take an OpenLineage RunEvent: its run becomes a job, its datasets files. 201 where the run is new; the same again changes nothing."""
    grant = writing_grant()
    experiment = _experiment(grant)
    event = read_event(read_body(LIMIT_BYTES))
    refuse_secrets(event.document)
    refuse_secrets_of(make_record([event], experiment))  # what is wrong is named by its place in this event
    service, now = get_service(), datetime.now(UTC)
    outcome = service.write(
        lambda connection, known: record_event(
            connection, known, service.store, event, experiment=experiment, received_at=now, submitter=grant.submitter
        )
    )
    return json_answer(record_answer(outcome, public_url()), STATUS[outcome.change])


def _experiment(grant: Grant) -> str:
    """Return whose the run is: what the address says, else what the token is of."""
    experiment = read_query(EventQuery, request.args).get("experiment") or grant.experiment
    if experiment is None:
        message = "experiment: say whose run it is, with a token or with experiment= in the address."
        raise BadInputError(message, {"experiment": ["missing"]})
    check_experiment(grant, experiment)
    return experiment
