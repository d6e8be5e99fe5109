"""The documentation as pages of the service: all of it, every link in it, nothing else."""

import re
from html import unescape
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.web.frame.manual import FOLDER, Manual, manual
from jobprov.app.web.frame.terms import TITLES, glossary
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.verdicts import LEVELS, NOTHING
from tests.library.answers import lead
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples

TEMPLATES = FOLDER.parent / "app" / "templates"
STARTS = ("/docs/", "/docs/api", "/docs/search?q=token")


@pytest.fixture(scope="module")
def read_pages(pages_app: Flask) -> dict[str, str]:
    """Return every page below /docs that links lead to, by its address."""
    client = pages_app.test_client()
    waiting, found = list(STARTS), {}
    while waiting:
        address = waiting.pop()
        if address in found:
            continue
        answer = client.get(address)
        assert answer.status_code == 200, address
        found[address] = answer.text
        for link in re.findall(r'href="(/docs[^"#]*)', answer.text):
            waiting.append(unescape(link))
    return found


@pytest.mark.slow
def test_every_file_of_docs_is_a_page(read_pages: dict[str, str]) -> None:
    names = [file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*.md")]
    addresses = {f"/docs/{name.removesuffix('.md').removesuffix('README')}" for name in names}

    assert {address.removesuffix("/") for address in addresses} <= {
        address.removesuffix("/") for address in read_pages
    }


@pytest.mark.slow
def test_every_page_is_small_and_loads_nothing_from_elsewhere(read_pages: dict[str, str]) -> None:
    for address, text in read_pages.items():
        assert len(text.encode()) < 80_000, address
        assert all(link.startswith("/static/") for link in re.findall(r' src="([^"]*)"', text))
        ids = re.findall(r' id="([^"]*)"', text)
        assert len(ids) == len(set(ids)), address


@pytest.mark.slow
def test_every_anchor_is_there(read_pages: dict[str, str]) -> None:
    missing = []
    for address, text in read_pages.items():
        for link in re.findall(r'href="((?:/docs[^"]*)?#[^"]+)"', text):
            page, _, anchor = unescape(link).partition("#")
            if f'id="{anchor}"' not in read_pages[page or address]:
                missing.append((address, link))

    assert missing == []


@pytest.mark.slow
def test_interface_pages_show_each_call_of_the_document(
    read_pages: dict[str, str], pages: FlaskClient
) -> None:
    document = pages.get("/api/v1/openapi.json").get_json()
    calls = set()
    for path, operations in document["paths"].items():
        calls |= {(method.upper(), path) for method in operations if method != "parameters"}

    shown = set()
    for address, text in read_pages.items():
        if address.startswith("/docs/api/") and "/types/" not in address:
            found = re.findall(
                r'<h2 id="\w+"><b>(\w+)</b> <code class="wrap">([^<]*)<', tight(text)
            )
            shown |= {(method, unescape(path)) for method, path in found}
    assert shown == calls


@pytest.mark.parametrize(
    "address",
    [
        "/docs/nowhere",
        "/docs/../app/cli",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
        "/docs/reference/../../README",
        "/docs//etc/passwd",
        "/docs/reference/glossary%00",
        "/docs/images/job.png",
        "/docs/reference/<script>",
        "/docs/api/nowhere",
        "/docs/api/types/..",
        "/docs/" + "a/" * 2000,
    ],
)
def test_what_is_no_page_of_docs_is_not_found(pages: FlaskClient, address: str) -> None:
    answer = pages.get(address)

    assert answer.status_code in (404, 308)
    if answer.status_code == 308:  # slashes are merged
        assert pages.get(answer.headers["Location"]).status_code == 404
    assert "<script>" not in answer.text


def test_each_part_of_a_long_page_has_its_title(pages: FlaskClient) -> None:
    second = tight(pages.get("/docs/reference/commands?part=2").text)

    [title] = re.findall("<h1.*?</h1>", second)
    assert title.startswith('<h1>Commands <span class="count">part 2 of ')


def test_address_as_in_the_repository_leads_to_the_page(pages: FlaskClient) -> None:
    answer = pages.get("/docs/reference/glossary.md")

    assert (answer.status_code, answer.location) == (301, "/docs/reference/glossary")


def test_search_finds_sections_that_have_every_word(pages: FlaskClient) -> None:
    text = pages.get("/docs/search?q=write+token").text
    none = pages.get("/docs/search", query_string={"q": '"><script>zzzz'})

    assert '<a href="/docs/how-to/run-a-service#tokens">Tokens</a>' in text
    assert "No section has" in none.text
    assert "<script>zzzz" not in none.text


def test_markup_in_the_sources_is_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A <b>b</b>\n\n<script>x</script> [l](javascript:x)\n")

    [page] = Manual(tmp_path).pages.values()

    assert "<script" not in page.parts[0].html
    assert "javascript:" not in re.findall(r'href="([^"]*)"', page.parts[0].html)


def test_every_page_leads_to_help_at_a_place_that_exists() -> None:
    for template in sorted(TEMPLATES.rglob("*.html")):
        text = template.read_text(encoding="utf-8")
        if "frame/base.html" not in text or template.name in ("problem.html", "_frame.html"):
            continue
        found = re.search(r'block help %}\s*{{ manual_page\("([^"]*)"(?:, "([^"]*)")?\) }}', text)
        assert found, f"{template}: name the part of docs that helps on this page, in a block help"
        page, anchor = manual().pages[found[1]], found[2]
        # in the first part of a long page: the address names none
        assert not anchor or page.part_of(anchor) == 1, (template, anchor)


@pytest.mark.slow
def test_every_gap_of_a_job_leads_to_its_explanation(
    pages: FlaskClient, read_pages: dict[str, str]
) -> None:
    text = pages.get(f"/jobs/{samples.job_id('reco-4')}").text
    links = re.findall(r'href="/docs/reference/gaps#([^"]*)"', text)

    assert len(links) == 5
    assert set(links) <= set(GAPS)
    assert all(f'id="{code}"' in read_pages["/docs/reference/gaps"] for code in GAPS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "address",
    ["/jobs", f"/jobs/{samples.job_id('reco-4')}", "/tasks/toyexp-demo-reco-0001"],
)
def test_each_term_of_a_page_has_its_note_once(pages: FlaskClient, address: str) -> None:
    for text in (pages.get(address).text, pages.get(address).text):  # compiled, then as compiled
        wanted = set(re.findall(r'popovertarget="([^"]*)"', text))
        notes = re.findall(r'<aside class="explained" id="([^"]*)"', text)
        assert wanted
        assert sorted(wanted) == sorted(notes)


def test_glossary_explains_what_pages_mark_and_each_level_as_its_page_does() -> None:
    terms = glossary()

    assert set(TITLES.values()) <= set(terms)
    assert {"witness", "capsule", "bundle", "recipe", "gap", "L2", "R6"} <= set(terms)
    assert set(LEVELS) - {NOTHING} <= set(terms)
    for page, letter in (("bundle", "L"), ("verdicts", "R")):
        text = (FOLDER / f"reference/{page}.md").read_text(encoding="utf-8")
        rows = re.findall(rf"^\| ({letter}\d\S?) \| (.+?) \|$", text, re.MULTILINE)
        assert {level: terms[level].words for level, _ in rows} == dict(rows)


@pytest.mark.slow
def test_lead_of_a_page_without_hits_offers_the_documentation(pages: FlaskClient) -> None:
    assert lead(pages, "/search?q=nothing-begins-so") == "Nothing found for nothing-begins-so."
    assert (
        'href="/docs/search?q=nothing-begins-so"' in pages.get("/search?q=nothing-begins-so").text
    )
