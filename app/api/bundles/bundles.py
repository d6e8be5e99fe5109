"""Bundles of many jobs over HTTP: of a task, or of a campaign and its stages."""

from flask import Response, request

from jobprov.app.api.wire.asking import asked, checked_name, checked_word, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.schemas.queries import CampaignBundleQuery, ManyBundleQuery
from jobprov.provenance.services.bundles.campaign_bundle import Wanted, build_campaign

section = Section("bundles", "Bundles of many jobs.")
_ANSWERS = {
    200: ("application/x-tar", "The bundle; `sh run.sh --list-jobs` says which jobs it holds.")
}


@section.call(
    "GET",
    "/tasks/<task_id>/bundle",
    answers=_ANSWERS,
    parameters=parameters(ManyBundleQuery),
    errors=(300, 404, 409, 422),
)
def get_task_bundle(task_id: str) -> Response:
    """Return the bundle of all jobs of a task."""
    query = asked(ManyBundleQuery)
    name = checked_name(task_id, "task_id")
    return _sent(
        Wanted(task_id=name, experiment=query.get("experiment"), stage=query.get("stage")),
        query.get("level"),
    )


@section.call(
    "GET",
    "/campaigns/<path:name>/bundle",
    answers=_ANSWERS,
    parameters=parameters(CampaignBundleQuery),
    errors=(300, 404, 409, 422),
)
def get_campaign_bundle(name: str) -> Response:
    """Return the bundle of all jobs of a campaign, or of one stage of it."""
    query = asked(CampaignBundleQuery)
    campaign = checked_word(query.get("campaign", name), "campaign")
    return _sent(
        Wanted(campaign=campaign, experiment=query.get("experiment"), stage=query.get("stage")),
        query.get("level"),
    )


def _sent(wanted: Wanted, level: str | None) -> Response:
    service = get_service()
    built = build_campaign(service.database, service.store, wanted, level=level)
    answer = Response(built.stream(), content_type="application/x-tar")
    answer.content_length = built.size_bytes
    answer.set_etag(built.etag)
    answer.headers.set("Content-Disposition", "attachment", filename=f"{built.plan.top}.tar")
    answer.headers["Cache-Control"] = "no-cache"
    answer.make_conditional(request)
    return answer
