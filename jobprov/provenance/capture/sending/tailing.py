"""Ends of the logs, sent while the command runs.

A job that is killed with its hook keeps what it printed last.

Beside the job and never waited for; what cannot be sent is left out. Only whole lines go, so that a
secret is not cut in two before the rules see it, and nothing behind the beginning of a private key
until its end is there.

Source: docs/reference/http.md, `PUT /jobs/{job_id}/logs/{name}`.
"""

import json
import random
import re
import threading
from typing import Dict, Sequence, Tuple
from urllib.parse import quote

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.json_objects import Record
from jobprov.provenance.capture.running.streams import Stream
from jobprov.provenance.capture.secrets.texts import redact
from jobprov.provenance.capture.sending import delivery, flushing

MOST_BYTES = 192 * 1024  # at once: what marks of redaction add must fit into the service's limit
_CALLS_SECONDS = 10.0
_LONGEST_PAUSE = 900.0
_LONGEST_REST = 64 * 1024
_KEY, _KEY_END = b"-----BEGIN ", b"-----END "
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$")
_WITHHELD = b"[withheld: the service found a secret here]\n"


class Tailer:
    """Sends what the streams of a command gained, again and again, until `stopped` is set.

    Args:
        streams: [(log name, stream)].
        prefix: goes before the names of the logs.
        record: the record so far; the service is told of the job before its first log.
        options, environment: where to send it, and with which token.
    """

    def __init__(
        self,
        streams: Sequence[Tuple[str, Stream]],
        prefix: str,
        record: Record,
        options: Options,
        environment: Dict[str, str],
    ) -> None:
        self._logs = [
            _Log(stream, prefix + name) for name, stream in streams if _NAME.match(prefix + name)
        ]
        self._record, self._options, self._environment = record, options, environment
        self._is_announced = False

    def run(self, stopped: threading.Event, seconds: float) -> None:
        """Send about every so many seconds, less often while the service does not take it.

        What it refuses ends it.
        """
        pause = seconds
        # thousands of jobs may have begun at once
        while not stopped.wait(random.random() * seconds / 4):  # noqa: S311
            try:
                self.send()
                pause = seconds
            except delivery.LaterError as error:
                pause = min(_LONGEST_PAUSE, max(pause * 2, error.pause or 0))
            if stopped.wait(pause):
                return

    def send(self) -> None:
        """Send what is new; raises delivery.LaterError, delivery.RefusedError, OSError."""
        for log in self._logs:
            log.read()
        if not any(log.waiting for log in self._logs):
            return
        if not self._is_announced:
            flushing.announce(self._record, self._options, self._environment)
            self._is_announced = True
        with delivery.opened(self._options, self._environment, _CALLS_SECONDS) as service:
            for log in self._logs:
                log.send(service, self._record)


class _Log:
    """One log: how far it was read, what waits to be sent, and up to where the service has it."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream, self._name = stream, name
        self._position, self._sent = 0, 0
        self._rest = b""  # what was read and may not go yet
        self.waiting = b""

    def read(self) -> None:
        """Take what is new, as far as it may go; where there is too much, the last of it."""
        position, content = self._stream.peek(self._position, MOST_BYTES)
        missing = position - self._position
        self._position = position + len(content)
        if missing > 0:
            content = content[content.find(b"\n") + 1 :]
            content = _left_out(missing + len(self._rest)) + content
            self._rest = b""
        whole, self._rest = _split(self._rest + content)
        waiting = self.waiting + redact(whole)[0]
        if len(waiting) > MOST_BYTES:
            waiting = _left_out(len(waiting) - MOST_BYTES) + waiting[-MOST_BYTES:]
        self.waiting = waiting

    def send(self, service: delivery.Service, record: Record) -> None:
        """Send what waits."""
        if not self.waiting:
            return
        content = self.waiting
        try:
            self._put(service, record, content)
        except delivery.RefusedError as error:
            if "secret-found" not in json.dumps(error.answer):
                raise
            content = _WITHHELD
            self._put(service, record, content)
        self._sent += len(content)
        self.waiting = b""

    def _put(self, service: delivery.Service, record: Record, content: bytes) -> None:
        experiment = quote(record["experiment"], safe="")
        path = "/jobs/{}/logs/{}?offset={}&experiment={}"
        headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
        service.call(
            "PUT",
            path.format(record["job_id"], self._name, self._sent, experiment),
            delivery.gzip_bytes(content),
            headers,
            lambda answer: isinstance(answer.get("received_bytes"), int),
        )


def _left_out(count: int) -> bytes:
    return "[jobprov: {} bytes left out here]\n".format(count).encode()


def _split(content: bytes) -> Tuple[bytes, bytes]:
    """Return (what may be sent, what waits for more): whole lines, and no key without its end.

    All where too much.
    """
    end = content.rfind(b"\n") + 1
    key = content.rfind(_KEY, 0, end)
    if key >= 0 and _KEY_END not in content[key:]:
        end = key
    if len(content) - end > _LONGEST_REST:
        end = len(content)
    return content[:end], content[end:]
