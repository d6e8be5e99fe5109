"""A recorded job run again here by hand, to see its error."""

from pathlib import Path

import pytest

from jobprov.provenance.services.agents.local_retries import run_here
from tests.library.productions.toy_job import CHECKOUT, Toy

ART = b"""#!/bin/sh
printf '<%s>' "$@"
echo
mkdir -p out
printf '<%s>' "$@" > out/result.txt
exit 65
"""


def a_toy(*arguments: str, program: str = "art") -> Toy:
    """Return a job of one program that prints its arguments and fails."""
    toy = Toy()
    toy.files.append((f"bin/{program}", 0o100755, ART))
    [step] = [step for step in toy.record["command"]["steps"] if step["role"] == "payload"]
    step["argv"] = [f"{CHECKOUT}/bin/{program}", "-c", "top.fcl", *arguments]
    step["exit_code"] = 65
    toy.record["state"], toy.record["exit"] = "failed", {"code": 65}
    return toy


@pytest.mark.parametrize(
    ("arguments", "events", "said"),
    [
        (("-n", "1000", "-s", "a b.root"), 10, "<-c><top.fcl><-s><a b.root><-n><10>"),
        (("--nevts=1000",), 10, "<-c><top.fcl><-n><10>"),
        (("--nevts", "7", "x"), 10, "<-c><top.fcl><x><-n><10>"),
        (("-n7",), 10, "<-c><top.fcl><-n><10>"),
        (("-n", "7"), None, "<-c><top.fcl><-n><7>"),
    ],
)
def test_a_job_runs_here_with_fewer_events(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    events: int | None,
    said: str,
) -> None:
    root = a_toy(*arguments).unpack(tmp_path / "bundle")

    code = run_here(root, tmp_path / "out", events=events)

    assert code == 65
    assert said in capfd.readouterr().out


def test_a_program_that_is_not_arts_runs_as_recorded_and_that_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = a_toy("-n", "5", program="other").unpack(tmp_path / "bundle")

    run_here(root, tmp_path / "out", events=10)

    shown = capfd.readouterr()
    assert "<-n><5>" in shown.out
    assert "other is not known to take a number of events" in shown.err
