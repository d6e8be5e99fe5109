"""The first page: whether anything needs somebody, what is new to a reader, and their own pages."""

import os
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec
import pytest
from flask.testing import FlaskClient

from jobprov.app.web.frame.page import PAGE_BYTES
from jobprov.app.web.starred import MOST
from jobprov.app.web.statistics.burn_downs import HEIGHT, draw_burn_down
from jobprov.app.web.statistics.home import attention_groups
from jobprov.archive.errors import ArchiveUnreachableError
from jobprov.provenance.answers.attention import Attention, Need
from jobprov.provenance.answers.tasks.backlogs import BurnDown
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.work.queue import drain
from tests.library.answers import put_job
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples
from tests.library.records import a_record

CAMPAIGN = f"/campaigns/toyexp/{samples.CAMPAIGN}"
FAILED = "/jobs?state=failed&experiment=toyexp"


def star(client: FlaskClient, page: str, do: str = "star", **more: str) -> tuple[int, str | None]:
    answer = client.post("/starred", data={"page": page, "do": do, **more})
    return answer.status_code, answer.headers.get("Location")


def kept(client: FlaskClient, address: str = "/") -> list[str]:
    """Return what the list of pages on the first page leads to."""
    _, _, after = tight(client.get(address).text).partition('class="starred"')
    return re.findall(r'<li><a href="(.*?)"', after.partition("</ul>")[0])


def section(client: FlaskClient, address: str = "/") -> str:
    return tight(client.get(address).text).partition('id="attention"')[2].partition("</section>")[0]


def test_page_says_in_words_that_nothing_needs_attention(client: FlaskClient) -> None:
    text = section(client)

    assert "Nothing needs attention." in text
    assert "causes of failures that are new in the last day" in text
    assert "new in the last 12\xa0h" in section(client, "/?since=12h")
    assert "<li" not in text


@pytest.mark.slow
def test_new_cause_stands_there_with_its_jobs_until_it_was_seen(client: FlaskClient) -> None:
    ended = datetime.now(UTC) - timedelta(minutes=5)
    record = a_record(
        1, state="failed", ended_at=ended.isoformat(), exit={"code": 1, "message": "no <disk>"}
    )
    put_job(client, record)
    drain(client.application.extensions["jobprov"].parts(), HANDLERS)

    first = section(client)
    assert "1 thing needs attention" in first
    assert "1 job failed with a new cause: no &lt;disk&gt;" in first
    assert "since <time" in first
    assert "new to you" not in first, "nobody was here before"
    before = int((ended - timedelta(hours=1)).timestamp())
    client.set_cookie("jobprov-visits", f"{before - 9}.{before}")
    again = section(client)
    assert "new to you" in again
    client.set_cookie("jobprov-visits", "<b>.1")
    assert client.get("/").status_code == 200
    assert client.get("/?since=never").status_code == 422
    assert client.get("/?since=99999w").status_code == 200


NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)
HELD = Need(
    kind="held",
    experiment=None,
    count=7,
    words="7 jobs are held",
    since="2026-11-30T00:20:00Z",
    url="/queue",
)
BACKUP = Need(
    kind="backup",
    experiment=None,
    count=7,
    words="no backup for 7 days",
    since="2026-11-23T04:00:00Z",
    url="/docs/",
)


UNBROKEN = "4 h 40 min".replace(" ", "\N{NO-BREAK SPACE}")


def groups(*needs: Need, left_out: int = 0) -> list[tuple[str, str]]:
    attention = Attention(
        window="24h", needs=list(needs), left_out=left_out, since=None, unseen_experiments=0
    )
    return [(group.line, group.ago) for group in attention_groups(attention, None, NOW)]


def test_number_of_needs_counts_those_that_are_not_shown() -> None:
    assert groups() == [("Nothing needs attention.", "")]
    assert groups(HELD) == [("1 thing needs attention", UNBROKEN)]
    assert groups(HELD, left_out=3) == [("4 things need attention", UNBROKEN)]


def test_old_backup_does_not_hide_since_when_a_production_is_in_trouble() -> None:
    of_service = ("1 thing needs attention in the service itself", "7 days")

    assert groups(BACKUP, HELD) == [("1 thing needs attention", UNBROKEN), of_service]
    assert groups(BACKUP) == [("Nothing in production needs attention.", ""), of_service]


def test_service_that_cannot_record_is_not_all_well(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        message = "No space left on device"
        raise ArchiveUnreachableError("/srv/archive", message)

    store = client.application.extensions["jobprov"].store
    monkeypatch.setattr(store, "try_writing", fail)

    text = section(client)

    assert "<strong>The service cannot record.</strong> Nothing can be written: " in text
    assert "No space left on device" in text
    assert "Nothing needs attention." not in text
    assert 'href="/docs/how-to/when-something-is-wrong"' in text


def test_page_does_not_claim_that_nothing_runs_where_no_queue_is_reported(
    client: FlaskClient,
) -> None:
    text = client.get("/").text

    assert "Not known: no queue is reported to this service." in text
    assert "Nothing runs or waits." not in text


@pytest.mark.slow
def test_campaigns_and_lists_are_kept_by_a_button_and_shared_by_an_address(
    pages: FlaskClient,
) -> None:
    text = tight(pages.get(CAMPAIGN).text)
    assert re.findall(r'name="page" value="(.*?)"', text) == [CAMPAIGN]
    assert star(pages, CAMPAIGN) == (303, CAMPAIGN)
    assert star(pages, f"{FAILED}&cursor=9") == (303, FAILED)
    assert star(pages, CAMPAIGN) == (303, CAMPAIGN), "twice is once"

    escaped = FAILED.replace("&", "&amp;")
    assert kept(pages) == [escaped, CAMPAIGN]
    assert "On your first page" in tight(pages.get(CAMPAIGN).text)
    [shared] = re.findall(r'href="(/[?]starred=.*?)"', tight(pages.get("/").text))
    assert star(pages, FAILED, "unstar", back="home") == (303, "/")
    assert kept(pages) == [CAMPAIGN]
    assert kept(pages, shared.replace("&amp;", "&")) == [escaped, CAMPAIGN]


@pytest.mark.parametrize(
    "page",
    [
        "",
        "https://example.org/jobs",
        "//example.org/campaigns/a/b",
        "/\\example.org",
        "/campaigns//example.org",
        "/campaigns/%2e%2e/jobs",
        "/campaigns/a/b\r\nSet-Cookie: x=1",
        "/login?next=/jobs",
        "/jobs|/errors",
        "/jobs/0f8b0000-0000-4000-8000-000000000001",
        f"/jobs?site={'x' * 500}",
    ],
)
def test_no_other_page_is_kept_or_gone_to(pages: FlaskClient, page: str) -> None:
    status, location = star(pages, page)

    assert (status, location) == (422, None)
    assert kept(pages, f"/?starred={quote(page, safe='')}") == []


@pytest.mark.slow
def test_list_of_kept_pages_is_bounded_and_no_other_site_changes_it(pages: FlaskClient) -> None:
    for number in range(MOST):
        assert star(pages, f"/tasks/{number}{quote('<é>')}")[0] == 303
    assert star(pages, "/tasks/one-more")[0] == 422
    assert len(kept(pages)) == MOST
    assert len(pages.get("/").data) <= PAGE_BYTES
    sent = {"page": "/jobs", "do": "star"}
    foreign = pages.post("/starred", data=sent, headers={"Origin": "https://example.org"})
    assert foreign.status_code == 403


def test_burn_down_is_drawn_and_said() -> None:
    steps = BurnDown(
        start="2026-01-01T00:00:00Z",
        step_seconds=21_600,
        expected=20,
        left=[10] * 26 + [5, 0],
        is_whole=True,
        done=[0] * 26 + [5, 5],
    )

    now = datetime(2026, 1, 7, 21, tzinfo=UTC)
    drawn = draw_burn_down(steps, 0, now)

    assert drawn is not None
    assert (drawn.left, drawn.pace) == ("none of 20 units left", "10 done in 7 days")
    assert drawn.line == f"M0 2H104V12H108V{HEIGHT}H112"
    assert draw_burn_down(None, 0, now) is None
    half = draw_burn_down(msgspec.structs.replace(steps, expected=24, left=[11]), 0, now)
    assert half is not None
    assert half.left == "11 of 24 units left (46 %)", "a waived unit is neither done nor left"


def test_burn_down_says_until_when_the_rest_takes_at_its_pace() -> None:
    now = datetime(2026, 1, 8, tzinfo=UTC)

    def pace(left: int, stays: int = 0) -> str:
        week, done = [left + 70] * 14 + [left] * 14, [0] * 14 + [70] + [0] * 13
        steps = BurnDown("2026-01-01T00:00:00Z", 21_600, 5000, week, is_whole=True, done=done)
        drawn = draw_burn_down(steps, stays, now)
        assert drawn is not None
        return drawn.pace

    assert pace(100) == "70 done in 7 days: at that pace until 2026-01-18"
    assert pace(100, stays=80) == "70 done in 7 days: at that pace until 2026-01-10"
    assert pace(100, stays=100) == "70 done in 7 days"
    assert pace(4000) == "70 done in 7 days: at that pace more than a year"


def test_pace_counts_from_when_there_was_something_to_do() -> None:
    """A task that was declared yesterday is not slow because the days before had nothing of it."""
    now = datetime(2026, 1, 8, tzinfo=UTC)
    left, done = [0] * 24 + [300, 200, 150, 100], [0] * 24 + [0, 100, 50, 50]
    steps = BurnDown("2026-01-01T00:00:00Z", 21_600, 300, left, is_whole=True, done=done)

    drawn = draw_burn_down(steps, 0, now)

    assert drawn is not None
    assert drawn.pace == "200 done in 24 hours: at that pace until 2026-01-08"


def test_backup_that_is_old_is_told_with_how_long_ago_it_was(client: FlaskClient) -> None:
    note = client.application.extensions["jobprov"].settings.data / "last-backup"
    made_at = datetime.now(UTC) - timedelta(days=9, hours=1)
    note.touch()
    assert "backup for" not in section(client)

    os.utime(note, (made_at.timestamp(), made_at.timestamp()))
    text = section(client)

    assert "no backup for 9 days" in text
    assert 'href="/docs/how-to/look-after-the-archive#back-up-and-restore"' in text
