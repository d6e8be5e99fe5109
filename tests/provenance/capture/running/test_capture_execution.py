"""The job's end, exactly: exit codes, signals, process groups, output.

It is tried under every Python found here.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.gaps.gaps import find_gaps
from jobprov.provenance.records.reading.decoding import decode_record
from tests.library.hook import VERSIONS, Runner, find_python
from tests.library.servers.hook_service import Service


def in_full_runs(*values: object) -> list[Any]:
    """Return parameters that only the full run tries."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.mark.slow
@pytest.mark.parametrize("versions", [VERSIONS[:1] + VERSIONS[5:6], *in_full_runs(VERSIONS)])
def test_hook_works_under_every_python_found(
    hook: str, tmp_path: Path, service: Service, versions: list[str]
) -> None:
    found = {version: find_python(version) for version in versions}
    missing = [version for version, path in found.items() if path is None]
    present = {version: path for version, path in found.items() if path}
    (tmp_path / "inc.fcl").write_text("a: 1\n")
    (tmp_path / "gen.fcl").write_text('#include "inc.fcl"\n')

    for version, python in present.items():
        runner = Runner(hook, tmp_path, python)
        done = runner(
            "run",
            "--url",
            service.url,
            "--",
            "sh",
            "-c",
            "echo data > $4; exit 5",
            "gen",
            "-c",
            "gen.fcl",
            "-o",
            "o.root",
        )
        assert (version, done.returncode, done.stderr) == (version, 5, b"")
    seen = [json.loads(record) for record in service.records.values()]

    assert sorted(record["hook"]["python"].rsplit(".", 1)[0] for record in seen) == sorted(present)
    assert all(record["exit"]["code"] == 5 and record["state"] == "failed" for record in seen)
    assert all(len(record["configurations"][0]["files"]) == 2 for record in seen)
    if missing:
        print(
            f"\nno Python {', '.join(missing)} on this machine: the hook was not tried there",
            file=sys.__stderr__,
        )
    assert {"3.11"} <= set(present)


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 65, 255, *in_full_runs(1, 126, 127, 130, 137, 143)])
def test_exit_code_passes_through(runner: Runner, code: int) -> None:
    assert runner("run", "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["TERM", "SEGV", *in_full_runs("KILL", "INT", "HUP", "ABRT", "XCPU", "USR1")]
)
def test_signal_that_ended_the_command_ends_the_hook(runner: Runner, name: str) -> None:
    done = runner("run", "--", "sh", "-c", f"kill -{name} $$")

    assert -done.returncode == getattr(signal, "SIG" + name)
    (entry,) = runner.entries()
    record = json.loads(zipfile.ZipFile(entry).read("record.json"))
    assert record["exit"]["signal"] == -done.returncode
    assert record["state"] == ("failed" if name in ("SEGV", "ABRT") else "killed")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["TERM", "ABRT", "RTMIN", *in_full_runs("HUP", "USR1", "USR2", "VTALRM", "PWR", "URG")]
)
def test_signal_to_the_hook_reaches_the_whole_process_group(runner: Runner, name: str) -> None:
    script = (
        f"trap 'echo parent' {name}; (trap 'echo child; exit 0' {name}; echo ready; while :; "
        "do sleep 0.05; done) & wait; wait; exit 9"
    )
    process = start(runner, "sh", "-c", script)
    process.stdout.readline()

    process.send_signal(getattr(signal, "SIG" + name))
    out = process.communicate(timeout=20)[0]

    assert sorted(out.split()) == [b"child", b"parent"]
    assert process.returncode == 9


@pytest.mark.slow
def test_signal_to_who_leads_a_session_reaches_the_command_alone(runner: Runner) -> None:
    """As HTCondor does it: the program ended by the signal before its script had it checkpoint."""
    script = """
        (trap 'echo lost; exit 1' TERM; trap 'echo checkpoint; exit 0' USR1; echo ready
        while :; do sleep 0.05; done) &
        trap "kill -USR1 $!; wait $!; exit 9" TERM
        wait
    """
    process = start(runner, "sh", "-c", script, start_new_session=True)
    process.stdout.readline()

    process.send_signal(signal.SIGTERM)

    assert process.communicate(timeout=20)[0] == b"checkpoint\n"
    assert process.returncode == 9


@pytest.mark.slow
@pytest.mark.parametrize("end", ["exit 143", "kill -TERM $$"])
def test_signal_that_reaches_the_command_first_killed_it(
    runner: Runner, service: Service, end: str
) -> None:
    """`scancel` signals all processes of a job, and the shell may be gone before the hook is told.

    The shell ends as after SIGTERM; as soon as it is reaped, the hook gets the signal.
    """
    service.faults = [(429, {"Retry-After": "1"}, {})]  # it still sends when the signal comes
    late = "while kill -0 $$; do :; done; kill -TERM $PPID"
    script = f"({late}) >/dev/null 2>&1 & {end}"

    done = runner("run", "--url", service.url, "--", "sh", "-c", script)

    record = service.only_record()
    assert (record["state"], record["exit"]["code"]) == ("killed", 143)
    assert done.stderr == b""


@pytest.mark.slow
def test_hook_that_is_signalled_twice_leaves_its_record_for_later(
    runner: Runner, service: Service
) -> None:
    service.faults = [(429, {"Retry-After": "20"}, {})]
    # a hook that has not yet noticed the end passes the first signal on to what is left of the job
    late = "trap '' TERM; while kill -0 $$; do :; done; kill -TERM $PPID; sleep 2; kill -TERM $PPID"
    script = f"({late}) >/dev/null 2>&1 & exit 143"
    begun = time.monotonic()

    runner("run", "--url", service.url, "--budget-seconds", "60", "--", "sh", "-c", script)

    assert 2 < time.monotonic() - begun < 15, "the second signal ended the waiting"
    assert not service.records
    runner("flush", "--url", service.url)
    assert service.only_record()["state"] == "killed"


def test_suspended_job_stands_still_and_goes_on(runner: Runner) -> None:
    """Batch systems suspend by SIGTSTP.

    The hook stays awake, since the command may handle it and go on.
    """
    process = start(runner, "sh", "-c", "echo $$; sleep 3; exit 7")
    command = process.stdout.readline().decode().strip()
    time.sleep(0.3)  # a shell that is just starting `sleep` would stand still in another state

    process.send_signal(signal.SIGTSTP)
    end = time.monotonic() + 20
    while (state := _state_of(command)) != "T" and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=50)

    assert state == "T"
    assert process.returncode == 7


def _state_of(process_id: str) -> str:
    status = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8")
    return status.rsplit(")", 1)[1].split()[0]


@pytest.mark.slow
def test_interrupt_reaches_the_command_once(runner: Runner) -> None:
    process = start(runner, "sh", "-c", "trap 'echo once' INT; echo ready; sleep 1; exit 7")
    process.stdout.readline()

    process.send_signal(signal.SIGINT)

    assert process.communicate(timeout=20)[0] == b"once\n"
    assert process.returncode == 7


def test_signal_before_the_command_runs_is_not_lost(runner: Runner) -> None:
    process = start(runner, "sh", "-c", "sleep 30")
    time.sleep(0.03)

    process.send_signal(signal.SIGTERM)

    assert process.wait(50) == -signal.SIGTERM
    process.communicate()


@pytest.mark.slow
def test_ignored_signal_stays_ignored_for_the_command(runner: Runner) -> None:
    script = "trap '' HUP; exec \"$@\""
    process = subprocess.Popen(
        [
            "sh",
            "-c",
            script,
            "sh",
            runner.python,
            runner.hook,
            "run",
            "--",
            "sh",
            "-c",
            "echo ready; sleep 0.5; echo alive",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=runner.folder,
        env=runner.environment,
    )
    process.stdout.readline()

    process.send_signal(signal.SIGHUP)

    assert process.communicate(timeout=20)[0] == b"alive\n"
    assert process.returncode == 0


@pytest.mark.slow
def test_caller_that_ignores_its_children_gets_the_exit_code(runner: Runner) -> None:
    """With SIGCHLD ignored, which a program inherits, the system forgets how a process ended."""
    script = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    look = (
        "import signal, sys; sys.exit(65 if signal.getsignal(signal.SIGCHLD) == "
        "signal.SIG_IGN else 1)"
    )

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            runner.python,
            runner.hook,
            "run",
            "--",
            sys.executable,
            "-c",
            look,
        ],
        capture_output=True,
        cwd=runner.folder,
        env=runner.environment,
        timeout=30,
        check=False,
    )

    assert done.returncode == 65, done.stderr
    assert len(runner.entries()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("words", "code"), [(["/no/such/program"], 127), (["/etc/passwd"], 126)])
def test_command_that_cannot_start_gives_the_shells_code(
    runner: Runner, words: list[str], code: int
) -> None:
    done = runner("run", "--", *words)

    assert done.returncode == code
    (entry,) = runner.entries()
    assert (
        json.loads(zipfile.ZipFile(entry).read("record.json"))["exit"]["error_class"]
        == "not started"
    )


@pytest.mark.parametrize("most", [5, 6, 8])
def test_command_runs_alone_where_a_limit_leaves_no_room_for_two(runner: Runner, most: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    done = runner("run", "--", "sh", "-c", "echo made; exit 3", preexec_fn=limit)

    assert (done.returncode, done.stdout) == (3, b"made\n")
    assert b"jobprov: " in done.stderr  # that it is recorded, or that it runs alone


def test_command_gets_its_own_streams_where_no_thread_is_to_be_had() -> None:
    """A limit on processes counts threads: the job ran into a pipe that nobody read.

    The hook ended with a traceback.
    """
    script = """
import os, sys, threading
from jobprov.provenance.capture.running import execution

def refuse(_thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refuse
before = os.listdir("/proc/self/fd")
outcome = execution.execute(["sh", "-c", "echo made; exit 3"], execution.Signals(), lambda streams: None)
print(outcome.code, len(os.listdir("/proc/self/fd")) - len(before))
"""
    folder = Path(__file__).resolve().parents[4]

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, timeout=30, check=False
    )

    assert done.stdout == b"made\n3 0\n", done.stderr.decode()


@pytest.mark.slow
def test_script_without_interpreter_line_runs_as_in_a_shell(runner: Runner) -> None:
    script = runner.folder / "job.sh"
    script.write_text("echo from sh; exit 4\n")
    script.chmod(0o755)

    done = runner("run", "--", "./job.sh")

    assert (done.returncode, done.stdout) == (4, b"from sh\n")


@pytest.mark.slow
def test_binary_output_passes_through_whole_while_the_log_keeps_head_and_tail(
    runner: Runner,
) -> None:
    done = runner(
        "run",
        "--",
        sys.executable,
        "-c",
        "import os; [os.write(1, bytes([65 + n % 26]) * 9999 + b'\\n') for n in range(400)]",
    )

    assert len(done.stdout) == 4_000_000
    (entry,) = runner.entries()
    archive = zipfile.ZipFile(entry)
    (log,) = json.loads(archive.read("record.json"))["logs"]
    kept = archive.read("blobs/" + log["sha256"])
    assert log["is_truncated"] is True
    assert kept.startswith(b"A" * 9999)
    assert kept.endswith(done.stdout[-100_000:])
    assert b"bytes left out here" in kept


def gaps_of_entry(runner: Runner) -> list[str]:
    """Return the codes of the gaps of the record that the hook kept."""
    (entry,) = runner.entries()
    record = decode_record(zipfile.ZipFile(entry).read("record.json")).record
    assert record is not None
    assert record.logs is None
    return [gap.code for gap in find_gaps(record, Findings())]


@pytest.mark.slow
def test_job_that_printed_nothing_lacks_no_log(runner: Runner) -> None:
    runner("run", "--", "sh", "-c", "exit 3")

    assert "log-missing" not in gaps_of_entry(runner)


@pytest.mark.slow
def test_what_a_script_with_silent_steps_prints_is_not_kept(runner: Runner) -> None:
    runner("start")
    runner("step", "--", "true")
    runner("end")

    assert "log-missing" in gaps_of_entry(runner)


@pytest.mark.slow
def test_output_that_cannot_be_read_any_more_is_not_taken_for_none(tmp_path: Path) -> None:
    """The command may print to where it may not read; the hook has to read there in the end."""
    script = """
import os, resource  # os.wait4 needs that
from jobprov.provenance.capture.running import execution

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
outcome = execution.execute(["sh", "-c", "echo made"], execution.Signals(), lambda streams: os.fchmod(1, 0))
os.write(2, repr(outcome.logs).encode())
"""
    folder = Path(__file__).resolve().parents[4]
    target = tmp_path / "out.txt"
    target.touch()
    if os.getuid() == 0:
        os.chown(target, 65534, 65534)

    with target.open("ab") as stream:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            stdout=stream,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )

    assert target.read_bytes() == b"made\n"
    assert b"jobprov: [Errno 13] Permission denied: '/proc/self/fd/1'" in done.stderr


@pytest.mark.slow
def test_output_to_a_file_is_written_by_the_command_itself_and_kept(runner: Runner) -> None:
    target = runner.folder / "out.txt"
    target.write_bytes(b"earlier\n")

    with target.open("ab") as stream:
        runner(
            "run",
            "--",
            "sh",
            "-c",
            "ls -l /proc/self/fd/1; echo mine",
            capture_output=False,
            stdout=stream,
            stderr=subprocess.PIPE,
        )

    assert b"out.txt" in target.read_bytes()
    (entry,) = runner.entries()
    archive = zipfile.ZipFile(entry)
    (log,) = json.loads(archive.read("record.json"))["logs"]
    assert b"earlier" not in archive.read("blobs/" + log["sha256"])
    assert archive.read("blobs/" + log["sha256"]).endswith(b"mine\n")


@pytest.mark.slow
def test_streams_that_are_one_keep_their_order(runner: Runner) -> None:
    script = "for n in 1 2 3 4 5 6 7 8 9; do echo out$n; echo err$n >&2; done"
    done = runner(
        "run",
        "--",
        "sh",
        "-c",
        script,
        capture_output=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )

    wanted = [word for number in range(1, 10) for word in (b"out%d" % number, b"err%d" % number)]
    assert done.stdout.split()[:18] == wanted


@pytest.mark.slow
def test_process_left_behind_neither_blocks_the_hook_nor_loses_its_output(runner: Runner) -> None:
    waits = "for n in $(seq 600); do [ -e ended ] && break; sleep 0.1; done"
    process = start(runner, "sh", "-c", f"({waits}; echo late; echo $? > late.txt) & echo now")

    assert process.wait(50) == 0
    assert not (runner.folder / "late.txt").exists()
    (runner.folder / "ended").touch()
    assert process.communicate(timeout=50)[0] == b"now\nlate\n"
    assert (runner.folder / "late.txt").read_text() == "0\n"


@pytest.mark.slow
def test_reader_that_goes_away_stops_the_command_as_it_would_alone(runner: Runner) -> None:
    command = f"{runner.python} {runner.hook} run -- yes | head -1"

    done = subprocess.run(
        ["bash", "-c", command + "; echo ${PIPESTATUS[0]}"],
        capture_output=True,
        cwd=runner.folder,
        env=runner.environment,
        timeout=30,
        check=False,
    )

    assert done.stdout.split() == [b"y", b"141"]


@pytest.mark.slow
@pytest.mark.parametrize("is_blocking", [True, False])
def test_reader_that_is_slow_gets_everything(runner: Runner, *, is_blocking: bool) -> None:
    """The command has ended, and the pipe takes no more.

    What the hook holds must outlive it, whatever the pipe's mode.
    """
    read, write = os.pipe()
    os.set_blocking(write, is_blocking)
    process = subprocess.Popen(
        [runner.python, runner.hook, "run", "--", "head", "-c", "100000", "/dev/zero"],
        stdout=write,
        stderr=subprocess.DEVNULL,
        cwd=runner.folder,
        env=runner.environment,
    )
    os.close(write)
    process.wait(20)

    with os.fdopen(read, "rb") as stream:
        assert len(stream.read()) == 100_000
    assert process.returncode == 0


@pytest.mark.slow
def test_more_than_a_thousand_open_files_leave_the_output_alone(runner: Runner) -> None:
    def open_many() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
        for _ in range(1100):
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # noqa: FBT003 - its own way

    done = runner("run", "--", "echo", "job", preexec_fn=open_many, close_fds=False)

    assert (done.returncode, done.stdout) == (0, b"job\n")


@pytest.mark.slow
def test_standard_input_and_other_descriptors_reach_the_command(runner: Runner) -> None:
    read, write = os.pipe()
    os.write(write, b"from three\n")
    os.close(write)

    done = runner(
        "run",
        "--",
        "sh",
        "-c",
        f"cat; cat /proc/self/fd/{read}",
        input=b"from stdin\n",
        pass_fds=[read],
    )
    os.close(read)

    assert done.stdout == b"from stdin\nfrom three\n"


@pytest.mark.slow
def test_environment_and_folder_of_the_command_are_unchanged(runner: Runner) -> None:
    alone = subprocess.run(
        ["env"], capture_output=True, cwd=runner.folder, env=runner.environment, check=True
    ).stdout

    assert sorted(runner("run", "--", "env").stdout.splitlines()) == sorted(alone.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    "locale", [{"LANG": "C"}, {"LANG": None}, {"LANG": None, "LC_CTYPE": "POSIX"}]
)
def test_locale_of_the_command_is_the_one_that_was_given(
    runner: Runner, locale: dict[str, str | None]
) -> None:
    """In a C locale Python puts LC_CTYPE=C.UTF-8 into the environment."""
    done = runner("run", "--", "env", environment=locale)

    (entry,) = runner.entries()
    variables = json.loads(zipfile.ZipFile(entry).read("record.json"))["environment"]["variables"]
    given = {name: value for name, value in locale.items() if value is not None}
    for found in (
        dict(line.split("=", 1) for line in done.stdout.decode().splitlines()),
        variables,
    ):
        assert {name: found[name] for name in ("LANG", "LC_CTYPE") if name in found} == given


def start(runner: Runner, *command: str, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [runner.python, runner.hook, "run", "--", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=runner.folder,
        env=runner.environment,
        **more,
    )
