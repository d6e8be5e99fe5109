"""Histograms: what their bars say, and how the page of resources shows them."""

import csv
import io
import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from jobprov.app.web.frame.formats import duration
from jobprov.app.web.statistics.resources import HEIGHT, STEP, draw_histogram, end_words


def test_each_bar_says_from_where_to_where_and_how_many() -> None:
    drawn = draw_histogram([4, 0, 1], ["1 s", "2 s", "3 s", "4 s"])

    assert drawn.bars == [
        "1 s to 2 s and below: 4 jobs",
        "2 s to 3 s: 0 jobs",
        "3 s to 4 s and above: 1 job",
    ]
    assert (drawn.width, drawn.highest) == (3 * STEP, 0)


def test_bars_are_as_high_as_their_counts_and_few_are_still_seen() -> None:
    drawn = draw_histogram([1000, 500, 1, 0], ["0", "1", "2", "3", "4"])

    assert re.findall(r"v-(\d+)", drawn.path) == [str(HEIGHT), str(HEIGHT // 2), "1"]


@pytest.mark.parametrize(
    ("edges", "unit", "words"),
    [
        ([1.0, 2.0, 3.0], "seconds", [f"{second}\N{NO-BREAK SPACE}s" for second in (1, 2, 3)]),
        ([4320.0, 4322.5, 4325.0], "seconds", ["4320.0 s", "4322.5 s", "4325.0 s"]),
        ([0.91, 0.9125, 0.915], "ratio", ["91.00 %", "91.25 %", "91.50 %"]),
        (
            [88e6, 88e6 + 100, 88e6 + 200],
            "bytes",
            [
                f"88\N{NARROW NO-BREAK SPACE}000\N{NARROW NO-BREAK SPACE}{last} B"
                for last in ("000", "100", "200")
            ],
        ),
    ],
)
def test_edges_that_would_read_the_same_get_digits_that_tell_them_apart(
    edges: list[float], unit: str, words: list[str]
) -> None:
    said = {"seconds": duration, "ratio": lambda _: "91 %", "bytes": lambda _: "88 MB"}[unit]

    assert end_words(edges, unit, said) == words


def test_page_holds_the_numbers_of_every_bar_without_javascript(pages: FlaskClient) -> None:
    text = unescape(pages.get("/resources?stage=reco&measure=max_rss_bytes").text)
    twin = pages.get("/api/v1/statistics/resources?stage=reco").get_json()

    [said] = [
        re.findall(r"<title>(.*?)</title>", row) for row in text.split('class="distribution"')[1:]
    ]
    counts = [int(words.rpartition(": ")[2].split()[0]) for words in said]
    assert counts == twin["groups"][0]["measures"]["max_rss_bytes"]["bins"]
    assert len(set(said)) == len(said)
    assert 'style="' not in text


def test_bars_are_there_as_csv(pages: FlaskClient) -> None:
    answer = pages.get("/resources?stage=reco&format=bins")
    twin = pages.get("/api/v1/statistics/resources?stage=reco").get_json()

    rows = [
        row for row in csv.DictReader(io.StringIO(answer.text)) if row["measure"] == "wall_seconds"
    ]

    assert "bins.csv" in answer.headers["Content-Disposition"]
    assert [int(row["jobs"]) for row in rows] == twin["groups"][0]["measures"]["wall_seconds"][
        "bins"
    ]
    edges = twin["measures"]["wall_seconds"]["edges"]
    assert [float(row["from"]) for row in rows] == edges[:-1]
    assert [float(row["to"]) for row in rows] == edges[1:]


def test_what_jobs_took_leads_to_the_same_over_time(pages: FlaskClient) -> None:
    """Since when a stage is slow is no matter of a distribution."""
    question = "experiment=toyexp&stage=reco&started_after=2026-01-01T00:00:00Z"
    text = pages.get(f"/resources?{question}&measure=wall_seconds&by=site").text
    [link] = re.findall(r'<a href="([^"]*)">The same over time', text)

    assert "measure=wall_seconds" in link
    assert "by=site" in link
    assert "stage=reco" in link
    assert "started_after" not in link, "throughput counts by when jobs ended"
    assert pages.get(unescape(link)).status_code == 200
    other = pages.get(f"/resources?{question}&measure=cpu_efficiency").text
    assert "The same over time" not in other
