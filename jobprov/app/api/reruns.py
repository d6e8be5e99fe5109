"""Proofs of recipes over HTTP: how campaigns stand, what did not pass, what is rerun next."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked
from jobprov.app.api.wire.documenting import Section
from jobprov.app.kept_answers import read_answer
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.reruns.proofs import JobsToProve, ProofList
from jobprov.provenance.schemas.queries import ProofsQuery, ToProveQuery
from jobprov.provenance.services.kept_answers.counting import PROOFS
from jobprov.provenance.services.reruns.proof_lists import MOST_NEXT, list_next

section = Section("proofs", "Which recipes came out as recorded when they were rerun.")


@section.get("/proofs", ProofList, query=ProofsQuery)
def get_proofs() -> Response:
    """Return how the recipes of campaigns stand, and those that did not pass."""
    return json_answer(read_answer(PROOFS, **asked(ProofsQuery)))


@section.get("/proofs/next", JobsToProve, query=ToProveQuery, errors=(404,))
def get_next() -> Response:
    """Return the jobs of an experiment whose recipes are to be rerun next, in order."""
    query = {"limit": MOST_NEXT, **asked(ToProveQuery)}
    with get_service().reading() as connection:
        return json_answer(list_next(connection, query["experiment"], limit=query["limit"]))
