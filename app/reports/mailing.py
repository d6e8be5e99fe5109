"""Sends a report by mail, as text and as a page.

Source: RFC 5322, RFC 2046 (multipart/alternative), `smtplib`.
"""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from jobprov.provenance.errors import BadInputError, UnreachableError

_SECONDS = 30
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


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
        raise BadInputError(f"--mail: {problem}.", {"--mail": [str(problem)]}) from None
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
