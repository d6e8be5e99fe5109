"""What needs somebody, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked
from jobprov.app.api.wire.documenting import Section
from jobprov.app.kept_answers import read_attention, read_campaigns
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.attention import Attention
from jobprov.provenance.schemas.queries import AttentionQuery
from jobprov.provenance.services.tasks.queue import whole_queue

section = Section("attention", "Whether production is all right, and since when not.")


@section.get("/attention", Attention, query=AttentionQuery)
def get_attention() -> Response:
    """Return what needs somebody now: alerts, new causes of failures, stages that wait, and more."""
    window = asked(AttentionQuery)["since"]
    with get_service().reading() as connection:
        queue = whole_queue(connection, limit=0)
    return json_answer(read_attention(window, read_campaigns(), queue))
