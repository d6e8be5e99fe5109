"""An unsent record travels home in the error output, or by ifdh, and is read back."""

import re
import sys
from pathlib import Path

import pytest

from jobprov.provenance.capture.sending import leftovers
from tests.library.hook import Runner
from tests.library.servers.hook_service import Service

DEAD = "http://127.0.0.1:9"
JOB = ("--", "sh", "-c", "echo out; echo err >&2; exit 3")


@pytest.mark.slow
def test_record_in_the_error_output_is_read_back(
    runner: Runner, service: Service, tmp_path: Path
) -> None:
    done = runner("run", "--url", DEAD, "--budget-seconds", "1", "--leftovers", "stderr", *JOB)
    log = tmp_path / "job.err"
    log.write_bytes(b"before\n" + done.stderr + b"after\n")

    back = runner("flush", str(log), "--url", service.url, "--spool", str(tmp_path / "spool"))

    record = service.only_record()
    assert (done.returncode, done.stdout, back.returncode) == (3, b"out\n", 0)
    assert done.stderr.startswith(b"err\n-----BEGIN JOBPROV RECORD ")
    assert (record["state"], record["exit"]["code"]) == ("failed", 3)
    assert {service.blobs[log["sha256"]] for log in record["logs"]} == {b"out\n", b"err\n"}


@pytest.mark.slow
def test_jobsub_jobs_do_so_unasked_and_others_do_not(runner: Runner) -> None:
    words = ("run", "--url", DEAD, "--budget-seconds", "1", *JOB)

    plain = runner(*words)
    jobsub = runner(*words, environment={"JOBSUBJOBID": "1.0@s"})
    refused = runner(*words, environment={"JOBSUBJOBID": "1.0@s", "JOBPROV_LEFTOVERS": "none"})

    assert [b"BEGIN JOBPROV" in done.stderr for done in (plain, jobsub, refused)] == [
        False,
        True,
        False,
    ]


@pytest.mark.slow
def test_record_that_no_spool_takes_goes_home_too(runner: Runner) -> None:
    environment = {"JOBPROV_SPOOL": "/proc/spool", "HOME": None, "TMPDIR": "/proc"}

    done = runner(
        "run",
        "--url",
        DEAD,
        "--budget-seconds",
        "1",
        "--leftovers",
        "stderr",
        *JOB,
        environment=environment,
    )

    assert len(leftovers.decode_blocks(done.stderr)) == 1
    assert b"lost" not in done.stderr


@pytest.mark.slow
def test_ifdh_takes_it_where_it_is(runner: Runner, tmp_path: Path) -> None:
    ifdh = tmp_path / "bin" / "ifdh"
    ifdh.parent.mkdir()
    ifdh.write_text('#!/bin/sh\n[ "$1" = cp ] && cp "$2" "$3"\n')
    ifdh.chmod(0o755)
    target = tmp_path / "dropbox"
    target.mkdir()
    path = f"{ifdh.parent}:{runner.environment['PATH']}"

    done = runner(
        "run",
        "--url",
        DEAD,
        "--budget-seconds",
        "1",
        "--leftovers",
        str(target),
        *JOB,
        environment={"PATH": path},
    )

    assert [found.suffix for found in target.iterdir()] == [".jobprov"]
    assert b"copied to" in done.stderr


@pytest.mark.slow
def test_large_blobs_stay_behind(runner: Runner) -> None:
    program = "import os; print(os.urandom(300000).hex())"

    done = runner(
        "run",
        "--url",
        DEAD,
        "--budget-seconds",
        "1",
        "--leftovers",
        "stderr",
        "--",
        sys.executable,
        "-c",
        program,
    )

    [(name, entry)] = leftovers.decode_blocks(done.stderr)
    assert re.fullmatch(r"[0-9a-f-]{36}\.jobprov", name)
    assert len(entry) < 300_000


@pytest.mark.parametrize("cut", [10, 100, -2, -70])
def test_block_that_was_cut_is_left_out(cut: int) -> None:
    block = leftovers.encode_block(b"x" * 1000, "a.jobprov")

    assert leftovers.decode_blocks(block) == [("a.jobprov", b"x" * 1000)]
    assert leftovers.decode_blocks(block.replace(b"\n", b"\r\n")) == [("a.jobprov", b"x" * 1000)]
    assert (
        leftovers.decode_blocks(block[:cut])
        == leftovers.decode_blocks(block.replace(b"eHh4", b"eHh5", 1))
        == []
    )


def test_name_leads_nowhere_else() -> None:
    assert leftovers.decode_blocks(leftovers.encode_block(b"x", "../../etc/a.jobprov")) == []
