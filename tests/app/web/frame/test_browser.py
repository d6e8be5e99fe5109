"""The pages in Chromium: by mouse and keyboard, wide and narrow, light and dark.

Nothing for axe-core to find, nothing from elsewhere.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect

from tests.library.browser import NARROW, NARROWEST, WIDE, Watched, axe_findings
from tests.library.productions import large_configuration as configurations
from tests.library.productions import toy_experiment as samples
from tests.library.servers.served_app import served

pytestmark = pytest.mark.slow

FAILED = f"/jobs/{samples.job_id('reco-4-first')}"
SUCCEEDED = f"/jobs/{samples.job_id('reco-4')}"
RETRY = "/retry?experiment=toyexp&task_id=toyexp-demo-gen-0001"
PAGES = (
    "/",
    RETRY,
    "/search?q=toyexp",
    "/search?q=dimoun",
    "/alerts",
    "/jobs",
    f"/files/{samples.MERGED}",
    f"/files/{samples.FIRST_GEN}",
    f"/lineage/{samples.MERGED}",
    f"/lineage/{samples.MERGED}?direction=both&depth=2",
    SUCCEEDED,
    FAILED,
    f"/jobs/{samples.job_id('merge-dimuon')}",
    f"/jobs/{samples.job_id('silent')}",
    f"/jobs/{samples.job_id('hostile')}",
    f"{FAILED}/logs/smear.err",
    f"{SUCCEEDED}/configurations/smear",
    f"{SUCCEEDED}/configurations/smear?form=evaluated",
    f"{FAILED}/diff",
    f"{FAILED}/diff/{samples.job_id('reco-4')}",
    f"{FAILED}/diff/{samples.job_id('hostile')}",
    "/diff?a=demo-2026&b=demo-2026",
    "/diff?by=release",
    "/tasks/toyexp-demo-reco-0001",
    "/errors?by=site&sort=newest",
    "/throughput?ended_after=2026-11-20&ended_before=2026-11-27",
    "/throughput?ended_after=2026-11-20&ended_before=2026-11-27&measure=wall_seconds",
    "/timeline?task_id=toyexp-demo-reco-0001",
    "/timeline?task_id=toyexp-demo-reco-0001&by=host",
    "/timeline?task_id=toyexp-demo-reco-0001&unit=toyexp_demo-2026_0001_gen_0004.root",
    "/resources?measure=max_rss_bytes",
    "/modules",
    "/estimate?experiment=toyexp&files=100",
    f"/diverge?a={samples.FIRST_GEN}&b={samples.MERGED}&experiment=toyexp",
    f"/diverge?a={samples.FIRST_GEN}&experiment=toyexp",
    f"/impact?file={samples.FIRST_GEN}&file_experiment=toyexp",
    f"/rebuild/{samples.MERGED}?from_scratch=1",
    f"/replicas/{samples.MERGED}",
    f"/roots/{samples.MERGED}",
    f"/cost/{samples.MERGED}",
    f"/relation?a={samples.FIRST_GEN}&b={samples.MERGED}&experiment=toyexp",
    f"/relation?a={samples.MERGED}&b=toyexp_demo-2026_0001_merge_sideband.root",
    "/orphans",
    f"/campaigns/toyexp/{samples.CAMPAIGN}",
    f"/campaigns/toyexp/{samples.CAMPAIGN}/lineage",
    f"/reports/toyexp/{samples.CAMPAIGN}",
    "/docs/how-to/register-code",
    "/docs/api/bundles",
    "/nowhere",
)
# made as those of the list are; axe-core takes ten times as long with each
LONG_PAGES = ("/docs/reference/bundle", "/docs/api/jobs")

# In the dark nothing else differs
COLOURS = ("color-contrast",)
IS_DARK = "getComputedStyle(document.body).color.match(/\\d+/g).every(part => part > 128)"


@pytest.fixture(scope="module")
def site(pages_app: Flask) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(pages_app)


@pytest.fixture(scope="module")
def configured_site(configured_app: Flask) -> Iterator[str]:
    """Yield the address of the one with a large configuration."""
    yield from served(configured_app)


@pytest.fixture
def watched(browser: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Yield a page of the size and colours that the test asks for."""
    size, scheme = request.param
    found = Watched(browser, site, size, scheme)
    yield found
    found.context.close()


@pytest.mark.parametrize("watched", [(WIDE, "light")], indirect=True)
def test_axe_names_what_it_finds(watched: Watched) -> None:
    watched.page.set_content("<img src='data:,'><p>good</p><p style='color: #eee'>pale</p>")

    findings = dict(axe_findings(watched.page))
    colours = axe_findings(watched.page, rules=COLOURS)

    assert findings["image-alt"] == ['<img src="data:,">']
    assert colours == [("color-contrast", ['<p style="color: #eee">pale</p>'])]


@pytest.mark.parametrize("watched", [(WIDE, "light")], indirect=True)
def test_searches_have_names_and_links_among_words_are_underlined(watched: Watched) -> None:
    page = watched.page
    page.goto(watched.site + f"{FAILED}/logs/smear.err")
    expect(page.get_by_role("search", name="This log")).to_be_visible()
    page.goto(watched.site + FAILED)
    with_link = (
        "words => { words.innerHTML = 'words <a href=\"#why\">link</a>'; "
        "return getComputedStyle(words.firstElementChild).textDecorationLine; }"
    )

    assert page.locator(".why-box dd").first.evaluate(with_link) == "underline"


@pytest.mark.parametrize("watched", [(WIDE, "light"), (NARROW, "light")], indirect=True)
def test_axe_finds_nothing_on_any_page(watched: Watched) -> None:
    page, found = watched.page, []
    for address in PAGES:
        page.emulate_media(color_scheme="light")
        page.goto(watched.site + address)
        watched.check()
        found += [(address, "light", *finding) for finding in axe_findings(page)]
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(IS_DARK), address
        found += [(address, "dark", *finding) for finding in axe_findings(page, rules=COLOURS)]

    assert found == []


@pytest.mark.parametrize("watched", [(WIDE, "light"), (NARROW, "dark")], indirect=True)
def test_search_answers_as_one_types_and_is_reached_by_keys(watched: Watched) -> None:
    page = watched.page
    page.goto(watched.site + "/")
    page.keyboard.press("/")
    page.keyboard.type("toyexp_demo-2026_0001_merge")
    page.wait_for_selector("#hits li")
    findings = axe_findings(page)
    page.keyboard.press("Escape")
    assert page.locator("#hits").is_hidden()
    page.keyboard.type("_d")
    page.wait_for_selector("#hits li")
    page.keyboard.press("ArrowDown")
    assert page.locator("#hits li[aria-selected=true]").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_url("**/files/**")

    watched.check()
    assert findings == []
    assert samples.MERGED in page.url


@pytest.mark.parametrize("watched", [(NARROW, "dark")], indirect=True)
def test_search_of_a_typo_offers_what_is_meant(watched: Watched) -> None:
    page = watched.page
    page.goto(watched.site + "/")
    page.keyboard.press("/")
    page.keyboard.type("toyexp_demo-2026_0001_mrege_dimuon.root")
    offered = page.locator("#hits li", has_text="did you mean this file?")
    offered.first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/files/**")

    watched.check()
    assert samples.MERGED in page.url


@pytest.mark.parametrize("watched", [(NARROW, "dark")], indirect=True)
def test_terms_are_explained_by_hover_tap_and_key(watched: Watched) -> None:
    page = watched.page
    page.goto(watched.site + SUCCEEDED)
    word = page.get_by_role("term").get_by_role("button", name="Grade")
    note = page.locator("#explain-grade")

    word.click()
    expect(note).to_be_visible()
    findings = axe_findings(page)
    page.keyboard.press("Escape")
    expect(note).to_be_hidden()
    word.focus()
    page.keyboard.press("Enter")
    expect(note).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("h1").hover()
    word.hover()
    expect(note).to_be_visible()
    page.locator("h1").hover()
    expect(note).to_be_hidden()
    word.click()
    note.get_by_role("link", name="Glossary").click()

    watched.check()
    assert findings == []
    assert page.url.endswith("/docs/reference/glossary#term-level")


@pytest.mark.parametrize("watched", [(WIDE, "light")], indirect=True)
def test_ids_and_commands_are_copied_by_a_button(watched: Watched) -> None:
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=watched.site)
    page = watched.page
    for address, place, copied in (
        (SUCCEEDED, "code.whole + .copy", samples.job_id("reco-4")),
        ("/docs/how-to/register-code", "pre .copy", "jobprov repository add"),
    ):
        page.goto(watched.site + address)
        button = page.locator(place).first
        button.click()
        expect(button).to_have_attribute("title", "Copied")
        text = page.evaluate("navigator.clipboard.readText()")
        assert text.startswith(copied)
        assert "Copy" not in text
    watched.check()


@pytest.mark.parametrize("watched", [(WIDE, "light"), (NARROWEST, "light")], indirect=True)
def test_no_page_is_wider_than_its_window(watched: Watched) -> None:
    wide = []
    for address in (*PAGES, *LONG_PAGES):
        watched.page.goto(watched.site + address)
        over = watched.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        wide += [(address, over)] if over > 0 else []

    assert wide == []


@pytest.mark.parametrize("watched", [(NARROW, "light")], indirect=True)
def test_why_jobs_failed_is_read_on_a_phone_without_scrolling_aside(watched: Watched) -> None:
    for address in ("/errors", "/tasks/toyexp-demo-reco-0001", "/rules?experiment=toyexp", RETRY):
        watched.page.goto(watched.site + address)
        table = watched.page.locator("table:is(.stacked, .labelled)").first
        assert table.evaluate(
            "table => table.parentElement.scrollWidth <= table.parentElement.clientWidth"
        ), address

    watched.page.goto(watched.site + "/jobs")
    names = watched.page.locator("td a > span.name").evaluate_all(
        "all => all.map(name => name.getClientRects().length)"
    )
    assert set(names) == {1}, "an id of a job is not broken in two"


@pytest.mark.parametrize("watched", [(WIDE, "light")], indirect=True)
def test_units_and_choices_are_read_whole(watched: Watched) -> None:
    watched.page.goto(watched.site + RETRY)
    lines = watched.page.locator("td.unit").evaluate_all(
        "all => all.map(cell => cell.getBoundingClientRect().height < 45)"
    )
    assert lines
    assert all(lines)

    watched.page.goto(f"{watched.site}/impact")
    choice = watched.page.get_by_label("Follow")
    assert choice.evaluate("box => box.scrollWidth <= box.clientWidth && box.clientWidth > 170")


@pytest.mark.parametrize("watched", [(WIDE, "light"), (NARROW, "dark")], indirect=True)
def test_from_search_to_file_to_lineage_to_job_to_log(watched: Watched) -> None:
    page = watched.page
    page.goto(watched.site)

    page.locator("#q").fill("toyexp_demo-2026_0001_reco_0004")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="toyexp_demo-2026_0001_reco_0004_dimuon.root").click()
    assert "was made by job 81238.4@sched01.fnal.gov" in page.locator(".lead").inner_text()

    page.get_by_role("link", name="Lineage", exact=True).click()
    page.wait_for_load_state()  # before the style sheet is there both drawings are visible
    assert page.locator(".lead").inner_text() == "1 file and 2 jobs made this."
    if page.viewport_size == {"width": NARROW[0], "height": NARROW[1]}:
        page.locator("svg.lineage:visible a.lineage-node.lineage-job").filter(
            has_text="reco"
        ).first.click()
    else:
        page.locator(".map-place[data-ready]").wait_for()
        page.locator("tr", has_text="81238.4@").get_by_role("button").click()
        page.get_by_role("link", name="Open the job's page").click()
    first_line = " ".join(page.locator(".lead").inner_text().split())
    assert first_line.startswith("Succeeded in 15 min 36 s")

    page.locator("#attempts ~ .scroll").get_by_role("row").filter(has_text="failed").get_by_role(
        "link"
    ).first.click()
    assert page.locator(".lead").inner_text().startswith("Failed in step smear")
    assert (
        page.locator(".message")
        .inner_text()
        .startswith("ConfigurationError: physics.producers.smear")
    )

    page.locator(".why-box").get_by_role("link", name="smear.err").click()
    expect(page.locator("mark#why")).to_be_visible()
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save as it is").click()
    assert saving.value.suggested_filename == "smear.err"
    assert Path(saving.value.path()).read_bytes() == samples.FAILING_LOG
    watched.check()


@pytest.mark.parametrize("watched", [(WIDE, "light")], indirect=True)
def test_who_comes_back_to_a_list_finds_its_filters_as_it_shows_them(watched: Watched) -> None:
    page = watched.page
    page.goto(f"{watched.site}/jobs")
    ticks = page.locator("tbody input[type=checkbox]")
    ticks.first.check()
    page.check("form.filters input[value=failed]")
    page.fill("form.filters input[name=stage]", "reco")
    page.click("form.filters button[type=submit]")
    page.wait_for_url(re.compile("stage=reco"))
    assert page.is_checked("form.filters input[value=failed]")

    page.go_back(wait_until="load")

    page.wait_for_function("!document.querySelector('form.filters input[value=failed]').checked")
    assert page.input_value("form.filters input[name=stage]") == ""
    assert ticks.first.is_checked(), "what was ticked to go on with is kept"
    watched.check()


@pytest.mark.parametrize("watched", [(WIDE, "light")], indirect=True)
def test_the_search_box_is_a_key_away_and_the_content_a_tab(watched: Watched) -> None:
    page = watched.page
    page.goto(f"{watched.site}/jobs")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("81239.0@sched01.fnal.gov")
    page.keyboard.press("Enter")

    page.wait_for_url(re.compile(samples.job_id("merge-dimuon")))
    watched.check()


def test_times_are_in_the_zone_of_the_reader(browser: Browser, site: str) -> None:
    watched = Watched(browser, site, WIDE, "light", timezone_id="America/Chicago", locale="en-GB")
    watched.page.goto(site + SUCCEEDED)

    assert "24 Nov 2026, 09:24" in watched.page.locator("main").inner_text()
    assert watched.page.locator("time").first.get_attribute("title") == "2026-11-24 15:24:39 UTC"
    watched.page.goto(f"{site}/timeline?task_id=toyexp-demo-reco-0001")
    ends = watched.page.locator("main time[data-seconds]").all_inner_texts()
    assert [bool(re.search(r", \d\d:\d\d:\d\d$", end)) for end in ends] == [True, True]
    watched.check()
    watched.context.close()


def test_everything_is_there_without_javascript(browser: Browser, site: str) -> None:
    watched = Watched(browser, site, WIDE, "light", java_script_enabled=False)
    watched.page.goto(f"{site}/lineage/{samples.MERGED}")

    assert watched.page.locator("svg.lineage-right").is_visible()
    watched.page.locator("svg.lineage-right a").first.click()
    expect(watched.page.locator(".lead")).to_be_visible()
    watched.context.close()


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("is_javascript", [True, False])
def test_a_branch_of_thirty_thousand_parameters_opens(
    browser: Browser, configured_site: str, size: tuple[int, int], *, is_javascript: bool
) -> None:
    watched = Watched(browser, configured_site, size, "light", java_script_enabled=is_javascript)
    page = watched.page
    page.goto(f"{configured_site}{configurations.PAGE}/reco")

    for name, path in (("producers", "physics.producers"), ("m1000", "physics.producers.m1000")):
        page.locator("summary").filter(has_text=name).last.click()
        if not is_javascript:
            page.get_by_role("link", name=f"Open {path}", exact=True).click()
    row = page.locator("li:has(> a.key):visible").filter(has_text="parameter17").first
    row.wait_for()
    assert row.inner_text().split() == ["parameter17", "17000", "library.fcl:21020"]
    assert page.url.endswith("/reco") == is_javascript

    row.get_by_role("link", name="library.fcl").click()
    assert page.locator("li#L21020").inner_text().strip() == "parameter17: 17000"
    watched.check()
    watched.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROWEST])
def test_axe_finds_nothing_on_a_configuration(
    browser: Browser, configured_site: str, size: tuple[int, int], scheme: str
) -> None:
    watched = Watched(browser, configured_site, size, scheme)
    for address in (
        "reco",
        "reco?form=evaluated&at=physics.producers.m7.parameter3",
        "reco?form=evaluated&q=m77.p",
        "reco?form=files",
        "reco?form=ran",
        "bad",
    ):
        watched.page.goto(f"{configured_site}{configurations.PAGE}/{address}")
        assert axe_findings(watched.page) == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert watched.page.evaluate(wide) <= 0
    watched.check()
    watched.context.close()


@pytest.mark.parametrize("watched", [(WIDE, "light"), (NARROW, "dark")], indirect=True)
def test_bars_of_a_histogram_are_read_by_pointing_and_by_keys(watched: Watched) -> None:
    page = watched.page
    page.goto(watched.site + "/resources?stage=reco&measure=wall_seconds")
    plot = page.locator(".distribution").first
    said, row = plot.locator(".bin"), page.locator("tbody tr").first
    before = row.bounding_box()

    plot.locator("rect").nth(3).hover()
    pointed = said.text_content()
    plot.focus()
    page.keyboard.press("Home")
    first = said.text_content()
    page.keyboard.press("ArrowRight")

    assert re.fullmatch(r".+ to .+: \d+ jobs?", pointed or "")
    assert " and below: " in (first or "")
    assert (plot.get_attribute("role"), plot.get_attribute("aria-valuenow")) == ("slider", "2")
    assert plot.get_attribute("aria-valuetext") == said.text_content()
    page.keyboard.press("End")
    assert " and above: " in (said.text_content() or "")
    assert row.bounding_box() == before, "nothing moved"
    watched.check()


def test_paper_has_no_links_that_lead_on_and_breaks_no_words(browser: Browser, site: str) -> None:
    watched = Watched(browser, site, (794, 1123), "light")  # A4
    page = watched.page
    page.emulate_media(media="print")
    page.goto(f"{site}/lineage/{samples.MERGED}")
    assert page.get_by_text("Export this graph").is_hidden()

    page.goto(f"{site}/jobs/{samples.job_id('reco-4')}")
    copying = page.locator(".copy").evaluate_all("all => all.map(one => one.checkVisibility())")
    assert copying
    assert not any(copying)

    page.goto(f"{site}/tasks/toyexp-demo-reco-0001")
    assert page.get_by_role("link", name="Try again, or go on without").is_hidden()
    lines = page.locator("td .state").evaluate_all(
        "all => all.map(one => one.getClientRects().length)"
    )
    assert set(lines) == {1}, "a mark and its word stand together"

    page.goto(f"{site}/reports/toyexp/{samples.CAMPAIGN}")
    hosts = page.get_by_role("cell", name=re.compile(r"^\d+ hosts?$"))
    assert hosts.first.evaluate("cell => getComputedStyle(cell).overflowWrap") == "break-word"
    watched.context.close()
