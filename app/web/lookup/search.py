"""What the search box finds: one list of hits, by kind; a single exact hit is shown at once."""

from collections.abc import Sequence
from typing import NamedTuple

from flask import Blueprint, Response, redirect, request

from jobprov.app.web.frame.page import answer
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup.search import Hit
from jobprov.provenance.lineage.drawing.captions import safe_url
from jobprov.provenance.lineage.sentences import name_in_path
from jobprov.provenance.services.lookup.search import MOST, search

_TITLES = {
    "file": "Files",
    "job": "Jobs",
    "task": "Tasks",
    "campaign": "Campaigns",
    "commit": "Commits",
    "host": "Hosts",
}
"""The kinds of hits in the order of the page."""
_LONGEST = 1000


class SearchQuestion(NamedTuple):
    """What the address asks.

    Attributes:
        wants_all: to see the list even where one thing alone has exactly this name.
    """

    text: str
    wants_all: bool

    @classmethod
    def from_request(cls) -> "SearchQuestion":
        """Return what the query of the address says."""
        text = request.args.get("q", "").strip()[:_LONGEST]
        return cls(text, wants_all=bool(request.args.get("all")))


class Group(NamedTuple):
    """The hits of one kind."""

    title: str
    hits: list[Hit]


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/search", view_func=show_hits)


def show_hits() -> Response:
    """Show what was found; lead straight to the only thing of exactly this name."""
    question = SearchQuestion.from_request()
    with get_service().reading() as connection:
        hits = search(connection, question.text).hits
    text = _searched_text(question.text, hits)
    exact = [hit for hit in hits if hit.text == text]
    if len(exact) == 1 and safe_url(exact[0].url) and not question.wants_all:
        return Response(status=303, headers={"Location": redirect(exact[0].url).location})
    groups = _by_kind(hits)
    return answer(
        "lookup/search.html",
        text=text,
        groups=groups,
        count=len(hits),
        most=MOST,
        is_more=any(len(group.hits) >= MOST for group in groups),
    )


def _searched_text(text: str, hits: Sequence[Hit]) -> str:
    """Return what the hits begin with: of a path that nothing begins with, its last part."""
    is_path = bool(hits) and "/" in text
    if is_path and not any(hit.text.startswith(text) for hit in hits):
        return name_in_path(text)
    return text


def _by_kind(hits: Sequence[Hit]) -> list[Group]:
    groups = []
    for kind, title in _TITLES.items():
        of_kind = [hit for hit in hits if hit.kind == kind]
        if of_kind:
            groups.append(Group(title, of_kind))
    return groups
