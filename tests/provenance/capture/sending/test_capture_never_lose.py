"""A network that mistreats 30 % of all requests loses no record, and makes none twice.

It loses, delays and garbles requests.
"""

import hashlib
import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.running.background import Speaker
from jobprov.provenance.capture.sending import delivery, flushing
from jobprov.provenance.capture.sending import service as services
from jobprov.provenance.capture.sending import spool as spools
from tests.library.servers.hook_service import (
    Answer,
    Service,
    answers_after_giving_up,
    takes_then_cuts,
)

SHARE = 0.3


class TroubledService(Service):
    """Answers a share of all requests wrongly, each in one of six ways, by a fixed seed."""

    def __init__(self, seed: int) -> None:
        self.chance, self.troubles = random.Random(seed), 0  # noqa: S311 - trouble, not secrets
        super().__init__()

    def trouble(self) -> Any:
        """Return what befalls the next request: nothing in most cases."""
        if self.chance.random() >= SHARE:
            return None
        self.troubles += 1
        return self.chance.choice(
            [
                ("cut", {}, {}),
                takes_then_cuts,
                answers_after_giving_up(0.15),
                takes_and_says(500),
                (503, {"Retry-After": "0.01"}, {}),
                (500, {}, {"detail": "oops"}),
            ]
        )


class Faults(list):  # type: ignore[type-arg]
    """A list of faults that never ends."""

    def __init__(self, service: TroubledService) -> None:
        super().__init__([None])
        self.service = service

    def pop(self, _place: Any = 0) -> Any:
        return self.service.trouble()


def takes_and_says(status: int) -> Callable[..., Answer]:
    """Take the request in, and answer as if it had failed."""

    def fault(_handler: Any, usual: Callable[[], Answer]) -> Answer:
        usual()
        return status, {}, {}

    return fault


def fill(spool: Path, count: int) -> list[str]:
    """Spool that many records, each with a blob of its own and one that all share.

    Return their ids, oldest first.
    """
    options = Options(["--spool", str(spool)], {})
    assert spools.find(options, {}) == str(spool)
    found = []
    for number in range(count):
        draft = Draft(
            {"job_id": str(uuid.UUID(int=number)), "state": "succeeded", "experiment": "toy"}
        )
        draft.record["logs"] = [{"name": "out", "sha256": draft.add_bytes(b"log %d" % number)}]
        draft.record["scripts"] = [{"name": "s", "sha256": draft.add_bytes(b"the same for all")}]
        spools.keep(str(spool), draft, {"url": None})
        found.append(draft.record["job_id"])
    return found


def drain(spool: Path, url: str, deadline: float) -> None:
    """Flush as a cron job would: again and again until nothing is left."""
    while time.monotonic() < deadline:
        options = Options(["--url", url, str(spool)], {})
        speaker = Speaker(options)
        speaker.say = lambda _sentence: None  # type: ignore[method-assign]
        if flushing.flush(options, {}, speaker) == 0 and not list((spool / "claimed").iterdir()):
            return


@pytest.mark.parametrize("count", [150, pytest.param(2000, marks=pytest.mark.slow)])
def test_each_record_is_there_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(services, "_CALL_SECONDS", 0.1)
    monkeypatch.setattr(delivery, "FIRST_PAUSE_SECONDS", 0.002)
    # The machine does not fail here, the network does
    monkeypatch.setattr(spools.os, "fsync", lambda _handle: None)
    service = TroubledService(seed=count)
    spool = tmp_path / "spool"
    wanted = fill(spool, count)
    service.faults = Faults(service)

    deadline = time.monotonic() + 240
    both = [threading.Thread(target=drain, args=(spool, service.url, deadline)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    service.close()

    assert sorted(service.records) == sorted(wanted)
    assert [
        path for folder in ("ready", "claimed", "rejected") for path in (spool / folder).iterdir()
    ] == []
    assert 409 not in [status for _, _, status in service.requests]
    named = {
        log["sha256"] for record in service.records.values() for log in json.loads(record)["logs"]
    }
    assert named <= set(service.blobs)
    assert all(
        hashlib.sha256(content).hexdigest() == digest for digest, content in service.blobs.items()
    )
    print(
        f"\n{count} records, {len(service.requests)} requests, "
        f"{service.troubles} of them in trouble"
    )
    assert service.troubles > 0.25 * len(service.requests)


def test_order_is_kept_oldest_first(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools.os, "fsync", lambda _handle: None)
    wanted = fill(tmp_path / "spool", 30)

    drain(tmp_path / "spool", service.url, time.monotonic() + 60)

    sent = [
        path.rsplit("/", 1)[1]
        for method, path, _ in service.requests
        if "/jobs/" in path and method == "PUT"
    ]
    assert sent == wanted
