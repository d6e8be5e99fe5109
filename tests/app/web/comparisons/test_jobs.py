"""The page of two jobs: what differs stands in its first line, and the parameter with its line.

There are ways to the page from a job.
"""

import re
from html import unescape

from flask.testing import FlaskClient

from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples

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


def test_a_job_that_failed_leads_to_the_comparison_with_its_later_success(
    pages: FlaskClient,
) -> None:
    assert f'href="/jobs/{FAILED}/diff/{SUCCEEDED}"' in pages.get(f"/jobs/{FAILED}").text
    assert f'href="/jobs/{SUCCEEDED}/diff"' in pages.get(f"/jobs/{SUCCEEDED}").text


def test_the_question_with_which_job_offers_some_and_takes_any(pages: FlaskClient) -> None:
    assert f"/jobs/{FAILED}/diff/{SUCCEEDED}" in pages.get(f"/jobs/{FAILED}/diff").text

    answer = pages.get(f"/jobs/{FAILED}/diff?with={SUCCEEDED}")

    assert (answer.status_code, answer.headers["Location"]) == (303, ADDRESS)


def test_what_a_client_sent_is_no_markup(pages: FlaskClient) -> None:
    text = pages.get(f"/jobs/{samples.job_id('hostile')}/diff/{SUCCEEDED}").text

    assert "<script>alert" not in text
    assert "<img src=x" not in text
