"""A rerun finds files, folders, links and pipes as the job found them, and nothing leads out of OUT."""

import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.library.productions.toy_job import WORK, Run, Toy

_LOOK = """
stat -c '%a %Y %n' in.dat drop >seen.txt
readlink current >>seen.txt
cat current/a.txt >>seen.txt
[ -p pipe ] && echo pipe >>seen.txt
[ in.dat -ef again.dat ] && echo one >>seen.txt
mkdir new && echo 1 >new/made.txt
"""
_OLD, _OLD_SECONDS = "2020-05-05T05:05:05.250000000Z", 1588655105


def _has_root() -> bool:
    trial = ["unshare", "-rm", "mount", "--bind", "/usr", "/usr"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


needs_root = pytest.mark.skipif(
    not _has_root(), reason="NO NAMESPACES HERE: layouts in a root of their own are not tested"
)


def _record(toy: Toy, script: str, layout: list[dict[str, Any]]) -> None:
    """Let the toy be a job that runs this script, with these things around it."""
    toy.files, toy.resolutions = [], []
    toy.record |= {"software": [], "configurations": [], "seeds": [], "scripts": []}
    toy.record |= {"layout": layout, "inputs": [], "outputs": []}
    toy.record["command"] = {"working_directory": WORK, "argv": ["sh", "-c", script]}
    toy.record["environment"] = {"variables": {"PATH": "/usr/bin:/bin", "HOME": "/home/someone"}}


def _add_input(toy: Toy, path: str, content: bytes, **fields: str) -> None:
    sha256 = toy.blobs.write(content)
    entry = {"name": path.rsplit("/", 1)[-1], "path": path, "size_bytes": len(content)}
    toy.record["inputs"].append(entry | {"sha256": sha256} | fields)


def _add_output(toy: Toy, path: str, content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    entry = {"name": path.rsplit("/", 1)[-1], "path": path, "size_bytes": len(content)}
    toy.record["outputs"].append(entry | {"sha256": sha256, "status": "written"})


def _whole(toy: Toy) -> None:
    layout = [
        {"path": "new", "kind": "new folder"},
        {"path": "drop", "kind": "folder", "mode": "1750", "modified_at": _OLD},
        {"path": "current", "kind": "link", "target": "../store/v2"},
        {"path": "pipe", "kind": "pipe", "mode": "0600"},
        {"path": "again.dat", "kind": "hard link", "target": "in.dat"},
    ]
    _record(toy, _LOOK, layout)
    for path in ("in.dat", "again.dat"):
        _add_input(toy, path, b"1\n", mode="0640", modified_at=_OLD)
    _add_input(toy, "current/a.txt", b"seven\n")
    _add_output(toy, "new/made.txt", b"1\n")


@pytest.mark.slow
@needs_root
def test_job_finds_all_as_it_was(toy: Toy, tmp_path: Path, shell: Run) -> None:
    _whole(toy)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "work/seen.txt").read_text().splitlines() == [
        f"640 {_OLD_SECONDS} in.dat",
        f"1750 {_OLD_SECONDS} drop",
        "../store/v2",
        "seven",
        "pipe",
        "one",
    ]
    verdict = shell(bag / "data/verify.sh", out)
    assert "IDENTICAL made.txt" in verdict.stdout


def test_links_lead_to_what_is_laid_out_without_a_root(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    _whole(toy)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--no-own-root", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    seen = (out / "work/seen.txt").read_text().splitlines()
    assert seen[0] == f"640 {_OLD_SECONDS} in.dat"
    assert seen[2:] == [f"{out}/elsewhere/scratch/store/v2", "seven", "pipe", "one"]


def test_folder_around_a_program_of_the_machine_hides_it_from_nobody(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    """The trace of a Python script names the folders above its interpreter."""
    release = tmp_path / "release"
    (release / "bin").mkdir(parents=True)
    program = release / "bin/reco"
    program.write_text("#!/bin/sh\necho seven\n")
    program.chmod(0o755)
    folders = [{"path": str(path), "kind": "folder"} for path in (release, tmp_path / "store")]
    _record(toy, "true", folders)
    toy.record["command"]["argv"] = ["sh", "-c", f"{program} && ls -d {tmp_path}/store"]
    toy.record["environment"]["variables"]["PATH"] = f"{release}/bin:/usr/bin:/bin"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--no-own-root", out)

    log = (out / "run.log").read_text()
    assert outcome.returncode == 0, outcome.stderr + log
    assert log.splitlines()[1:3] == ["seven", f"{out}/elsewhere{tmp_path}/store"]


def test_file_with_holes_gets_them_again(toy: Toy, tmp_path: Path, dash: Run) -> None:
    _record(toy, "true", [{"path": "big.img", "kind": "sparse file"}])
    _add_input(toy, "big.img", bytes(1 << 20) + b"x", mode="0640", modified_at=_OLD)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert dash(bag / "data/run.sh", "--no-own-root", out).returncode == 0

    status = (out / "work/big.img").stat()
    assert status.st_blocks * 512 < 1 << 17
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == ((1 << 20) + 1, 0o640)
    assert status.st_mtime == _OLD_SECONDS + 0.25


def test_folder_that_cannot_be_written_is_given_back_at_the_end(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    layout = [{"path": "shut", "kind": "folder", "mode": "0555"}]
    _record(toy, "stat -c %a shut >seen.txt", layout)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert dash(bag / "data/run.sh", "--no-own-root", out).returncode == 0

    assert (out / "work/seen.txt").read_text() == "555\n"
    assert stat.S_IMODE((out / "work/shut").stat().st_mode) == 0o755


def test_hostile_layout_stays_inside_and_sets_no_rights(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept.txt").write_text("mine\n")
    os.utime(victim / "kept.txt", (1, 1))
    layout = [
        {"path": "way", "kind": "link", "target": str(victim)},
        {"path": "way/more", "kind": "link", "target": "/etc/passwd"},
        {"path": "way/folder", "kind": "folder", "mode": "7777"},
        {"path": "way/pipe", "kind": "pipe", "mode": "0777"},
        {"path": f"../..{victim}/new", "kind": "folder", "mode": "0777"},
        {"path": "loop", "kind": "link", "target": "loop"},
        {"path": "odd\nname' ; touch /tmp/pwned", "kind": "link", "target": "$(touch /tmp/pwned)"},
    ]
    _record(toy, "true", layout)
    _add_input(toy, "way/kept.txt", b"theirs\n", mode="4777", modified_at=_OLD)
    _add_input(toy, "tool", b"#!/bin/sh\n", mode="6755", modified_at="not a time'; id")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--no-own-root", out)

    assert outcome.returncode == 0, outcome.stderr
    assert sorted(path.name for path in victim.iterdir()) == ["kept.txt"]
    assert (victim / "kept.txt").read_text() == "mine\n"
    assert (victim / "kept.txt").stat().st_mtime == 1
    assert stat.S_IMODE((out / "work/tool").stat().st_mode) == 0o755
    laid_out = out / f"elsewhere{victim}"
    assert stat.S_IMODE((laid_out / "folder").stat().st_mode) == 0o1777
    assert not Path("/tmp/pwned").exists()  # noqa: S108


def test_changed_list_of_times_sets_no_rights(toy: Toy, tmp_path: Path, dash: Run) -> None:
    """A list that somebody changed is refused before the job begins."""
    _record(toy, "true", [])
    _add_input(toy, "tool", b"#!/bin/sh\n", mode="0755")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    times = bag / "data/command/times.sh"
    times.chmod(0o644)
    times.write_text(times.read_text().replace("'0755'", "'4755'"))

    outcome = dash(bag / "data/run.sh", "--no-own-root", "--changed", out)

    assert outcome.returncode == 125
    assert "cannot lay out" in outcome.stderr
    assert not (out / "run.log").exists()


def test_input_that_was_found_elsewhere_keeps_its_own_mode(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    _record(toy, "cat far.dat >seen.txt", [])
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "far.dat").write_bytes(b"far\n")
    (mine / "far.dat").chmod(0o600)
    _add_input(toy, "far.dat", b"far\n", mode="0444", modified_at=_OLD)
    toy.blobs.stored.pop(hashlib.sha256(b"far\n").hexdigest())
    before = (mine / "far.dat").stat()
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--no-own-root", "--input-dir", mine, out)

    assert outcome.returncode == 0, outcome.stderr
    after = (mine / "far.dat").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@needs_root
def test_job_has_its_path_functions_processors_and_niceness(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    script = "echo $PATH >seen.txt; reco abc >>seen.txt; nproc >>seen.txt; nice >>seen.txt"
    _record(toy, script, [])
    toy.record["command"]["argv"][0] = "bash"
    toy.record["environment"]["niceness"] = 5
    toy.record["environment"]["variables"] = {
        "PATH": "/usr/bin",
        "BASH_FUNC_reco%%": '() { echo "got $1"; }',
    }
    toy.record["host"] = {"cores": 1}
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    own = str(max(5, os.nice(0)))
    assert (out / "work/seen.txt").read_text().splitlines() == ["/usr/bin", "got abc", "1", own]


@needs_root
def test_job_may_end_its_own_process_group(toy: Toy, tmp_path: Path, dash: Run) -> None:
    _record(toy, "trap 'echo told >seen.txt' TERM; kill -TERM 0; echo done >>seen.txt", [])
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr
    assert (out / "work/seen.txt").read_text() == "told\ndone\n"


def test_output_that_is_only_a_name_is_undecided_where_it_is_gone(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    _record(toy, "seq 3 >b.txt", [])
    _add_output(toy, "b.txt", b"1\n2\n3\n")
    toy.record["outputs"].append({"name": "moved.txt", "path": "moved.txt", "status": "written"})
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    dash(bag / "data/run.sh", "--no-own-root", out)

    verdict = dash(bag / "data/verify.sh", out)

    assert "UNDECIDED moved.txt" in verdict.stdout
    assert "MISSING" not in verdict.stdout
