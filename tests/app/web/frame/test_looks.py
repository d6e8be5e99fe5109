"""What tells pages and states apart at a glance: titles, icons, bars, numbers."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from jobprov.app.web.frame.formats import number
from jobprov.app.web.frame.markup import state_icon
from jobprov.app.web.frame.progress import progress
from jobprov.provenance.answers.tasks.tasks import UnitState
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples

LISTS = ("/jobs", "/errors", "/resources", "/throughput", "/modules", "/queue", "/orphans")


def title(pages: FlaskClient, address: str) -> str:
    # drawings have titles too, after that of the page
    return unescape(re.findall(r"<title>(.*?)</title>", pages.get(address).text, re.DOTALL)[0])


@pytest.mark.parametrize("address", LISTS)
def test_title_of_a_narrowed_list_names_what_it_is_of(pages: FlaskClient, address: str) -> None:
    assert "toyexp" in title(pages, f"{address}?experiment=toyexp")
    assert "toyexp" not in title(pages, address)


def test_title_stays_short_and_shows_names_as_text(pages: FlaskClient) -> None:
    answer = pages.get("/errors", query_string={"experiment": "</title><b>" + "x" * 500})

    [found] = re.findall(r"<title>(.*?)</title>", answer.text)
    assert "<b>" not in found
    assert len(unescape(found)) < 120


@pytest.mark.parametrize(
    ("address", "icon"),
    [
        ("/", "icon.svg"),
        (f"/jobs/{samples.job_id('reco-4')}", "icon-done.svg"),
        (f"/jobs/{samples.job_id('reco-4-first')}", "icon-failed.svg"),
        (f"/jobs/{samples.job_id('histogram')}", "icon-running.svg"),
        ("/tasks/toyexp-demo-reco-0001", "icon-done.svg"),
        ("/tasks/toyexp-demo-gen-0001", "icon-failed.svg"),
        (f"/campaigns/toyexp/{samples.CAMPAIGN}", "icon-failed.svg"),
    ],
)
def test_tab_shows_the_state_of_its_page(pages: FlaskClient, address: str, icon: str) -> None:
    text = tight(pages.get(address).text)

    shown = re.findall(r'<link rel="icon" href="/static/(.*?)[?]', text)
    kept = re.findall(r'<main id="main" data-icon="/static/(.*?)[?]', text)
    assert shown == kept == [icon]
    with pages.get(f"/static/{icon}") as answer:
        assert answer.status_code == 200


def test_icon_is_that_of_the_worst_state() -> None:
    assert state_icon(["succeeded", "running", "no_output"]) == "icon-failed.svg"
    assert state_icon(["succeeded", "idle"]) == "icon-running.svg"
    assert state_icon([]) == "icon.svg"


def test_line_without_free_places_is_full_only_where_all_is_done() -> None:
    done = progress({UnitState.SUCCEEDED: 10})
    failed = progress({UnitState.SUCCEEDED: 10, UnitState.KILLED: 1, UnitState.RUNNING: 2})

    assert [piece.height for piece in done] == [10]
    heights = {piece.state: piece.height for piece in failed}
    assert heights[UnitState.KILLED] < heights[UnitState.RUNNING] < heights[UnitState.SUCCEEDED]


def test_numbers_are_not_broken_at_their_thousands() -> None:
    assert number(1234567) == "1\u202f234\u202f567"


@pytest.mark.slow
def test_one_search_box_is_on_each_page(pages: FlaskClient) -> None:
    for address in ("/", "/jobs", "/docs/", "/docs/api", "/search?q=toyexp"):
        assert pages.get(address).text.count('type="search"') == 1, address
