"""Campaigns over HTTP, and the samples that they made."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_word, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.kept_answers import read_answer, read_report
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.campaigns import CampaignProgress, CampaignReport
from jobprov.provenance.answers.tasks import Samples
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.schemas.production_queries import CampaignQuery, NamedCampaignQuery
from jobprov.provenance.services.statistics.counting import CAMPAIGN
from jobprov.provenance.services.tasks.samples import list_samples

campaigns_section = Section("campaign-progress", "How far campaigns are.")
samples_section = Section("samples", "Samples by data tier: done and expected.")


@campaigns_section.call(
    "GET",
    "/campaigns/<path:name>",
    answers={200: CampaignProgress},
    parameters=parameters(NamedCampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_campaign(name: str) -> Response:
    """Return how far a campaign is: its stages in the order of production and its tasks, with their units."""
    query = asked(NamedCampaignQuery)
    campaign = checked_word(query.pop("campaign", name), "campaign")
    return json_answer(read_answer(CAMPAIGN, **query, campaign=campaign))


@campaigns_section.call(
    "GET",
    "/campaigns/<path:name>/report",
    answers={200: CampaignReport},
    parameters=parameters(NamedCampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_report(name: str) -> Response:
    """Return a campaign in one document: how far it is, what was waived, why jobs failed, what they took."""
    query = asked(NamedCampaignQuery)
    campaign = checked_word(query.get("campaign", name), "campaign")
    try:
        return json_answer(read_report(query["experiment"], campaign))
    except NotFoundError as problem:
        if "campaign" in query:
            raise
        try:
            return get_campaign(f"{name}/report")  # a campaign may be called so
        except NotFoundError:
            raise problem from None


@samples_section.call(
    "GET",
    "/samples",
    answers={200: Samples},
    parameters=parameters(CampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_samples() -> Response:
    """Return the declared tasks of an experiment as samples by data tier."""
    experiment, service = asked(CampaignQuery)["experiment"], get_service()
    with service.reading() as connection:
        return json_answer(list_samples(connection, service.store, experiment))
