"""An agent proves recipes while it has nothing else to do, and gives way to orders."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.client import Client
from jobprov.provenance.services.agents.idle_proofs import IdleProver
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.proof_budgets import ProofBudget
from tests.library.records import a_record
from tests.library.servers.live_service import LiveService

pytestmark = pytest.mark.slow


@pytest.fixture
def service(tmp_path: Path) -> Iterator[LiveService]:
    """Yield a running service with nothing recorded."""
    if not apart().is_offline:
        pytest.skip("THE KERNEL ALLOWS NO USER NAMESPACE: nothing can be proven here")
    running = LiveService(tmp_path / "var")
    yield running
    running.stop()


def record_script(client: Client, number: int, script: bytes, made: bytes) -> str:
    """Record a job that ran a script of its own and made `o`; return its id."""
    sha256 = hashlib.sha256(script).hexdigest()
    client.put_blob(sha256, script)
    record = a_record(
        number,
        state="succeeded",
        exit={"code": 0},
        command={"argv": ["sh", "/scratch/job.sh"], "working_directory": "/scratch"},
        scripts=[{"name": "job.sh", "path": "/scratch/job.sh", "sha256": sha256}],
        environment={"variables": {"PATH": "/usr/bin:/bin"}},
        outputs=[{"name": "o", "path": "o", "sha256": hashlib.sha256(made).hexdigest()}],
    )
    client.record(record)
    return str(record["job_id"])


def proof_of(client: Client, job_id: str) -> Any:
    return client.job(job_id).proof


def test_idle_agent_proves_recipes(service: LiveService, tmp_path: Path) -> None:
    client = Client(service.url)
    good = record_script(client, 1, b"echo 1 > o\n", b"1\n")
    bad = record_script(client, 2, b"cat /nowhere/x > o\n", b"1\n")
    done = service.run(
        "agent", "--experiment", "nova", "--once", "--prove", "--launcher", "local",
        "--folder", str(tmp_path / "agent"),
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert f"proof of job {good}: proven" in done.stderr
    assert proof_of(client, good).state == "proven"
    assert proof_of(client, bad).message == "The file /nowhere/x is missing."
    assert client.job(bad).grade == "L1"
    assert "rerun-failed" in {gap.code for gap in client.job(bad).gaps}


def test_proof_gives_way_to_orders(service: LiveService, tmp_path: Path) -> None:
    client = Client(service.url)
    job_id = record_script(client, 3, b"sleep 50; echo 1 > o\n", b"1\n")
    lines: list[str] = []
    prover = IdleProver(
        Client(service.url), "nova", tmp_path / "proofs", ProofBudget(), apart(), lines.append
    )
    prover.look(is_idle=True)
    wait_for(lambda: b"sleep\x0050" in processes())
    began = time.monotonic()
    prover.look(is_idle=False)  # an order came

    assert time.monotonic() - began < 40
    assert b"sleep\x0050" not in processes()
    assert (lines, proof_of(client, job_id).state, proof_of(client, job_id).level) == (
        [],
        "unproven",
        None,
    )


def processes() -> bytes:
    """Return the command lines of all processes."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                found.append(Path(entry.path, "cmdline").read_bytes())
            except OSError:
                continue
    return b"\n".join(found)


def wait_for(is_there: Any) -> None:
    for _ in range(300):
        if is_there():
            return
        time.sleep(0.1)
    pytest.fail("it did not come within 30 s")
