"""The page of two jobs: what differs stands in its first line, and the parameter with its line.

There are ways to the page from a job.
"""

import re
from html import unescape

from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples
from tests.library.records import a_record, job_id

FAILED, SUCCEEDED = samples.job_id("reco-4-first"), samples.job_id("reco-4")
ADDRESS = f"/jobs/{FAILED}/diff/{SUCCEEDED}"


def test_the_first_line_says_what_differs(pages: FlaskClient) -> None:
    text = pages.get(ADDRESS).text

    lead = re.search(r'<p class="lead">(.*?)</p>', text)
    assert lead is not None
    assert lead[1].startswith("Same code and inputs; 1 parameter differs;")
    assert lead[1].endswith("the first failed, the second succeeded.")


def test_the_parameter_leads_to_its_line(pages: FlaskClient) -> None:
    text = tight(pages.get(ADDRESS).text)

    assert "physics.producers.smear.eficiency" in text
    found = re.search(r'href="([^"]*)">smear\.fcl:7</a>', text)
    assert found is not None
    address = unescape(found[1])
    assert address.endswith("&line=7#L7")
    assert '<li id="L7" class="is-here">' in tight(pages.get(address.partition("#")[0]).text)


def test_one_facet_and_one_word_narrow_it(pages: FlaskClient) -> None:
    assert 'id="resources"' not in pages.get(f"{ADDRESS}?facet=exit").text
    text = pages.get(f"{ADDRESS}?q=eficiency").text
    assert "physics.producers.smear.eficiency" in text
    assert "copy_out" not in text


def test_fields_of_records_and_times_are_shown_in_words(client: FlaskClient) -> None:
    end = {"code": 152, "signal": 24, "failed_step": "gen", "error_class": "SIGXCPU"}
    killed = a_record(1, state="killed", exit=end, ended_at="2026-11-24T16:00:07.25Z")
    done = a_record(2, exit={"code": 0}, ended_at="2026-11-24T16:00:07.75Z")
    retried = a_record(3, exit={"code": 0}, ended_at="2026-11-24T17:00:00Z")
    for record in (killed, done, retried):
        put_job(client, record)
    text = tight(client.get(f"/jobs/{killed['job_id']}/diff/{retried['job_id']}").text)
    names = re.findall(r'<td class="name">([^<]*)', text)

    assert {"exit code", "signal", "failed step", "error class", "ended"} <= set(names)
    assert "24 (SIGXCPU)" in text
    assert "2026-11-24 16:00:07 UTC" in text
    # the words of the page find a row as the names of fields do
    for wanted in ("failed step", "failed_step"):
        narrowed = client.get(
            f"/jobs/{killed['job_id']}/diff/{retried['job_id']}", query_string={"q": wanted}
        )
        assert ">failed step<" in tight(narrowed.text)
    # what differs is in sight
    text = client.get(f"/jobs/{killed['job_id']}/diff/{done['job_id']}").text
    assert "2026-11-24T16:00:07.25Z" in text


def test_message_of_several_lines_stands_on_one(client: FlaskClient) -> None:
    for number, line in (1, "twice"), (2, "again"):
        ended = {"code": 1, "message": f"cannot open\n{line}"}
        put_job(client, a_record(number, state="failed", exit=ended))

    page = client.get(f"/jobs/{job_id(1)}/diff/{job_id(2)}").text

    assert ">cannot open twice<" in page
    assert "\ufffd" not in page


def test_a_job_that_failed_leads_to_the_comparison_with_its_later_success(
    pages: FlaskClient,
) -> None:
    assert f'href="/jobs/{FAILED}/diff/{SUCCEEDED}"' in pages.get(f"/jobs/{FAILED}").text
    assert f'href="/jobs/{SUCCEEDED}/diff"' in pages.get(f"/jobs/{SUCCEEDED}").text


def test_the_question_with_which_job_offers_some_and_takes_any(pages: FlaskClient) -> None:
    assert f"/jobs/{FAILED}/diff/{SUCCEEDED}" in pages.get(f"/jobs/{FAILED}/diff").text

    answer = pages.get(f"/jobs/{FAILED}/diff?with={SUCCEEDED}")

    assert (answer.status_code, answer.headers["Location"]) == (303, ADDRESS)


def test_two_jobs_of_other_campaigns_lead_to_these_and_ids_of_jobs_back(
    client: FlaskClient,
) -> None:
    spring, autumn, again = (
        a_record(number, task={"campaign": campaign, "stage": "gen", "task_id": f"t{number}"})
        for number, campaign in enumerate(("s", "a", "s"), start=1)
    )
    for record in (spring, autumn, again):
        put_job(client, record)
    compared = f"/jobs/{spring['job_id']}/diff/{autumn['job_id']}"
    answer = client.get(f"/diff?a={spring['job_id']}&b={autumn['job_id']}&experiment=nova")

    link = '<a href="/diff?by=campaign&amp;a=s&amp;b=a&amp;experiment=nova">Compare their campaigns'
    assert link in client.get(compared).text
    assert (
        "their campaigns" not in client.get(f"/jobs/{spring['job_id']}/diff/{again['job_id']}").text
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{compared}?experiment=nova")


def test_what_a_client_sent_is_no_markup(pages: FlaskClient) -> None:
    text = pages.get(f"/jobs/{samples.job_id('hostile')}/diff/{SUCCEEDED}").text

    assert "<script>alert" not in text
    assert "<img src=x" not in text
