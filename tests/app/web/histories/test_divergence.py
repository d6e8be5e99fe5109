"""The page of two files: where their histories part, and the parameter that differs there.

There is a way to it from a file.
"""

import re
from html import unescape

from flask.testing import FlaskClient

from tests.library.productions import toy_experiment as samples

MERGED = samples.MERGED
HOSTILE = samples.HOSTILE


def lead(pages: FlaskClient, address: str) -> str:
    found = re.search(r'<p class="lead">(.*?)</p>', pages.get(address).text)
    assert found is not None
    return unescape(found[1])


def test_a_file_leads_to_the_question_which_offers_files_like_it(pages: FlaskClient) -> None:
    link = re.search(
        r'href="(/diverge\?[^"]*)"', pages.get(f"/files/{samples.FIRST_GEN}?experiment=toyexp").text
    )
    assert link is not None
    address = unescape(link[1])

    text = pages.get(address).text

    assert lead(pages, address) == "With which other file?"
    offered = re.findall(r'href="(/diverge\?a=[^"]*b=[^"]*)"', text)
    assert offered
    assert lead(pages, unescape(offered[0])).startswith("They part")


def test_files_of_one_history_part_nowhere(pages: FlaskClient) -> None:
    assert lead(pages, f"/diverge?a={MERGED}&b={MERGED}").startswith(
        "They part nowhere: 21 jobs made both"
    )


def test_a_file_and_what_was_made_of_it_part_where_only_one_has_a_job(pages: FlaskClient) -> None:
    text = lead(pages, f"/diverge?a={samples.FIRST_GEN}&b={MERGED}&experiment=toyexp")

    assert text.startswith("They part in stage")
    assert text.endswith("1 job made both.")


def test_an_unknown_file_is_said_and_no_markup(pages: FlaskClient) -> None:
    answer = pages.get("/diverge", query_string={"a": HOSTILE, "b": MERGED})
    assert "<img src=x" not in answer.text
    assert pages.get(f"/diverge?a=nowhere.root&b={MERGED}").status_code == 404
    assert lead(pages, "/diverge").startswith("Where do the histories of two files part?")
