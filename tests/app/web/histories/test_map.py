"""The picture as a map, in Chromium: boxes open where they stand, and a link shows the same.

Keys reach everything, and the map prints.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Route, expect

from jobprov.app.reports.site import Fetched, copy_pages
from tests.library.browser import Watched, axe_findings
from tests.library.productions import toy_experiment as samples
from tests.library.servers.served_app import served

STATIC = Path(__file__).parents[4] / "jobprov" / "app" / "static"
LINEAGE = f"/lineage/{samples.MERGED}?direction=both"
CAMPAIGN = f"/campaigns/toyexp/{samples.CAMPAIGN}/lineage"
WIDE, NARROW = (1280, 800), (390, 844)


def test_what_is_vendored_is_what_was_published() -> None:
    vendored = STATIC / "vendor"
    lines = (vendored / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}

    found = {
        str(path.relative_to(vendored)): path for path in vendored.rglob("*") if path.is_file()
    }
    del found["SHA256SUMS"]
    assert {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()
    } == sums
    assert {name for name in sums if name.endswith("LICENSE")} == {
        f"{path.name}/LICENSE" for path in vendored.iterdir() if path.is_dir()
    }


@pytest.fixture(scope="module")
def site(pages_app: Flask) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(pages_app)


@pytest.fixture
def wide(browser: Browser, site: str) -> Iterator[Watched]:
    """Yield a wide page; nothing on it may complain, or ask another host."""
    watched = Watched(browser, site, WIDE, "light")
    yield watched
    watched.check()
    watched.context.close()


def open_map(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".map-place[data-ready]")


def hears(page: Page, beginning: str) -> None:
    """Wait until a reader of the screen was told something."""
    expect(page.locator("[role=status]")).to_have_text(re.compile(f"^{beginning}"))


def becomes(page: Page, condition: str) -> None:
    """Wait until something holds in the page; its policy forbids playwright's own way."""
    assert holds_soon(page, condition, 30), condition


def holds_soon(page: Page, condition: str, seconds: int) -> bool:
    """Return whether something comes to hold in the page within so many seconds."""
    return bool(
        page.evaluate(
            f"new Promise(done => {{ setTimeout(() => done(false), {1000 * seconds}); "
            f"const look = () => {condition} ? done(true) : requestAnimationFrame(look); "
            f"look(); }})"
        )
    )


def is_painted(page: Page, box: str, inside: tuple[int, int], colour: str) -> None:
    """Wait until the first such box has a colour so many pixels from its upper left corner."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    page.evaluate(
        """([x, y]) => {
          const map = document.querySelector(".map-place").map;
          const node = map.cy.getElementById(map.view.boxes.find((box) => BOX).id);
          map.cy.stop().center(node);
          window.paintedColour = () => {
            const at = node.renderedPosition(), zoom = map.cy.zoom();
            const left = at.x + (x - node.width() / 2) * zoom, top = at.y + (y - node.height() / 2) * zoom;
            const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
            for (const canvas of map.canvas.querySelectorAll("canvas")) {
              probe.drawImage(canvas, left, top, 1, 1, 0, 0, 1, 1);
            }
            return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3).join();
          };
        }""".replace("BOX", box),
        inside,
    )
    found = None
    for _ in range(300):  # it is painted in a frame that comes
        found = page.evaluate("window.paintedColour()")
        if found == f"{red},{green},{blue}":
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{box}: painted in {found}")


def told(page: Page) -> str:
    return page.locator("[role=status]").inner_text()


def words(page: Page, name: str) -> list[str]:
    return parse_qs(urlsplit(page.url).query).get(name, [])


def choose(page: Page, name: str) -> None:
    """Choose the box of a row of the table."""
    page.locator("tr", has_text=name).first.get_by_role("button").click()


def title(page: Page) -> str:
    return page.locator(".map-panel h3").first.inner_text()


def test_a_box_opens_and_folds_and_a_link_and_the_way_back_show_the_same(wide: Watched) -> None:
    page = wide.page
    open_map(page, wide.site + LINEAGE)
    choose(page, "toyexp_demo-2026_0001_reco_0004")
    assert title(page).startswith("10 ×")  # noqa: RUF001 - the sign of the drawing

    page.get_by_role("button", name="Open", exact=True).click()
    hears(page, "Opened")
    assert told(page) == "Opened: 9 boxes more."
    assert len(words(page, "expanded")) == 1
    choose(page, "toyexp_demo-2026_0001_reco_0004")
    assert title(page) == "toyexp_demo-2026_0001_reco_0004_dimuon.root"
    shared = page.url

    page.get_by_role("button", name="Fold", exact=True).click()
    hears(page, "Folded")
    assert words(page, "expanded") == []
    page.go_back()
    expect(page).to_have_url(re.compile("expanded="))

    other = Watched(wide.context.browser, wide.site, WIDE, "dark")  # type: ignore[arg-type]
    open_map(other.page, shared)
    assert title(other.page) == "toyexp_demo-2026_0001_reco_0004_dimuon.root"
    other.page.get_by_role("link", name="Open the file's page").click()
    assert "toyexp_demo-2026_0001_reco_0004" in other.page.locator("h1").inner_text()
    other.check()
    other.context.close()


@pytest.mark.parametrize(("size", "across"), [(WIDE, "y"), (NARROW, "x")])
def test_boxes_of_an_opened_stack_stand_in_the_order_of_their_names(
    browser: Browser, site: str, size: tuple[int, int], across: str
) -> None:
    watched = Watched(browser, site, size, "light")
    page = watched.page
    boxes = "document.querySelector('.map-place').map.view.boxes"
    place = f"document.querySelector('.map-place').map.placeOf(box.id).{across}"
    open_map(page, f"{site}{LINEAGE}&at={samples.MERGED}")
    handle = page.evaluate(f"{boxes}.find((box) => box.kind === 'files').open")

    open_map(page, f"{site}{LINEAGE}&at={samples.MERGED}&expanded={handle}")

    places = page.evaluate(f"{boxes}.filter((box) => box.close).map((box) => [{place}, box.name])")
    names = [name for _, name in sorted(places)]
    assert len(names) == 10
    assert names == sorted(names)
    watched.check()
    watched.context.close()


def test_what_a_link_opened_is_asked_for_once_ahead_of_the_scripts(
    browser: Browser, site: str
) -> None:
    watched = Watched(browser, site, WIDE, "light")
    page = watched.page
    boxes = "document.querySelector('.map-place').map.view.boxes"
    open_map(page, f"{site}{LINEAGE}")
    handles = page.evaluate(f"{boxes}.filter((box) => box.open).map((box) => box.open)")
    assert handles
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    opened = "".join(f"&expanded={handle}" for handle in handles)

    open_map(page, f"{site}{LINEAGE}{opened}")

    asked_maps = [address for address in asked if "picture=map" in address]
    assert len(asked_maps) == 1
    assert parse_qs(urlsplit(asked_maps[0]).query)["expanded"] == handles
    assert page.evaluate("document.querySelector('link[rel=preload]').href") == asked_maps[0]
    assert len(page.evaluate(f"{boxes}.filter((box) => box.close)")) > 0
    watched.check()
    watched.context.close()


def test_the_first_frame_paints_no_more_than_the_window_shows(wide: Watched) -> None:
    """Cytoscape would paint the whole picture first, into a canvas as large as that."""
    page = wide.page
    page.add_init_script(
        """window.painted = [];
        window.OffscreenCanvas = class extends OffscreenCanvas {
          constructor(width, height) { super(width, height); painted.push({ width, height }); }
        };"""
    )
    open_map(page, wide.site + LINEAGE)
    handles = page.evaluate(
        """document.querySelector(".map-place").map.view.boxes.map(box => box.open)
        .filter(Boolean)"""
    )
    open_map(page, wide.site + LINEAGE + "".join(f"&expanded={handle}" for handle in handles))

    sizes = page.evaluate(
        """() => {
          const { room, cy } = document.querySelector(".map-place").map;
          const whole = (room.x2 - room.x1) * (room.y2 - room.y1);
          return { whole, largest: Math.max(...painted.map(one => one.width * one.height)) };
        }"""
    )
    assert sizes["largest"], "boxes are painted on canvases"
    assert sizes["largest"] < sizes["whole"] / 2


def test_a_double_click_on_a_stack_opens_it_where_it_stands(wide: Watched) -> None:
    page = wide.page
    open_map(page, f"{wide.site}{LINEAGE}&find=dimuon")
    assert page.locator(".map-found").inner_text() == "2 boxes; 11 of 43 rows below"
    page.locator(".map-find").press("Enter")
    place = (
        "document.querySelector('.map-place').map"
        ".placeOf(document.querySelector('.map-place').map.chosen)"
    )
    page.locator(".map-find").press("Enter")
    before = page.evaluate(place)
    box = page.locator(".map-canvas").bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + before["x"], box["y"] + before["y"])
    hears(page, "Opened")

    assert len(words(page, "expanded")) == 1
    assert words(page, "find") == ["dimuon"]


def test_who_goes_back_before_a_box_has_opened_sees_what_the_address_says(wide: Watched) -> None:
    page, held = wide.page, list[Route]()
    open_map(page, wide.site + LINEAGE)
    choose(page, "toyexp_demo-2026_0001_reco_0004")
    boxes = "document.querySelector('.map-place').map.boxes.size"
    before = page.evaluate(boxes)
    page.route(re.compile("picture=map.*expanded="), lambda route: held.append(route))  # noqa: PLW0108 - playwright marks what it is given

    with page.expect_request(re.compile("expanded=")):
        page.get_by_role("button", name="Open", exact=True).click()
    page.go_back()
    held[0].continue_()
    expect(page.locator(".map-place")).not_to_have_attribute("aria-busy", "true")

    assert words(page, "expanded") == []
    assert page.evaluate(boxes) == before


def test_the_wheel_moves_the_page_and_with_control_makes_the_picture_larger(wide: Watched) -> None:
    page = wide.page
    open_map(page, wide.site + LINEAGE)
    box = page.locator(".map-canvas").bounding_box()
    assert box is not None
    zoom = "document.querySelector('.map-place').map.cy.zoom()"
    before = page.evaluate(zoom)
    page.mouse.move(box["x"] + 40, box["y"] + 40)

    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    becomes(page, f"{zoom} > {before}")
    page.keyboard.up("Control")
    larger = page.evaluate(zoom)
    page.mouse.wheel(0, 100)
    becomes(page, "scrollY > 0")

    assert page.evaluate(zoom) == larger


def test_keys_walk_open_and_find_the_way(wide: Watched) -> None:
    page = wide.page
    open_map(page, wide.site + LINEAGE)
    page.locator(".map-canvas").focus()
    for key in ("Home", "p", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert told(page).endswith("folded")
    page.keyboard.press("p")

    assert (
        page.locator(".map-panel .note").inner_text().startswith("3 boxes lie on the paths between")
    )
    assert len(words(page, "start")) == len(words(page, "end")) == 1
    page.keyboard.press("Enter")
    hears(page, "Opened")
    page.keyboard.press("Backspace")
    hears(page, "Folded")
    page.keyboard.press("Escape")
    assert words(page, "at") == []


def test_a_campaign_leads_to_the_jobs_behind_a_box(wide: Watched) -> None:
    page = wide.page
    open_map(page, wide.site + CAMPAIGN)
    assert (
        page.locator(".lead").inner_text()
        == "27 jobs in 4 stages with 1 code version; 1 failed, 1 killed, 1 lost."
    )

    page.locator("#classes ~ .scroll tr", has_text="reco").filter(has_text="failed").get_by_role(
        "button"
    ).click()
    page.get_by_role("link", name="List this 1 job").click()

    expect(page.locator("tbody tr:not(.why)")).to_have_count(1)
    page.locator("tbody tr a").first.click()
    assert page.locator(".lead").inner_text().startswith("Failed in step smear")


MAP = "document.querySelector('.map-place').map"
SEEN = f"{MAP}.marked().length > 1 && {MAP}.marked().every((id) => {MAP}.isSeen(id))"


def canvas_height(page: Page) -> int:
    return int(page.evaluate(f"{MAP}.cy.height()"))


def test_words_are_large_enough_to_read_and_what_lies_beyond_an_edge_is_a_click_away(
    browser: Browser, site: str
) -> None:
    watched = Watched(browser, site, (700, 700), "light")
    page = watched.page
    open_map(page, site + LINEAGE)
    more = page.get_by_role("button", name="More on the left")
    more.wait_for()
    before = page.evaluate(f"{MAP}.cy.pan().x")

    assert page.evaluate(f"{MAP}.cy.zoom()") >= 0.85
    more.click()
    becomes(page, f"{MAP}.cy.pan().x > {before} && !{MAP}.cy.animated()")
    for _ in range(9):
        if more.is_hidden():
            break
        more.click(force=True)
        page.wait_for_timeout(300)
    expect(more).to_be_hidden()
    watched.check()
    watched.context.close()


def test_the_picture_is_as_low_as_what_it_holds_before_and_after_a_stack_was_open(
    wide: Watched,
) -> None:
    page = wide.page
    open_map(page, wide.site + LINEAGE)
    folded = canvas_height(page)
    room = page.evaluate(f"({MAP}.room.y2 - {MAP}.room.y1) * {MAP}.cy.zoom()")
    choose(page, "toyexp_demo-2026_0001_reco_0004")
    page.get_by_role("button", name="Open", exact=True).click()
    hears(page, "Opened")
    opened = canvas_height(page)
    page.get_by_role("button", name="Fold all").click()
    hears(page, "Folded")

    assert folded < room + 40
    assert opened > folded
    assert canvas_height(page) == folded
    assert page.get_by_role("button", name="Fold all").is_hidden()
    becomes(page, f"!{MAP}.cy.animated() && {MAP}.isSeen({MAP}.chosen)")


def test_a_link_to_a_path_shows_all_of_it(browser: Browser, wide: Watched) -> None:
    page = wide.page
    open_map(page, wide.site + LINEAGE)
    page.locator(".map-canvas").focus()
    for key in ("Home", "p", *["ArrowLeft"] * 6, "p", "Escape"):
        page.keyboard.press(key)

    other = Watched(browser, wide.site, (900, 700), "light")
    open_map(other.page, page.url)

    assert other.page.evaluate(SEEN)
    other.check()
    other.context.close()


def test_a_search_finds_every_member_of_a_stack_lists_it_first_and_leaves_its_row(
    wide: Watched,
) -> None:
    page = wide.page
    open_map(page, wide.site + LINEAGE)
    page.locator(".map-find").fill("reco_0009_dimuon")

    assert page.locator(".map-found").inner_text() == "1 box; 1 of 43 rows below"
    assert told(page) == "1 box; 1 of 43 rows below"
    assert page.locator("tr[data-keys]:visible").count() == 1
    page.locator(".map-find").press("Enter")
    assert "reco_0009_dimuon" in page.locator(".map-panel .hits li").first.inner_text()
    page.locator(".map-find").fill("reco_0007_dimuon")
    assert "reco_0007_dimuon" in page.locator(".map-panel .hits li").first.inner_text()
    page.locator(".map-find").fill("")
    assert page.locator("tr[data-keys]:visible").count() == 43


def test_a_search_names_files_of_the_history_that_the_picture_leaves_out(wide: Watched) -> None:
    page = wide.page
    open_map(page, f"{wide.site}/lineage/{samples.MERGED}?experiment=toyexp&limit=6")
    elsewhere = page.locator(".map-elsewhere")
    expect(elsewhere).to_be_hidden()

    page.locator(".map-find").fill("GEN_0003")

    expect(elsewhere).to_contain_text("1 file in the whole history; not in the picture")
    assert page.locator(".map-found").inner_text().startswith("no boxes")
    page.locator(".map-find").fill("no such name")
    expect(elsewhere).to_be_hidden()
    page.locator(".map-find").fill("gen_0003")
    elsewhere.get_by_role("link").click()
    page.wait_for_url("**/files/*gen_0003*")


def test_another_direction_goes_on_with_search_choice_and_path(wide: Watched) -> None:
    page = wide.page
    open_map(page, wide.site + LINEAGE)
    page.locator(".map-find").fill("dimuon")
    page.locator(".map-canvas").focus()
    for key in ("Home", "p"):
        page.keyboard.press(key)
    chosen = words(page, "at")

    kept = page.locator("form.filters input[type=hidden]").evaluate_all(
        "all => all.map((one) => one.name)"
    )
    page.get_by_role("link", name="What made it").click()
    page.wait_for_selector(".map-place[data-ready]")

    assert {"find", "at", "start"} <= set(kept)
    assert (words(page, "find"), words(page, "at"), words(page, "start")) == (
        ["dimuon"],
        chosen,
        chosen,
    )
    assert page.locator(".map-find").input_value() == "dimuon"
    assert chosen


def test_each_button_of_a_table_says_what_it_shows(wide: Watched) -> None:
    open_map(wide.page, wide.site + CAMPAIGN)

    names = wide.page.locator(".map-show").evaluate_all("all => all.map((one) => one.ariaLabel)")

    assert len(names) == len(set(names)) > 4
    assert any(name.startswith("Show reco, failed") for name in names)


def drag(page: Page, fingers: list[tuple[float, float]], *, up: int) -> None:
    """Move some fingers upwards together."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, moved: int) -> None:
        points = [{"x": x, "y": y - moved, "id": number} for number, (x, y) in enumerate(fingers)]
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": points if kind != "touchEnd" else []},
        )

    touch("touchStart", 0)
    for moved in range(0, up, 10):
        touch("touchMove", moved)
    touch("touchEnd", up)


def at_rest(page: Page) -> float:
    """How far the page is scrolled, once it moves no more."""
    still = (
        "let last = -1, same = 0; const look = () => { same = scrollY === last ? same + 1 : 0; "
        "last = scrollY;"
    )
    at = page.evaluate(
        f"new Promise(done => {{ setTimeout(() => done(null), 30000); {still} "
        f"same > 12 ? done(last) : requestAnimationFrame(look); }}; look(); }})"
    )
    assert at is not None, "the page does not come to rest"
    return float(at)


def test_on_a_phone_one_finger_moves_the_page_and_the_map_is_where_it_was_asked_for(
    browser: Browser, site: str
) -> None:
    watched = Watched(browser, site, NARROW, "light", has_touch=True)
    page = watched.page
    page.goto(site + LINEAGE)
    page.get_by_role("button", name="Explore the picture").tap()
    page.wait_for_selector(".map-place[data-ready]")
    becomes(page, "document.activeElement.classList.contains('map-canvas')")
    box = page.locator(".map-canvas").bounding_box()
    assert box is not None
    before, top = page.evaluate(f"{MAP}.cy.pan()"), page.evaluate("scrollY")
    assert 0 <= box["y"] < NARROW[1] / 2

    drag(page, [(box["x"] + 150, box["y"] + 300)], up=100)
    becomes(page, f"scrollY > {top}")
    assert page.evaluate(f"{MAP}.cy.pan()") == before
    assert page.evaluate(f"{MAP}.chosen") is None

    top = at_rest(page)
    two_fingers = [(box["x"] + 100, box["y"] + 250), (box["x"] + 170, box["y"] + 250)]
    follows = f"{MAP}.cy.pan().y < {before['y'] - 20}"
    drag(page, two_fingers, up=60)
    if not holds_soon(page, follows, 5):
        # Seen once on a busy machine: Chromium took the first gesture for none
        drag(page, two_fingers, up=60)
    becomes(page, follows)
    assert at_rest(page) == top
    watched.check()
    watched.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("address", [LINEAGE, CAMPAIGN])
def test_axe_finds_nothing_on_the_map(
    browser: Browser, site: str, address: str, size: tuple[int, int], scheme: str
) -> None:
    watched = Watched(browser, site, size, scheme)
    page = watched.page
    page.goto(site + address)
    if size == NARROW:
        assert page.locator("svg.lineage-down").is_visible()
        page.get_by_role("button", name="Explore the picture").click()
    page.wait_for_selector(".map-place[data-ready]")
    page.locator("tbody tr button").first.click()

    assert axe_findings(page) == []
    assert (
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        <= 0
    )
    watched.check()
    watched.context.close()


@pytest.mark.parametrize(
    ("scheme", "focus", "failed"),
    [("light", "#ddeefa", "#d55e00"), ("dark", "#12304a", "#ff7b39")],
)
def test_boxes_are_painted_in_the_colours_of_what_they_are(
    browser: Browser, site: str, scheme: str, focus: str, failed: str
) -> None:
    watched = Watched(browser, site, WIDE, "light")
    page = watched.page
    open_map(page, site + LINEAGE)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    is_painted(page, "box.is_focus", (8, 12), focus)
    open_map(page, site + CAMPAIGN)
    is_painted(page, "box.state === 'failed'", (18, 18), failed)  # its mark is a triangle
    watched.check()
    watched.context.close()


def test_it_prints_the_picture_as_it_is_in_the_colours_of_day(browser: Browser, site: str) -> None:
    watched = Watched(browser, site, WIDE, "dark")
    open_map(watched.page, site + LINEAGE)
    watched.page.emulate_media(media="print")
    paper = watched.page.locator(".map-paper svg text")
    paper.first.wait_for()

    assert watched.page.locator(".map-main").is_hidden()
    expect(paper.filter(has_text="merge").nth(1)).to_be_attached()
    assert paper.first.get_attribute("fill") == "#1b1f24"
    sheets = watched.page.locator(".map-paper > svg").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().width / one.viewBox.baseVal.width)"
    )
    assert min(sheets) > 0.6  # words of 12 px: 5 points or more
    assert watched.page.locator(".paper-address").inner_text() == watched.page.url
    assert watched.page.locator("tr[data-name] a.name", has_text="…").count() == 0
    printed = watched.page.pdf(prefer_css_page_size=True)
    assert len(printed) > 20_000
    width, height = map(float, re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)[0])
    assert width > height
    watched.page.emulate_media(media="screen")
    watched.page.wait_for_selector(".map-paper", state="detached")
    watched.check()
    watched.context.close()


def test_without_javascript_the_servers_picture_stands(browser: Browser, site: str) -> None:
    watched = Watched(browser, site, WIDE, "light", java_script_enabled=False)
    watched.page.goto(site + CAMPAIGN)

    assert watched.page.locator("svg.lineage-right").is_visible()
    assert watched.page.locator(".map-bar, .map-start button").count() <= 1
    assert watched.page.locator(".lineage-right .lineage-count").count() > 2
    failed = watched.page.locator(".lineage-right .lineage-node.is-failed .lineage-shape").first
    assert failed.evaluate("box => getComputedStyle(box).stroke") == "rgb(213, 94, 0)"
    assert failed.get_attribute("stroke-width") == "2.5"
    watched.page.locator("svg.lineage-right a").first.click()
    expect(watched.page).to_have_url(re.compile(f"^{re.escape(site)}/jobs\\?"))
    watched.context.close()


def test_a_copy_without_scripts_has_the_picture_and_asks_for_nothing_else(
    pages_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobprov.app.web.frame.pictures.INLINE_BYTES", 100)
    client = pages_app.test_client()

    def fetch(address: str) -> Fetched | None:
        with client.get(address) as answer:
            return (
                Fetched(address, answer.content_type, answer.data)
                if answer.status_code == 200
                else None
            )

    copy_pages(
        fetch, [f"/lineage/{samples.MERGED}"], tmp_path, service="https://jobprov.example", most=1
    )

    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "preload" not in text
    assert "noscript" not in text
    assert "picture=map" not in re.sub(r' data-map="[^"]*"', "", text)
    assert len(re.findall(r'<img src="[^"]*svg"', text)) == 2
    assert list(tmp_path.rglob("*.svg"))
    assert not list(tmp_path.rglob("*cytoscape*"))


def test_a_row_of_the_table_is_marked_in_the_stack_that_holds_it(wide: Watched) -> None:
    open_map(wide.page, f"{wide.site}/lineage/{samples.MERGED}?direction=ancestors")
    name = samples.FIRST_GEN.replace("gen_0000", "gen_0007")

    wide.page.locator("tr", has=wide.page.get_by_role("link", name=name, exact=True)).get_by_role(
        "button"
    ).click()

    expect(wide.page.locator(".map-panel li.is-found")).to_have_text(name)
    expect(wide.page.locator(".map-panel li").first).to_have_text(name)
