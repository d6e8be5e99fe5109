"""The list of jobs: several states, orders, counts beside filters, and what ticked jobs lead to."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from jobprov.app.web.frame.page import PAGE_BYTES
from jobprov.provenance.db.queries.lookup.lists import job_facets, job_orders
from jobprov.provenance.services.lookup import job_tables
from tests.library.answers import put_job
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples
from tests.library.records import a_record
from tests.library.statements import statements_sent

TASK = "toyexp-demo-reco-0001"
FIRST, AGAIN = samples.job_id("reco-4-first"), samples.job_id("reco-4")


def lead(text: str) -> str:
    [words] = re.findall(r'<p class="lead">(.*?)</p>', text)
    return re.sub(r"<[^>]+>", "", unescape(words))


def head(text: str, title: str) -> tuple[str, str]:
    """Return the attributes of the head of a column, and the address that it leads to."""
    [attributes, url] = re.findall(rf'<th([^>]*)><a href="([^"]*)">{title}</a>', tight(text))[0]
    return attributes, unescape(url)


def test_boxes_of_a_form_become_one_address(pages: FlaskClient) -> None:
    boxes = pages.get("/jobs?experiment=toyexp&state=failed&state=killed&site=")
    assert boxes.status_code == 302
    assert boxes.headers["Location"] == "/jobs?experiment=toyexp&state=failed%2Ckilled"
    text = tight(pages.get(boxes.headers["Location"]).text)

    assert lead(text) == "2 jobs with experiment toyexp, state failed, killed."
    assert re.findall(r'name="state" value="(\w+)" checked', text) == ["failed", "killed"]
    # what else there is to choose is counted as well
    assert re.search(r'succeeded <span class="count">22</span>', text)
    twin = re.search(r'rel="alternate"[^>]*href="([^"]*)"', text)
    assert twin
    assert len(pages.get(unescape(twin[1])).get_json()["jobs"]) == 2


def test_exit_of_a_signal_is_the_same_number_in_rows_counts_and_the_filter(
    client: FlaskClient,
) -> None:
    put_job(client, a_record(1, state="killed", exit={"code": 152, "signal": 24}))
    put_job(client, a_record(2))
    text = tight(client.get("/jobs").text)

    assert '<td class="number roomy exit">152 (SIGXCPU)</td>' in text
    assert '<a href="/jobs?exit_code=152">152 (SIGXCPU)</a> <span class="count">1<' in text
    assert "1 job with exit code 152." in client.get("/jobs?exit_code=152").text


def test_heads_of_columns_sort_and_turn_the_order_round(pages: FlaskClient) -> None:
    address = f"/jobs?task_id={TASK}"
    took = re.compile(r'<td class="number">([^<]*)</td>')
    seen = []
    for _ in range(2):
        _, address = head(pages.get(address).text, "Took")
        text = tight(pages.get(address).text)
        seen.append((head(text, "Took")[0], took.findall(text), lead(text)))
    (largest, smallest) = seen

    assert 'aria-sort="descending"' in largest[0]
    assert 'aria-sort="ascending"' in smallest[0]
    assert largest[1][0].split() == ["18", "min", "11", "s"]
    assert largest[1] == smallest[1][::-1]
    assert largest[2] == f"11 jobs with task id {TASK}, by time taken, largest first."


def test_sorted_pages_lead_on_without_loss(pages: FlaskClient) -> None:
    address: str | None = f"/jobs?task_id={TASK}&sort=-max_rss_bytes&limit=8"
    seen: list[str] = []
    while address:
        text = pages.get(address).text
        seen += re.findall(r'<a href="/jobs/([0-9a-f-]{36})">', text)
        further = re.search(r'<a href="([^"]*)">Further</a>', text)
        address = unescape(further[1]) if further else None

    assert len(seen) == len(set(seen)) == 11
    assert lead(text) == f"11 jobs with task id {TASK}; 3 are shown, by memory, largest first."


def test_page_looks_a_host_up_once(pages: FlaskClient) -> None:
    """Its list and its counts are of the same jobs."""
    with statements_sent(Engine) as statements:
        text = pages.get("/jobs?host=wn120.fnal.gov").text

    assert "with host wn120.fnal.gov" in lead(text)
    assert len([sent for sent in statements if "hosts.hostname = " in sent.sql]) == 1


def test_list_that_is_too_long_says_which_orders_it_has(
    pages: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_orders, "MOST_SORTED", 5)
    monkeypatch.setattr("jobprov.provenance.services.lookup.job_tables.MOST_SORTED", 5)
    monkeypatch.setattr(job_facets, "MOST_COUNTED", 5)
    monkeypatch.setattr(job_facets, "NEWEST_COUNTED", 4)
    text = tight(pages.get("/jobs?experiment=toyexp&limit=8").text)
    refused = pages.get("/jobs?experiment=toyexp&sort=-wall_seconds")

    assert head(text, "Started")[1] == "/jobs?experiment=toyexp&limit=8&sort=-started_at"
    assert ">Took</a>" not in text
    assert "sorted by what indexes have" in text
    assert lead(text) == "Over 8 jobs with experiment toyexp; the 8 newest are shown."
    assert "over 2" in text
    assert refused.status_code == 422
    assert "filter by task, host, cause or time of start" in unescape(refused.text)


def test_list_that_is_seen_whole_is_not_said_to_go_on(
    pages: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small experiment beside a large one: nobody counted its jobs, but all of them are shown."""
    monkeypatch.setattr(job_orders, "MOST_SORTED", 1)
    monkeypatch.setattr("jobprov.provenance.services.lookup.job_tables.MOST_SORTED", 1)
    monkeypatch.setattr(job_facets, "MOST_COUNTED", 1)
    monkeypatch.setattr(job_facets, "NEWEST_COUNTED", 1)

    text = tight(pages.get("/jobs?experiment=toyexp&limit=100").text)

    assert "with experiment toyexp" in lead(text)
    assert "jobs may be in this list" not in text
    assert "of many jobs were looked at" not in text


def test_list_is_shown_without_counts_that_take_too_long(
    pages: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_tables, "_COUNTING_SECONDS", 0.0)
    monkeypatch.setattr("jobprov.provenance.db.connections.time_limits._OPERATIONS", 1)
    text = pages.get("/jobs?experiment=toyexp&limit=8").text

    assert lead(text) == "Over 8 jobs with experiment toyexp; the 8 newest are shown."
    assert '<dl class="facets">\n</dl>' in text


def test_row_has_unit_and_file_and_the_list_is_narrowed_down_by_links(pages: FlaskClient) -> None:
    text = tight(pages.get("/jobs?experiment=toyexp&stage=reco").text)

    assert "toyexp_demo-2026_0001_gen_0009.root" in text
    assert f'href="/files/{samples.MERGED.replace("merge_dimuon", "reco_0009_dimuon")}' in text
    assert '<a href="/jobs?experiment=toyexp&amp;stage=reco&amp;exit_code=9">9</a>' in text
    assert re.search(r'<datalist id="known-host"><option value="wn124.fnal.gov">2</option>', text)
    assert len(text.encode()) < PAGE_BYTES


def test_ticked_jobs_lead_on(pages: FlaskClient) -> None:
    def led_to(do: str, *jobs: str) -> str:
        ticks = "".join(f"&job_id={job}" for job in jobs)
        answer = pages.get(f"/jobs/selection?do={do}{ticks}")
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    listed = pages.get(led_to("list", FIRST, AGAIN)).text
    assert lead(listed) == "2 jobs with one of 2 ids."
    assert f'name="all" value="{FIRST},{AGAIN}"' in listed
    assert pages.get(led_to("csv", FIRST, AGAIN)).text.count("\n") == 3
    assert led_to("compare", FIRST, AGAIN) == f"/jobs/{FIRST}/diff/{AGAIN}"
    assert pages.get(led_to("compare", FIRST, AGAIN)).status_code == 200
    retry = led_to("retry", FIRST)
    assert retry == f"/retry?experiment=toyexp&task_id={TASK}&job={FIRST}"
    assert "The selected job is not retried" in pages.get(retry).text  # it was tried again
    waiver = pages.get(led_to("waive", FIRST)).text
    assert "Go on without 1 unit?" in waiver
    assert 'name="unit" value="toyexp_demo-2026_0001_gen_0004.root"' in waiver
    ids = pages.get(f"/jobs/selection?do=ids&job_id={FIRST}&job_id={AGAIN}")
    assert ids.text == f"{FIRST}\n{AGAIN}\n"
    everything = pages.get(f"/jobs/selection?do=ids&all={FIRST},{AGAIN}")
    assert everything.text == ids.text


_NO_ID = "job_id: 'x' is not the id of a job"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("do=fly&job_id=x", "do: one of list, compare, retry"),
        ("do=list", "Tick at least one job."),
        ("do=list&job_id=x", _NO_ID),
        (f"do=compare&job_id={FIRST}", "Tick two jobs to compare them, not 1."),
        (f"do=waive&job_id={FIRST}&job_id={samples.job_id('gen-0')}", "jobs of one task"),
        (f"do=retry&job_id={FIRST}&job_id={samples.job_id('hostile')}", "one experiment"),
    ],
)
def test_ticks_that_lead_nowhere_say_why(pages: FlaskClient, query: str, problem: str) -> None:
    answer = pages.get(f"/jobs/selection?{query}")

    assert answer.status_code == 422
    assert problem in unescape(answer.text)
    is_of_ticks = problem not in ("do: one of list, compare, retry", _NO_ID)
    assert ("the list is as you left it" in answer.text) is is_of_ticks


def test_what_all_jobs_of_a_list_have_in_common_is_said(pages: FlaskClient) -> None:
    """Who looks at one cause of failures wants to know that all of them are of one site."""

    def common(address: str) -> str:
        told = re.findall(r"<p>Common to all: (.*?)\.</p>", pages.get(address).text)
        return told[0] if told else ""

    assert "stage reco" in common(f"/jobs?task_id={TASK}")
    assert "site " in common(f"/jobs?task_id={TASK}")
    assert "task " not in common(f"/jobs?task_id={TASK}"), "that was asked for"
    assert "stage" not in common("/jobs?experiment=toyexp"), "there are four"
    assert common(f"/jobs?job_id={FIRST}") == "", "one job is all of it"


@pytest.mark.slow
def test_search_that_finds_much_says_how_to_find_less(pages: FlaskClient) -> None:
    much, less = (
        tight(pages.get("/search?q=dimuon").text),
        tight(pages.get("/search?q=dimuon+0004").text),
    )
    nothing = tight(pages.get("/search?q=dimuon+electron").text)

    assert "Add another part of the name" in much
    assert re.search("[12] names? contains? <code>dimuon 0004</code>", less)
    assert "Add another part" not in less
    assert "two parts with a blank between them" in nothing
