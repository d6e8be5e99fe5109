"""`--trace`: strace beside real commands.

Their ends stay as they were, and what they touched is listed.
"""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.trace import strace as tracing
from jobprov.provenance.capture.trace.calls import Calls
from jobprov.provenance.capture.trace.inventory import Inventory
from jobprov.provenance.services.reruns.traced_capsules import read_cells
from tests.library.hook import Runner, entry_of, with_strace
from tests.library.servers.hook_service import Service


def touched(record: dict[str, Any], blobs: dict[str, bytes]) -> dict[str, list[str]]:
    """Return the cells of the listing, by path."""
    lines = blobs[record["environment"]["touched_sha256"]].decode().splitlines()
    return {cells[0]: cells[1:] for cells in map(read_cells, lines)}


def found_at(path: Path, **more: Any) -> Inventory:
    """Return the inventory of one path, of a job that began later than the test's files."""
    arguments = {"own": [], "written": set(), "began": time.time() + 60, "clock": Clock(60)} | more
    found = Inventory(*(arguments[name] for name in ("own", "written", "began", "clock")))
    found.add(str(path))
    return found


@with_strace
@pytest.mark.slow
def test_listing_has_programs_libraries_loader_and_links_and_nothing_of_the_job(
    runner: Runner,
) -> None:
    (runner.folder / "in.txt").write_text("1\n")

    done = runner("run", "--trace", "--", "sh", "-c", "cat in.txt /etc/passwd > out.txt; exit 3")

    record, blobs = entry_of(runner)
    found = touched(record, blobs)
    assert done.returncode == 3
    cat = found[os.path.realpath(shutil.which("cat", path="/usr/bin") or "")]
    assert cat[0] == "file"
    assert len(blobs[cat[3]]) == int(cat[2])
    assert any("/libc" in path for path in found)
    assert any("/ld-" in path for path in found)  # which no call opens
    assert any(path.endswith("/env") for path in found)  # with which a rerun begins
    assert Path("/bin").is_symlink() == (found.get("/bin", [""])[0] == "link")
    assert not [
        path for path in found if path.startswith((str(runner.folder), "/proc", "/sys", "/dev"))
    ]
    assert "extra" not in record


@pytest.mark.slow
@with_strace
def test_jobs_that_do_the_same_share_the_listing(runner: Runner) -> None:
    for name in ("a", "b"):
        (runner.folder / f"{name}.txt").write_text(name)
        runner("run", "--trace", "--trace-bytes", "0", "--", "cat", f"{name}.txt")

    records = [json.loads(zipfile.ZipFile(entry).read("record.json")) for entry in runner.entries()]
    assert len(records) == 2
    assert len({record["environment"]["touched_sha256"] for record in records}) == 1


@pytest.mark.slow
@with_strace
def test_file_that_a_script_copies_in_is_the_input_that_was_told(runner: Runner) -> None:
    (runner.folder / "store").mkdir()
    (runner.folder / "store/raw.root").write_text("raw")

    words = ("--input", "test:raw.root", "--", "sh", "-c", "cp store/raw.root . && cat raw.root")
    runner("run", "--trace", "--trace-bytes", "100", *words)

    record, _ = entry_of(runner)
    assert "store/raw.root" in {entry.get("path") for entry in record["inputs"]}
    assert {(entry["name"], entry["namespace"]) for entry in record["inputs"]} == {
        ("raw.root", "test")
    }


@pytest.mark.slow
@with_strace
def test_named_pipe_of_the_job_keeps_nobody_waiting(runner: Runner) -> None:
    script = "mkfifo pipe; (echo x > pipe) & cat pipe; ls -l pipe"

    done = runner("run", "--trace", "--trace-bytes", "0", "--", "sh", "-c", script)

    assert done.stdout.startswith(b"x\n")
    assert touched(*entry_of(runner))


@pytest.mark.slow
@with_strace
def test_what_mktemp_left_behind_is_no_output(runner: Runner) -> None:
    """A rerun gives it another name, so that it would be missing. Such jobs work below /tmp."""
    runner.environment["TMPDIR"] = str(runner.folder.parent)
    script = 'list=$(mktemp); echo 1 > "$list"; cat "$list" > out.dat'

    runner("run", "--trace", "--", "sh", "-c", script)

    record, _ = entry_of(runner)
    assert [entry["name"] for entry in record["outputs"]] == ["out.dat"]


@pytest.mark.slow
@with_strace
def test_steps_of_a_job_script_share_one_listing(runner: Runner) -> None:
    steps = "; ".join(
        f"{runner.python} {runner.hook} {words}"
        for words in (
            "start",
            "step --name a --trace -- cat in",
            "step --name b --trace -- sort in",
            "end",
        )
    )
    (runner.folder / "in").write_text("1\n")

    subprocess.run(
        ["sh", "-c", steps],
        cwd=runner.folder,
        env=runner.environment,
        check=True,
        capture_output=True,
    )

    record, blobs = entry_of(runner)
    found = touched(record, blobs)
    assert {"cat", "sort"} <= {path.rpartition("/")[2] for path in found}
    assert all(cells[3] in blobs for cells in found.values() if cells[0] == "file")


@pytest.mark.slow
@with_strace
def test_service_is_sent_what_it_lacks_and_not_again(runner: Runner, service: Service) -> None:
    runner("run", "--trace", "--url", service.url, "--", "cat", "/etc/passwd")
    first = service.count("PUT", "/blobs/")
    runner("run", "--trace", "--url", service.url, "--", "cat", "/etc/passwd", "/etc/group")
    sent = [path for method, path, _ in service.requests if method == "PUT" and "/blobs/" in path]

    assert first > 5
    assert len(sent) == len(set(sent)) < 2 * first


@pytest.mark.slow
@with_strace
def test_bytes_beyond_the_limit_are_left_out_and_said(runner: Runner) -> None:
    runner("run", "--trace", "--trace-bytes", "100000", "--", "cat", "/etc/passwd")

    record, blobs = entry_of(runner)
    assert sum(map(len, blobs.values())) < 200_000
    assert any("--trace-bytes" in note for note in record["extra"]["hook_notes"])
    assert any("/libc" in path for path in touched(record, blobs))


@pytest.mark.slow
@with_strace
def test_service_that_cannot_be_asked_gets_the_listing_alone(runner: Runner) -> None:
    runner(
        "run",
        "--trace",
        "--url",
        "http://127.0.0.1:9",
        "--budget-seconds",
        "1",
        "--",
        "cat",
        "/etc/passwd",
    )

    record, blobs = entry_of(runner)
    assert any("which files the service lacks" in note for note in record["extra"]["hook_notes"])
    assert sum(map(len, blobs.values())) < 200_000


@pytest.mark.slow
@with_strace
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 65"], 65),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], -signal.SIGKILL),
        (["/no/such/program"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_end_of_a_traced_command_passes_through(
    runner: Runner, command: list[str], code: int
) -> None:
    done = runner("run", "--trace", "--trace-bytes", "0", "--", *command)

    record, _ = entry_of(runner)
    assert done.returncode == code
    assert record["exit"].get("signal") == (-code if code < 0 else None)


@pytest.mark.slow
@with_strace
def test_script_without_interpreter_line_runs_as_in_a_shell_and_says_so(runner: Runner) -> None:
    script = runner.folder / "job.sh"
    script.write_text("echo from sh; exit 4\n")
    script.chmod(0o755)

    done = runner("run", "--trace", "--", "./job.sh")

    record, _ = entry_of(runner)
    assert (done.returncode, done.stdout) == (4, b"from sh\n")
    assert any("no program that strace can start" in note for note in record["extra"]["hook_notes"])


@pytest.mark.slow
@with_strace
def test_signal_to_the_hook_reaches_the_whole_traced_group(runner: Runner) -> None:
    script = (
        "trap 'echo parent' TERM; (trap 'echo child; exit 0' TERM; echo ready; while :; "
        "do sleep 0.05; done) & wait; wait; exit 9"
    )
    process = subprocess.Popen(
        [runner.python, runner.hook, "run", "--trace", "--trace-bytes", "0", "--", "sh", "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=runner.folder, env=runner.environment,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=20)[0]

    assert sorted(out.split()) == [b"child", b"parent"]
    assert process.returncode == 9


@pytest.mark.slow
@with_strace
def test_process_left_behind_keeps_its_tracer_to_its_end(runner: Runner) -> None:
    command = "(sleep 1; echo late > late.txt) >/dev/null 2>&1 & echo now"
    runner("run", "--trace", "--trace-bytes", "0", "--", "sh", "-c", command)

    # Without its tracer, its calls would fail
    end = time.monotonic() + 60
    while not (runner.folder / "late.txt").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert (runner.folder / "late.txt").read_text() == "late\n"
    while tracers_of(runner) and time.monotonic() < end:
        time.sleep(0.05)
    assert not tracers_of(runner)


def tracers_of(runner: Runner) -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if is_tracer(path, runner)]


def is_tracer(path: Path, runner: Runner) -> bool:
    try:
        command = path.read_bytes()
    except OSError:
        return False
    return b"strace\0" in command and os.fsencode(runner.spool / "trace-") in command


@pytest.mark.slow
def test_without_strace_the_command_runs_and_the_record_says_so(runner: Runner) -> None:
    (runner.folder / "empty").mkdir()

    done = runner(
        "run",
        "--trace",
        "--",
        "/bin/sh",
        "-c",
        "exit 3",
        environment={"PATH": str(runner.folder / "empty")},
    )

    record, _ = entry_of(runner)
    assert done.returncode == 3
    assert record["extra"]["hook_notes"] == [
        "trace: there is no strace on PATH, the command ran without"
    ]


def test_command_without_path_runs_plain(runner: Runner) -> None:
    """As ganga starts its jobs: execvp finds `sh` all the same, strace would not."""
    done = runner("run", "--trace", "--", "sh", "-c", "exit 3", environment={"PATH": None})

    record, _ = entry_of(runner)
    assert done.returncode == 3
    assert record["extra"]["hook_notes"] == [
        "trace: there is no strace on PATH, the command ran without"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "no program at all"])
def test_strace_that_fails_is_not_put_before_the_command(runner: Runner, program: str) -> None:
    (runner.folder / "strace").write_text(program)
    (runner.folder / "strace").chmod(0o755)

    done = runner(
        "run", "--trace", "--", "/bin/sh", "-c", "exit 3", environment={"PATH": str(runner.folder)}
    )

    record, _ = entry_of(runner)
    assert done.returncode == 3
    assert "command ran without" in record["extra"]["hook_notes"][0]
    assert not list(runner.spool.glob("trace-*"))


@pytest.mark.slow
@with_strace
def test_log_is_given_back_to_the_disk_while_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_LOOK_SECONDS", 0.05)
    script = "i=0; while [ $i -lt 400 ]; do cat /etc/passwd >/dev/null; i=$((i+1)); done; exit 5"

    code, trace, largest = follow(tmp_path, script)

    calls = trace.end()
    assert code == 5
    assert calls is not None
    assert "/etc/passwd" in calls.uses
    assert trace.why_incomplete is None
    assert largest < 600_000  # of 1.5 MB
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@with_strace
def test_log_on_a_disk_that_takes_nothing_back_is_cut_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "LARGEST_LOG", 20_000)
    monkeypatch.setattr(tracing, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(tracing, "_give_back", lambda *_: False)
    script = "i=0; while [ $i -lt 60 ]; do cat /etc/passwd >/dev/null; i=$((i+1)); done; exit 5"

    code, trace, largest = follow(tmp_path, script)

    assert code == 5
    assert trace.end() is not None
    assert trace.why_incomplete == "the log of the command's calls was too large"
    assert largest < 300_000


def follow(folder: Path, script: str) -> tuple[int, tracing.Trace, int]:
    """Return (exit code, trace, most bytes of its log on the disk) of a shell script."""
    trace, ended = tracing.Trace(["sh"], str(folder)), threading.Event()
    process = subprocess.Popen([*trace.words, "sh", "-c", script])
    trace.process, largest = process.pid, 0
    following = threading.Thread(target=trace.follow, args=(ended,))
    following.start()
    while process.poll() is None:
        for log in folder.glob("trace-*/command"):
            largest = max(largest, log.stat().st_blocks * 512)
        time.sleep(0.05)
    ended.set()
    following.join()
    return process.returncode, trace, largest


@with_strace
@pytest.mark.parametrize("is_limited", [True, False])
def test_strace_that_a_limit_may_end_is_one_without_which_calls_do_not_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_limited: bool
) -> None:
    monkeypatch.setattr(tracing, "is_limited", lambda: is_limited)

    trace = tracing.Trace(["sh"], str(tmp_path))

    assert ("--seccomp-bpf" not in trace.words) == is_limited
    assert trace.words


@pytest.mark.slow
def test_what_not_everybody_may_have_keeps_its_name_and_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    contents = {
        "home/.ssh/config": b"Host x\n",
        "home/plain": b"x",
        "x509up_u1000": b"x",
        "bearer_token": b"x",
        "conf.ini": b'password = "correct-horse"\n',
        "key.pem": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "private": b"x",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "private").chmod(0o640)

    found = {name: found_at(tmp_path / name) for name in contents}

    assert [name for name, held in found.items() if held.files] == ["home/plain"]
    assert all(
        held.entries[str(tmp_path / name)][3] == "-"
        for name, held in found.items()
        if name != "home/plain"
    )


def test_secret_that_a_package_brought_is_none_while_its_file_is_unchanged(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.11/site-packages"
    file = site / "toy/api.py"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"password = 'correct-horse'\n")
    digest = hashlib.sha256(file.read_bytes()).digest()
    line = "toy/api.py,sha256={},27\n".format(base64.urlsafe_b64encode(digest).decode().rstrip("="))
    (site / "toy-1.0.dist-info").mkdir()
    (site / "toy-1.0.dist-info/RECORD").write_text(line)

    brought = found_at(file)
    file.write_bytes(b"password = 'my-own-horse'\n")
    changed = found_at(file)

    assert brought.packaged == {digest.hex(): "wheel toy-1.0"}
    assert list(brought.files) == [digest.hex()]
    assert (changed.packaged, changed.files) == ({}, {})


def test_folders_on_a_way_with_dots_are_listed(tmp_path: Path) -> None:
    (tmp_path / "toy/bin").mkdir(parents=True)
    (tmp_path / "toy/lib").mkdir()
    library = tmp_path / "toy/lib/libtoy.so"
    library.write_bytes(b"x")
    calls = Calls("/")

    calls.take(
        f'1 openat(AT_FDCWD</>, "{tmp_path}/toy/bin/../lib/libtoy.so", O_RDONLY) = 3'.encode()
    )
    found = {path: found_at(Path(path)).entries for path in calls.uses}

    # $ORIGIN/../lib: the kernel finds no library without the folder before the dots
    assert list(found) == [str(tmp_path / "toy/bin"), str(library)]
    assert found[str(tmp_path / "toy/bin")][str(tmp_path / "toy/bin")] == ("dir",)


def test_what_the_job_wrote_or_had_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    assert not found_at(tmp_path / "file", own=[str(tmp_path)]).files
    assert not found_at(tmp_path / "file", own=[str(tmp_path / "file")]).files
    assert not found_at(tmp_path / "file", written={str(tmp_path / "file")}).files
    assert not found_at(tmp_path / "file", began=time.time() - 60).files
    assert found_at(tmp_path / "file").files


def test_links_are_followed_by_their_folders_and_never_for_ever(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a\tb").write_bytes(b"x")
    (tmp_path / "way").symlink_to("real")
    (tmp_path / "loop").symlink_to("loop")

    found = found_at(tmp_path / "way/a\tb")

    assert found.entries[str(tmp_path / "way")] == ("link", "real")
    assert found.entries[str(tmp_path / "real/a\tb")][0] == "file"
    assert str(tmp_path / "way/a\tb") not in found.entries
    assert [read_cells(line)[0] for line in found.lines()] == list(found.entries)
    assert not found_at(tmp_path / "loop").files


def test_lines_of_the_listing_keep_odd_names() -> None:
    assert read_cells("a\\tb\\\\n\tdir") == ["a\tb\\n", "dir"]
