"""Each page names the same data as JSON, and it is there."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from tests.library.productions import toy_experiment as samples

PAGES = (
    "/",
    "/jobs?state=failed",
    f"/files/{samples.MERGED}",
    f"/lineage/{samples.MERGED}",
    f"/jobs/{samples.job_id('reco-4')}",
    f"/jobs/{samples.job_id('reco-4-first')}/logs/smear.err",
    f"/jobs/{samples.job_id('reco-4')}/configurations/smear",
    f"/jobs/{samples.job_id('reco-4')}/configurations/smear?form=evaluated",
    f"/jobs/{samples.job_id('reco-4-first')}/diff/{samples.job_id('reco-4')}",
    f"/jobs/{samples.job_id('reco-4-first')}/diff",
    "/diff?a=demo-2026&b=demo-2026",
    "/tasks/toyexp-demo-reco-0001",
    "/errors?by=site&sort=newest",
    "/throughput?ended_after=2026-11-20&ended_before=2026-11-27&by=site&measure=files",
    "/resources?measure=max_rss_bytes",
    "/modules",
    "/estimate?experiment=toyexp&files=100",
    f"/diverge?a={samples.FIRST_GEN}&b={samples.MERGED}&experiment=toyexp",
    f"/impact?file={samples.FIRST_GEN}&file_experiment=toyexp",
    f"/rebuild/{samples.MERGED}?from_scratch=1",
    f"/replicas/{samples.MERGED}",
    f"/campaigns/toyexp/{samples.CAMPAIGN}",
    f"/campaigns/toyexp/{samples.CAMPAIGN}/lineage",
    f"/roots/{samples.MERGED}",
    f"/leaves/{samples.FIRST_GEN}?experiment=toyexp",
    f"/cost/{samples.MERGED}",
    f"/relation?a={samples.FIRST_GEN}&b={samples.MERGED}&experiment=toyexp",
    "/orphans?isolated=1",
    "/orphans?only=unread",
    "/arrivals?experiment=toyexp&days=31&hours=1",
    "/timeline?task_id=toyexp-demo-reco-0001",
    "/timeline?experiment=toyexp&task_id=toyexp-demo-reco-0001&by=site",
    "/queue",
    "/queue?experiment=toyexp&task_id=toyexp-demo-reco-0001",
)


@pytest.mark.parametrize("address", PAGES)
def test_the_twin_of_a_page_answers(pages: FlaskClient, address: str) -> None:
    found = re.search(
        r'<link rel="alternate" type="application/json" href="([^"]*)">', pages.get(address).text
    )
    assert found is not None

    with pages.get(unescape(found[1])) as answer:
        assert answer.status_code == 200
        assert not answer.content_type.startswith("text/html")


@pytest.mark.parametrize(
    "kind", ["json", "dot", "svg", "prov-json", "prov-n", "openlineage", "csv", "text"]
)
def test_exports_of_a_lineage_answer(pages: FlaskClient, kind: str) -> None:
    text = pages.get(f"/lineage/{samples.MERGED}").text
    [target] = [
        unescape(link)
        for link in re.findall(r'href="(/api/v1/[^"]*)"', text)
        if link.endswith(f"format={kind}")
    ]

    with pages.get(target) as answer:
        assert answer.status_code == 200


def test_page_counts_by_no_filter_that_it_does_not_show(pages: FlaskClient) -> None:
    for path in ("/errors", "/resources", "/modules"):
        lines = [
            re.findall(r'<p class="lead">(.*?)</p>', pages.get(path + more).text)
            for more in ("", "?state=lost")
        ]
        assert lines[0] == lines[1], "the form and the JSON of the page have no state"

    file = f"file={samples.MERGED}&namespace="
    jobs = pages.get(f"/jobs?failed_step=smear&failure_class=configuration&unit=u1&{file}").text
    impact = pages.get(f"/impact?state=failed&{file}").text

    for name, value in (
        ("failed_step", "smear"),
        ("failure_class", "configuration"),
        ("unit", "u1"),
        ("namespace", ""),
    ):
        assert f'name="{name}" value="{value}"' in jobs, (
            "whoever adds another filter keeps this one"
        )
    assert jobs.count('name="file"') == 1
    assert ('name="state" value="failed"' in impact, 'name="namespace" value=""' in impact) == (
        True,
        True,
    )


def test_samples_of_an_experiment_without_declared_tasks_lead_to_no_json_that_is_not_there(
    pages: FlaskClient,
) -> None:
    page = pages.get("/samples/other").text

    assert "No task was declared" in page
    assert "This page as JSON" not in page
