"""OpenLineage events over HTTP, as its stock clients send them."""

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer, public_url, record_answer
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets_of, sent_document
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.catalogs.events import EventAnswer
from jobprov.provenance.answers.recording import RecordAnswer
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.records.openlineage.runs import run_event_of
from jobprov.provenance.records.openlineage.static_events import (
    DatasetEvent,
    JobEvent,
    sightings_of_event,
    static_event_of,
)
from jobprov.provenance.records.reading.decoding import LIMIT_BYTES
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.queries import EventQuery
from jobprov.provenance.services.catalogs.events import (
    make_record,
    record_event,
    record_static_event,
)
from jobprov.provenance.services.intake.tokens import Grant
from jobprov.provenance.services.recording.submissions import STATUS

section = Section("events", "OpenLineage events.")


@section.post(
    "/lineage",
    {201: RecordAnswer | EventAnswer, 200: RecordAnswer | EventAnswer},
    body=OBJECT,
    query=EventQuery,
    errors=(409,),
)
def post_event() -> Response:
    """Take an OpenLineage event; 201 if it brought anything new.

    A run becomes a job, a job without a run a declared task, and a dataset a file.
    """
    grant = writing_grant()
    experiment = _experiment(grant)
    document = sent_document(LIMIT_BYTES, "The event")
    static = static_event_of(document)
    if static is not None:
        return _take_static(static, document, experiment, grant)
    event = run_event_of(document)
    # What is wrong is named by its place in this event
    refuse_secrets_of(make_record([event], experiment))
    outcome = get_service().write(
        lambda writing: record_event(writing, event, experiment=experiment),
        submitter=grant.submitter,
    )
    return json_answer(record_answer(outcome, public_url()), STATUS[outcome.change])


def _take_static(
    event: JobEvent | DatasetEvent, document: JsonObject, experiment: str, grant: Grant
) -> Response:
    """Take an event of a job or dataset alone."""
    # A bad name is refused before anything is written
    sightings_of_event(event, experiment)
    answer = get_service().write(
        lambda writing: record_static_event(
            writing,
            event,
            document,
            experiment=experiment,
        ),
        submitter=grant.submitter,
    )
    return json_answer(answer, 201 if answer.change == "created" else 200)


def _experiment(grant: Grant) -> str:
    """Return the experiment of the run: the one in the address, else that of the token."""
    experiment = read_query(EventQuery, request.args).get("experiment") or grant.experiment
    if experiment is None:
        message = (
            "experiment: say whose run it is, with a token or with experiment= in the address."
        )
        raise BadInputError(message, {"experiment": ["missing"]})
    check_experiment(grant, experiment)
    return experiment
