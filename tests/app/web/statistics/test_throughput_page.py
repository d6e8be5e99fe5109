"""The page of throughput: its words, its table and links, the chart in Chromium."""

import csv
import io
import re
from collections.abc import Iterator
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect

from tests.library.browser import NARROW, WIDE, Watched
from tests.library.markup import tight
from tests.library.records import job_id
from tests.library.servers.served_app import served

WINDOW = "ended_after=2026-11-24T15:00:00Z&ended_before=2026-11-24T17:00:00Z"
TWIN = "/api/v1/statistics/throughput"


@pytest.mark.slow
def test_first_line_says_how_many_ended_and_how(pages: FlaskClient) -> None:
    twin = pages.get(f"{TWIN}?{WINDOW}").get_json()
    [line] = re.findall(
        r'<p class="lead">(.*?)</p>', tight(pages.get(f"/throughput?{WINDOW}").text)
    )

    states = ", ".join(f"{group['jobs']} {group['name']}" for group in twin["groups"])
    assert line == (
        f"{twin['jobs']} jobs ended from 2026-11-24 15:00 to 2026-11-24 17:00 UTC: {states}."
    )


@pytest.mark.slow
def test_sites_are_added_up_and_lead_to_why_their_jobs_failed(pages: FlaskClient) -> None:
    page = f"/throughput?{WINDOW}&by=site&experiment=toyexp"
    twin = pages.get(f"{TWIN}?{WINDOW}&by=site&experiment=toyexp").get_json()
    text = pages.get(page).text
    [link] = re.findall(r'<a href="([^"]*)">Why jobs failed', text)

    totals = ", ".join(f"{site['name'] or 'no site'} {site['jobs']}" for site in twin["groups"])
    assert f"<p>By site: {totals}.</p>" in text
    assert "experiment=toyexp" in link
    assert pages.get(unescape(link)).status_code == 200
    assert "By state:" not in pages.get(f"/throughput?{WINDOW}").text, "the first line tells it"


@pytest.mark.slow
def test_a_window_without_jobs_leads_to_the_newest(pages: FlaskClient) -> None:
    text = tight(
        pages.get("/throughput?ended_after=2026-12-24&ended_before=2026-12-25&by=site").text
    )
    [line] = re.findall(r'<p class="lead">(.*?)</p>', text)
    [link] = re.findall(r'href="([^"]*)"', line)

    assert "No job ended from 2026-12-24 00:00 to 2026-12-25 00:00 UTC." in line
    assert "by=site" in link, "what was asked stays"
    assert "jobs ended from" in tight(pages.get(unescape(link)).text)


def test_every_step_of_the_table_leads_to_itself(pages: FlaskClient) -> None:
    text = tight(pages.get(f"/throughput?{WINDOW}&step=1h").text)
    rows = re.findall(r'<tr><td><a href="([^"]*)">.*?</a></td><td class="number"[^>]*>(\d+)', text)

    assert rows
    for link, total in rows:
        assert f'<p class="lead">{total} jobs ended' in tight(pages.get(unescape(link)).text)


def test_all_steps_are_there_as_csv(pages: FlaskClient) -> None:
    answer = pages.get(f"/throughput?{WINDOW}&by=stage&format=csv")
    twin = pages.get(f"{TWIN}?{WINDOW}&by=stage").get_json()

    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert "throughput.csv" in answer.headers["Content-Disposition"]
    assert len(rows) == len(twin["starts"]) * len(twin["groups"])
    first = twin["groups"][0]
    assert [float(row["amount"]) for row in rows if row["group"] == first["name"]] == first[
        "amounts"
    ]


def test_running_jobs_are_counted_by_how_many_ran_at_once(pages: FlaskClient) -> None:
    text = tight(pages.get(f"/throughput?{WINDOW}&measure=running").text)

    assert re.search(r'<p class="lead">\d+ jobs ran from .* at once at most\.</p>', text)
    assert "measure=queue" in text, "how many waited meanwhile"


@pytest.fixture
def starved(client: FlaskClient) -> FlaskClient:
    """Return a client of a service whose queue had two idle jobs, was not reported, and is empty."""
    task = {"experiment": "nova", "campaign": "c", "stage": "reco", "units": 9}
    assert client.put("/api/v1/tasks/t1", json=task).status_code == 201
    jobs = []
    for number in range(1, 4):
        batch = f"{number}.0@sched01"
        state = "held" if number == 3 else "idle"
        jobs.append({"batch_id": batch, "job_id": job_id(number), "task_id": "t1", "state": state})
    for age, reported in ((5 * 3600, jobs), (0, [])):
        body = {"experiment": "nova", "age_seconds": age, "jobs": reported}
        assert client.put("/api/v1/queue/sched01", json=body).status_code == 200
    return client


def test_queues_over_time_tell_what_is_not_known(starved: FlaskClient) -> None:
    text = tight(starved.get("/throughput?measure=queue&since=7h&step=1h").text)
    [line] = re.findall(r'<p class="lead">(.*?)</p>', text)
    table = text.partition('id="steps"')[2]
    rows = re.findall(r"<tr>(.*?)</tr>", table)

    assert re.match(
        r"3 jobs at once at most in the last 7 hours; none since 2.* UTC; \d step", line
    )
    assert re.search(r"steps of \d not known\.$", line)
    columns = [re.sub("<[^>]*>", " ", cell).split()[-1] for cell in rows[0].split("</th>")[:-1]]
    assert columns == ["From", "All", "running", "idle", "held"]
    numbers = [re.findall(r'<td class="number"[^>]*>(\S+)</td>', row) for row in rows[1:]]
    assert numbers[0] == ["0", "0", "0", "0"]
    assert ["3", "0", "2", "1"] in numbers
    assert [row for row in rows if "not known" in row], "in between"
    assert 'data-chart="' in text


def test_queues_over_time_are_csv_with_nothing_where_nobody_knows(starved: FlaskClient) -> None:
    address = "/throughput?measure=idle&by=stage&since=7h&step=1h&format=csv"
    rows = list(csv.DictReader(io.StringIO(starved.get(address).text)))

    amounts = {row["amount"] for row in rows if row["group"] == "reco"}
    assert amounts == {"", "2.0", "0.0"}


def test_no_queue_reported_is_said(pages: FlaskClient) -> None:
    text = pages.get("/throughput?measure=idle&since=24h").text

    assert "No queue was reported in the last 24 hours." in text
    assert 'class="chart"' not in text


def test_queues_are_not_told_by_site(pages: FlaskClient) -> None:
    answer = pages.get("/throughput?measure=idle&by=site")

    assert answer.status_code == 422
    assert "of idle it is state or stage" in answer.text


def test_distributions_have_a_row_for_each_step_and_group(pages: FlaskClient) -> None:
    address = f"?{WINDOW}&step=1h&measure=wall_seconds&by=stage"
    text = tight(pages.get(f"/throughput{address}").text)
    answer = pages.get(f"/throughput{address}&format=csv").text
    twin = pages.get(TWIN + address).get_json()

    rows = [row for row in csv.DictReader(io.StringIO(answer)) if row["median"]]
    assert rows
    assert len(rows) == len(re.findall(r"<tr><td><a href=", text))
    medians = {row["group"]: float(row["median"]) for row in rows}
    for group in twin["groups"]:
        assert medians[group["name"]] in group["spread"]["median"]
    assert "eight of ten jobs lie in the box" in text


def test_what_the_chart_reads_is_the_answer(pages: FlaskClient) -> None:
    address = f"?{WINDOW}&by=site&measure=files"

    assert (
        pages.get(f"/throughput{address}&format=json").get_json()["groups"]
        == pages.get(TWIN + address).get_json()["groups"]
    )


@pytest.mark.slow
def test_what_changed_stands_in_a_table_as_in_the_call(pages: FlaskClient) -> None:
    marks = pages.get(f"{TWIN}?{WINDOW}").get_json()["marks"]
    table = tight(pages.get(f"/throughput?{WINDOW}").text).partition('id="marks"')[2]
    rows = re.findall(r'<tr><td><b>([A-T])</b>.*?<a href="([^"]*)">(.*?)</a>', table)

    assert marks
    assert [(letter, unescape(url), unescape(words)) for letter, url, words in rows] == [
        (mark["letter"], mark["url"], mark["words"]) for mark in marks
    ]
    for mark in marks:
        listed = pages.get(mark["url"])
        assert listed.status_code == 200
    failed = pages.get(f"{TWIN}?{WINDOW}&state=failed&measure=files&by=site").get_json()
    assert failed["marks"] == marks, "whatever is measured"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=soon", "not a length of time such as 90m, 24h, 7d or 4w"),
        ("since=5200w&step=1m", "more than 1000 steps"),
        ("by=colour", "by"),
        ("sort=up", "sort"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    pages: FlaskClient, query: str, words: str
) -> None:
    answer = pages.get(f"/throughput?{query}")

    assert answer.status_code == 422
    assert words in unescape(answer.text)


@pytest.mark.slow
def test_first_page_says_what_ended_lately(pages: FlaskClient) -> None:
    text = pages.get("/").text

    assert re.search(r"job(s)? ended in the last 24 hours", text)
    assert 'href="/throughput' in text.partition("Last 24 hours")[2]


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ("failed", "failed"),
        ("killed", "ended killed"),
        ("failed,killed,lost", "did not succeed"),
        ("killed,lost", "ended killed or lost"),
    ],
)
def test_page_says_how_the_jobs_ended_that_it_counts(
    pages: FlaskClient, states: str, words: str
) -> None:
    page = pages.get(f"/throughput?{WINDOW}&state={states}")
    twin = pages.get(f"{TWIN}?{WINDOW}&state={states}").get_json()

    assert re.search(
        rf'<p class="lead">(No|{twin["jobs"]}) jobs? {words} from 2026-11-24', tight(page.text)
    )
    assert not twin["jobs"] or f"Jobs that {words} every " in tight(page.text)
    assert {group["name"] for group in twin["groups"]} <= {*states.split(",")}


def test_page_adds_up_what_the_jobs_took(pages: FlaskClient) -> None:
    twin = pages.get(f"{TWIN}?{WINDOW}&measure=cpu_hours").get_json()
    page = pages.get(f"/throughput?{WINDOW}&measure=cpu_hours").text
    hours = sum(sum(group["amounts"]) for group in twin["groups"])

    assert f"; {round(hours, 1):g} CPU hours" in page


def test_a_little_time_is_not_shown_as_none(pages: FlaskClient) -> None:
    page = tight(pages.get(f"/throughput?{WINDOW}&measure=cpu_hours&state=failed").text)

    assert "; 0.00092 CPU hours." in page
    amounts = re.findall(r'<td class="number" data-title="(\w+)">0.00092</td>', page)
    assert amounts == ["All", "failed"], "the sum of all and a column"


def test_failures_of_several_kinds_are_counted_together(pages: FlaskClient) -> None:
    def jobs(states: str) -> int:
        found: int = pages.get(f"{TWIN}?{WINDOW}&state={states}").get_json()["jobs"]
        return found

    assert jobs("failed,killed,lost") == jobs("failed") + jobs("killed") + jobs("lost") > 0


@pytest.fixture(scope="module")
def site(pages_app: Flask) -> Iterator[str]:
    """Yield the address of the served application."""
    yield from served(pages_app)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_chart_says_what_a_step_had_and_dragging_leads_to_that_time(
    browser: Browser, site: str, size: tuple[int, int], scheme: str
) -> None:
    watched = Watched(browser, site, size, scheme)
    page = watched.page
    page.goto(f"{site}/throughput?{WINDOW}&step=10m")
    chart = page.locator(".chart .u-over")
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    assert box is not None
    legend_at_rest = page.locator(".u-legend").inner_text()
    assert "succeeded" in legend_at_rest
    assert "--" not in legend_at_rest, "nothing is pointed at"

    # Jobs ended at 15:15:43, in the second of twelve steps
    page.mouse.move(box["x"] + box["width"] * 1.2 / 12, box["y"] + box["height"] / 2)
    legend = page.locator(".u-legend").inner_text()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 4.5 / 12, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_url("**ended_after=2026-11-24T15%3A1**")

    assert re.search(r"succeeded:?\s*[1-9]", legend)
    expect(page.locator(".lead")).to_contain_text("jobs ended from 2026-11-24 15:1")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    watched.check()
    watched.context.close()


def test_the_window_shown_is_marked_however_its_length_is_spelled(pages: FlaskClient) -> None:
    for since, words in (("1d", "24 hours"), ("60m", "hour"), ("1w", "7 days")):
        text = tight(pages.get(f"/throughput?since={since}&measure=idle").text)
        assert f"<b>{words}</b>" in text, since
