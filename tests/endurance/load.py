"""The mixed load: single records, batches, blobs, jobs with a log; and what was acknowledged."""

import itertools
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobprov.provenance.client import Client
from jobprov.provenance.errors import ProvenanceError
from tests.library.records import a_record, job_id, sha256

EXPERIMENT = "nova"
SENDERS = 4
_BATCH = 20
_TAKEN, _UNCHANGED = (200, 201), 200
_AT_ONCE = 500
_SECONDS = 15.0
_PATIENCE = 180.0
_KINDS = ("record", "record", "batch", "blob", "logged job")
_NUMBERS = re.compile(r"[0-9a-f]{8,}|\d+")


class Acknowledged:
    """What the service said that it has taken.

    Attributes:
        records: by job id.
        blobs: by digest.
        logs: digests of those blobs that are the log of a job, and may be erased.
        batches: the job ids of each batch that was sent, whatever was answered.
        refusals: how often senders were told what.
    """

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.logs: list[str] = []
        self.batches: list[list[str]] = []
        self.refusals: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def send_something(self, client: Client, chance: random.Random) -> None:
        """Send something of the load, and keep what was acknowledged of it.

        Raises:
            ProvenanceError: it was not.
        """
        kind = chance.choice(_KINDS)
        if kind == "record":
            self._send_record(client, self._new_record())
        elif kind == "batch":
            self._send_batch(client)
        elif kind == "blob":
            self._send_blob(client, chance.randbytes(chance.choice((10, 5_000, 200_000))))
        else:
            digest = self._send_blob(client, chance.randbytes(2_000))
            self._send_record(client, self._new_record(log=digest))
            self.logs.append(digest)

    def _send_record(self, client: Client, body: bytes) -> None:
        self.records[client.record(body).job_id] = body

    def _send_batch(self, client: Client) -> None:
        bodies = [self._new_record() for _ in range(_BATCH)]
        self.batches.append([json.loads(body)["job_id"] for body in bodies])
        for body, result in zip(bodies, client.record_batch(bodies), strict=True):
            if result.status in _TAKEN:
                self.records[result.job_id] = body

    def _send_blob(self, client: Client, content: bytes) -> str:
        digest = sha256(content)
        client.put_blob(digest, content)
        self.blobs[digest] = content
        return digest

    def _new_record(self, log: str | None = None) -> bytes:
        number = next(self._numbers)
        record = a_record(
            number % 80_000,
            inputs=[{"name": f"f{number - 1}.root", "size_bytes": number - 1}],
            outputs=[{"name": f"f{number}.root", "size_bytes": number}],
        )
        record["job_id"] = job_id(number)
        if log is not None:
            record["logs"] = [{"name": "out", "sha256": log}]
        return json.dumps(record).encode()


@contextmanager
def sending(url: str, sent: Acknowledged, seed: int) -> Iterator[None]:
    """Have some threads send until the end."""
    stop = threading.Event()

    def send(number: int) -> None:
        chance = random.Random(seed * SENDERS + number)  # noqa: S311 - no secret
        with Client(url, timeout=_SECONDS) as client:
            while not stop.is_set():
                try:
                    sent.send_something(client, chance)
                except ProvenanceError as refusal:
                    sent.refusals[_NUMBERS.sub("N", str(refusal))[:160]] += 1

    threads = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def send_again(url: str, sent: Acknowledged, chance: random.Random) -> None:
    """Send once more what was acknowledged, which has to change nothing.

    The newest, and as many of the others: all of them would take longer each time.
    """
    bodies = list(sent.records.values())
    chosen = [*bodies[-_AT_ONCE:], *chance.sample(bodies, min(_AT_ONCE, len(bodies)))]
    # Patient: a machine with much else to do may take long over the first request of a service
    with Client(url, timeout=_PATIENCE) as client:
        for start in range(0, len(chosen), _AT_ONCE):
            for result in client.record_batch(chosen[start : start + _AT_ONCE]):
                assert result.status == _UNCHANGED, result
        for digest, content in list(sent.blobs.items())[-20:]:
            client.put_blob(digest, content)


def wait_for_more(sent: Acknowledged) -> None:
    """Wait until another record is acknowledged.

    Raises:
        AssertionError: none is for three minutes; with what senders were told.
    """
    before = len(sent.records)
    wait_for(lambda: len(sent.records) > before, lambda: f"nothing is taken: {sent.refusals}")


def wait_for(is_so: Callable[[], bool], why: Callable[[], str]) -> None:
    """Wait until something is so; three minutes at most."""
    until = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < until, why()
        time.sleep(0.01)
