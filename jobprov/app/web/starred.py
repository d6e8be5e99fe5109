"""Pages that somebody keeps on the first page: campaigns, tasks and lists, without a login.

A cookie of the browser holds their addresses, and nothing is kept here. `starred=` in the address
of the first page names them instead, so that a list can be shared and be a bookmark.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from flask import Response, redirect, request
from werkzeug.exceptions import Forbidden

from jobprov.app.access.cookies import keep_in_browser
from jobprov.app.access.locality import is_cross_site
from jobprov.app.web.frame.markup import narrowed
from jobprov.app.web.frame.page import pages
from jobprov.provenance.answers.addresses import home_page, with_query
from jobprov.provenance.errors import BadInputError

MOST = 12
_MOST_LETTERS = 400
_MOST_TOGETHER = 3000
"""Letters: a cookie holds 4 kB."""
_COOKIE, _BETWEEN = "jobprov-starred", "|"
_SECONDS = 365 * 86_400
_ADDRESS = re.compile(r"/[A-Za-z0-9._~%/?&=+:@!$'()*,;-]*")
_TITLES = {
    "jobs": "Jobs",
    "errors": "Errors",
    "throughput": "Throughput",
    "resources": "Resources",
    "modules": "Modules",
    "queue": "Running and waiting",
    "workflows": "Workflows",
    "alerts": "Alerts",
    "proofs": "Proofs",
}
"""Lists, whose titles say what they are narrowed down to."""
_KINDS = {
    "campaigns": "Campaign",
    "reports": "Report of",
    "tasks": "Task",
    "samples": "Samples of",
    "workflows": "Workflow",
}
"""Pages of one thing, whose name is the end of their path."""
_OF_A_LOOK = frozenset({"cursor", "limit", "whole", "from", "format"})


class StarredPage(NamedTuple):
    """A starred page: its address and its title."""

    address: str
    title: str


@pages.post("/starred", endpoint="starred")
def change() -> Response:
    """Keep a page, or keep it no more, and go back to where the form was.

    Raises:
        Forbidden: another site's page sent the form.
        BadInputError: such a page cannot be kept, or there is no room.
    """
    if is_cross_site():
        raise Forbidden("This form was sent by a page of another site.")
    page = _page_at(request.form.get("page", ""))
    if page is None:
        message = "a campaign, a task, a workflow or a list of this service"
        raise BadInputError.of_field("page", f"not {message}")
    addresses = [kept.address for kept in starred_pages() if kept.address != page.address]
    if request.form.get("do") == "star":
        addresses.append(page.address)
        _check_room(addresses)
    back = home_page() if request.form.get("back") == "home" else page.address
    answer = redirect(back, 303)
    assert isinstance(answer, Response)  # noqa: S101 - Flask's own
    kept_for = _SECONDS if addresses else 0
    keep_in_browser(answer, _COOKIE, _BETWEEN.join(addresses), max_age=kept_for)
    return answer


def starred_pages() -> list[StarredPage]:
    """Return the pages that this browser keeps, in the order in which they were starred."""
    return _pages_at(request.cookies.get(_COOKIE, "").split(_BETWEEN))


def shared_pages() -> list[StarredPage]:
    """Return the pages that the address of the first page names."""
    return _pages_at(request.args.getlist("starred"))


def is_starred(address: str) -> bool:
    """Return whether this browser keeps the page of an address."""
    page = _page_at(address)
    return page is not None and page in starred_pages()


def sharing_address(pages: Iterable[StarredPage]) -> str:
    """Return the address of the first page with these pages."""
    words = "&".join(with_query("", {"starred": page.address})[1:] for page in pages)
    return f"{home_page()}?{words}"


def _check_room(addresses: list[str]) -> None:
    """Raise an error where these are more than a cookie holds.

    Raises:
        BadInputError: there are too many, or they are too long together.
    """
    if len(addresses) > MOST or sum(map(len, addresses)) > _MOST_TOGETHER:
        message = f"the first page keeps {MOST} at most; remove one there"
        raise BadInputError.of_field("page", message)


def _pages_at(addresses: Iterable[str]) -> list[StarredPage]:
    """Return the pages of these addresses, each once, without those that are not ours."""
    pages: dict[str, StarredPage] = {}
    for address in addresses:
        page = _page_at(address)
        if page is not None and len(pages) < MOST:
            pages[page.address] = page
    return list(pages.values())


def _page_at(address: str) -> StarredPage | None:
    """Return the page of an address; None if it is not a page of ours, or cannot be kept."""
    path_names = _path_names(address)
    if not path_names:
        return None
    parts = urlsplit(address)
    query = {}
    for name, value in parse_qsl(parts.query):
        if name not in _OF_A_LOOK:
            query[name] = value
    page_address = with_query(parts.path, query)
    kind, *names = path_names
    if not names and kind in _TITLES:
        return StarredPage(page_address, f"{_TITLES[kind]}{narrowed(query)}")
    if names and kind in _KINDS:
        # `/tasks/NAME`, or `/campaigns/EXPERIMENT/NAME`, whose name may hold slashes
        own_name = "/".join(names[1:] or names)
        return StarredPage(page_address, f"{_KINDS[kind]} {query.get('campaign') or own_name}")
    return None


def _path_names(address: str) -> list[str]:
    """Return the decoded parts of the path of an address; none if it cannot be a page of ours."""
    if len(address) > _MOST_LETTERS or not _ADDRESS.fullmatch(address):
        return []
    parts = urlsplit(address)
    if parts.netloc or not parts.path.startswith("/"):
        return []
    names = [unquote(name) for name in parts.path.split("/")[1:]]
    if any(name in ("", ".", "..") for name in names):
        return []
    return names
