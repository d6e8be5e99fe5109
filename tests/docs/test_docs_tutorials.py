"""What the tutorials tell their readers to type works, in their order.

It runs against a service with the demo production.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.hook import HALTED
from tests.library.productions.demo import recorded_demo

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorial"
JOBPROV = Path(sys.executable).with_name("jobprov")
TYPING_SECONDS = 1200
SERVING_SECONDS = 120
ADDRESS = re.compile(r"jobprov serves (\S+) from")
RESOLVING_SECONDS = 60
OUT = "/tmp/out"  # noqa: S108 - as the tutorial says
EXPECTED = {
    "first-hour": [
        "grade L2",
        "fourth.txt was made by job",
        "was reproduced",
        "IDENTICAL fourth.txt",
    ],
    "shifter": [
        "2 failures in 26 finished jobs",
        "did you mean efficiency?",
        "10 of 10 units done",
        "0010",
        "1 job to be tried",
    ],
    "production-manager": [
        "24 of 25 units done",
        "goes on without 1 unit",
        "1 waived",
        "CPU HOURS",
    ],
    "analyser": [
        "21 files and 22 jobs",
        "goes back to 10 files",
        "smear_0004.fcl:4",
        "9 other files",
        "was reproduced",
    ],
    "operator": ["prov_", "recorded", "sealed", "sound", "1 job from 3 entries"],
}
PROBLEMS = re.compile(
    r"Traceback|^Error: |not recorded|: not found|Did you mean:|No such", re.MULTILINE
)
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


def typed(name: str) -> str:
    """Return all that a tutorial tells its reader to type into a terminal."""
    text = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def run(script: str, folder: Path, **environment: str) -> str:
    """Return what a terminal shows."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBPROV_")}
    path = f"{JOBPROV.parent}:{os.environ['PATH']}"
    shown = folder / "shown.txt"
    with shown.open("wb") as terminal:
        subprocess.run(
            ["sh", "-c", script],
            cwd=folder,
            env={**kept, "PATH": path, "HOME": str(folder), **environment},
            stdout=terminal,
            stderr=terminal,
            timeout=TYPING_SECONDS,
            check=False,
        )
    return shown.read_text(encoding="utf-8", errors="replace")


def check(name: str, shown: str) -> None:
    assert [words for words in EXPECTED[name] if words not in shown] == [], shown
    assert PROBLEMS.search(shown) is None, shown


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield the variables by which a second terminal finds the service.

    Its production was recorded by `./scripts/run --demo` in a fresh clone.
    """
    folder = tmp_path_factory.mktemp("tutorials")
    data, log = folder / "var", folder / "log"
    recorded_demo().copy_to(data)
    command = [str(JOBPROV), "serve", "--port", "0", "--data", str(data)]
    with log.open("wb") as told, subprocess.Popen(command, stdout=told, stderr=told) as service:
        until = time.monotonic() + SERVING_SECONDS
        while not ADDRESS.search(log.read_text()):
            assert service.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        [address] = ADDRESS.findall(log.read_text())
        yield {"JOBPROV_URL": address, "JOBPROV_DATA": str(data)}
        service.terminate()


def test_the_first_hour(demo: dict[str, str], tmp_path: Path) -> None:
    script = typed("first-hour").split("# the service's folder, for operators' commands\n")[1]
    [registration] = re.findall(r"^jobprov repository add .*\n", script, re.MULTILINE)
    resolved = (
        f"for try in $(seq {RESOLVING_SECONDS}); do jobprov lookup fourth.txt | grep 'grade L2' && "
        "break; sleep 1; done\n"
    )
    script = script.replace(registration, resolved + registration)
    script = script.replace(OUT, f"{tmp_path}/out")

    # A busy machine may not say within half a second that it is this job's turn to be traced
    shown = run(script, tmp_path, JOBPROV_TRACE="yes", **demo)

    if HALTED in shown:  # that alone then costs the job its level
        assert set(re.findall(r"^- ([a-z-]+):", shown, re.MULTILINE)) == {"children-unseen"}, shown
        shown = shown.replace("grade L1", "grade L2")
    check("first-hour", shown)


@pytest.mark.parametrize("name", ["shifter", "production-manager", "analyser"])
def test_tutorial_about_the_demo(name: str, demo: dict[str, str], tmp_path: Path) -> None:
    check(name, run(typed(name), tmp_path, **demo))


def test_tutorial_for_an_operator(tmp_path: Path) -> None:
    script = typed("operator")
    for port in re.findall(r"serve --port (\d+) &", script):
        free = free_port()
        waits = f"until curl -fsS http://127.0.0.1:{free}/api/v1/health; do sleep 1; done"
        script = script.replace(
            f"serve --port {port} &", f'serve --port {free} & services="$services $!"; {waits}'
        ).replace(port, free)
    script = script.replace("--name hook\n", "--name hook | tee token.txt\n")
    script = script.replace("prov_…", "$(grep -o 'prov_[A-Za-z0-9_-]*' token.txt)")

    check("operator", run(f"trap 'kill $services' EXIT\n{script}", tmp_path))


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
