"""What becomes of blobs that do not arrive while their record does."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.running.background import Speaker
from jobprov.provenance.capture.sending import delivery, flushing
from tests.library.hook import Runner
from tests.library.servers.hook_service import Answer, Service, problem

PORTAL = (403, {}, {"page": "blocked by the firewall"})
LOG = ("--", "sh", "-c", "echo hello; exit 3")


def refuse(service: Service, word: bytes, answer: Answer) -> None:
    """Have every request whose body has these bytes answered so."""

    def fault(_handler: Any, usual: Callable[[], Answer]) -> Answer:
        return answer if word in service.received[-1] else usual()

    service.faults = [fault] * 500


def names_in(entry: Path) -> list[str]:
    with zipfile.ZipFile(entry) as archive:
        return archive.namelist()


@pytest.mark.slow
def test_entry_keeps_what_did_not_arrive_and_flush_sends_it(
    runner: Runner, service: Service
) -> None:
    refuse(service, b"hello", PORTAL)
    done = runner("run", "--url", service.url, *LOG)
    (entry,) = runner.entries()
    record = service.only_record()
    (log,) = record["logs"]
    left = names_in(entry)
    still = runner("flush", "--url", service.url, "--json")
    service.faults.clear()
    service.requests.clear()
    sent = runner("flush", "--url", service.url)

    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert b"without 1 blob (log stdout): " in done.stderr
    assert b": 403, but it is not jobprov that answered" in done.stderr
    assert left == ["blobs/" + log["sha256"], "record.json", "delivery.json"]
    result = json.loads(still.stdout)
    assert (still.returncode, result["left"], result["is_answered"]) == (3, 1, True)
    assert b"the service still lacks 1 blob (log stdout): " in still.stderr
    assert (sent.returncode, runner.entries()) == (0, [])
    assert service.blobs[log["sha256"]] == b"hello\n"
    assert service.count("PUT", "/blobs/") == 1
    assert service.only_record() == record


@pytest.mark.slow
def test_blob_that_jobprov_refuses_after_the_record_went_is_given_up_by_name(
    runner: Runner, service: Service
) -> None:
    """Redacted it would need another record, which the service would answer with 409."""
    refuse(service, b"hello", PORTAL)
    runner("run", "--url", service.url, *LOG)
    record = service.only_record()
    service.faults.clear()
    service.secret = b"hello"

    done = runner("flush", "--url", service.url)

    assert done.returncode == 0
    assert b"log stdout is refused: " in done.stderr
    assert service.only_record() == record
    assert runner.entries() == runner.entries("rejected") == []


@pytest.mark.slow
def test_flush_leaves_open_no_entry_whose_blobs_did_not_arrive(
    runner: Runner, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(service, b"hello", PORTAL)
    runner("run", "--url", service.url, *LOG)
    (kept,) = runner.entries()
    sent: list[delivery.Entry] = []

    class KeptEntry(delivery.Entry):
        """An entry that is not collected, which would close its file."""

        def __init__(self, archive: zipfile.ZipFile) -> None:
            sent.append(self)
            super().__init__(archive)

    monkeypatch.setattr(delivery, "Entry", KeptEntry)
    spool = str(kept.parent.parent)
    options = Options(["--url", service.url, spool], {})

    assert flushing.flush(options, {}, Speaker(options)) == 3
    assert len(sent) == 1
    assert not [path for path in files_open_here() if path.startswith(spool)]


def files_open_here() -> list[str]:
    """Return what this process holds open."""
    paths = []
    for place in Path("/proc/self/fd").iterdir():
        try:
            paths.append(str(place.readlink()))
        except FileNotFoundError:  # the folder itself, read a moment ago
            continue
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 403, 404, 407, 409, 413, 422])
def test_refusal_by_somebody_else_puts_nothing_aside_and_holds_up_no_other(
    runner: Runner, service: Service, status: int
) -> None:
    service.faults = [(status, {}, {"title": "no"})]
    done = runner("run", "--url", service.url, *LOG)
    runner("run", "--", "true")
    service.faults = [(status, {}, {"title": "no"})]
    first = runner("flush", "--url", service.url)
    sent = len(service.records)
    second = runner("flush", "--url", service.url)

    assert f": {status}, but it is not jobprov that answered no (kept in " in done.stderr.decode()
    assert (first.returncode, sent) == (3, 1)
    assert (second.returncode, len(service.records)) == (0, 2)
    assert runner.entries("rejected") == []


@pytest.mark.slow
def test_blob_that_was_garbled_on_the_way_is_sent_again(runner: Runner, service: Service) -> None:
    service.faults = [None, problem(422, "the digest differs", "digest-mismatch")]

    done = runner("run", "--url", service.url, *LOG)

    assert done.returncode == 3
    assert runner.entries() == runner.entries("rejected") == []
    assert set(service.blobs) >= {log["sha256"] for log in service.only_record()["logs"]}


@pytest.mark.slow
def test_rest_goes_home_by_the_error_output_and_is_read_back(
    runner: Runner, service: Service, tmp_path: Path
) -> None:
    refuse(service, b"hello", PORTAL)
    done = runner("run", "--url", service.url, "--leftovers", "stderr", *LOG)
    log = tmp_path / "job.err"
    log.write_bytes(done.stderr)
    service.faults.clear()

    back = runner("flush", str(log), "--url", service.url, "--spool", str(tmp_path / "spool"))

    assert b"-----BEGIN JOBPROV RECORD " in done.stderr
    assert back.returncode == 0
    assert b"hello\n" in service.blobs.values()


@pytest.mark.slow
def test_rest_of_an_entry_without_a_spool_is_told_as_lost(runner: Runner, service: Service) -> None:
    refuse(service, b"hello", PORTAL)
    environment = {"JOBPROV_SPOOL": "/proc/spool", "HOME": None, "TMPDIR": "/proc"}

    done = runner("run", "--url", service.url, *LOG, environment=environment)

    assert done.returncode == 3
    assert b"without 1 blob (log stdout): " in done.stderr
    assert done.stderr.endswith(b"(lost, since no spool can be written)\n")


@pytest.mark.slow
def test_rest_of_an_entry_goes_home_with_the_output(
    runner: Runner, service: Service, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    refuse(service, b"hello", PORTAL)
    environment = {"_CONDOR_SCRATCH_DIR": str(scratch), "JOBPROV_SPOOL": None}

    runner("run", "--url", service.url, *LOG, environment=environment)

    (entry,) = scratch.glob("jobprov-*.jobprov")
    (log,) = service.only_record()["logs"]
    assert names_in(entry) == ["blobs/" + log["sha256"], "record.json", "delivery.json"]
    assert [path.samefile(entry) for path in scratch.glob("jobprov-spool/ready/*")] == [True]


@pytest.mark.slow
def test_blob_that_the_service_always_fails_at_does_not_hold_the_record_back(
    runner: Runner, service: Service
) -> None:
    refuse(service, b"hello", problem(500, "The service made a mistake.", "mistake-of-ours"))

    done = runner("run", "--url", service.url, *LOG)

    assert service.only_record()["state"] == "failed"
    assert b"without 1 blob (log stdout): " in done.stderr
    assert len(runner.entries()) == 1


@pytest.mark.slow
def test_redacted_blob_that_does_not_pass_is_kept_as_redacted(
    runner: Runner, service: Service
) -> None:
    """The record that went names the redacted bytes: those are what the service waits for."""
    service.secret = b"hello"
    refuse(service, b"[withheld", PORTAL)
    runner("run", "--url", service.url, *LOG)
    (log,) = service.only_record()["logs"]
    (entry,) = runner.entries()
    left = names_in(entry)
    service.faults.clear()
    sent = runner("flush", "--url", service.url)

    assert left == ["blobs/" + log["sha256"], "record.json", "delivery.json"]
    assert (sent.returncode, runner.entries()) == (0, [])
    assert service.blobs[log["sha256"]].startswith(b"[withheld: ")
    assert not any(b"hello" in content for content in service.blobs.values())


@pytest.mark.slow
def test_blob_that_is_refused_and_blob_that_waits_are_both_told(
    runner: Runner, service: Service
) -> None:
    def fault(_handler: Any, usual: Callable[[], Answer]) -> Answer:
        if b"hello" in service.received[-1]:
            return PORTAL
        if b"# large" in service.received[-1]:
            return problem(413, "larger than the limit", "blob-too-large")
        return usual()

    (runner.folder / "large.sh").write_text("# large\n")
    service.faults = [fault] * 500
    done = runner("run", "--url", service.url, "--script", "large.sh", *LOG)
    (entry,) = runner.entries()
    (log,) = service.only_record()["logs"]

    assert b"large.sh is refused: " in done.stderr
    assert b"without 1 blob (log stdout): " in done.stderr
    assert names_in(entry) == ["blobs/" + log["sha256"], "record.json", "delivery.json"]


@pytest.mark.slow
def test_many_blobs_are_counted_and_some_named(runner: Runner, service: Service) -> None:
    for number in range(8):
        (runner.folder / f"script{number}.sh").write_text(f"# hello {number}\n")
    words = [word for number in range(8) for word in ("--script", f"script{number}.sh")]
    refuse(service, b"# hello", PORTAL)

    done = runner("run", "--url", service.url, *words, "--", "true")

    assert b"without 8 blobs (" in done.stderr
    assert b", and 3 more): " in done.stderr


@pytest.mark.slow
def test_service_that_takes_a_blob_and_lacks_it_gets_it_later(
    runner: Runner, service: Service
) -> None:
    """The answer to the record is the receipt: what it lists as missing stays in the spool."""

    def forget(_handler: Any, usual: Callable[[], Answer]) -> Answer:
        status, headers, answer = usual()
        if "missing_blobs" in answer:
            answer["missing_blobs"] = list(service.blobs)
            service.blobs.clear()
        return status, headers, answer

    service.faults = [forget] * 500
    done = runner("run", "--url", service.url, *LOG)
    left = len(runner.entries())
    service.faults.clear()
    sent = runner("flush", "--url", service.url)

    assert b"and lacks it" in done.stderr
    assert left == 1
    assert (sent.returncode, runner.entries()) == (0, [])
    assert b"hello\n" in service.blobs.values()
