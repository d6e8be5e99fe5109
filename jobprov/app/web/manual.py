"""The documentation: its pages, and a search in them."""

from typing import NamedTuple

from flask import Response, redirect, request

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.manual import (
    GROUPS,
    MOST_FOUND,
    ManualPage,
    PagePart,
    manual,
    search_manual,
)
from jobprov.app.web.frame.page import answer, asked_number, pages
from jobprov.provenance.answers.addresses import manual_page
from jobprov.provenance.errors import NotFoundError

_LONGEST = 200
_CHAPTER = 2


class ManualLink(NamedTuple):
    """A page or a chapter that one can go to."""

    title: str
    url: str
    is_here: bool = False


class Shelf(NamedTuple):
    """The pages of one folder."""

    title: str
    links: list[ManualLink]
    is_open: bool


@pages.get("/docs/", endpoint="manual_start")
@pages.get("/docs/<path:name>", endpoint="manual")
def show_page(name: str = "") -> Response:
    """Show a page of the documentation, of a long one the part that is asked for."""
    wanted = name.removesuffix("/").removesuffix(".md")
    page = manual().pages.get(wanted)
    if page is None:
        raise NotFoundError(f"The documentation has no page {wanted[:100]!r}.")
    if wanted != name:
        return Response(status=301, headers={"Location": redirect(page.address()).location})
    number = asked_number("part", least=1, most=len(page.parts)) or 1
    return answer(
        "manual/page.html",
        page=page,
        part=number,
        group=GROUPS.get(page.group, ""),
        html=page.parts[number - 1].html,
        chapters=_chapters(page, page.parts[number - 1]),
        shelves=shelves(page),
        following=_following(page, number),
    )


@pages.get("/docs/search", endpoint="manual_search")
def show_found() -> Response:
    """Show the sections that have all words of the question."""
    text = request.args.get("q", "").replace("\0", "").strip()[:_LONGEST]
    found = search_manual(text)
    return answer(
        "manual/search.html",
        text=text,
        found=found,
        has_more=len(found) == MOST_FOUND,
        names=address("/search", {"q": text}),
        shelves=shelves(None),
    )


def shelves(here: ManualPage | None) -> list[Shelf]:
    """Return all pages by folder; only the folder of this one is open."""
    all_shelves = []
    for group, title in GROUPS.items():
        is_open = here is not None and here.group == group
        links = []
        for page in manual().in_group(group):
            if group != "decisions" or is_open or page.name == group:
                links.append(ManualLink(page.title, page.address(), page is here))
        all_shelves.append(Shelf(title, links, is_open))
    return all_shelves


def _chapters(page: ManualPage, part: PagePart) -> list[ManualLink]:
    """Return the chapters of a page; those of other parts have an address of their own."""
    chapters = []
    for section in page.sections:
        if section.heading.level == _CHAPTER:
            anchor = section.heading.anchor
            url = f"#{anchor}" if anchor in part.anchors else page.address(anchor)
            chapters.append(ManualLink(section.heading.title, url))
    return chapters


def _following(page: ManualPage, number: int) -> list[ManualLink]:
    """Return the parts of a long page before and after this one."""
    around = []
    if number > 1:
        around.append(ManualLink("The part before", manual_page(page.name, part=number - 1)))
    if number < len(page.parts):
        around.append(ManualLink("Goes on", manual_page(page.name, part=number + 1)))
    return around
