"""Rules are looked at, alerts begin once and are over once, and nothing is told twice or lost."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.answers.alerts import Alert
from jobprov.provenance.db.changes.alerts import (
    TakenDelivery,
    take_deliveries,
)
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.services.alerts import checks, conditions, deliveries
from jobprov.provenance.services.alerts.checks import CheckedExperiment, check_experiment
from jobprov.provenance.services.alerts.conditions import MOST_SUBJECTS, Experiment
from jobprov.provenance.services.alerts.deliveries import LEASE, send_due
from jobprov.provenance.services.alerts.events import note_sent
from jobprov.provenance.services.alerts.lists import list_alerts
from jobprov.provenance.services.alerts.messages import MOST_TOLD, compose
from jobprov.provenance.services.alerts.rules import ExperimentAlerts, read_alert_rules
from jobprov.provenance.services.tasks.queue_reports import (
    compare_report,
    read_report,
    take_queue_report,
)
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.work.queue import Parts
from tests.library.production import Production, tables_at
from tests.library.records import a_record, job_id

ONE = datetime(2026, 1, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HEAD = """
[nova.receivers.chat]
url_variable = "NO_SUCH_VARIABLE"
[nova.receivers.mail]
url_variable = "NO_SUCH_VARIABLE"
"""
SHARE = """
[[nova.rules]]
name = "many fail"
when = "failure_share"
over = 0.2
window = "1h"
to = ["chat"]
"""


class Watched:
    """A production whose rules are looked at."""

    def __init__(self, production: Production, folder: Path) -> None:
        self.production = production
        self._file = folder / "alerts.toml"
        self.parts = Parts(production.database, production.writer, production.store, folder / "git")

    def rule(self, text: str) -> None:
        self._file.write_text(HEAD + text, encoding="utf-8")

    @property
    def alerts(self) -> ExperimentAlerts:
        return read_alert_rules(self._file)["nova"]

    def check(self, now: datetime) -> CheckedExperiment | None:
        with self.production.database.reading.connect() as connection:
            key = experiment_key(connection, "nova")
        assert key is not None
        folders = [self._file.parent]
        return check_experiment(self.parts, folders, Experiment(key, "nova"), self.alerts, now=now)

    def changes(self, now: datetime) -> tuple[int, int]:
        """Look at the rules; return how many alerts began and are over."""
        done = self.check(now)
        assert done is not None
        assert done.problem is None, done.problem
        return done.began, done.over

    def listed(self, **question: Any) -> Sequence[Alert]:
        with self.production.database.reading.connect() as connection:
            return list_alerts(connection, **question).alerts

    def take(self, now: datetime) -> list[TakenDelivery]:
        return self.parts.writer.run(
            lambda writing: take_deliveries(writing.connection, now=now, until=now + LEASE)
        )

    def sent(self, taken: list[TakenDelivery], now: datetime) -> None:
        self.parts.writer.run(lambda writing: note_sent(writing, taken), received_at=now)

    def send(self, now: datetime) -> tuple[int, int]:
        return send_due(self.parts, "https://prov.example.org", {"nova": self.alerts}, now=now)


@pytest.fixture
def watched(production: Production, tmp_path: Path) -> Watched:
    return Watched(production, tmp_path)


def job(number: int, ended_at: datetime, state: str = "succeeded", **more: Any) -> dict[str, Any]:
    code = 0 if state == "succeeded" else 65
    ended = ended_at.isoformat().replace("+00:00", "Z")
    return a_record(number, state=state, ended_at=ended, exit={"code": code}, **more)


def put_queue(watched: Watched, now: datetime, *, measured_seconds: float) -> None:
    """Have a queue report three held jobs, and one that runs and has used a second of CPU so far."""
    held = {"task_id": "t1", "state": "held", "hold_reason": "no disk"}
    jobs: list[dict[str, Any]] = [
        {"batch_id": f"{number}.0@s", "job_id": job_id(100 + number), **held} for number in range(3)
    ]
    running = {
        "batch_id": "9.0@s",
        "job_id": job_id(109),
        "task_id": "t1",
        "state": "running",
        "cpu_seconds": 1.0,
        "measured_seconds": measured_seconds,
    }
    body = read_report(json.dumps({"experiment": "nova", "jobs": [*jobs, running]}).encode())
    with watched.production.database.reading.connect() as connection:
        compared = compare_report(connection, "s", body, received_at=now)
    watched.parts.writer.run(
        lambda writing: take_queue_report(writing, "s", body, compared), received_at=now
    )


@pytest.mark.slow
def test_alert_begins_once_and_is_over_once(watched: Watched) -> None:
    watched.rule(SHARE)
    watched.production.record(
        *[job(number, ONE - 30 * MINUTE, "failed") for number in range(1, 4)],
        *[job(number, ONE - 30 * MINUTE) for number in range(4, 11)],
        # before the window, and reruns: of no account
        *[job(number, ONE - 61 * MINUTE, "failed") for number in range(11, 15)],
        job(15, ONE - MINUTE, "failed", rerun_of=job_id(1)),
    )

    assert watched.changes(ONE) == (1, 0)
    assert watched.check(ONE + MINUTE / 2) is None, "somebody looked half a minute ago"
    assert watched.changes(ONE + 2 * MINUTE) == (0, 0)
    [alert] = watched.listed()
    assert alert.words == "30 % of 10 jobs that ended within 1h failed, more than 20 %"
    assert alert.url == "/errors?experiment=nova"
    [told] = alert.deliveries
    assert (told.receiver, told.about, told.state) == ("chat", "began", "waiting")
    watched.sent(watched.take(ONE), ONE)

    # It no longer holds, then holds again: what flickers is one alert
    watched.production.record(*[job(number, ONE) for number in range(20, 40)])
    assert watched.changes(ONE + 3 * MINUTE) == (0, 0)
    watched.production.record(*[job(number, ONE, "failed") for number in range(40, 60)])
    assert watched.changes(ONE + 12 * MINUTE) == (0, 0)
    assert watched.changes(ONE + 14 * MINUTE) == (0, 0)
    # All have left the window
    assert watched.changes(ONE + 61 * MINUTE) == (0, 0)
    assert watched.changes(ONE + 70 * MINUTE) == (0, 0)
    assert watched.changes(ONE + 71 * MINUTE) == (0, 1)
    assert watched.changes(ONE + 72 * MINUTE) == (0, 0)

    [alert] = watched.listed(state="over")
    assert alert.ended_at == "2026-01-01T02:11:00Z"
    assert [told.about for told in alert.deliveries] == ["began", "over"]
    [over] = watched.take(ONE + 72 * MINUTE)
    message = compose([over], "https://prov.example.org")
    assert message.title == "nova: over: many fail"
    assert "Began 2026-01-01 01:00 UTC, over 2026-01-01 02:11 UTC, after 1 h 11 min" in message.body
    assert "https://prov.example.org/errors?experiment=nova" in message.body
    assert not watched.listed(state="open")


def test_job_whose_clock_is_ahead_fails_only_once_that_time_has_come(watched: Watched) -> None:
    """It would count as newest until then, and an alert about it would not be over for a day."""
    watched.rule(SHARE + "least = 1\n")
    claimed_end = ONE + 24 * 60 * MINUTE
    watched.production.record(job(1, claimed_end, "failed"))

    assert watched.changes(ONE) == (0, 0)
    assert watched.changes(claimed_end) == (1, 0)


def test_whoever_was_not_told_yet_gets_one_message(watched: Watched) -> None:
    watched.rule(SHARE.replace('["chat"]', '["chat", "mail"]'))
    watched.production.record(*[job(number, ONE, "failed") for number in range(1, 11)])
    assert watched.changes(ONE) == (1, 0)
    told = watched.take(ONE)
    assert [delivery.receiver for delivery in told] == ["chat"]
    watched.sent(told, ONE)

    assert watched.changes(ONE + 61 * MINUTE) == (0, 0)
    assert watched.changes(ONE + 71 * MINUTE) == (0, 1)

    [mail] = watched.take(ONE + 72 * MINUTE)
    assert mail.receiver == "mail"
    assert compose([mail], "").title == "nova: over: many fail"
    [chat] = watched.take(ONE + 72 * MINUTE)
    assert (chat.receiver, chat.is_end) == ("chat", True)
    both = [chat._replace(is_end=False), chat]
    assert compose(both, "") == compose([chat], ""), "an alert is told once in a message"
    assert watched.take(ONE + 72 * MINUTE) == []


def test_turn_that_was_lost_writes_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped while it looked does not undo what another one found since."""
    watched.rule(SHARE)
    watched.production.record(*[job(number, ONE, "failed") for number in range(1, 11)])
    other = Watched(watched.production, watched._file.parent)
    look = checks._look

    def look_slowly(*words: Any) -> Any:
        looked = look(*words)
        monkeypatch.setattr(checks, "_look", look)
        assert other.check(ONE + MINUTE) is None, "the first one still has its turn"
        assert other.changes(ONE + checks.LEASE + MINUTE) == (1, 0)
        return looked

    monkeypatch.setattr(checks, "_look", look_slowly)

    assert watched.check(ONE) is None

    assert len(watched.listed()) == 1
    assert watched.listed()[0].began_at == "2026-01-01T01:04:00Z"


def test_message_is_taken_once_until_its_lease_is_over(watched: Watched) -> None:
    watched.rule(SHARE)
    watched.production.record(*[job(number, ONE, "failed") for number in range(1, 11)])
    watched.changes(ONE)

    [first] = watched.take(ONE)
    assert watched.take(ONE + LEASE) == []
    assert "may have reached you before" not in compose([first], "").body
    # Whoever took it died: nobody knows whether it was sent
    [again] = watched.take(ONE + LEASE + MINUTE)
    assert (again.key, again.attempts, again.is_uncertain) == (first.key, 2, True)
    assert "may have reached you before" in compose([again], "").body

    watched.sent([again], ONE + LEASE + MINUTE)
    assert watched.take(ONE + timedelta(days=1)) == []


def test_what_is_not_sent_is_tried_later_and_given_up_in_the_end(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_TRIES", 3)
    watched.rule(SHARE)
    watched.production.record(*[job(number, ONE, "failed") for number in range(1, 11)])
    watched.changes(ONE)

    assert watched.send(ONE) == (0, 1)
    [told] = watched.listed()[0].deliveries
    assert told.problem == "receiver chat: the variable NO_SUCH_VARIABLE is not set"
    assert (told.state, told.attempts, told.due_at) == ("waiting", 1, "2026-01-01T01:01:00Z")
    assert watched.send(ONE + MINUTE / 2) == (0, 0)
    assert watched.send(ONE + MINUTE) == (0, 1)
    [told] = watched.listed()[0].deliveries
    assert (told.attempts, told.due_at) == (2, "2026-01-01T01:03:00Z")

    assert watched.send(ONE + timedelta(days=30)) == (0, 1)
    [told] = watched.listed()[0].deliveries
    assert (told.state, told.due_at) == ("given up", None)
    assert watched.send(ONE + timedelta(days=60)) == (0, 0)


def test_quiet_hours_hold_back_what_is_not_urgent(watched: Watched) -> None:
    urgent = SHARE.replace("many fail", "all fail").replace("0.2", "0.9\nurgent = true")
    watched.rule(SHARE + urgent)
    text = watched._file.read_text(encoding="utf-8")
    watched._file.write_text(f'[nova]\nquiet = "00:30-06:00"\n{text}', encoding="utf-8")
    watched.production.record(*[job(number, ONE, "failed") for number in range(1, 11)])
    assert watched.changes(ONE) == (2, 0)

    assert watched.send(ONE) == (0, 1), "the urgent one alone was tried"

    told = {alert.rule: alert.deliveries[0] for alert in watched.listed()}
    assert told["all fail"].attempts == 1
    assert (told["many fail"].attempts, told["many fail"].due_at) == (0, "2026-01-01T06:00:00Z")
    assert told["many fail"].problem is None


def test_rule_that_finds_something_in_every_job_is_bounded_and_summed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.rule(SHARE.replace('"1h"', '"1h"\nby = "site"\nleast = 1'))
    watched.production.record(
        *[
            job(number, ONE, "failed", host={"hostname": "wn", "site": f"S{number:03}"})
            for number in range(1, 61)
        ]
    )
    assert watched.changes(ONE) == (MOST_SUBJECTS, 0)
    assert watched.changes(ONE + 2 * MINUTE) == (0, 0)
    # with those of two more rules, what waits is still one message
    monkeypatch.setattr(conditions, "MOST_SUBJECTS", 40)
    assert watched.changes(ONE + 4 * MINUTE) == (20, 0)

    taken = watched.take(ONE + 5 * MINUTE)

    assert len(taken) == 40
    message = compose(taken, "https://prov.example.org")
    assert message.title == "nova: 40 alerts"
    assert message.body.count("Since 2026-01-01") == MOST_TOLD
    assert "And 20 alerts more." in message.body
    assert "site S001: 100 % of 1 job" in message.body


@pytest.mark.slow
def test_new_cause_is_one_that_no_job_had_before(watched: Watched) -> None:
    rule = '[[nova.rules]]\nname = "new"\nwhen = "new_cause"\nwindow = "2h"\nto = ["mail"]\n'
    watched.rule(rule)
    old = {"failed_step": "art", "error_class": "Old", "message": "an old story"}
    new = {"failed_step": "art", "error_class": "New", "message": "ask @channel <!here>"}
    watched.production.record(
        *[
            {**job(number, ended, "failed"), "exit": {"code": 1, **exit_}}
            for number, ended, exit_ in (
                (1, ONE - timedelta(days=3), old),
                *((number, ONE, old) for number in (2, 3, 4)),
                *((number, ONE, new) for number in (5, 6, 7)),
                (8, ONE, {"failed_step": "cp", "error_class": "Few", "message": "seldom"}),
            )
        ]
    )
    watched.production.work()

    assert watched.changes(ONE + MINUTE) == (1, 0)

    [alert] = watched.listed()
    assert "3 jobs failed with a new cause" in alert.words
    assert "channel" in alert.words
    # what a job said calls nobody in a chat
    body = compose(watched.take(ONE + MINUTE), "https://prov.example.org").body
    assert "@channel" not in body
    assert "<!here" not in body


@pytest.mark.slow
def test_queues_records_disks_drills_and_stages_are_watched(watched: Watched) -> None:
    for name, more in {
        "stuck": "",
        "held": "over = 1",
        "no_record": "hours = 2",
        "disk": "below_gb = 1e9",
        "drill_differs": "",
        "stage_done": 'campaign = "c"',
    }.items():
        before = watched._file.read_text(encoding="utf-8") if watched._file.exists() else HEAD
        rule = f'[[nova.rules]]\nname = "{name}"\nwhen = "{name}"\nto = ["mail"]\n{more}\n'
        watched._file.write_text(before + rule, encoding="utf-8")
    production = watched.production
    task = {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": "u1"}
    output = {"name": "a.root", "size_bytes": 3, "checksums": ["adler32:00000001"]}
    production.declare("t1", campaign="c", stage="reco", units=["u1"])
    production.record(job(1, ONE, task=task, outputs=[output]))
    now = production.now
    production.verdict(1, "R1", by="drill")
    put_queue(watched, now - timedelta(minutes=30), measured_seconds=60.0)
    put_queue(watched, now, measured_seconds=1860.0)

    watched.changes(now + MINUTE)

    found = {alert.condition: alert.words for alert in watched.listed()}
    assert found["held"] == "3 jobs are held, most of them of t1 (3)"
    assert found["stuck"] == "1 job is stuck, most of them of t1 (1)"
    assert found["drill_differs"] == (
        "1 recipe failed or gave other outputs when jobprov last reran it"
    )
    assert found["stage_done"] == "stage reco of c is done: 1 unit"
    assert "are left on the disk of" in found["disk"]
    assert "no_record" not in found
    watched.changes(now + timedelta(hours=3))
    found = {alert.condition: alert.words for alert in watched.listed()}
    assert found["no_record"].endswith("more than 2 hours")
    production.seal()
    assert watched.changes(now + timedelta(hours=4))[0] == 0


@pytest.mark.slow
def test_rebuilt_database_tells_nothing_again_and_loses_nothing(
    watched: Watched, tmp_path: Path
) -> None:
    watched.rule(SHARE.replace('["chat"]', '["chat", "mail"]'))
    watched.production.record(*[job(number, ONE, "failed") for number in range(1, 11)])
    watched.changes(ONE)
    watched.sent(watched.take(ONE), ONE)
    watched.production.seal()
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"

    rebuild_database(watched.production.store, url)

    tables = tables_at(url)
    before = watched.production.tables()
    assert tables["alerts"] == before["alerts"]
    assert tables["alert_deliveries"] == before["alert_deliveries"]
    rebuilt = Production(open_database(url), watched.production.store)
    again = Watched(rebuilt, tmp_path)
    assert again.changes(ONE + 2 * MINUTE) == (0, 0), "the alert is open there, too"
    [waiting] = again.take(ONE + 2 * MINUTE)
    assert waiting.receiver == "mail"
    assert again.take(ONE + 2 * MINUTE) == []
    rebuilt.close_all()
