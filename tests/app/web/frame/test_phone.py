"""The pages in Chromium on a phone: answers come before forms, with a script and without one.

Counts are read whole.
"""

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from tests.library.browser import Watched
from tests.library.productions import toy_experiment as samples
from tests.library.servers.served_app import served

PHONE, DESK = (390, 844), (1366, 768)
ANSWERS = (
    "/jobs?experiment=toyexp",
    "/errors",
    "/throughput?ended_after=2026-11-20&ended_before=2026-11-27",
    "/resources",
    "/modules",
    "/estimate?experiment=toyexp&files=100",
    f"/impact?file={samples.FIRST_GEN}&file_experiment=toyexp",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(pages_app: Flask) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(pages_app)


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def phone(browser: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Yield a page on a phone, with scripts and without."""
    found = Watched(browser, site, PHONE, "dark", java_script_enabled=request.param)
    yield found
    found.context.close()


@pytest.mark.parametrize("address", ANSWERS)
def test_answer_stands_in_the_first_screen_and_its_filters_are_a_tap_away(
    phone: Watched, address: str
) -> None:
    page = phone.page
    page.goto(phone.site + address)
    form, opener = page.locator("form.filters"), page.locator(".fold-label")

    expect(form).to_be_hidden()
    first = page.locator("main :is(table, .chart):visible").first.bounding_box()
    assert first is not None
    assert first["y"] < PHONE[1] / 2
    opener.click()
    expect(form).to_be_visible()
    page.get_by_label("Stage", exact=True).fill("reco")
    form.locator("button").click()
    page.wait_for_url("**stage=reco**")

    expect(page.locator("form.filters")).to_be_hidden()
    phone.check()


def test_filters_are_opened_by_keys_and_say_how_many_are_set(phone: Watched) -> None:
    page = phone.page
    page.goto(f"{phone.site}/jobs?experiment=toyexp&stage=reco")
    page.locator("#show-filters").focus()
    page.keyboard.press("Space")

    expect(page.locator("form.filters")).to_be_visible()
    expect(page.locator(".fold-label")).to_have_text("Filters 2 set")


@pytest.mark.parametrize("address", ["/impact", "/estimate"])
def test_form_without_an_answer_is_not_folded(phone: Watched, address: str) -> None:
    phone.page.goto(phone.site + address)

    expect(phone.page.locator("form.filters")).to_be_visible()
    expect(phone.page.locator(".fold-label")).to_have_count(0)


def test_filters_are_always_open_at_a_desk(browser: Browser, site: str) -> None:
    desk = Watched(browser, site, DESK, "light")
    desk.page.goto(f"{site}/jobs")

    expect(desk.page.locator("form.filters")).to_be_visible()
    expect(desk.page.locator(".fold-label")).to_be_hidden()
    desk.check()
    desk.context.close()


def test_what_only_a_script_can_do_is_not_offered_without_one(
    phone: Watched, request: pytest.FixtureRequest
) -> None:
    phone.page.goto(f"{phone.site}/lineage/{samples.MERGED}?experiment=toyexp")

    button = phone.page.get_by_text("Explore the picture")
    expect(button).to_be_visible(visible=request.node.callspec.params["phone"])


@pytest.fixture
def scripted(browser: Browser, site: str) -> Iterator[Watched]:
    """Yield a page on a phone with scripts, which measure it."""
    found = Watched(browser, site, PHONE, "light")
    yield found
    found.context.close()


def test_unseen_words_beyond_the_edge_of_a_table_do_not_widen_the_page(scripted: Watched) -> None:
    page = scripted.page
    page.goto(f"{scripted.site}/campaigns/toyexp/{samples.CAMPAIGN}")
    page.locator(".scroll > table").first.evaluate(
        "table => { table.style.width = '60rem'; for (const row of table.tBodies[0].rows) "
        "row.lastElementChild.innerHTML = '<span class=unseen>succeeded</span>'; "
        "for (const cell of table.querySelectorAll('.roomy')) cell.style.display = 'table-cell'; }"
    )

    assert page.locator(".scroll").first.evaluate("box => box.scrollWidth > box.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]


def test_count_of_very_many_failures_does_not_run_into_the_words(scripted: Watched) -> None:
    page = scripted.page
    page.goto(f"{scripted.site}/errors")
    row = page.locator("table.stacked tbody tr").first
    row.locator("td a").first.evaluate("link => { link.textContent = '128\u202f513'; }")
    count, words = row.locator("td a").first.bounding_box(), row.locator("td").nth(1).bounding_box()

    assert count is not None
    assert words is not None
    assert count["x"] + count["width"] < words["x"]


@pytest.mark.parametrize("width", [360, 390])
def test_tables_are_seen_whole(browser: Browser, site: str, width: int) -> None:
    phone = Watched(browser, site, (width, 844), "light")
    addresses = (
        "/",
        "/jobs",
        f"/jobs/{samples.job_id('reco-4-first')}",
        f"/campaigns/toyexp/{samples.CAMPAIGN}",
        "/throughput?ended_after=2026-11-20&ended_before=2026-11-27&measure=cpu_hours",
        "/throughput?ended_after=2026-11-20&ended_before=2026-11-27&by=site",
        "/resources",
        "/resources?by=host",
        "/estimate?experiment=toyexp&files=100",
        f"/rebuild/{samples.MERGED}?from_scratch=1",
    )
    for address in addresses:
        phone.page.goto(site + address)
        tables = phone.page.locator("main .scroll")
        assert tables.count() > 0
        beyond = "tables => tables.map(table => table.scrollWidth - table.clientWidth)"
        assert max(tables.evaluate_all(beyond)) <= 1, address  # parts of a pixel are rounded
    phone.check()
    phone.context.close()


def test_amounts_of_a_step_stand_with_their_titles_below_its_time(scripted: Watched) -> None:
    page = scripted.page
    page.goto(f"{scripted.site}/throughput?ended_after=2026-11-20&ended_before=2026-11-27")
    start, total = page.locator("table.steps tbody tr").first.locator("td:visible").all()[:2]
    time, amount = start.bounding_box(), total.bounding_box()

    assert time is not None
    assert amount is not None
    assert amount["y"] >= time["y"] + time["height"]
    assert total.evaluate("cell => getComputedStyle(cell, '::before').content") == '"All "'


def test_name_of_a_file_has_the_width_of_the_phone_in_a_list_of_jobs(scripted: Watched) -> None:
    page = scripted.page
    page.goto(f"{scripted.site}/jobs?experiment=toyexp&stage=reco&state=succeeded")
    row = page.locator("table.listed-jobs tbody tr").first
    state, name = row.locator("td").nth(1).bounding_box(), row.locator("td.name").bounding_box()

    assert state is not None
    assert name is not None
    assert name["y"] >= state["y"] + state["height"]
    assert name["width"] > PHONE[0] * 0.8


def test_distributions_stand_below_their_rows_on_a_phone(scripted: Watched) -> None:
    page = scripted.page
    page.goto(f"{scripted.site}/resources")
    row = page.locator("table.measures tbody tr").first
    boxes = [cell.bounding_box() for cell in row.locator("td:visible").all()]
    name, jobs, picture, *figures = [box for box in boxes if box is not None]

    assert picture["y"] >= name["y"] + name["height"]
    assert picture["width"] > PHONE[0] * 0.8
    assert {box["y"] for box in figures} == {name["y"]} == {jobs["y"]}


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_count_of_hosts_in_a_report_stays_on_one_line(
    browser: Browser, site: str, size: tuple[int, int]
) -> None:
    watched = Watched(browser, site, size, "light")
    watched.page.goto(f"{site}/reports/toyexp/{samples.CAMPAIGN}")
    hosts = watched.page.locator("td", has_text="1 host").first
    # as if a long cause took all the room
    hosts.evaluate(
        "cell => { for (const other of cell.parentElement.cells) "
        "if (other !== cell) other.textContent = 'word '.repeat(80); }"
    )
    lines = (
        "cell => { const text = document.createRange(); text.selectNodeContents(cell); "
        "return new Set(Array.from(text.getClientRects(), line => line.top)).size; }"
    )

    assert hosts.evaluate(lines) == 1
    watched.check()
    watched.context.close()


def test_what_jobs_took_fits_a_phone_in_a_report(browser: Browser, site: str) -> None:
    """Seven columns do not: each row is a list there, with its titles."""
    watched = Watched(browser, site, PHONE, "light")
    watched.page.goto(f"{site}/reports/toyexp/{samples.CAMPAIGN}")
    took = watched.page.locator("section", has_text="What jobs took").locator(".scroll")

    assert took.evaluate("box => box.scrollWidth - box.clientWidth") == 0
    cell = took.locator("td").nth(2)
    title = cell.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert title == '"Wall time"'
    watched.check()
    watched.context.close()


WIDER_THAN_SEEN = """() => {
    const boxes = [...document.querySelectorAll("main .scroll, section .scroll, pre.log")];
    return boxes.filter(box => box.scrollWidth > box.clientWidth).map(box => box.textContent);
}"""


@pytest.mark.parametrize(
    "address",
    [
        f"/campaigns/toyexp/{samples.CAMPAIGN}",
        f"/reports/toyexp/{samples.CAMPAIGN}",
        f"/jobs/{samples.job_id('reco-4-first')}/logs/stdout",
    ],
)
def test_costs_causes_and_logs_are_not_cut_on_a_phone(
    browser: Browser, site: str, address: str
) -> None:
    watched = Watched(browser, site, PHONE, "light")
    watched.page.goto(site + address)

    assert watched.page.evaluate(WIDER_THAN_SEEN) == []
    watched.check()
    watched.context.close()


@pytest.mark.parametrize("width", [683, 800, 960])
def test_page_is_as_wide_as_its_window_at_200_per_cent(
    browser: Browser, site: str, width: int
) -> None:
    """The bar at the top was 952 pixels wide in each window that was no phone's."""
    found = Watched(browser, site, (width, 450), "light")
    for address in ("/", "/jobs?experiment=toyexp"):
        found.page.goto(site + address)
        assert found.page.evaluate("document.documentElement.scrollWidth") == width, address
    found.check()
    found.context.close()


def test_rows_are_seen_whole_at_200_per_cent_of_a_laptop(browser: Browser, site: str) -> None:
    """A list of jobs was twice as wide as the window, in the layout of a desk."""
    found = Watched(browser, site, (DESK[0] // 2, DESK[1] // 2), "light")
    for address in ("/", "/jobs?experiment=toyexp", f"/campaigns/toyexp/{samples.CAMPAIGN}"):
        found.page.goto(site + address)
        beyond = "boxes => boxes.map(box => box.scrollWidth - box.clientWidth)"
        assert max(found.page.locator("main .scroll").evaluate_all(beyond)) <= 1, address
    found.check()
    found.context.close()


BROKEN_DATES = r"""() => {
    const broken = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const node = texts.currentNode;
        for (const date of node.data.matchAll(/\d{4}-\d{2}-\d{2}/g)) {
            const range = document.createRange();
            range.setStart(node, date.index);
            range.setEnd(node, date.index + date[0].length);
            const lines = new Set();
            for (const box of range.getClientRects()) {
                if (box.width > 1) lines.add(Math.round(box.top));
            }
            if (lines.size > 1) broken.push(node.data);
        }
    }
    return broken;
}"""


@pytest.mark.parametrize(
    "address",
    [
        f"/jobs/{samples.job_id('reco-4-first')}",
        f"/jobs/{samples.job_id('silent')}",
        "/errors?by=site&sort=newest",
        "/throughput?ended_after=2026-11-20&ended_before=2026-11-27",
        f"/reports/toyexp/{samples.CAMPAIGN}",
        f"/files/{samples.MERGED}",
        "/jobs?started_after=yesterday-or-the-day-before-that",
    ],
)
def test_no_line_is_broken_within_a_date(scripted: Watched, address: str) -> None:
    """Browsers break a line behind each of its hyphens."""
    scripted.page.goto(scripted.site + address)

    assert scripted.page.evaluate(BROKEN_DATES) == []


def test_acts_of_a_trail_and_rules_stand_with_their_titles(scripted: Watched) -> None:
    """Below each other without them, nobody could say which was what."""
    page = scripted.page
    titles = {
        "/trail?experiment=toyexp": ["Kind", "About", "By"],
        "/rules?experiment=toyexp": ["Where", "Class", "Try again"],
    }
    for address, expected in titles.items():
        page.goto(scripted.site + address)
        seen = set()
        for cell in page.locator("table tbody tr td:visible").all()[:60]:
            seen.add(cell.evaluate("cell => getComputedStyle(cell, '::before').content"))
        assert {f'"{title} "' for title in expected} <= seen, address
