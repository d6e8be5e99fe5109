"""Sending: what arrives, what stays, and what a service that misbehaves does to it."""

import contextlib
import gzip
import json
import os
import pty
import re
import socket
import subprocess
import time
import zipfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.library.hook import Runner
from tests.library.servers.hook_service import (
    Service,
    answers_after_giving_up,
    problem,
    takes_then_cuts,
)


def record_job(
    runner: Runner, service: Service, *words: str, **more: Any
) -> subprocess.CompletedProcess[bytes]:
    return runner("run", "--url", service.url, *words, "--", "sh", "-c", "echo hello", **more)


@pytest.mark.slow
def test_record_and_its_blobs_arrive_and_nothing_stays_in_the_spool(
    runner: Runner, service: Service
) -> None:
    service.gaps = [{"code": "no-fcl", "message": "no fcl"}]

    done = record_job(runner, service)

    record = service.only_record()
    assert record["state"] == "succeeded"
    assert done.stdout == b"hello\n"
    assert done.stderr == b"", "it is the job's"
    assert service.blobs[record["logs"][0]["sha256"]] == b"hello\n"
    assert runner.entries() == runner.entries("claimed") == []


@pytest.mark.slow
def test_verbose_tells_each_gap_in_one_line(runner: Runner, service: Service) -> None:
    service.gaps = [
        {"code": "no-fcl", "message": "no fcl\nat all"},
        {"code": "no-git", "message": "no git"},
    ]

    done = record_job(runner, service, "--verbose")

    told = done.stderr.decode()
    assert f"jobprov: recorded {service.only_record()['job_id']} (grade L2, 2 gaps)\n" in told
    assert "jobprov: gap no-fcl: no fcl at all\njobprov: gap no-git: no git\n" in told


@pytest.mark.slow
def test_blobs_that_the_service_has_are_not_sent_again(runner: Runner, service: Service) -> None:
    record_job(runner, service)
    record_job(runner, service)

    sent = [path for method, path, _ in service.requests if method == "PUT" and "/blobs/" in path]
    assert len(sent) == len(set(sent)) > 0
    assert len(service.records) == 2


@pytest.mark.slow
def test_nothing_new_takes_two_requests_and_under_three_kilobytes(
    runner: Runner, service: Service
) -> None:
    record_job(runner, service)
    for _ in range(5):  # a slow machine shows a job's libraries at one time and not at another
        service.requests.clear(), service.received.clear()
        record_job(runner, service)
        if not service.count("PUT", "/blobs/"):
            break

    assert len(service.requests) == 2
    assert sum(len(body) for body in service.received) < 3000


@pytest.mark.slow
def test_token_is_sent_from_file_or_variable_and_never_recorded(
    runner: Runner, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("file-token-canary\n")

    record_job(runner, service, "--token-file", str(tmp_path / "token"))
    record_job(runner, service, environment={"JOBPROV_TOKEN": "variable-token-canary"})

    assert {headers["Authorization"] for headers in service.headers} == {
        "Bearer file-token-canary",
        "Bearer variable-token-canary",
    }
    assert not any(b"canary" in record for record in service.records.values())


def test_token_with_a_letter_that_no_token_has_is_told_without_the_token(
    runner: Runner, service: Service
) -> None:
    """`prov_…`, as the documentation writes it."""
    done = record_job(runner, service, environment={"JOBPROV_TOKEN": "prov_canary…"})

    assert b"the token is not ASCII: copy all of it" in done.stderr
    assert b"canary" not in done.stderr


@pytest.mark.slow
def test_busy_service_is_tried_again(runner: Runner, service: Service) -> None:
    service.faults = [(503, {"Retry-After": "0.1"}, {}), (500, {}, {"detail": "oops"})]

    record_job(runner, service)

    assert len(service.records) == 1
    assert [request[2] for request in service.requests[:2]] == [503, 500]


@pytest.mark.slow
def test_retry_after_is_obeyed(runner: Runner, service: Service) -> None:
    service.faults = [(429, {"Retry-After": "1"}, {})]
    begun = time.monotonic()

    record_job(runner, service)

    assert time.monotonic() - begun > 1
    assert len(service.records) == 1


@pytest.mark.slow
def test_retry_after_beyond_the_budget_leaves_the_entry_in_the_spool(
    runner: Runner, service: Service
) -> None:
    service.faults = [(503, {"Retry-After": "600"}, {})]

    done = record_job(runner, service, "--budget-seconds", "3")

    assert done.returncode == 0
    assert len(runner.entries()) == 1
    assert b"not sent" in done.stderr


@pytest.mark.slow
def test_answer_lost_after_the_service_took_the_record_makes_no_second_one(
    runner: Runner, service: Service
) -> None:
    service.faults = [None, None, takes_then_cuts, takes_then_cuts]

    record_job(runner, service)

    assert len(service.records) == 1
    assert 409 not in [request[2] for request in service.requests]
    assert runner.entries() == []


@pytest.mark.slow
def test_refused_record_is_put_aside_with_the_reason(runner: Runner, service: Service) -> None:
    service.faults = [problem(409, "another record is held", "conflict")]

    done = record_job(runner, service)

    assert done.returncode == 0
    entry, reason = runner.entries("rejected")
    assert "another record is held" in reason.read_text()
    assert zipfile.ZipFile(entry).read("record.json")
    assert b"refused" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusal_of_token_or_address_leaves_the_entry_to_be_sent_with_another(
    runner: Runner, service: Service, status: int
) -> None:
    refusal = problem(status, "token is for nova")
    service.faults = [refusal]
    done = record_job(runner, service)
    record_job(runner, service, "--url", "http://127.0.0.1:9")
    assert (done.returncode, len(runner.entries())) == (0, 2)
    assert b"refused" in done.stderr
    assert b"`flush` sends it once the service allows that" in done.stderr

    service.faults = [refusal]
    first = runner("flush", "--url", service.url)
    sent = len(service.records)
    second = runner("flush", "--url", service.url)

    assert (first.returncode, sent) == (3, 1)  # the second entry is not held up by the first
    assert (second.returncode, len(service.records)) == (0, 2)
    assert runner.entries() == runner.entries("rejected") == []


@pytest.mark.slow
def test_damaged_entries_are_put_aside_and_hold_up_no_others(
    runner: Runner, service: Service
) -> None:
    runner("run", "--", "sh", "-c", "echo hello; exit 1")
    (first,) = runner.entries()
    whole = first.read_bytes()
    for place in range(12):  # at many places: in names, in packed bytes, in the directory
        start = 40 + place * (len(whole) - 60) // 12
        damaged = whole[:start] + b"\xa5\x5a" * 10 + whole[start + 20 :]
        first.with_name(f"00000000{place:02d}.0-x{place}.jobprov").write_bytes(damaged)
    os.mkfifo(first.with_name("0000000100.0-pipe.jobprov"))
    first.with_name("0000000101.0-folder.jobprov").mkdir()

    done = runner("flush", "--url", service.url)

    assert first.stem.partition("-")[2] in service.records
    assert sorted(path.name for path in runner.entries()) == [
        "0000000100.0-pipe.jobprov",
        "0000000101.0-folder.jobprov",
    ]
    assert done.returncode == 3
    assert b"the spooled entry cannot be read" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("body", [{}, {"job_id": "another"}, {"missing": []}])
def test_answer_of_whoever_says_yes_to_everything_takes_no_record(
    runner: Runner, service: Service, body: dict[str, str]
) -> None:
    """A portal or a proxy answers 200, or 201, with a page of its own."""
    service.faults = [(200, {}, body)] * 10 + [(201, {}, body)] * 10

    done = record_job(runner, service)

    assert b"it is not jobprov that answered" in done.stderr
    assert len(runner.entries()) == 1


@pytest.mark.slow
def test_answer_by_drops_ends_with_the_budget(runner: Runner, service: Service) -> None:
    def drips(handler: BaseHTTPRequestHandler, _usual: object) -> Any:
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\n" * 20:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(0.2)
        return "cut", {}, {}

    service.faults = [drips] * 9
    begun = time.monotonic()

    done = record_job(runner, service, "--budget-seconds", "3")

    assert time.monotonic() - begun < 40  # on a busy machine; an answer takes 64
    assert b"not sent" in done.stderr
    assert len(runner.entries()) == 1


@pytest.mark.slow
def test_blob_that_is_too_large_for_the_service_does_not_hold_the_record_back(
    runner: Runner, service: Service
) -> None:
    service.faults = [None, problem(413, "The blob is larger than the limit.", "blob-too-large")]

    done = record_job(runner, service)

    assert service.only_record()["state"] == "succeeded"
    assert runner.entries() == runner.entries("rejected") == []
    assert re.search(rb"; \S+( \S+)? is refused: .*The blob is larger than the limit", done.stderr)


@pytest.mark.slow
def test_dead_service_leaves_the_entry_and_flush_sends_it_oldest_first(
    runner: Runner, service: Service
) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{dead.getsockname()[1]}"
    for number in range(3):
        runner("run", "--url", address, "--budget-seconds", "1", "--", "sh", "-c", f"echo {number}")
    kept = [
        json.loads(zipfile.ZipFile(entry).read("record.json"))["job_id"]
        for entry in runner.entries()
    ]

    done = runner("flush", str(runner.spool), "--url", service.url)

    assert done.returncode == 0
    assert [
        request[1].rsplit("/", 1)[1] for request in service.requests if "/jobs/" in request[1]
    ] == kept
    assert len(kept) == 3
    assert runner.entries() == []


@pytest.mark.slow
def test_flush_says_in_json_what_came_of_it(runner: Runner, service: Service) -> None:
    runner("run", "--", "true")
    words = ("flush", "--json", "--budget-seconds", "1", "--url")

    left, sent = [
        json.loads(runner(*words, url).stdout) for url in ("http://127.0.0.1:9", service.url)
    ]

    assert left.pop("problem").startswith("POST /blobs/missing: ")
    place = {"spool": str(runner.spool), "found": None}
    assert left == {**place, "sent": 0, "refused": 0, "left": 1, "is_answered": False}
    assert sent == {
        **place,
        "sent": 1,
        "refused": 0,
        "left": 0,
        "is_answered": True,
        "problem": None,
    }


@pytest.mark.slow
def test_two_flushes_at_once_send_each_entry_once(runner: Runner, service: Service) -> None:
    for number in range(12):
        runner("run", "--", "sh", "-c", f"echo {number}")
    command = [runner.python, runner.hook, "flush", str(runner.spool), "--url", service.url]

    both = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
    codes = [process.wait(30) for process in both]

    assert codes[0] in (0, 3)
    assert len(service.records) == 12
    assert service.count("PUT", "/jobs/") == 12


@pytest.mark.slow
def test_claim_of_a_process_that_is_gone_comes_back(runner: Runner, service: Service) -> None:
    runner("run", "--", "true")
    (entry,) = runner.entries()
    gone = subprocess.Popen(["true"])
    gone.wait()
    entry.rename(runner.spool / "claimed" / f"{entry.name}.{socket.gethostname()}-{gone.pid}")

    runner("flush", str(runner.spool), "--url", service.url)

    assert len(service.records) == 1


@pytest.mark.slow
def test_slow_service_holds_the_job_up_no_longer_than_the_budget(
    runner: Runner, service: Service
) -> None:
    service.faults = [answers_after_giving_up(30)]
    begun = time.monotonic()

    done = record_job(runner, service, "--budget-seconds", "2")

    assert time.monotonic() - begun < 25  # on a busy machine; the answer takes 30
    assert done.returncode == 0
    assert len(runner.entries()) + len(runner.entries("claimed")) == 1


@pytest.mark.slow
def test_secret_that_only_the_service_knows_is_taken_out_and_noted(
    runner: Runner, service: Service
) -> None:
    service.secret = b"purple-elephant"

    runner("run", "--url", service.url, "--", "sh", "-c", "echo purple-elephant")

    record = service.only_record()
    (log,) = record["logs"]
    assert b"purple-elephant" not in service.blobs[log["sha256"]]
    assert any("secret" in note for note in record["extra"]["hook_notes"])


@pytest.mark.slow
def test_announced_job_is_seen_running(runner: Runner, service: Service) -> None:
    done = runner("run", "--url", service.url, "--announce", "--", "sleep", "1")

    assert done.returncode == 0
    assert service.count("PUT", "/jobs/") == 2
    assert service.only_record()["state"] == "succeeded"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "unit"),
    [(["--unit", "u 12"], "u 12"), (["--input", "in/a.root"], "a.root"), ([], None)],
)
def test_start_word_carries_unit_host_site_and_step(
    runner: Runner, service: Service, words: list[str], unit: str | None
) -> None:
    """An index is no unit while nobody knows what the job reads."""
    (runner.folder / "machine.ad").write_text('GLIDEIN_Site = "BNL"\nName = "slot1_2@wn7"\n')
    environment = {"_CONDOR_MACHINE_AD": str(runner.folder / "machine.ad"), "PROCESS": "5"}
    (runner.folder / "in").mkdir()
    (runner.folder / "in" / "a.root").write_text("data")

    done = runner(
        "run", "--url", service.url, "--announce", "--task-id", "77", *words, "--", "sleep", "1",
        environment=environment,
    )  # fmt: skip

    assert done.returncode == 0
    # It comes first, before any blob
    announced = json.loads(gzip.decompress(service.received[0]))
    assert announced["state"] == "running"
    assert announced["task"].get("unit") == unit
    assert announced["host"] == {
        "hostname": socket.gethostname(),
        "site": "BNL",
        "slot": "slot1_2@wn7",
    }
    assert [step["name"] for step in announced["command"]["steps"]] == ["sleep"]
    assert service.only_record()["task"]["unit"] == (unit or "5")


@pytest.mark.slow
def test_input_that_changes_while_the_job_runs_is_left_out_of_the_entry(runner: Runner) -> None:
    for name in ("a.root", "b.root"):
        (runner.folder / name).write_text("before" * (1 << 19))  # more than is held in memory

    runner(
        "run",
        "--input",
        "a.root",
        "--input",
        "b.root",
        "--",
        "sh",
        "-c",
        "echo after > a.root; rm b.root",
    )

    (entry,) = runner.entries()
    with zipfile.ZipFile(entry) as archive:
        assert archive.testzip() is None
        record = json.loads(archive.read("record.json"))
        digests = {item["sha256"] for item in record["inputs"]}
        assert not [name for name in archive.namelist() if name[6:] in digests]
    assert {weakness["kind"] for weakness in record["weaknesses"]} == {"changed-while-running"}
    assert all("a.root" in weakness["name"] for weakness in record["weaknesses"])


@pytest.mark.slow
def test_peak_memory_stays_below_33_megabytes_for_a_job_of_much_output_and_inputs(
    runner: Runner,
) -> None:
    for name in ("a.root", "b.root"):
        (runner.folder / name).write_bytes(os.urandom(15_000_000))
    script = "head -c 200000000 /dev/zero | tr '\\0' x"
    words = ["run", "--input", "a.root", "--input", "b.root", "--", "sh", "-c", script]

    asked = (  # by a small process: one that is started counts the memory of the one that starts it
        "import resource, subprocess, sys; size = 0\n"
        "process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)\n"
        "for chunk in iter(lambda: process.stdout.read(65536), b''): size += len(chunk)\n"
        "process.wait(); print(size, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [runner.python, "-c", asked, runner.python, runner.hook, *words],
        capture_output=True,
        cwd=runner.folder,
        env=runner.environment,
        check=True,
    )
    size, peak = map(int, done.stdout.split())

    print(f"\npeak memory of the hook: {peak / 1024:.1f} MiB")
    assert size == 200_000_000
    assert len(runner.entries()) == 1
    assert peak * 1024 < 33_000_000


@pytest.mark.slow
def test_somebody_at_a_terminal_reads_that_the_job_is_recorded(
    runner: Runner, service: Service
) -> None:
    reading, terminal = pty.openpty()
    with os.fdopen(reading, "rb") as shown:
        words = ["run", "--url", service.url, "--spool", runner.spool, "--", "true"]
        subprocess.run(
            [runner.python, runner.hook, *words],
            cwd=runner.folder, env=runner.environment, stderr=terminal, check=True,
        )  # fmt: skip
        os.close(terminal)
        line = shown.readline()

    assert line.startswith(b"jobprov: recorded ")
