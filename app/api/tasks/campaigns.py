"""How far a campaign is, over HTTP, and the report of it."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_word, parameters
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.kept_answers import read_answer, read_report
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.schemas.production_queries import NamedCampaignQuery

section = Section("campaign-progress", "How far campaigns are.")


@section.call(
    "GET",
    "/campaigns/<path:campaign>",
    answers={200: OBJECT},
    parameters=parameters(NamedCampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_campaign(campaign: str) -> Response:
    """Return how far a campaign is: its stages in the order of production and its tasks, with their units."""
    query = asked(NamedCampaignQuery)
    name = checked_word(query.pop("campaign", campaign), "campaign")
    return json_answer(read_answer("campaign", **query, campaign=name))


@section.call(
    "GET",
    "/campaigns/<path:campaign>/report",
    answers={200: OBJECT},
    parameters=parameters(NamedCampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_report(campaign: str) -> Response:
    """Return a campaign in one document: how far it is, what was waived, why jobs failed, what they took."""
    query = asked(NamedCampaignQuery)
    name = checked_word(query.get("campaign", campaign), "campaign")
    try:
        return json_answer(read_report(query["experiment"], name))
    except NotFoundError as problem:
        if "campaign" in query:
            raise
        try:
            return get_campaign(f"{campaign}/report")  # a campaign may be called so
        except NotFoundError:
            raise problem from None
