"""`python -m benchmarks.pages`: how long people wait for pages.

It is measured in requests to a served process and in a real Chromium. Time to interactive is from
the beginning of the navigation to the frame in which the picture can be clicked (`data-ready` of
the map), each time in a fresh browser context, so that nothing is cached; Chromium draws by
software, without a GPU.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import delete, func, select

from benchmarks.campaign import CONCAT, generate_jobs
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.clients import request_bytes, send_all
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import cpu_seconds, running_service
from benchmarks.whole import recording
from benchmarks.whole.asking import print_memory
from benchmarks.whole.reading import middle, slowest_hundredth
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.tables import Job, KeptAnswerRow

CHROMIUM = Path("/usr/bin/chromium")
MARKS = {
    "job": 60,
    "lineage": 60,
    "folded": 200,
    "folded shown": 800,
    "lineage shown": 1200,
    "any": 100,
}
CAMPAIGN = "prod5"
_PAGES = (
    "/",
    "/jobs",
    "/jobs?state=failed",
    "/search?q=reco",
    "/errors?experiment=nova",
    f"/errors?experiment=nova&campaign={CAMPAIGN}",
    "/resources?experiment=nova&stage=reco",
    "/throughput?since=3000w",
    "/throughput?since=3000w&measure=running",
    "/throughput?since=3000w&measure=wall_seconds",
    "/throughput?since=3000w&by=site&state=failed&experiment=nova",
    f"/campaigns/nova/{CAMPAIGN}",
    "/estimate?experiment=nova&stage=reco&files=1000",
    "/samples/nova",
    "/orphans?experiment=nova",
)
_REQUESTS = 200
_PATIENCE = 10.0
"""Seconds for one page."""
_VISITS = 7
_NODES = 200


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.pages", __doc__)
    parser.add_argument(
        "--jobs",
        type=int,
        default=100_000,
        help="jobs that fill the database before it is measured",
    )
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, {chosen.jobs:,} jobs of 6 kB")
            measure_pages(place, chosen.jobs)


def measure_pages(place: Place, jobs: int) -> None:
    """Print how long pages take, and how long until they can be used.

    Before that the database is filled, as far as it is not yet.
    """
    some = _prepare(place, jobs)
    with running_service(place.settings) as (address, process):
        measure_requests(address, some, process)
        print_memory(process, "showed pages")
        measure_browser(address)


def measure_requests(address: str, jobs: Sequence[str], process: int) -> None:
    """Print how long single requests take, one after the other.

    It also prints the CPU that the service spends on each.
    """
    campaign = f"/campaigns/nova/{CAMPAIGN}/lineage"
    graph = f"/api/v1/campaigns/{CAMPAIGN}/graph?experiment=nova"
    start = time.perf_counter()
    total = sum(node["jobs"] for node in _fetched(address + graph)["nodes"])
    first = time.perf_counter() - start
    print_figure(
        Figure(
            "folded graph, counted for who asks first", first * 1e3, "ms", note=f"{total:,} jobs"
        )
    )
    lineage = f"/lineage/{CONCAT.format(tree=0)}?limit={_NODES}"
    for name, mark, paths in (
        ("folded graph, JSON, p50", MARKS["folded"], [graph]),
        ("folded graph, page, p50", MARKS["folded"], [campaign]),
        ("job page, p50", MARKS["job"], [f"/jobs/{job}" for job in jobs]),
        (f"lineage page, {_NODES} nodes, p50", MARKS["lineage"], [lineage]),
        (f"lineage picture, {_NODES} nodes, p50", None, [f"{lineage}&picture=map"]),
        *((f"page {path}, p50", MARKS["any"], [path]) for path in _PAGES),
    ):
        requests = [
            request_bytes("GET", paths[place % len(paths)], b"") for place in range(_REQUESTS)
        ]
        warm = send_all([address], requests[:10], connections=1, statuses=[200]).seconds / 10
        requests = requests[: max(10, int(_PATIENCE / warm))]  # of what is slow, fewer say as much
        spent = cpu_seconds(process)
        waits = send_all([address], requests, connections=1, statuses=[200]).waits
        spent = (cpu_seconds(process) - spent) / len(requests)
        note = f"p99 {slowest_hundredth(waits):.1f} ms, service {spent * 1e3:.1f} ms of CPU"
        print_figure(Figure(name, middle(waits), "ms", mark=mark, note=note))


def measure_browser(address: str) -> None:
    """Print the time to interactive of the folded graph and of lineages.

    Folded, and with every box opened.
    """
    if not CHROMIUM.exists():
        print(f"no Chromium at {CHROMIUM}: time to interactive is not measured")
        return
    lineage = f"/lineage/{CONCAT.format(tree=0)}?limit={_NODES}"
    opened = "".join(
        f"&expanded={box['open']}"
        for box in _fetched(f"{address}{lineage}&picture=map")["boxes"]
        if "open" in box
    )
    with _browser() as browser:
        _visit(browser, f"{address}/jobs")  # the first page of a browser pays for its own start
        for name, mark, path in (
            (
                "folded graph, interactive",
                MARKS["folded shown"],
                f"/campaigns/nova/{CAMPAIGN}/lineage",
            ),
            (f"lineage of {_NODES} nodes, interactive", MARKS["lineage shown"], lineage),
            (
                f"the same, every box opened ({_NODES} boxes)",
                MARKS["lineage shown"],
                lineage + opened,
            ),
        ):
            visits = [_interactive(browser, address + path) for _ in range(_VISITS)]
            waits, spent = ([visit[place] for visit in visits] for place in (0, 1))
            note = (
                f"slowest of {_VISITS}: {max(waits):,.0f} ms; "
                f"the page's own thread {median(spent):,.0f} ms of CPU"
            )
            print_figure(Figure(name, median(waits), "ms", mark=mark, note=note))


def _prepare(place: Place, jobs: int) -> list[str]:
    """Record what is not there of the campaign and forget what was counted of it.

    Return the ids of some jobs.
    """
    service = open_service(load_settings(place.settings))
    try:
        with service.reading() as connection:
            done: int = connection.execute(select(func.count()).select_from(Job)).scalar_one()
        if done < jobs:
            recording.record_in_process(
                service, generate_jobs(jobs - done, first=done), place.process
            )
        service.write(lambda writing: writing.connection.execute(delete(KeptAnswerRow)))
        chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
        keys = [chance.randrange(1, min(done or jobs, jobs)) for _ in range(_REQUESTS)]
        with service.reading() as connection:
            return list(connection.execute(select(Job.uuid).where(Job.id.in_(keys))).scalars())
    finally:
        service.close()


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield browser
        browser.close()


def _interactive(browser: Browser, address: str) -> tuple[float, float]:
    """Return milliseconds until the picture can be clicked, and of CPU of the page's thread.

    The first are counted from the beginning of the navigation. Source: Chrome DevTools Protocol,
    `Performance.getMetrics` in the time domain `threadTicks`.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    tools = context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    page.wait_for_selector(".map-place[data-ready]", timeout=60_000)
    ready = page.locator(".map-place").get_attribute("data-ready")
    metrics = {
        metric["name"]: metric["value"]
        for metric in tools.send("Performance.getMetrics")["metrics"]
    }
    context.close()
    return float(ready or 0), metrics["TaskDuration"] * 1e3


def _visit(browser: Browser, address: str) -> None:
    context = browser.new_context()
    context.new_page().goto(address)
    context.close()


def _fetched(address: str) -> Any:
    with urlopen(address) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
