"""What alerts and reports are sent to: a mail server, a webhook, and one that never ends to answer."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


class Mailbox:
    """What a mail server got; it takes nothing for `nobody@…`."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.receivers: list[list[str]] = []

    async def handle_RCPT(  # noqa: N802 - the name that the server calls
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.receivers.append(envelope.rcpt_tos)
        return "250 OK"


@contextmanager
def mail_server(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    """Yield the port of a mail server on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    server.start()
    try:
        yield port
    finally:
        server.stop()


class Webhook:
    """What came to a webhook, and the code that it answers.

    Attributes:
        messages: `(path, title, message)`, also those that it answered with an error.
        leads_to: the address that it redirects to, where its code is a redirect's.
    """

    def __init__(self) -> None:
        self.code = 200
        self.leads_to = ""
        self.messages: list[tuple[str, str, str]] = []


@contextmanager
def webhook_server(webhook: Webhook) -> Iterator[int]:
    """Yield the port of a web server on loopback that takes JSON, as apprise's `json://` sends it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            webhook.messages.append((self.path, body["title"], body["message"]))
            self.send_response(webhook.code)
            if webhook.leads_to:
                self.send_header("Location", webhook.leads_to)
            self.end_headers()

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def dripping_server() -> Iterator[int]:
    """Yield the port of a server that sends a byte now and then, and never a whole line."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def drip() -> None:
        clients = []
        while not stop.is_set():
            with suppress(TimeoutError):
                clients.append(listener.accept()[0])
            for client in clients:
                with suppress(OSError):
                    client.send(b"2")
        for client in clients:
            client.close()

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        thread.join()
        listener.close()
