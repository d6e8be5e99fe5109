"""What the search box finds: one list of hits, by kind; a single exact hit is shown at once."""

from itertools import groupby

from flask import Blueprint, Response, redirect, request

from jobprov.app.web.frame.page import answer
from jobprov.app.wiring import get_service
from jobprov.provenance.lineage.captions import safe_url
from jobprov.provenance.lineage.sentences import name_in_path
from jobprov.provenance.services.lookup.search import MOST, search

_KINDS = {
    "file": "Files",
    "job": "Jobs",
    "batch": "Batch jobs",
    "task": "Tasks",
    "campaign": "Campaigns",
    "commit": "Commits",
    "host": "Hosts",
}
_LONGEST = 1000


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/search", view_func=show_hits)


def show_hits() -> Response:
    """Show what was found; lead straight to the only thing of exactly this name."""
    text = request.args.get("q", "").strip()[:_LONGEST]
    with get_service().reading() as connection:
        hits = search(connection, text)
    if hits and "/" in text and not any(hit["text"].startswith(text) for hit in hits):
        text = name_in_path(text)
    exact = [hit for hit in hits if hit["text"] == text]
    if len(exact) == 1 and safe_url(exact[0]["url"]) and not request.args.get("all"):
        return Response(status=303, headers={"Location": redirect(exact[0]["url"]).location})
    order = {kind: place for place, kind in enumerate(_KINDS)}
    hits.sort(key=lambda hit: order.get(hit["kind"], len(order)))
    groups = [
        (_KINDS.get(kind, kind), list(some))
        for kind, some in groupby(hits, key=lambda hit: hit["kind"])
    ]
    return answer(
        "lookup/search.html",
        text=text,
        groups=groups,
        count=len(hits),
        most=MOST,
        is_more=any(len(some) >= MOST for _, some in groups),
    )
