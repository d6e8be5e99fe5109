"""What the search box finds: hits by kind, with counts; a single exact hit is shown at once."""

from collections.abc import Mapping
from typing import NamedTuple

from flask import Response, redirect, request

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.page import answer, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.search import Hit, Hits
from jobprov.provenance.lineage.drawing.captions import safe_url
from jobprov.provenance.services.search.search import KINDS, MOST, search

_TITLES: Mapping[str, str] = {
    "file": "Files",
    "job": "Jobs",
    "task": "Tasks",
    "campaign": "Campaigns",
    "stage": "Stages",
    "site": "Sites",
    "host": "Hosts",
    "software": "Software",
    "commit": "Commits",
    "module": "Modules",
    "parameter": "Parameters",
    "message": "Messages of failures",
}
"""The kinds of hits in the order of the page."""
_SHOWN_AT_ONCE = frozenset({"file", "job", "task", "campaign", "commit", "host"})
"""Of these kinds, a single exact hit is meant, whatever else holds the text."""
_LONGEST = 1000
_MOST_OF_ONE_KIND = 100


class SearchQuestion(NamedTuple):
    """What the address asks.

    Attributes:
        wants_all: to see the list even where one thing alone has exactly this name.
        kind: the only kind that is wanted; None for all.
    """

    text: str
    wants_all: bool
    kind: str | None

    @classmethod
    def from_request(cls) -> "SearchQuestion":
        """Return the question in the query of the address."""
        text = request.args.get("q", "").replace("\0", "").strip()[:_LONGEST]
        kind = request.args.get("kind")
        if kind not in KINDS:
            kind = None
        return cls(text, wants_all=bool(request.args.get("all")) or kind is not None, kind=kind)


class Group(NamedTuple):
    """The hits of one kind.

    Attributes:
        has_more: whether there are more than were counted.
        further: the address that lists more of this kind; None where all are shown.
    """

    kind: str
    title: str
    hits: list[Hit]
    total: int
    has_more: bool
    further: str | None


@pages.get("/search")
def show_hits() -> Response:
    """Show what was found; if only one thing has exactly this name, redirect to its page."""
    question = SearchQuestion.from_request()
    limit = MOST if question.kind is None else _MOST_OF_ONE_KIND
    with get_service().reading() as connection:
        result = search(connection, question.text, kind=question.kind, limit=limit)
    only_exact = _only_exact(result)
    if only_exact is not None and not question.wants_all:
        return Response(status=303, headers={"Location": redirect(only_exact.url).location})
    twin = None
    if question.text:
        words = {"q": question.text, "kind": question.kind, "limit": str(limit)}
        twin = address("/search", words)
    all_kinds = None
    if question.kind is not None:
        all_kinds = address("/search", {"q": question.text, "all": "1"})
    return answer(
        "search/search.html",
        twin=twin,
        text=result.text,
        groups=_by_kind(result, question),
        near=result.near,
        count=sum(count.count for count in result.counts),
        has_more=any(count.has_more for count in result.counts),
        note=result.note,
        all_kinds=all_kinds,
    )


def _only_exact(result: Hits) -> Hit | None:
    """Return the only thing of exactly this name that has a page; None if there is not just one."""
    exact = [hit for hit in result.hits if hit.text == result.text and hit.kind in _SHOWN_AT_ONCE]
    if len(exact) != 1 or not safe_url(exact[0].url):
        return None
    return exact[0]


def _by_kind(result: Hits, question: SearchQuestion) -> list[Group]:
    counts = {count.kind: count for count in result.counts}
    groups = []
    for kind, title in _TITLES.items():
        if kind not in counts:
            continue
        count = counts[kind]
        hits = [hit for hit in result.hits if hit.kind == kind]
        further = None
        if question.kind is None and count.count > len(hits):
            further = address("/search", {"q": result.text, "kind": kind})
        groups.append(Group(kind, title, hits, count.count, count.has_more, further))
    return groups
