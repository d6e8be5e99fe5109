"""Nothing is lost between the hook and the service, whatever a proxy makes of it.

The service is a real one.
"""

import hashlib
import json
import random
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.sending import delivery
from jobprov.provenance.capture.sending import service as calls
from tests.library.hook import Runner
from tests.library.servers.hostile_proxy import HostileProxy, shorten
from tests.library.servers.live_service import LiveService
from tests.library.spooled import assert_all_blobs_are_there, held, spool_of

pytestmark = pytest.mark.xdist_group("hostile_proxy")
JOBS = 100


class EveryLength:
    """Cuts the answers one byte later each time, until one passes whole."""

    def __init__(self, *, is_head_kept: bool) -> None:
        self.length, self.is_over, self._is_head_kept = 0, False, is_head_kept

    def __call__(self, ask: object, _chance: random.Random) -> bytes:
        answer = ask()  # type: ignore[operator]
        if self._is_head_kept:
            head, _, content = answer.partition(b"\r\n\r\n")
            self.is_over = self.length == len(content)
            head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % self.length, head)
            part = head + b"\r\n\r\n" + content[: self.length]
        else:
            self.is_over = self.length == len(answer)
            part = answer[: self.length]
        self.length += 1
        return part


@pytest.mark.slow
@pytest.mark.parametrize("is_head_kept", [False, True])
def test_answer_cut_at_any_length_is_no_answer(live: LiveService, *, is_head_kept: bool) -> None:
    content = uuid.uuid4().bytes
    digest = hashlib.sha256(content).hexdigest()
    record = {"schema_version": 1, "job_id": str(uuid.uuid4()), "witness": "wrapper"}
    record |= {"state": "killed", "experiment": "toy"}
    record["scripts"] = [{"name": "s.sh", "sha256": digest}]
    body = json.dumps(record).encode()
    calls = {
        "missing": lambda service: delivery.ask_missing(service, [digest, "0" * 64]),
        "record": lambda service: delivery.put_record(service, record["job_id"], body),
        "blob": lambda service: delivery._put_blob(service, digest, content, None),
    }
    for name, call in calls.items():
        trouble = EveryLength(is_head_kept=is_head_kept)
        proxy = HostileProxy(live.url, share=1.0, troubles=(trouble,))
        while True:
            service = delivery.Service(proxy.url, None, Clock(20))
            try:
                answer = call(service)
            except delivery.UnansweredError:
                assert not trouble.is_over, name
            else:
                break
            finally:
                service.close()
        proxy.close()

        assert trouble.is_over, f"{name}: taken for whole after {trouble.length - 1} bytes"
        assert trouble.length > (50 if is_head_kept else 150)
        if name == "missing":
            assert answer == {digest, "0" * 64}


@pytest.mark.slow
def test_shortened_answer_does_not_read_as_nothing_is_missing(
    runner: Runner, live: LiveService
) -> None:
    job_id = spool_of(runner, [500])
    proxy = HostileProxy(live.url, share=1.0, troubles=(shorten,))

    through = runner("flush", str(runner.spool), "--url", proxy.url, "--budget-seconds", "2")
    proxy.close()
    left = len(runner.entries())
    direct = runner("flush", str(runner.spool), "--url", live.url)

    assert (through.returncode, left, direct.returncode) == (3, 1, 0)
    assert assert_all_blobs_are_there(live, job_id) == 1


@pytest.mark.slow
def test_blobs_go_in_parts_that_a_gateway_lets_pass(runner: Runner, live: LiveService) -> None:
    job_id = spool_of(runner, [100_000, 5_000_000, 1000, 1000])
    proxy = HostileProxy(live.url, limit=300_000)

    done = runner("flush", str(runner.spool), "--url", proxy.url, "--budget-seconds", "50")
    proxy.close()

    assert done.returncode == 0, done.stderr
    assert proxy.counts["too large"] == 5  # 4.8 MiB, then a half of it each time
    assert assert_all_blobs_are_there(live, job_id) == 4
    assert list(live.data.glob("half-sent/*/*")) == []


@pytest.mark.slow
def test_text_of_a_package_passes_in_parts_whatever_it_seems_to_hold(
    live: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the service searches the text for seconds of CPU, on a busy machine for longer than a hook waits
    monkeypatch.setattr(calls, "_CALL_SECONDS", 300.0)
    text = b"password = 'correct-horse'\n" + b"x = 1\n" * 800_000  # more than goes as a whole
    digest = hashlib.sha256(text).hexdigest()
    service = delivery.Service(live.url, None, Clock(600))

    with pytest.raises(delivery.RefusedError, match="secret"):
        delivery._put_blob(service, digest, text, None)
    delivery._put_blob(service, digest, text, "wheel toy-1.0")

    assert delivery.ask_missing(service, [digest]) == frozenset()
    service.close()


@pytest.mark.slow
def test_blob_that_no_gateway_lets_pass_stays_by_name_and_the_job_has_a_gap(
    runner: Runner, live: LiveService
) -> None:
    """The record goes, the job ends as it would, and the spool keeps only what did not arrive."""
    proxy = HostileProxy(live.url, limit=12_000)
    words = ("--", "sh", "-c", "head -c 60000 /dev/urandom | base64; exit 7")

    done = runner("run", "--url", proxy.url, *words)
    (entry,) = runner.entries()
    job_id = re.findall(r"recorded (\S+)", done.stderr.decode())[0]
    before = held(live, job_id)
    again = runner("flush", str(runner.spool), "--url", proxy.url)
    proxy.close()
    direct = runner("flush", str(runner.spool), "--url", live.url)

    assert done.returncode == 7
    # a machine with many packages has a list of them that does not pass, either
    kept = rb"without \d blobs? \(log \S+?(, system_packages\w*)?\): .* 413, but it is not jobprov"
    told = re.search(kept, done.stderr)
    assert told is not None
    lost = 2 if told[1] else 1
    assert b"`flush` sends the rest later" in done.stderr
    assert entry.exists() is False
    assert (before["record"]["state"], len(before["missing_blobs"])) == ("failed", lost)
    assert "log-missing" in [gap["code"] for gap in before["gaps"]]
    assert again.returncode == 3
    assert re.search(rb"still lacks \d blobs? \(log ", again.stderr)
    assert (direct.returncode, runner.entries()) == (0, [])
    assert "log-missing" not in [gap["code"] for gap in held(live, job_id)["gaps"]]
    assert_all_blobs_are_there(live, job_id)


@pytest.mark.slow
def test_hundred_jobs_through_a_hostile_proxy_lose_nothing(
    compiled_hook: str, live: LiveService, tmp_path: Path
) -> None:
    """Each job has a script and a log of its own; some logs are larger than the proxy lets pass."""
    proxy = HostileProxy(live.url, limit=40_000, share=0.35)
    runner = Runner(compiled_hook, tmp_path / "job")
    runner.folder.mkdir()

    def run(number: int) -> tuple[int, str]:
        script = runner.folder / f"script{number}.sh"
        size = (10, 100, 30_000, 90_000)[number % 4]
        script.write_text(f"head -c {size} /dev/urandom | base64\nexit {number % 5}\n")
        task = ("--task-id", f"hostile-{tmp_path.name}", "--budget-seconds", "8")
        done = runner("run", "--url", proxy.url, *task, "--", "sh", script.name)
        return done.returncode, done.stderr.decode()

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(run, range(JOBS)))
    in_spool = len(runner.entries())
    counts = dict(proxy.counts)
    for _ in range(3):  # some more arrive, and nothing that does not is lost
        runner("flush", str(runner.spool), "--url", proxy.url, "--budget-seconds", "2")
    after_flushes = len(runner.entries())
    proxy.close()
    direct = runner("flush", str(runner.spool), "--url", live.url, timeout=120)

    assert [code for code, _ in results] == [number % 5 for number in range(JOBS)]
    told_lines = [len(told.splitlines()) for _, told in results]
    assert max(told_lines) == 1
    assert sum(told_lines) >= in_spool, "what did not arrive is told"
    assert direct.returncode == 0, direct.stderr
    assert not any(runner.entries(folder) for folder in ("ready", "claimed", "rejected"))
    listed = requests.get(
        f"{live.url}/api/v1/jobs", params={"task_id": f"hostile-{tmp_path.name}"}, timeout=30
    ).json()["jobs"]
    assert len(listed) == JOBS
    blobs = [assert_all_blobs_are_there(live, job["job_id"]) for job in listed]
    assert min(blobs) >= 2
    print(f"\n{counts}; {in_spool} of {JOBS} entries in the spool, {after_flushes} after 3 flushes")
    assert counts["mistreated"] > 50
    assert counts["too large"] > 10
    assert in_spool > 0
