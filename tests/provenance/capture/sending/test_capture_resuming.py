"""A large blob goes on where the line was cut, through a real service."""

import hashlib
import os
import uuid

import pytest
import requests

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.sending import spool as spools
from tests.library.hook import Runner
from tests.library.servers.hook_service import CuttingProxy
from tests.library.servers.live_service import LiveService

SIZE = 12 << 20
MIB = 1 << 20


def spool_with_large_blob(runner: Runner) -> str:
    """Keep a record with one blob of 12 MiB that no compression makes smaller.

    Return its digest.
    """
    content = os.urandom(SIZE)
    assert spools.find(Options(["--spool", str(runner.spool)], {}), {}) is not None
    draft = Draft({"schema_version": 1, "job_id": str(uuid.uuid4()), "witness": "wrapper"})
    draft.record.update({"state": "killed", "experiment": "toy"})
    digest = draft.add_bytes(content)
    draft.record["scripts"] = [{"name": "pack", "sha256": digest}]
    spools.keep(str(runner.spool), draft, {"url": None})
    assert hashlib.sha256(content).hexdigest() == digest
    return digest


@pytest.mark.slow
def test_large_blob_goes_on_where_the_line_was_cut(runner: Runner, live: LiveService) -> None:
    digest = spool_with_large_blob(runner)
    proxy = CuttingProxy(live.url, [5 * MIB, 5 * MIB])

    done = runner("flush", str(runner.spool), "--url", proxy.url, "--budget-seconds", "50")
    proxy.close()

    assert done.returncode == 0, done.stderr
    assert len(proxy.sent) == 3
    assert SIZE < sum(proxy.sent) < SIZE + 2 * MIB  # what arrived was not sent again
    assert (
        hashlib.sha256(
            requests.get(f"{live.url}/api/v1/blobs/{digest}", timeout=30).content
        ).hexdigest()
        == digest
    )
    assert list(live.data.glob(f"half-sent/*/*{digest}*")) == []


@pytest.mark.slow
def test_next_process_goes_on_too(runner: Runner, live: LiveService) -> None:
    spool_with_large_blob(runner)
    proxy = CuttingProxy(live.url, [8 * MIB, *[1] * 50])
    whole = CuttingProxy(live.url, [])

    first = runner("flush", str(runner.spool), "--url", proxy.url, "--budget-seconds", "20")
    second = runner("flush", str(runner.spool), "--url", whole.url, "--budget-seconds", "20")
    proxy.close()
    whole.close()

    assert (first.returncode, second.returncode) == (3, 0), (first.stderr, second.stderr)
    assert sum(proxy.sent) + sum(whole.sent) < SIZE + 2 * MIB
