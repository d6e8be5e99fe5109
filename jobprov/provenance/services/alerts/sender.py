"""Sends one message by apprise, as a program of its own: it may be ended at any time.

It reads `{"url": …, "title": …, "body": …}` from its standard input and prints
`{"sent": …, "problem": …, "is_uncertain": …}`. The address holds secrets, so it is in no argument,
and nothing that apprise logs is printed: only which kind of problem it was.

Run by its path, it imports nothing of this project. Source: apprise 2.3, `Apprise.notify`.
"""

import contextlib
import json
import logging
import re
import signal
import socket
import sys
from typing import Any

SOCKET_SECONDS = 10
LONGEST_SECONDS = 45
NO_SERVICE = "apprise knows no service of this address; see https://appriseit.com/services"
_ANSWERED = re.compile(r"\berror=([1-5][0-9]{2})\b")
_FORWARDED = (502, 504)
"""What a proxy answers that may have handed on what it got."""
_KINDS = (
    ("refused", "the connection was refused", False),
    ("name or service not known", "its host is not known", False),
    ("name resolution", "its host is not known", False),
    ("getaddrinfo failed", "its host is not known", False),
    ("no route to host", "its host cannot be reached", False),
    ("unreachable", "its host cannot be reached", False),
    ("certificate", "its certificate was not accepted", False),
    ("authentication", "the login was refused", False),
    ("connecttimeout", "no connection within the time", False),
    ("recipients", "it refused those whom the message is to", False),
    ("timed out", "no answer within the time", True),
    ("timeout", "no answer within the time", True),
)
"""Part of a logged text in lower case, what it means, and whether it may have been sent."""


class _Kept(logging.Handler):
    """Keeps what is logged, and the errors with it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def send(message: dict[str, str]) -> dict[str, Any]:
    """Send a message; return whether it was sent, else why not and whether it may have been."""
    import apprise  # noqa: PLC0415 - an extra, and this module is also read by those without it

    socket.setdefaulttimeout(SOCKET_SECONDS)
    kept = _Kept()
    logger = logging.getLogger("apprise")
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    # A receiver that redirects could have this machine ask its own, or its cloud, for something
    asset = apprise.AppriseAsset(app_id="jobprov", async_mode=False, http_redirects=False)
    sender = apprise.Apprise(asset=asset)
    if not sender.add(message["url"]):
        return {"sent": False, "problem": NO_SERVICE, "is_uncertain": False}
    is_sent = sender.notify(
        title=message["title"], body=message["body"], body_format=apprise.NotifyFormat.TEXT
    )
    if is_sent:
        return {"sent": True}
    problem, is_uncertain = _problem(kept.lines)
    return {"sent": False, "problem": problem, "is_uncertain": is_uncertain}


def _problem(lines: list[str]) -> tuple[str, bool]:
    """Return in our own words why apprise failed, and whether the message may have been sent."""
    text = "\n".join(lines)
    answered = _ANSWERED.search(text)
    if answered:
        code = int(answered[1])
        return f"it answered {code}", code in _FORWARDED
    lowered = text.lower()
    for part, words, is_uncertain in _KINDS:
        if part in lowered:
            return words, is_uncertain
    return "apprise could not send it", True


def main() -> None:
    """Send what standard input holds."""
    # Whoever started this may be gone, and would have ended it before
    signal.alarm(LONGEST_SECONDS)
    message = json.load(sys.stdin)
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        answer = send(message)
    answers.write(json.dumps(answer))


if __name__ == "__main__":
    main()
