"""Inputs fetched from where they were recorded."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.library.productions.toy_job import Run, Toy

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


@pytest.mark.slow
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


def test_input_with_another_digest_is_refused(
    toy: Toy, tmp_path: Path, dash: Run, served: tuple[Path, str]
) -> None:
    folder, address = served
    _lacking(toy, f"{address}/a.txt")
    (folder / "a.txt").write_bytes(INPUT)
    bag = toy.unpack(tmp_path / "bag")

    ran = dash(bag / "data/run.sh", tmp_path / "out")

    assert ran.returncode == 125
    assert "has another digest than recorded" in ran.stderr


def test_input_is_missing_where_fetching_is_forbidden_or_no_tool_is_there(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    _lacking(toy, "root://storage.example.org//a.txt")
    bag = toy.unpack(tmp_path / "bag")

    assert "missing: input a.txt" in dash(bag / "data/run.sh", "--check").stderr
    toy.record["inputs"][0]["location"] = "https://storage.example.org/a.txt"
    forbidden = dash(toy.unpack(tmp_path / "other") / "data/run.sh", "--no-fetch", "--check")
    assert forbidden.returncode == 1
    assert "missing: input a.txt" in forbidden.stderr


@pytest.mark.slow
def test_root_location_is_fetched_by_xrdcp(toy: Toy, tmp_path: Path) -> None:
    """A stand-in for the program: what is tested is how it is called."""
    _lacking(toy, "root://storage.example.org//store/a.txt")
    bag, programs = toy.unpack(tmp_path / "bag"), tmp_path / "programs"
    programs.mkdir()
    script = (
        'for last; do :; done\nprintf "%s\\n" "$@" > "$0.called"\nprintf "1 2 3\\n" > "$last"\n'
    )
    (programs / "xrdcp").write_text(f"#!/bin/sh\n{script}")
    (programs / "xrdcp").chmod(0o755)

    words = ["dash", str(bag / "data/run.sh"), str(tmp_path / "out")]
    ran = subprocess.run(
        words,
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    called = (programs / "xrdcp.called").read_text().splitlines()
    assert "root://storage.example.org//store/a.txt" in called
