"""Comparators over HTTP: how an experiment has the outputs of reruns compared."""

from datetime import UTC, datetime

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.bundles import ComparatorsDeclared, ExperimentComparators
from jobprov.provenance.bundle.comparison.comparators import OutputRules
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.schemas.queries import ComparatorsQuery
from jobprov.provenance.services.bundles.comparators import declare_comparators, show_comparators
from jobprov.provenance.services.intake.tokens import Scope

section = Section("comparators", "How outputs of reruns are compared with what was recorded.")

_BODY_BYTES = 1024 * 1024


@section.call(
    "PUT",
    "/comparators/<experiment>",
    body=OutputRules,
    answers={200: ComparatorsDeclared, 201: ComparatorsDeclared},
    errors=(413, 415, 422),
    writes=True,
)
def put_comparators(experiment: str) -> Response:
    """Declare the comparators of an experiment as a whole.

    The answer is 201 with their new version, or 200 where they are the same again.
    """
    grant = writing_grant(Scope.DECLARE)
    check_experiment(grant, checked_name(experiment, "experiment"))
    document, now = parse_object(read_body(_BODY_BYTES)), datetime.now(UTC)
    refuse_secrets(document)
    answer = get_service().write(
        lambda writing: declare_comparators(writing, experiment, document),
        received_at=now,
        submitter=grant.submitter,
    )
    status = 201 if answer.is_new else 200
    return json_answer(answer, status)


@section.call(
    "GET",
    "/comparators/<experiment>",
    answers={200: ExperimentComparators},
    parameters=parameters(ComparatorsQuery),
    errors=(401, 404, 422),
)
def get_comparators(experiment: str) -> Response:
    """Return the comparators of an experiment, and when each version of them came."""
    query = asked(ComparatorsQuery)
    with get_service().reading() as connection:
        return json_answer(
            show_comparators(connection, checked_name(experiment, "experiment"), **query)
        )
