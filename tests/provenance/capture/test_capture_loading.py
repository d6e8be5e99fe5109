"""The hook imports in several threads while the job runs.

Each gets whole modules, under every Python found here.
"""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from jobprov.provenance.capture import loading
from tests.library.hook import VERSIONS, Runner, find_python, only_entry, put_hook

MODULES = {
    "sending.tailing": "Tailer",
    "sending.delivery": "read_token",
    "sending.flushing": "flush",
    "recording.job": "add_usage",
    "running.streams": "read_log",
    "running.watching": "list_tree",
    "sending.spool": "ready",
    "logs.failure": "find",
}
# eight threads import the same modules at once, and change places as often as the interpreter can
PROGRAM = f"""
import sys, threading
from jobprov.provenance.capture import loading
loading.install()
sys.setswitchinterval(1e-6)
barrier, half = threading.Barrier(8), []
def run():
    barrier.wait()
    for name, last in {MODULES!r}.items():
        try:
            getattr(__import__("jobprov.provenance.capture." + name, fromlist=[last]), last)
        except Exception as error:
            half.append("{{}}: {{}}".format(name, error))
threads = [threading.Thread(target=run) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit("\\n".join(half) or 0)
"""


@pytest.fixture
def runner(hook: str, runner: Runner) -> Runner:
    """Return one that calls the hook that is shipped."""
    runner.hook = hook
    return runner


@pytest.mark.parametrize(
    "version",
    [VERSIONS[0], *(pytest.param(version, marks=pytest.mark.slow) for version in VERSIONS[1:])],
)
@pytest.mark.slow
def test_threads_that_import_at_once_get_whole_modules(hook: str, version: str) -> None:
    """Without a loader of its own, nine in ten runs under 3.6 to 3.9 fail.

    Some under later versions fail too.
    """
    python = find_python(version)
    if python is None:
        pytest.skip(f"NO PYTHON {version} ON THIS MACHINE")

    for _ in range(2):
        ended = subprocess.run(
            [python, "-c", PROGRAM],
            env={**os.environ, "PYTHONPATH": hook},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_modules_know_their_package(hook: str) -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1])\n"
    program += (
        "from jobprov.provenance.capture import loading; loading.install(); loading.install()\n"
    )
    program += "from jobprov.provenance.capture.sending import tailing\n"
    program += (
        "print(tailing.__package__, tailing.__spec__.name, "
        "len([f for f in sys.meta_path if type(f).__name__ == '_Finder']))"
    )
    python = find_python("3.11") or find_python("3.13")
    assert python is not None

    ended = subprocess.run(
        [python, "-c", program, hook],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout.split() == [
        "jobprov.provenance.capture.sending",
        "jobprov.provenance.capture.sending.tailing",
        "1",
    ]


@pytest.mark.slow
def test_hook_that_is_replaced_while_the_job_runs_records_it(
    runner: Runner, tmp_path: Path
) -> None:
    """An administrator brings a new one, and thousands of jobs run under the old one."""
    runner.hook = str(tmp_path / "hook.pyz")
    new = tmp_path / "new"
    new.write_bytes(b"#!/bin/sh\n" * 20_000)
    put_hook(Path(runner.hook))

    runner("run", "--", "mv", str(new), runner.hook)

    record, _ = only_entry(runner)
    assert record["state"] == "succeeded"
    assert Path(runner.hook).read_bytes().startswith(b"#!/bin/sh")


NOTES_MODULES = """
import os, sys
def note(event, words):
    if event == "subprocess.Popen" and not os.path.exists(os.environ["NOTED"]):
        with open(os.environ["NOTED"], "w") as stream:
            stream.write("\\n".join(sys.modules))
sys.addaudithook(note)
"""


@pytest.mark.slow
def test_command_waits_for_the_first_room_alone(runner: Runner, tmp_path: Path) -> None:
    """Each module more delays each job; what only some jobs need is loaded where they need it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(NOTES_MODULES)
    noted = tmp_path / "modules.txt"
    (runner.folder / "main.fcl").write_text("a: 1\n")
    words = ["run", "--output", "out.root", "--", "sh", "-c", "true", "x", "-c", "main.fcl"]

    runner(*words, environment={"PYTHONPATH": f"{tmp_path}/site:", "NOTED": str(noted)})

    loaded = {name for name in noted.read_text().splitlines() if name.startswith("jobprov.")}
    with zipfile.ZipFile(runner.hook) as archive:
        sources = loading.sources_in(loading.unpacked(archive.read("first")))
    first = {name.removesuffix(".py").replace("/", ".") for name in sources}
    started_by_python = {"jobprov.provenance", "jobprov.provenance.capture"}
    started_by_python.add("jobprov.provenance.capture.loading")
    assert loaded - started_by_python <= first | {name.rpartition(".")[0] for name in first}
    for name in (
        "recording.moments.one_command",
        "secrets.texts",
        "sight.sight",
        "running.children",
    ):
        assert f"jobprov.provenance.capture.{name}" not in loaded
    assert not {"json", "hashlib", "socket", "datetime", "zipfile"} & set(
        noted.read_text().splitlines()
    )


@pytest.mark.slow
def test_job_that_succeeds_without_an_address_loads_nothing_for_others(runner: Runner) -> None:
    ended = runner("run", "--", "true", environment={"PYTHONPROFILEIMPORTTIME": "1"}, text=True)

    loaded = {line.rsplit("|", 1)[-1].strip() for line in ended.stderr.splitlines()}
    capture = "jobprov.provenance.capture."
    assert {f"{capture}recording.job", f"{capture}logs.findings"} <= loaded
    for name in ("logs.failure", "logs.art_place", "checkouts.worktree", "trace.strace"):
        assert capture + name not in loaded
    assert "http.client" not in loaded
