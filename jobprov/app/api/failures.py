"""Why jobs failed, over HTTP, and the rules of triage that tell what failures mean, in versions."""

import msgspec
from flask import Response, request

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import sent_document
from jobprov.app.kept_answers import read_filtered
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.failures import (
    ErrorCounts,
    ExperimentRules,
    RulesDeclared,
    RulesReapplied,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.records.job_record import Name
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.queries import AfterQuery, ComparatorsQuery, ErrorsQuery
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.failures.rules import declare_rules, reclassify, show_rules
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.kept_answers.counting import ERRORS
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.triage.rules import RuleTable

errors_section = Section("errors", "Why jobs failed.")
rules_section = Section("rules", "Rules of triage: what the failures of an experiment mean.")

_RULES_BYTES = 1024 * 1024


@errors_section.get("/statistics/errors", ErrorCounts, query=ErrorsQuery, errors=(413,))
def get_errors() -> Response:
    """Return why jobs failed, and which hosts and sites stand out."""
    query = asked(ErrorsQuery)
    order = {name: query.pop(name) for name in ("by", "sort") if name in query}
    return json_answer(read_filtered(ERRORS, JobFilters(**query), **order))


class ReclassificationBody(msgspec.Struct, kw_only=True):
    """Which failures are read again: those of one task, or of the whole experiment."""

    task_id: Name | None = None


@rules_section.put(
    "/rules/<experiment>",
    {200: RulesDeclared, 201: RulesDeclared},
    body=RuleTable,
    query=AfterQuery,
    errors=(409,),
)
def put_rules(experiment: str) -> Response:
    """Declare the rules of an experiment as a whole.

    The answer is 201 with their new version, or 200 where they are the same again.
    """
    grant = writing_grant(Scope.DECLARE)
    check_experiment(grant, checked_name(experiment, "experiment"))
    query = read_query(AfterQuery, request.args)
    document = sent_document(_RULES_BYTES)
    answer = get_service().write(
        lambda writing: declare_rules(writing, experiment, document, **query),
        submitter=grant.submitter,
    )
    status = 201 if answer.is_new else 200
    return json_answer(answer, status)


@rules_section.get("/rules/<experiment>", ExperimentRules, query=ComparatorsQuery, errors=(404,))
def get_rules(experiment: str) -> Response:
    """Return the rules of an experiment, and who made each version and why.

    The built-in rules, which are tried after them, are in the answer as well.
    """
    query = asked(ComparatorsQuery)
    with get_service().reading() as connection:
        return json_answer(show_rules(connection, checked_name(experiment, "experiment"), **query))


@rules_section.post(
    "/rules/<experiment>/reclassifications",
    {202: RulesReapplied},
    body=ReclassificationBody,
    errors=(404,),
)
def post_reclassification(experiment: str) -> Response:
    """Have failures read again by the newest rules, their stored logs included.

    The work is done in the background.
    """
    grant = writing_grant(Scope.DECLARE)
    check_experiment(grant, checked_name(experiment, "experiment"))
    body = read_document(
        parse_object(read_body(_RULES_BYTES)), ReclassificationBody, "The reclassification"
    )
    service = get_service()
    with service.reading() as connection:
        find_experiment(connection, experiment)
        task = find_task(connection, body.task_id, experiment=experiment) if body.task_id else None
    answer = service.write(
        lambda writing: reclassify(writing, experiment, task=task),
        submitter=grant.submitter,
    )
    return json_answer(answer, 202)
