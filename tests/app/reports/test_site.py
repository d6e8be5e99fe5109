"""A copy of pages as files: every link within it leads to a file, every other to the service.

Nothing runs, nothing is fetched.
"""

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

from jobprov.app.reports.site import Copied, Fetched, copy_pages

SERVICE = "https://prov.example.org"
PAGES = {
    "/campaigns/nova/a%2Fb": (
        '<link rel="stylesheet" href="/static/x.css?v=1"><script src="/static/x.js" defer></script>'
        '<form action="/search"></form><a href="/tasks/t?experiment=nova&amp;whole=1#gaps">t</a> '
        '<a href="#here">h</a>'
        '<a href="/search?q=1">s</a><a href="https://else.org/">e</a>'
        '<img src="/lineage/f.root?picture=right">'
    ),
    "/tasks/t?experiment=nova&whole=1": (
        '<a href="/campaigns/nova/a%2Fb">up</a><a href="/jobs/1">j</a>'
        '<a href="/jobs/1?cursor=3">n</a>'
    ),
    "/jobs/1": '<a href="/files/%3Cx%3E%20..%2F..">f</a><a href="/files/gone">g</a>',
    "/files/%3Cx%3E%20..%2F..": "a file",
}  # fmt: skip
FILES = {
    "/static/x.css?v=1": ("text/css", b"p{}"),
    "/lineage/f.root?picture=right": ("image/svg+xml", b'<svg><a href="/jobs/1"/></svg>'),
}


def _fetch(address: str) -> Fetched | None:
    if address in PAGES:
        return Fetched(address, "text/html; charset=utf-8", PAGES[address].encode())
    return Fetched(address, *FILES[address]) if address in FILES else None


def _links(file: Path) -> list[str]:
    return [
        unescape(value) for value in re.findall(r'(?:href|src|action)="([^"]*)"', file.read_text())
    ]


def test_links_lead_to_files_or_to_the_service(tmp_path: Path) -> None:
    copied = copy_pages(_fetch, ["/campaigns/nova/a%2Fb"], tmp_path, service=SERVICE, most=10)

    assert copied == Copied(pages=4, files=2, left=0)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".html", ".css", ".svg"}
    assert all(path.resolve().is_relative_to(tmp_path) for path in files)
    for page in (path for path in files if path.suffix != ".css"):
        assert "<script" not in page.read_text()
        for link in _links(page):
            if not link.startswith(("https://", "#")):
                assert (page.parent / unquote(link.partition("#")[0])).is_file(), (page, link)
    start = _links(tmp_path / "index.html")
    assert f"{SERVICE}/search" in start
    assert f"{SERVICE}/search?q=1" in start
    assert "https://else.org/" in start
    assert any(link.startswith("tasks/t/") and link.endswith("/index.html#gaps") for link in start)
    task = next(path for path in files if path.parent.parent.name == "t")
    assert f"{SERVICE}/jobs/1?cursor=3" in _links(task)


@pytest.mark.parametrize(("most", "left"), [(1, 1), (2, 1), (3, 2)])
def test_a_copy_ends_where_it_should(tmp_path: Path, most: int, left: int) -> None:
    copied = copy_pages(_fetch, ["/campaigns/nova/a%2Fb"], tmp_path, service=SERVICE, most=most)

    assert (copied.pages, copied.left) == (most, left)
    if most == 2:
        task = next(path for path in (tmp_path / "tasks").rglob("index.html"))
        assert f"{SERVICE}/jobs/1" in _links(task)
