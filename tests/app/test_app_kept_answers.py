"""Failures of many jobs over HTTP: what was counted is told.

It is told to be old where more was recorded since.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from jobprov.app.commands.statistics import reports as report
from jobprov.app.commands.statistics.reports import report_text
from jobprov.provenance.answers.statistics.campaigns import CampaignReport
from jobprov.provenance.db.tables import WorkItem
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.kept_answers import counting, kept_answers
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.answers import put_job
from tests.library.records import a_record

TASK = {"task_id": "t1", "campaign": "prod", "stage": "reco"}
WORDS = "more was recorded since, and it is being counted again"


def test_page_and_call_say_when_failures_of_many_jobs_were_counted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "MOST_COUNTED_AT_ONCE", 1)
    call, page = "/api/v1/statistics/errors?campaign=prod", "/errors?campaign=prod"
    for number in (1, 2):
        job = a_record(number, state="failed", task=TASK)
        put_job(client, job)

    first, fresh = client.get(call).get_json(), client.get(page).text
    job = a_record(3, state="failed", task=TASK)
    client.put(f"/api/v1/jobs/{job['job_id']}", json=job)
    second, stale = client.get(call).get_json(), client.get(page).text

    assert (first["failures"], first["is_current"]) == (2, True)
    assert second == {**first, "is_current": False}
    assert WORDS not in fresh
    assert WORDS in stale
    # Counted when asked for
    assert client.get("/api/v1/statistics/errors?task_id=t1").get_json()["failures"] == 3


@pytest.mark.slow
def test_report_of_many_jobs_is_of_the_kept_answers_and_a_mail_waits_for_new_ones(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "MOST_COUNTED_AT_ONCE", 1)
    monkeypatch.setattr(report, "_PAUSE_SECONDS", 0.0)
    for number in (1, 2):
        job = a_record(number, state="failed", task=TASK)
        client.put(f"/api/v1/jobs/{job['job_id']}", json=job)
    asking = Asking(client)
    first, page = asking.report("prod", experiment="nova"), client.get("/reports/nova/prod").text
    client.put(f"/api/v1/jobs/{a_record(3)['job_id']}", json=a_record(3, state="failed", task=TASK))

    old_page, stale = (
        client.get("/reports/nova/prod").text,
        asking.report("prod", experiment="nova"),
    )
    mailed = report._counted_now(asking, stale)  # type: ignore[arg-type]

    assert [each.errors.failures for each in (first, stale, mailed)] == [2, 2, 3]
    assert [each.is_current for each in (first, stale, mailed)] == [True, False, True]
    assert "more was recorded since" not in page
    assert "more was recorded since" in old_page
    assert "more was recorded since" in report_text(stale, "")


def test_a_chart_that_takes_too_long_is_counted_with_its_marks_in_the_background(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next one who asks would wait for the marks, and so would all after him."""
    put_job(client, a_record(1, ended_at=datetime.now(UTC).isoformat(), task=TASK))
    waited: list[str] = []

    def slow(name: str) -> None:
        count = getattr(counting, name)

        def counted(*arguments: Any, seconds: float, **how: Any) -> Any:
            if seconds <= kept_answers.PATIENCE_SECONDS:
                waited.append(name)
                raise LimitError("The answer took more than 5 s.", 5)
            return count(*arguments, seconds=seconds, **how)

        monkeypatch.setattr(counting, name, counted)

    slow("count_throughput")
    slow("find_marks")

    first = client.get("/throughput?since=364d")
    drain(client.application.extensions["jobprov"].parts(), HANDLERS)
    second = client.get("/throughput?since=364d&format=json").get_json()

    assert first.status_code == 413
    assert second["jobs"] == 1
    assert second["marks_left_out"] == 0
    assert waited == ["count_throughput"], "only the first one waited, and not for the marks"


class Asking:
    """A client of the application itself; while it waits, the background work is done."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def report(self, name: str, *, experiment: str) -> CampaignReport:
        """Return the report of a campaign."""
        answer = self.client.get(f"/api/v1/campaigns/{name}/report?experiment={experiment}")
        found = msgspec.json.decode(answer.data, type=CampaignReport)
        service = self.client.application.extensions["jobprov"]
        if not found.is_current:
            due = update(WorkItem).values(due_at=datetime.now(UTC) - timedelta(days=1))
            service.write(lambda writing: writing.connection.execute(due))
            drain(
                Parts(
                    service.database, service.writer, service.store, service.settings.git_mirrors
                ),
                HANDLERS,
            )
        return found


@pytest.mark.parametrize("path", ["estimate", "statistics/errors", "statistics/resources"])
def test_counts_of_jobs_since_a_time_are_answered(client: FlaskClient, path: str) -> None:
    query = {"experiment": "nova", "started_after": "2026-01-01T00:00:00Z"}
    if path == "estimate":
        query["files"] = "1"

    answer = client.get(f"/api/v1/{path}", query_string=query)

    assert answer.status_code in (200, 404), answer.text
