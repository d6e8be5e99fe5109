"""Something goes wrong, people are told once where they read, and told again when it is over.

The mail server and the web server that are told are real; what is sent is sent by apprise.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import text

from jobprov.app.factory import create_app
from jobprov.app.serving import server
from jobprov.app.wiring import Service
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.alerts import receivers
from jobprov.provenance.services.alerts.deliveries import send_due
from jobprov.provenance.services.alerts.receivers import send
from jobprov.provenance.services.alerts.rounds import run_alerts
from jobprov.provenance.services.alerts.rules import Receiver, read_alert_rules
from jobprov.provenance.services.alerts.sender import NO_SERVICE
from jobprov.provenance.services.recording.submissions import Submission
from tests.library.commands import run_alone
from tests.library.records import a_record
from tests.library.servers.receivers import (
    Mailbox,
    Webhook,
    dripping_server,
    mail_server,
    webhook_server,
)
from tests.library.servers.served_app import opened_service

pytestmark = pytest.mark.slow
RULES = """
[nova.receivers.chat]
url_file = "{folder}/chat"
[nova.receivers.mail]
url_file = "{folder}/mail"
[[nova.rules]]
name = "jobs fail"
when = "failure_count"
over = 2
to = ["chat", "mail"]
"""


class Scene(NamedTuple):
    """A service whose alerts go to a mail server and to a webhook."""

    service: Service
    webhook: Webhook
    mailbox: Mailbox
    folder: Path


@pytest.fixture
def scene(sqlite_template: Path, tmp_path: Path) -> Iterator[Scene]:
    webhook, mailbox = Webhook(), Mailbox()
    (tmp_path / "rules.toml").write_text(RULES.format(folder=tmp_path), encoding="utf-8")
    with ExitStack() as stack:
        hook_port = stack.enter_context(webhook_server(webhook))
        mail_port = stack.enter_context(mail_server(mailbox))
        (tmp_path / "chat").write_text(f"json://127.0.0.1:{hook_port}/SECRET\n", encoding="utf-8")
        mail = f"mailto://127.0.0.1:{mail_port}?from=jobprov@example.org&to=SECRET@example.org"
        (tmp_path / "mail").write_text(mail, encoding="utf-8")
        service = stack.enter_context(
            opened_service(
                sqlite_template,
                tmp_path / "var",
                JOBPROV_ALERTS=str(tmp_path / "rules.toml"),
                JOBPROV_PUBLIC_URL="https://prov.example.org",
            )
        )
        yield Scene(service, webhook, mailbox, tmp_path)


def record_failures(service: Service) -> None:
    now = datetime.now(UTC)
    ended = now.isoformat().replace("+00:00", "Z")
    for number in range(1, 4):
        record = a_record(number, state="failed", ended_at=ended, exit={"code": 65})
        service.record(Submission(decode_record(json.dumps(record).encode()), now, "hook"))


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; far longer than it takes on a busy machine."""
    until = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < until, "it did not become so"
        time.sleep(0.02)


def test_people_are_told_once_whatever_answers_and_no_secret_is_shown(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service, webhook, mailbox, _ = scene
    record_failures(service)
    webhook.code = 500
    client = create_app(service.settings, service=service).test_client()

    # As the service does it, in a thread of its own
    monkeypatch.setattr(server, "ALERT_SECONDS", 0.02)
    stop = threading.Event()
    thread = threading.Thread(target=server.watch_until, args=(service, stop))
    thread.start()

    def are_settled() -> bool:
        listed = client.get("/api/v1/alerts").get_json()["alerts"]
        told = [delivery for alert in listed for delivery in alert["deliveries"]]
        return [(delivery["state"], delivery["problem"]) for delivery in told] == [
            ("waiting", "it answered 500"),
            ("sent", None),
        ]

    wait_until(are_settled)
    stop.set()
    thread.join()
    assert len(webhook.messages) == 1
    [mail] = mailbox.mails
    assert mail["Subject"] == "nova: jobs fail"
    assert mailbox.receivers == [["SECRET@example.org"]]
    content = mail.get_body(("plain",))
    assert content is not None
    assert "3 of 3 jobs that ended within 1h failed, more than 2" in content.get_content()
    assert "https://prov.example.org/errors?experiment=nova" in content.get_content()

    page = client.get("/alerts")
    assert "1 alert now." in page.text
    assert "it answered 500" in page.text
    with service.reading() as connection:
        bodies = connection.execute(text("SELECT body FROM entry_bodies")).scalars()
        entries = b"".join(unpack(body) for body in bodies).decode()
    assert '"event":"began"' in entries
    # the mail server of this test logs what comes
    logged = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    said = [page.text, client.get("/api/v1/alerts").text, entries, *logged]
    assert "SECRET" not in "".join(said)

    # The webhook works again; what was sent is not sent again
    webhook.code = 200
    settings = service.alerts()
    assert settings is not None
    rules = read_alert_rules(settings.file)
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert send_due(service.parts(), settings.address, rules, now=later) == (1, 0)
    assert send_due(service.parts(), settings.address, rules, now=later) == (0, 0)
    done = run_alerts(service.parts(), settings, is_forced=True)
    assert [(checked.began, checked.over) for checked in done.checked] == [(0, 0)]
    assert [title for _, title, _ in webhook.messages] == ["nova: jobs fail"] * 2
    assert "may have reached you before" not in webhook.messages[1][2]
    assert len(mailbox.mails) == 1


def test_server_that_hangs_is_left_in_time_and_the_message_may_come_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receivers, "SECONDS", 1.0)
    with dripping_server() as port:
        monkeypatch.setenv("HANGING", f"mailto://127.0.0.1:{port}?from=a@example.org&to=b@x.org")

        sending = send("mail", Receiver(url_variable="HANGING"), "title", "body")

    assert sending == ("no answer within 1 s", True)


def test_receiver_leads_an_alert_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could have this machine ask services of its own, or those of its cloud."""
    outer, inner = Webhook(), Webhook()
    with webhook_server(inner) as inner_port, webhook_server(outer) as port:
        outer.code, outer.leads_to = 307, f"http://127.0.0.1:{inner_port}/latest/meta-data"
        monkeypatch.setenv("LEADING", f"json://127.0.0.1:{port}/x")

        sending = send("chat", Receiver(url_variable="LEADING"), "title", "body")

    assert sending == ("it answered 307", False)
    assert (len(outer.messages), inner.messages) == (1, [])


def test_receivers_are_tried_by_a_command(scene: Scene) -> None:
    environment = {"JOBPROV_ALERTS": str(scene.folder / "rules.toml")}
    unknown = "nosuchservice://SECRET"
    (scene.folder / "mail").write_text(unknown, encoding="utf-8")

    tried = run_alone("alerts", "test", "nova", **environment)

    assert tried.returncode == 1, tried.stderr
    assert tried.stdout.splitlines() == [
        "chat: sent",
        f"mail: not sent: {NO_SERVICE}",
    ]
    [(path, title, message)] = scene.webhook.messages
    assert (path, title) == ("/SECRET", "nova: a test")
    assert "Nothing is wrong" in message
    assert run_alone("alerts", "test", "nova", "nobody", **environment).returncode == 2
