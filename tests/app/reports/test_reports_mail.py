"""The report of a campaign: its numbers, its page, and the mails to a real mail server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import AuthResult

from jobprov.app.reports.mails import compose, conditions, send
from jobprov.provenance.answers.statistics.campaigns import CampaignReport
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, UnreachableError
from tests.library.servers.live_service import LiveService
from tests.library.servers.receivers import Mailbox, mail_server


@pytest.fixture
def sink() -> Iterator[tuple[Mailbox, str]]:
    """Yield a mail server on a free port and its address.

    It knows user `jobprov` with password `a b`.
    """
    kept = Mailbox()

    def known(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(
            success=(data.login, data.password) == (b"jobprov", b"a b"), handled=False
        )

    with mail_server(kept, authenticator=known, auth_require_tls=False) as port:
        yield kept, f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """Yield a service with a campaign of two stages.

    `gen` is done with a waiver, `reco` misses 9 of 12 units and fails often.
    """
    service = LiveService(tmp_path_factory.mktemp("reports") / "var")
    made = service.run(
        "token", "create", "--experiment", "nova", "--name", "t", "--scope", "admin", "--json"
    )
    service.environment["JOBPROV_TOKEN"] = token = json.loads(made.stdout)["token"]
    client = Client(service.url, token)
    for stage, units in (("gen", 3), ("reco", 12)):
        task = {
            "experiment": "nova",
            "campaign": "prod/5 & co",
            "stage": stage,
            "units": [f"u{n}" for n in range(units)],
        }
        client.declare_task(f"t-{stage}", task)
    client.waive_units("t-gen", {"units": ["u2"], "who": "Ada", "why": "the tape is <broken>"})
    records = [_record("gen", n, "succeeded") for n in range(2)]
    records += [_record("reco", n, "succeeded" if n < 3 else "failed") for n in range(10)]
    client.record_batch([json.dumps(record).encode() for record in records])
    yield service
    service.stop()


def _record(stage: str, number: int, state: str) -> dict[str, Any]:
    failed = {
        "code": 1,
        "failed_step": "art",
        "error_class": "BadAlloc",
        "message": "out of <memory>",
    }
    return {
        "schema_version": 1,
        "job_id": f"00000000-0000-0000-{'0001' if stage == 'gen' else '0002'}-{number:012d}",
        "experiment": "nova",
        "state": state,
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z",
        "task": {
            "task_id": f"t-{stage}",
            "campaign": "prod/5 & co",
            "stage": stage,
            "unit": f"u{number}",
        },
        "exit": failed if state == "failed" else {"code": 0},
        "outputs": [{"name": f"{stage}-{number}.root", "size_bytes": 5}],
        "resources": {"wall_seconds": 60.0 * (number + 1), "cpu_user_seconds": 30.0 * (number + 1)},
    }


def _report(live: LiveService, *words: str, **more: str) -> Any:
    return live.run("report", "prod/5 & co", "--experiment", "nova", *words, **more)


@pytest.mark.slow
def test_the_report_says_what_a_count_by_hand_says(live: LiveService) -> None:
    said = _report(live)

    assert said.returncode == 1  # units are missing
    assert "5 of 15 units done (33 %), 1 waived, 9 missing." in said.stdout
    lines = [line.split() for line in said.stdout.splitlines()]
    not_done = ["2", "not", "submitted,", "7", "failed"]
    assert ["reco", "12", "3", "0", "9", *not_done] in lines
    assert "a unit is done once as many of its files as declared were seen" in said.stdout
    assert "Why 7 of 12 jobs failed" in said.stdout
    assert "art: BadAlloc (out of <memory>)" in said.stdout
    assert "Ada" in said.stdout
    gen = next(line for line in lines if line[:2] == ["gen", "2"])
    assert gen[2:6] == ["1", "min", "30", "s"]  # the median of 60 and 120 s
    assert said.stdout.rstrip().endswith(f"{live.url}/campaigns/nova/prod/5%20%26%20co")


@pytest.mark.slow
def test_a_mail_carries_text_and_page(live: LiveService, sink: tuple[Mailbox, str]) -> None:
    kept, address = sink
    url = f"smtp://jobprov:a%20b@{address}"
    said = _report(
        live, "--mail", "ops@example.org", "--mail", "Ada <ada@example.org>", JOBPROV_SMTP_URL=url
    )

    assert said.returncode == 0, said.stderr
    (mail,) = kept.mails
    assert kept.receivers == [["ops@example.org", "ada@example.org"]]
    assert mail["Subject"] == "prod/5 & co: 5 of 15 units done (33 %), 1 waived, 9 missing."
    assert mail["From"] == "jobprov@localhost"
    text, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    assert text.get_content().replace("\r\n", "\n").startswith("Campaign prod/5 & co of nova")
    assert "out of &lt;memory&gt;" in page.get_content()
    assert "<script" not in page.get_content()
    assert _report(live, "--format", "html").stdout.count("<table>") == page.get_content().count(
        "<table>"
    )


@pytest.mark.slow
def test_changes_are_mailed_once(
    live: LiveService, sink: tuple[Mailbox, str], tmp_path: Path
) -> None:
    kept, address = sink
    where = {"JOBPROV_SMTP_URL": f"smtp://{address}", "XDG_STATE_HOME": str(tmp_path)}
    first = _report(live, "--mail", "ops@example.org", "--on-change", **where)
    again = _report(live, "--mail", "ops@example.org", "--on-change", **where)
    later = _report(
        live, "--mail", "ops@example.org", "--on-change", "--stuck-hours", "0.00001", **where
    )

    assert [each.returncode for each in (first, again, later)] == [0, 0, 0], (
        first.stderr + later.stderr
    )
    assert again.stdout == "Nothing changed; no mail.\n"
    subjects = [mail["Subject"] for mail in kept.mails]
    assert subjects[0] == "prod/5 & co: stage gen is done; 70 % of the jobs of stage reco failed"
    assert subjects[1].startswith("prod/5 & co: no record came for 0 hours")


@pytest.mark.slow
def test_a_mail_that_did_not_go_is_tried_again(
    live: LiveService, sink: tuple[Mailbox, str], tmp_path: Path
) -> None:
    kept, address = sink
    words = ("--mail", "ops@example.org", "--on-change", "--state", str(tmp_path / "state.json"))
    dead = _report(live, *words, JOBPROV_SMTP_URL="smtp://127.0.0.1:1")

    assert dead.returncode == 3
    assert "did not take the mail" in dead.stderr
    assert not (tmp_path / "state.json").exists()
    assert _report(live, *words, JOBPROV_SMTP_URL=f"smtp://{address}").returncode == 0
    assert len(kept.mails) == 1


def test_what_cannot_be_mailed_is_said(sink: tuple[Mailbox, str]) -> None:
    _, address = sink
    mail = compose(
        "a\nb", "text", "<p>page", sender="me@example.org", receivers=["nobody@example.org"]
    )

    assert mail["Subject"] == "a b"
    with pytest.raises(BadInputError, match="refused"):
        send(mail, f"smtp://{address}")
    with pytest.raises(BadInputError, match="refused"):
        send(mail, f"smtp://jobprov:wrong@{address}")
    with pytest.raises(UnreachableError, match="did not take"):
        send(mail, f"smtps://{address}")  # it speaks no TLS
    with pytest.raises(BadInputError, match="JOBPROV_SMTP_URL"):
        send(mail, "mailto:me")
    with pytest.raises(BadInputError, match="--mail"):
        compose("s", "t", "p", sender="me@example.org", receivers=["a@b\nBcc: all@example.org"])


def report_with(
    states: dict[str, int], missing: int | None, last: datetime | None, *, no_output: int = 0
) -> CampaignReport:
    """Return the report of a campaign of one stage and one task."""
    expected = None if missing is None else 10
    counts = {"produced": 0, "running": 0, "failed": 0, "no_output": no_output, "waived": 0}
    units = {"expected": expected, "missing": missing, **counts, "states": {}}
    document = {
        "made_at": "2026-01-02T00:00:00Z",
        "counted_at": "2026-01-02T00:00:00Z",
        "is_current": True,
        "last_record_at": last and last.isoformat(),
        "campaign": {
            "experiment": "nova",
            "campaign": "c",
            "stages": [{"stage": "reco", "states": states, "units": units}],
            "task_count": 1,
            "tasks": [{"task_id": "t", "stage": "reco", **units}],
            "proof": {"proven": 0, "failed": 0, "differs": 0, "unproven": 1},
            "seconds_left": None,
            "seconds_left_low": None,
            "seconds_left_high": None,
        },
        "errors": {"jobs": 0, "failures": 0, "cause_count": 0, "causes": [], "outliers": []},
        "resources": [],
        "waivers": [],
    }
    return msgspec.convert(document, CampaignReport)


@pytest.mark.slow
def test_conditions_hold_where_they_should() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)

    def names(
        states: dict[str, int], missing: int | None, hours: float | None, no_output: int = 0
    ) -> list[str]:
        last = None if hours is None else now - timedelta(hours=hours)
        report = report_with(states, missing, last, no_output=no_output)
        return list(conditions(report, failure_share=0.2, stuck_after=timedelta(hours=6), now=now))

    assert names({"succeeded": 10}, 0, 50) == ["done reco"]
    assert names({"succeeded": 8, "failed": 1, "killed": 1}, 2, 1) == []  # 20 % is not over 20 %
    assert names({"succeeded": 8, "failed": 1, "lost": 2}, 2, 1) == ["failing reco"]
    assert names({"failed": 9}, 1, 1) == []  # too few to say
    assert names({"succeeded": 1}, 9, 7) == ["stuck"]
    assert names({}, 9, None) == []
    assert names({"succeeded": 1}, None, 7) == []
    assert names({"succeeded": 10}, 2, 1, no_output=2) == ["no output reco"]


@pytest.mark.slow
def test_the_pages_of_a_campaign_are_copied_as_files(live: LiveService, tmp_path: Path) -> None:
    def export(*words: str) -> Any:
        campaign = ("--experiment", "nova", "--campaign", "prod/5 & co")
        return live.run("export-site", str(tmp_path / "site"), *campaign, "--json", *words)

    first = json.loads(export().stdout)
    again = json.loads(export("--most", "5").stdout)

    assert first["pages"] >= 2 + 2 + 12  # campaign and report, tasks, jobs
    assert (again["pages"], again["left"] > 0) == (5, True)
    # The campaign's page, not the report
    assert "Its page now" not in (tmp_path / "site" / "index.html").read_text()
    assert live.url in (tmp_path / "site" / "index.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    wrong = live.run("export-site", str(tmp_path), "--experiment", "nova", "--campaign", "none")
    assert (wrong.returncode, "holds something else" in wrong.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    missing = live.run(
        "export-site", str(tmp_path / "empty"), "--experiment", "nova", "--campaign", "none"
    )
    assert (missing.returncode, "names a campaign none" in missing.stderr) == (2, True)
