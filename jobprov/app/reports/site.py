"""A copy of some pages as files, and the page that lists the campaigns of such a copy.

It can be kept beside a result, sent to somebody, or put on a server that only serves files.

Pages are copied nearest first from the starting page; links to others lead back to the service.
Scripts are left out, as every page works without them, and so is what keeps a page up to date.
"""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from html import escape, unescape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

from jobprov.app.reports.page import template
from jobprov.app.reports.rows import headline, moment
from jobprov.provenance.answers.addresses import campaign_page, report_page
from jobprov.provenance.answers.statistics.campaigns import CampaignProgress
from jobprov.provenance.lineage.words import number
from jobprov.provenance.progress import tell

FOLLOWED = (
    "/campaigns/",
    "/reports/",
    "/samples/",
    "/tasks/",
    "/jobs/",
    "/files/",
    "/lineage/",
    "/errors",
    "/resources",
    "/modules",
)
"""Beginnings of the addresses of pages that are taken."""

_ASKED = frozenset(
    ("experiment", "namespace", "campaign", "stage", "task_id", "state", "whole", "from")
)
"""What an address may ask for and be taken: other questions make endless variants of one page."""

_ATTRIBUTE = re.compile(r'\b(href|src|action)="([^"]*)"')
_LIVE = re.compile(r'<span class="live">[^<]*</span>|(?<= )hx-[a-z]+="[^"]*"')
_SCRIPT = re.compile(
    r'<script\b[^>]*></script>\s*|<link rel="(?:module)?preload"[^>]*>\s*|</?noscript>'
)
"""What only scripts need; what stands where there are none is for everybody then."""
_LONGEST = 80
_HTML = "text/html"
_FIRST = "index.html"


class Fetched(NamedTuple):
    """What the service answered: the address that it led to, the type and the bytes."""

    address: str
    content_type: str
    body: bytes


class Copied(NamedTuple):
    """What a copy holds: pages, other files, and how many pages were found and left."""

    pages: int
    files: int
    left: int


def copy_pages(
    fetch: Callable[[str], Fetched | None],
    starts: Iterable[str],
    folder: Path,
    *,
    service: str,
    most: int,
) -> Copied:
    """Write pages and what they need into `folder`; return how many.

    Args:
        fetch: returns what an address (path and query) answers, None where it answers an error.
        starts: addresses to begin with; the first becomes `index.html`.
        folder: where; it is there.
        service: the address that links to other pages lead to.
        most: pages at most.
    """
    taken = _take_pages(fetch, starts, folder, most)
    file_of = {address: _place(address, _HTML) for address in taken.pages}
    with_links = list(taken.pages)
    for address in taken.shown:
        answer = fetch(address)
        if answer is None:
            continue
        file_of[address] = _place(address, answer.content_type)
        _write(folder / file_of[address], answer.body)
        if answer.content_type.startswith("image/svg"):
            with_links.append(address)
    for address in with_links:
        place = file_of[address]
        text = (folder / place).read_text(encoding="utf-8")
        _write(folder / place, _rewrite(text, address, file_of, service, place).encode())
        if address == taken.pages[0]:
            _write(folder / _FIRST, _rewrite(text, address, file_of, service, _FIRST).encode())
    page_count = len(taken.pages)
    return Copied(page_count, len(file_of) - page_count, taken.left)


class _TakenPages(NamedTuple):
    """Pages that were written as they came.

    Attributes:
        pages: their addresses.
        shown: addresses of what they show, such as pictures and stylesheets.
        left: how many more pages were found.
    """

    pages: list[str]
    shown: list[str]
    left: int


def _take_pages(
    fetch: Callable[[str], Fetched | None], starts: Iterable[str], folder: Path, most: int
) -> _TakenPages:
    """Write pages as they come, nearest first."""
    waiting = deque(dict.fromkeys(starts))
    known = set(waiting)
    pages: list[str] = []
    shown: dict[str, None] = {}
    while waiting and len(pages) < most:
        address = waiting.popleft()
        answer = fetch(address)
        if answer is None or not answer.content_type.startswith(_HTML):
            continue
        text = _LIVE.sub("", _SCRIPT.sub("", answer.body.decode("utf-8", "replace")))
        _write(folder / _place(address, _HTML), text.encode())
        pages.append(address)
        tell("pages taken", len(pages), min(most, len(pages) + len(waiting)))
        for attribute, target in _links(text, address):
            if _is_shown(attribute, target):
                shown[target] = None
            elif attribute == "href" and _is_page(target) and target not in known:
                known.add(target)
                waiting.append(target)
    return _TakenPages(pages, list(shown), len(waiting))


def _is_shown(attribute: str, address: str) -> bool:
    """Return whether a page shows what is at an address, rather than leading there."""
    return attribute == "src" or address.startswith("/static/")


def _links(text: str, address: str) -> Iterable[tuple[str, str]]:
    """Yield (attribute, address) of what a page leads to within the service."""
    for match in _ATTRIBUTE.finditer(text):
        value = unescape(match[2])
        if _is_inside(value):
            yield match[1], urljoin(address, value).partition("#")[0]


def _is_page(address: str) -> bool:
    path, _, query = address.partition("?")
    return (
        path.startswith(FOLLOWED)
        and "/diff" not in path
        and parse_qs(query, keep_blank_values=True).keys() <= _ASKED
    )


def _place(address: str, content_type: str) -> str:
    """Return the file of an address: its path, and a digest of what cannot stand in a file name."""
    path, _, query = address.partition("?")
    parts = [_file_name(unquote(part)) for part in path.split("/") if part]
    if query and not path.startswith("/static/"):
        parts.append(hashlib.sha256(query.encode()).hexdigest()[:12])
    name = "/".join(parts) or "home"
    if content_type.startswith(_HTML):
        return f"{name}/{_FIRST}"
    if content_type.startswith("image/svg") and not name.endswith(".svg"):
        return f"{name}.svg"
    return name


def _file_name(part: str) -> str:
    safe_name = re.sub(r"[^\w.@+-]", "_", part)
    if safe_name == part and len(part) <= _LONGEST and part.strip("."):
        return part
    digest = hashlib.sha256(part.encode()).hexdigest()
    return f"{safe_name[:_LONGEST].lstrip('.')}-{digest[:8]}"


def _rewrite(text: str, address: str, file_of: dict[str, str], service: str, place: str) -> str:
    """Return the page of an address, to lie at `place`, with links to the files of the copy.

    Links to anything else, and forms, lead to the service.
    """
    to_top = "../" * place.count("/")

    def rewritten(match: re.Match[str]) -> str:
        attribute, value = match[1], unescape(match[2])
        if not _is_inside(value):
            return match[0]
        target, hash_, fragment = urljoin(address, value).partition("#")
        if attribute != "action" and target in file_of:
            link = to_top + quote(file_of[target])
        else:
            link = service + target
        return f'{attribute}="{escape(link + hash_ + fragment)}"'

    return _ATTRIBUTE.sub(rewritten, text)


def _is_inside(value: str) -> bool:
    """Return whether a link leads to another address of the service."""
    parts = urlsplit(value)
    return not value.startswith("#") and not parts.scheme and not parts.netloc


def _write(file: Path, body: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)


def site_index(campaigns: Sequence[CampaignProgress], *, made_at: datetime, service: str) -> str:
    """Return the page of several campaigns of one experiment as HTML.

    Its links are addresses of the service, as those of any page before it is copied.
    """
    rows = []
    for campaign in campaigns:
        rows.append(
            {
                "campaign": campaign.campaign,
                "page": campaign_page(campaign.campaign, campaign.experiment),
                "report": report_page(campaign.campaign, campaign.experiment),
                "headline": headline(campaign),
                "stages": ", ".join(stage.stage or "no stage" for stage in campaign.stages),
                "tasks": number(campaign.task_count),
            }
        )
    return template("statistics/site_index.html").render(
        experiment=campaigns[0].experiment,
        campaigns=rows,
        made_at=moment(made_at),
        service=service,
    )
