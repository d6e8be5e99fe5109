"""Bundles of many jobs over HTTP, and how an experiment has the outputs of reruns compared."""

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, asked_of_task, checked_campaign, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import sent_document
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.bundles import ComparatorsDeclared, ExperimentComparators
from jobprov.provenance.bundle.comparison.comparators import OutputRules
from jobprov.provenance.schemas.production_queries import TaskBundleQuery
from jobprov.provenance.schemas.queries import (
    CampaignBundleQuery,
    ComparatorsQuery,
)
from jobprov.provenance.services.bundles.campaign_bundle import WantedJobs, build_campaign
from jobprov.provenance.services.bundles.comparators import declare_comparators, show_comparators
from jobprov.provenance.services.intake.tokens import Scope

bundles_section = Section("bundles", "Bundles of many jobs.")
_BUNDLE_ANSWERS = {
    200: ("application/x-tar", "The bundle; `sh run.sh --list-jobs` says which jobs it holds.")
}
comparators_section = Section(
    "comparators", "How outputs of reruns are compared with what was recorded."
)

_COMPARATORS_BYTES = 1024 * 1024


@bundles_section.get(
    "/tasks/<task_id>/bundle", _BUNDLE_ANSWERS, query=TaskBundleQuery, errors=(300, 404, 409)
)
def get_task_bundle(task_id: str) -> Response:
    """Return the bundle of all jobs of a task."""
    task_id, query = asked_of_task(TaskBundleQuery, task_id)
    return _bundle_answer(
        WantedJobs(task_id=task_id, experiment=query.get("experiment"), stage=query.get("stage")),
        query.get("level"),
    )


@bundles_section.get(
    "/campaigns/<path:name>/bundle",
    _BUNDLE_ANSWERS,
    query=CampaignBundleQuery,
    errors=(300, 404, 409),
)
def get_campaign_bundle(name: str) -> Response:
    """Return the bundle of all jobs of a campaign, or of one stage of it."""
    query = asked(CampaignBundleQuery)
    campaign = checked_campaign(query.get("campaign", name))
    return _bundle_answer(
        WantedJobs(campaign=campaign, experiment=query.get("experiment"), stage=query.get("stage")),
        query.get("level"),
    )


def _bundle_answer(wanted: WantedJobs, level: str | None) -> Response:
    service = get_service()
    built = build_campaign(service.readable(), service.store, wanted, level=level)
    answer = Response(built.stream(), content_type="application/x-tar")
    answer.content_length = built.size_bytes
    answer.set_etag(built.etag)
    answer.headers.set("Content-Disposition", "attachment", filename=f"{built.plan.top}.tar")
    answer.headers["Cache-Control"] = "no-cache"
    answer.make_conditional(request)
    return answer


@comparators_section.put(
    "/comparators/<experiment>",
    {200: ComparatorsDeclared, 201: ComparatorsDeclared},
    body=OutputRules,
)
def put_comparators(experiment: str) -> Response:
    """Declare the comparators of an experiment as a whole.

    The answer is 201 with their new version, or 200 where they are the same again.
    """
    grant = writing_grant(Scope.DECLARE)
    check_experiment(grant, checked_name(experiment, "experiment"))
    document = sent_document(_COMPARATORS_BYTES)
    answer = get_service().write(
        lambda writing: declare_comparators(writing, experiment, document),
        submitter=grant.submitter,
    )
    status = 201 if answer.is_new else 200
    return json_answer(answer, status)


@comparators_section.get(
    "/comparators/<experiment>", ExperimentComparators, query=ComparatorsQuery, errors=(404,)
)
def get_comparators(experiment: str) -> Response:
    """Return the comparators of an experiment, and when each version of them came."""
    query = asked(ComparatorsQuery)
    with get_service().reading() as connection:
        return json_answer(
            show_comparators(connection, checked_name(experiment, "experiment"), **query)
        )
