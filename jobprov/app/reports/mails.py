"""Mails about a campaign: what its people want one about, what the last one said, and its sending.

A stage is done, too many jobs fail, or nothing moves any more. What a mail said is remembered, so
that a report on changes comes once for each. It is sent as text and as a page. Source: RFC 5322,
RFC 2046 (multipart/alternative), `smtplib`.
"""

import hashlib
import json
import os
import smtplib
import ssl
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jobprov.provenance.answers.statistics.campaigns import CampaignReport
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.lineage.words import counted, percent

LEAST_OVER = 10
"""Jobs that have to be over before a share of failures means anything."""

_BAD = ("failed", "killed", "lost")
_OVER = ("succeeded", *_BAD)
_SECONDS = 30
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


def conditions(
    report: CampaignReport, *, failure_share: float, stuck_after: timedelta, now: datetime
) -> dict[str, str]:
    """Return what holds of a campaign that people want a mail about, in words, by name.

    A name stays the same for as long as what it stands for holds.

    A stage is done when all its expected units were made or waived; units of it may have succeeded
    without output; it fails when more than `failure_share` of at least ten jobs that are over did
    not succeed; the campaign is stuck when units are missing and no record came for `stuck_after`.
    """
    holding = {}
    for stage in report.campaign.stages:
        name = stage.stage or "without a name"
        if stage.units.expected and stage.units.missing == 0:
            holding[f"done {name}"] = f"stage {name} is done"
        if stage.units.no_output:
            units = counted(stage.units.no_output, "unit")
            holding[f"no output {name}"] = f"{units} of stage {name} succeeded without output"
        over, bad = _count(stage.states, _OVER), _count(stage.states, _BAD)
        if _fails_too_often(over, bad, failure_share):
            share = percent(bad / over, 0)
            holding[f"failing {name}"] = f"{share} of the jobs of stage {name} failed"
    silence = _silence(report, now)
    if silence is not None and silence > stuck_after:
        hours = silence.total_seconds() / 3600
        holding["stuck"] = f"no record came for {hours:.0f} hours, and units are missing"
    return holding


def _fails_too_often(over: int, bad: int, failure_share: float) -> bool:
    return over >= LEAST_OVER and bad > failure_share * over


def _silence(report: CampaignReport, now: datetime) -> timedelta | None:
    """Return how long no record came although units are missing; None where none is missing."""
    is_waiting = any(task.missing for task in report.campaign.tasks)
    if not is_waiting or report.last_record_at is None:
        return None
    return now - datetime.fromisoformat(report.last_record_at)


def _count(states: dict[str, int], names: Iterable[str]) -> int:
    return sum(states.get(name, 0) for name in names)


def default_file(service: str, experiment: str, campaign: str) -> Path:
    """Return the file in which the last report of this campaign is remembered.

    It lies below XDG_STATE_HOME or ~/.local/state.
    """
    state_folder = os.environ.get("XDG_STATE_HOME")
    if not state_folder:
        state_folder = str(Path.home() / ".local" / "state")
    question = json.dumps([service, experiment, campaign])
    digest = hashlib.sha256(question.encode()).hexdigest()
    return Path(state_folder) / "jobprov" / f"report-{digest[:16]}.json"


def remembered(file: Path) -> set[str]:
    """Return what held at the last report; nothing before the first.

    Raises:
        BadInputError: the file is there and cannot be read.
    """
    try:
        return set(json.loads(file.read_text(encoding="utf-8"))["conditions"])
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInputError(
            f"--state: {file} is not what a report left there ({problem}); remove it to begin anew."
        ) from None


def remember(file: Path, conditions: Mapping[str, str]) -> None:
    """Keep what holds now: written whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=file.parent, delete=False, encoding="utf-8"
    ) as stream:
        json.dump({"conditions": dict(conditions)}, stream, indent=1)
        written = Path(stream.name)
    written.replace(file)


def compose(
    subject: str, text: str, page: str, *, sender: str, receivers: Sequence[str]
) -> EmailMessage:
    """Return the mail: plain text, and the page for programs that show one.

    Raises:
        BadInputError: an address cannot be one.
    """
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = ", ".join(receivers)
        message["Subject"] = " ".join(subject.split())
    except ValueError as problem:
        raise BadInputError.of_field("--mail", str(problem)) from None
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers, please
    message.set_content(text)
    message.add_alternative(page, subtype="html")
    return message


def send(message: EmailMessage, url: str) -> None:
    """Hand a mail to the server at `url`.

    The address is `smtp://host`, `smtp+starttls://user:password@host:587` or `smtps://…`.

    Raises:
        BadInputError: the address is none of these, or the server refused sender or receivers.
        UnreachableError: the server does not answer, or breaks off.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadInputError(
            "JOBPROV_SMTP_URL: say smtp://, smtp+starttls:// or smtps:// and a host.",
            {"JOBPROV_SMTP_URL": ["no mail server"]},
        )
    try:
        with _connect(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]) as server:
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (
        smtplib.SMTPRecipientsRefused,
        smtplib.SMTPSenderRefused,
        smtplib.SMTPAuthenticationError,
    ) as problem:
        raise BadInputError(f"The mail server at {parts.hostname} refused: {problem}.") from None
    except (OSError, smtplib.SMTPException) as problem:
        raise UnreachableError(
            f"The mail server at {parts.hostname} did not take the mail: {problem}."
        ) from None


def _connect(scheme: str, host: str, port: int) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=_SECONDS)
    if scheme == "smtp+starttls":
        server.starttls(context=ssl.create_default_context())
    return server
