"""Inputs fetched from where they were recorded, code from git, reruns inside a capsule."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from toy_job import Run, Toy

INPUT = b"4 5 6\n"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder and the address under which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _lacking(toy: Toy, location: str) -> None:
    """Take the input out of the bundle; what is left is where it was."""
    entry = toy.record["inputs"][0]
    toy.blobs.stored.pop(entry["sha256"])
    entry["location"] = location


def test_input_is_fetched_from_its_recorded_location_and_compared(
    toy: Toy, tmp_path: Path, shell: Run, served: tuple[Path, str]
) -> None:
    folder, address = served
    _lacking(toy, f"{address}/a%20[1].txt")
    (folder / "a [1].txt").write_bytes(b"1 2 3\n")
    bag, out = toy.unpack(tmp_path / "a bag"), tmp_path / "out"

    assert shell(bag / "data/run.sh", "--check").returncode == 0
    ran = shell(bag / "data/run.sh", out)

    assert ran.returncode == 0, ran.stderr
    assert "fetching input a.txt by curl from" in ran.stderr
    assert shell(bag / "data/verify.sh", out).returncode == 0


def test_input_with_another_digest_is_refused(toy: Toy, tmp_path: Path, dash: Run, served: tuple[Path, str]) -> None:
    folder, address = served
    _lacking(toy, f"{address}/a.txt")
    (folder / "a.txt").write_bytes(INPUT)
    bag = toy.unpack(tmp_path / "bag")

    ran = dash(bag / "data/run.sh", tmp_path / "out")

    assert ran.returncode == 125
    assert "has another digest than recorded" in ran.stderr


def test_input_is_missing_where_fetching_is_forbidden_or_no_tool_is_there(toy: Toy, tmp_path: Path, dash: Run) -> None:
    _lacking(toy, "root://storage.example.org//a.txt")
    bag = toy.unpack(tmp_path / "bag")

    assert "missing: input a.txt" in dash(bag / "data/run.sh", "--check").stderr
    toy.record["inputs"][0]["location"] = "https://storage.example.org/a.txt"
    forbidden = dash(toy.unpack(tmp_path / "other") / "data/run.sh", "--no-fetch", "--check")
    assert forbidden.returncode == 1
    assert "missing: input a.txt" in forbidden.stderr


def test_root_location_is_fetched_by_xrdcp(toy: Toy, tmp_path: Path) -> None:
    """A stand-in for the program: what is tested is how it is called."""
    _lacking(toy, "root://storage.example.org//store/a.txt")
    bag, programs = toy.unpack(tmp_path / "bag"), tmp_path / "programs"
    programs.mkdir()
    script = 'for last; do :; done\nprintf "%s\\n" "$@" > "$0.called"\nprintf "1 2 3\\n" > "$last"\n'
    (programs / "xrdcp").write_text(f"#!/bin/sh\n{script}")
    (programs / "xrdcp").chmod(0o755)

    words = ["dash", str(bag / "data/run.sh"), str(tmp_path / "out")]
    ran = subprocess.run(words, env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    called = (programs / "xrdcp.called").read_text().splitlines()
    assert "root://storage.example.org//store/a.txt" in called


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    """Return the root of a small file system: busybox and the libraries that it is linked with."""
    root = tmp_path / "a capsule"
    (root / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox") or pytest.fail("busybox is not here")
    shutil.copy(busybox, root / "bin/busybox")
    linked = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+) \(0x", linked):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    for name in ("sh", "cat", "env", "mkdir", "printf", "uname"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "tmp").mkdir()
    (root / "release.txt").write_text("the capsule\n")
    return root


def _has_namespaces() -> bool:
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


def test_job_runs_inside_a_capsule(toy: Toy, tmp_path: Path, shell: Run, capsule: Path) -> None:
    if not _has_namespaces():
        pytest.skip("NO USER NAMESPACES HERE: that a job runs inside a capsule is not tested")
    toy.files[1] = (
        "bin/join.sh",
        0o100755,
        b"#!/bin/sh\nmkdir -p out\ncat /release.txt > out/result.txt\nls / >&2 || :\n",
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    before = sorted(os.walk(capsule))

    ran = shell(bag / "data/run.sh", "--capsule", capsule, out)

    assert ran.returncode == 0, ran.stderr + (out / "run.log").read_text()
    assert (out / "work/out/result.txt").read_text() == "the capsule\n"
    assert sorted(os.walk(capsule)) == before


def test_capsule_that_is_not_there_is_refused(toy: Toy, tmp_path: Path, dash: Run) -> None:
    bag = toy.unpack(tmp_path / "bag")

    ran = dash(bag / "data/run.sh", "--capsule", tmp_path / "none", tmp_path / "out")

    assert ran.returncode == 125
    assert "there is no capsule" in ran.stderr


def test_image_without_a_program_that_runs_it_is_a_need(toy: Toy, tmp_path: Path, dash: Run) -> None:
    bag, image = toy.unpack(tmp_path / "bag"), tmp_path / "image.sif"
    image.write_bytes(b"SIF")

    ran = dash(bag / "data/run.sh", "--capsule", image, "--check")

    assert ran.returncode == 1
    assert "missing: one of apptainer singularity podman" in ran.stderr
