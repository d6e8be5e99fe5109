"""The page of a timeline: its words, drawings and links."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient

from jobprov.app.web.tasks.timelines import Axis
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples

TASK = "toyexp-demo-reco-0001"
UNIT = "toyexp_demo-2026_0001_gen_0004.root"


def test_a_unit_shows_its_attempts_with_their_ends(pages: FlaskClient) -> None:
    text = pages.get(f"/timeline?task_id={TASK}&unit={UNIT}").text
    [lead] = re.findall(r'<p class="lead">(.*?)</p>', text)

    assert lead.startswith("2 attempts: ")
    assert " running" in lead
    first, second = (f"/jobs/{samples.job_id(name)}" for name in ("reco-4-first", "reco-4"))
    assert 0 < text.index(f'href="{first}"') < text.index(f'href="{second}"')
    assert '<rect class="is-failed' in text
    assert '<rect class="is-succeeded' in text


def test_axis_of_some_seconds_tells_seconds() -> None:
    start = datetime(2026, 1, 7, 12, 59, 58, tzinfo=UTC)

    ticks = Axis(start, start + timedelta(seconds=5)).ticks()

    assert [tick.label for tick in ticks][:2] == ["12:59:58", "12:59:59"]


def test_a_task_can_be_folded_and_leads_to_its_jobs(pages: FlaskClient) -> None:
    by_job = tight(pages.get(f"/timeline?task_id={TASK}").text)
    [link] = re.findall(r'One row per <b>job</b> <a href="([^"]*)">site</a>', by_job)

    by_site = tight(pages.get(unescape(link)).text)

    assert " at once at most." in by_site
    assert re.search(r'<path class="is-running" d="M0 34V[^"]*Z"/>', by_site)
    [jobs] = re.findall(r'<td class="name"><a href="(/jobs[^"]*)">FNAL</a>', by_site)
    assert pages.get(unescape(jobs)).status_code == 200


def test_the_pages_of_task_and_job_lead_here(pages: FlaskClient) -> None:
    for page in (f"/tasks/{TASK}", f"/jobs/{samples.job_id('reco-4')}"):
        [link] = re.findall(r'href="(/timeline[^"]*)"', pages.get(page).text)
        assert pages.get(unescape(link)).status_code == 200


def test_stretches_and_steps_are_there_as_csv(pages: FlaskClient) -> None:
    of_unit = pages.get(f"/timeline?task_id={TASK}&unit={UNIT}&format=csv")
    of_sites = pages.get(f"/timeline?task_id={TASK}&by=site&format=csv")

    rows = list(csv.DictReader(io.StringIO(of_unit.text)))
    assert "timeline.csv" in of_unit.headers["Content-Disposition"]
    assert {"run", "step"} <= {row["kind"] for row in rows}
    assert {row["unit"] for row in rows} == {UNIT}
    steps = list(csv.DictReader(io.StringIO(of_sites.text)))
    assert max(float(row["running"]) for row in steps) > 1
    assert all(row["start"].endswith("Z") for row in steps)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 422, "task_id: name a task."),
        (f"task_id={TASK}&unit=none", 404, "No job, order or queue names unit none"),
        (f"task_id={TASK}&unit={UNIT}&by=site", 422, "the rows of a unit are its attempts"),
        (f"task_id={TASK}&by=colour", 422, "by"),
        ("task_id=none", 404, "No task none"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    pages: FlaskClient, query: str, status: int, words: str
) -> None:
    answer = pages.get(f"/timeline?{query}")

    assert answer.status_code == status
    assert words in unescape(answer.text)


def test_the_ends_of_a_timeline_are_told_to_the_second(pages: FlaskClient) -> None:
    address = f"/timeline?task_id={TASK}&unit={UNIT}"
    text = tight(re.sub(r"<[^>]+>", "", pages.get(address).text))

    assert re.search(r"From [-\d]{10} \d\d:\d\d:\d\d UTC to [-\d]{10} \d\d:\d\d:\d\d UTC", text)
