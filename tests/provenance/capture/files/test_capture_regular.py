"""Pipes and devices that the job's own names lead to are left to the job."""

import os
import threading
from pathlib import Path

import pytest

from jobprov.provenance.capture.files import regular
from jobprov.provenance.capture.running import streams as logs
from tests.library.hook import Runner, only_entry, said


def art(runner: Runner) -> str:
    """Return a stand-in for art that prints what it reads as `-c` or `-S`."""
    program = runner.folder / "art"
    program.write_text('#!/bin/sh\nhead -c 200 "$2"\n')
    program.chmod(0o755)
    return "./art"


@pytest.mark.parametrize("option", ["-c", "-S"])
@pytest.mark.slow
def test_named_pipe_reaches_the_job_unread(runner: Runner, option: str) -> None:
    """As `-c <(sed …)` does it: what the hook took from it, art would miss."""
    pipe = runner.folder / "job.fcl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("a: 1\n",), daemon=True)
    writer.start()

    done = runner("run", "--", art(runner), option, "job.fcl")

    assert (done.returncode, done.stdout) == (0, b"a: 1\n")
    record, _ = only_entry(runner)
    assert any("no regular file" in note for note in said(record))


@pytest.mark.slow
def test_device_and_pipe_that_fcl_includes_cost_nothing(runner: Runner) -> None:
    (runner.folder / "zero.fcl").symlink_to("/dev/zero")
    os.mkfifo(runner.folder / "pipe.fcl")
    (runner.folder / "job.fcl").write_text('#include "zero.fcl"\n#include "pipe.fcl"\na: 1\n')

    done = runner("run", "--", art(runner), "-c", "job.fcl", environment={"FHICL_FILE_PATH": "."})

    assert done.stdout.endswith(b"a: 1\n")
    record, _ = only_entry(runner)
    assert [entry["path"] for entry in record["configurations"][0]["files"]] == ["job.fcl"]
    assert sum("no regular file" in note for note in record["extra"]["hook_notes"]) == 2


def test_only_regular_files_up_to_a_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "six").write_bytes(b"123456")
    os.mkfifo(tmp_path / "pipe")

    assert regular.read(str(tmp_path / "six"), 6) == b"123456"
    assert regular.read(str(tmp_path)) is None
    with pytest.raises(OSError, match="more than 5 bytes"):
        regular.read(str(tmp_path / "six"), 5)
    for name in (str(tmp_path / "pipe"), "/dev/zero"):
        with pytest.raises(OSError, match="no regular file"):
            regular.read(name)
    with pytest.raises(OSError, match="no regular file"):
        logs.read_log(str(tmp_path / "pipe"))
    with pytest.raises(FileNotFoundError):
        regular.read(str(tmp_path / "none"))
