"""No level where nothing shows it: reruns that look as if they reproduced a job, and did not."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.library.productions.toy_job import Run, Toy

EQUAL = hashlib.sha256(b"equal\n").hexdigest()
NO_BYTES = hashlib.sha256(b"").hexdigest()
OUTPUT = {"name": "a.txt", "path": "a.txt", "status": "written", "size_bytes": 6, "sha256": EQUAL}
TERMINAL = [{"name": "stdout"}, {"name": "stderr"}]


def _compared(
    toy: Toy, folder: Path, shell: Run, script: str, **fields: Any
) -> tuple[int, str | None, str]:
    """Rerun a job that is this script: exit code of verify.sh, level of its report, its lines."""
    toy.record |= {"state": "succeeded", "exit": {"code": 0}, "outputs": [OUTPUT]}
    toy.record["command"] |= {"argv": ["sh", "-c", script], "steps": []}
    toy.record |= fields
    bag, out, report = toy.unpack(folder / "bag"), folder / "out", folder / "report.json"
    shell(bag / "data/run.sh", out)
    ended = shell(bag / "data/verify.sh", "--report", report, out)
    level = json.loads(report.read_text())["level"] if report.is_file() else None
    return ended.returncode, level, ended.stdout + ended.stderr


@pytest.mark.slow
def test_output_that_the_rerun_made_is_compared(toy: Toy, tmp_path: Path, shell: Run) -> None:
    assert _compared(toy, tmp_path, shell, "echo equal >a.txt")[:2] == (0, "R7")


@pytest.mark.slow
@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [{"name": "a.txt", "status": "dropped", "sha256": EQUAL}],
        [{"name": "a.txt", "status": "not_kept", "sha256": EQUAL}],
        ["not an object"],
        None,
    ],
)
def test_job_without_a_required_output_has_no_level(
    toy: Toy, tmp_path: Path, shell: Run, outputs: Any
) -> None:
    code, level, told = _compared(toy, tmp_path, shell, "echo equal >a.txt", outputs=outputs)

    assert (code, level) == (2, None)
    assert "nothing was compared" in told


@pytest.mark.slow
def test_output_that_the_experiment_does_not_count_gives_no_level(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    from jobprov.provenance.bundle.comparison.comparators import OutputRule  # noqa: PLC0415

    toy.rules = [OutputRule(pattern="*.txt", comparator="bytes", required=False)]

    code, level, told = _compared(toy, tmp_path, dash, "echo equal >a.txt")

    assert (code, level) == (2, None)
    assert "IDENTICAL a.txt" in told
    assert "nothing was compared" in told


def _left_behind(toy: Toy, content: bytes = b"equal\n") -> dict[str, Any]:
    """An input that lies where the job writes its output."""
    sha256 = toy.blobs.write(content)
    return {"name": "a.txt", "path": "a.txt", "sha256": sha256, "size_bytes": len(content)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "code", "level", "words"),
    [
        ("true", 2, None, "the rerun did not write it"),
        ("[ -f a.txt ] || echo equal >a.txt", 2, None, "the rerun did not write it"),
        ("cat a.txt >/dev/null; chmod 600 a.txt", 2, None, "the rerun did not write it"),
        ("echo equal >a.txt", 0, "R7", "IDENTICAL"),
        (": >>a.txt; echo equal >b; mv b a.txt", 0, "R7", "IDENTICAL"),
        ("rm a.txt; ln -s in/b.txt a.txt; mkdir -p in; echo equal >in/b.txt", 0, "R7", "IDENTICAL"),
        ("echo other >a.txt", 1, "R2", "DIFFERENT"),
        ("rm a.txt", 1, "R2", "MISSING"),
    ],
)
def test_file_that_lay_there_before_is_no_output_of_the_rerun(
    toy: Toy, tmp_path: Path, shell: Run, script: str, code: int, level: str | None, words: str
) -> None:
    """The script's copy, laid out as such, has the very bytes that the output had."""
    sha256 = toy.blobs.write(b"equal\n")
    kept = {"name": "a.txt", "path": "a.txt", "sha256": sha256, "mode": "0644"}

    found = _compared(toy, tmp_path, shell, script, scripts=[kept])

    assert found[:2] == (code, level), found[2]
    assert words in found[2]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["ln -s '{there}/a.txt' a.txt", "ln -s '{there}' made"])
def test_link_to_the_recorded_job_s_own_output_is_no_output_of_the_rerun(
    toy: Toy, tmp_path: Path, shell: Run, script: str
) -> None:
    there = tmp_path / "recorded"
    there.mkdir()
    (there / "a.txt").write_text("equal\n")
    path = "made/a.txt" if script.endswith("made") else "a.txt"

    code, level, told = _compared(
        toy,
        tmp_path,
        shell,
        f"rm -rf made; {script.format(there=there)}",
        outputs=[OUTPUT | {"path": path}],
    )

    assert (code, level) == (2, None), told
    assert "a link to a file outside of OUT" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "code", "level"),
    [
        (": >a.txt", 0, "R7"),
        ("true", 1, "R2"),
        ("echo >a.txt", 1, "R2"),
        ("mkdir a.txt", 1, "R2"),
        ("ln -s nowhere a.txt", 1, "R2"),
    ],
)
@pytest.mark.parametrize("sha256", [None, NO_BYTES])
def test_empty_output(
    toy: Toy, tmp_path: Path, dash: Run, script: str, code: int, level: str, sha256: str | None
) -> None:
    """Its size tells all of its bytes, but it shows little: this is said."""
    empty = {"name": "a.txt", "status": "empty", "size_bytes": 0, "sha256": sha256}

    found = _compared(toy, tmp_path, dash, script, outputs=[empty])

    assert found[:2] == (code, level), found[2]
    assert ("every output that was compared is empty" in found[2]) == (code == 0)


@pytest.mark.slow
def test_output_in_a_place_that_nobody_knows_is_undecided(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    lost = OUTPUT | {"name": "b.txt", "path": "/"}

    code, level, told = _compared(toy, tmp_path, dash, "echo equal >a.txt", outputs=[OUTPUT, lost])

    assert (code, level) == (2, None)
    assert "UNDECIDED b.txt: the record does not say where the job wrote it" in told


@pytest.mark.slow
def test_output_that_cannot_be_read_is_undecided(toy: Toy, tmp_path: Path, dash: Run) -> None:
    import os  # noqa: PLC0415

    if os.geteuid() == 0:
        pytest.skip("ROOT READS EVERYTHING: an output without permission is not tested")
    code, level, told = _compared(toy, tmp_path, dash, "echo equal >a.txt; chmod 000 a.txt")

    assert (code, level) == (2, None)
    assert "it cannot be read" in told


@pytest.mark.slow
@pytest.mark.parametrize("state", ["running", "lost", "", "unheard of"])
def test_job_whose_end_is_not_recorded_has_no_level(
    toy: Toy, tmp_path: Path, dash: Run, state: str
) -> None:
    code, level, told = _compared(toy, tmp_path, dash, "echo equal >a.txt", state=state)

    assert (code, level) == (2, None)
    assert "does not say how the job ended" in told


FAILED = {"state": "failed", "outputs": [], "logs": TERMINAL, "configurations": []}
REASON = {"code": 1, "error_class": "FileNotFoundError", "message": "No such file: 'beam.dat'"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "exit_", "code", "level", "words"),
    [
        (
            "echo FileNotFoundError: No such file: x/beam.dat; exit 1",
            REASON,
            0,
            "R1=",
            "reproduced",
        ),
        (
            "echo ModuleNotFoundError: No module; exit 1",
            REASON,
            2,
            None,
            "the word FileNotFoundError",
        ),
        ("echo FileNotFoundError: No such file: conf; exit 1", REASON, 2, None, "beam.dat"),
        ("exit 1", {"code": 1, "message": "fatal: bad magnet current"}, 2, None, "fatal"),
        ("exit 1", {"code": 1, "message": "error 17 at 0x7f"}, 2, None, "error"),
        ("exit 1", {"code": 1}, 0, "R1=", "reproduced"),
        ("exit 2", {"code": 1}, 1, "R1", "recorded was 1"),
        ("true", {"code": 1}, 1, "R1", "recorded was 1"),
        ("exit 5", {}, 2, None, "cannot be told"),
        ("true", {}, 1, "R1", "recorded was -"),
        ("true", {"code": 0}, 2, None, "though each exit code was 0"),
        (
            "echo 3 Events failed",
            {"code": 0, "decided_by": {"evidence": "log", "text": "Events failed: 3"}},
            0,
            "R1=",
            "reproduced",
        ),
        (
            "true",
            {"code": 0, "decided_by": {"evidence": "log", "text": "Events failed: 3"}},
            2,
            None,
            "the word Events",
        ),
    ],
)
def test_failure_for_another_reason_is_not_the_same_failure(
    toy: Toy,
    tmp_path: Path,
    shell: Run,
    script: str,
    exit_: dict[str, Any],
    code: int,
    level: str | None,
    words: str,
) -> None:
    found = _compared(toy, tmp_path, shell, script, **FAILED | {"exit": exit_})

    assert found[:2] == (code, level), found[2]
    assert words in found[2]


@pytest.mark.slow
@pytest.mark.parametrize(("script", "level"), [("true", "R1="), ("echo equal >a.txt", "R1")])
def test_job_that_failed_for_want_of_an_output_lacks_it_again(
    toy: Toy, tmp_path: Path, shell: Run, script: str, level: str
) -> None:
    decided_by = {"evidence": "output-not-there", "text": "a.txt"}
    missing = [{"path": "a.txt", "evidence": "argument"}]

    found = _compared(
        toy,
        tmp_path,
        shell,
        script,
        **FAILED | {"exit": {"code": 0, "decided_by": decided_by}, "outputs_not_there": missing},
    )

    assert found[1] == level, found[2]


@pytest.mark.slow
def test_reason_that_came_from_a_log_file_is_not_looked_for(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    logs = [*TERMINAL, {"name": "reco.log"}]

    found = _compared(toy, tmp_path, dash, "exit 1", **FAILED | {"exit": REASON, "logs": logs})

    assert found[:2] == (0, "R1="), found[2]
