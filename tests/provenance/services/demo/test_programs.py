"""The demo's own programs run without any service: real fcl, real Pythia, real ROOT files."""

import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import uproot

from jobprov.provenance import fhicl
from jobprov.provenance.capture.logs import art_trackers as trackers
from jobprov.provenance.services.demo.release import PROGRAMS

pytestmark = pytest.mark.slow

TOY = PROGRAMS / "bin" / "toy"
FCL = PROGRAMS / "fcl"
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "FHICL_FILE_PATH": str(FCL),
    "TOYEXP_DIR": str(PROGRAMS),
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
}

Toy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(TOY), *arguments]
        return subprocess.run(
            words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The release's own fcl reader, as a module."""
    monkeypatch.syspath_prepend(str(PROGRAMS / "python"))
    monkeypatch.setenv("FHICL_FILE_PATH", str(FCL))
    return importlib.import_module("toyexp.fcl")


def content(path: Path) -> dict[str, Any]:
    with uproot.open(path) as file:
        return {name: array.tolist() for name, array in zip(*branches(file["Events"]), strict=True)}


def branches(tree: Any) -> tuple[list[str], list[Any]]:
    arrays = tree.arrays()
    return arrays.fields, [arrays[name] for name in arrays.fields]


def write_generation(folder: Path, name: str, run: int, extra: str = "") -> None:
    text = (
        f'#include "gen.fcl"\nsource.firstRun: {run}\nphysics.producers.generator.seed: {run}\n'
        f"{extra}"
    )
    (folder / name).write_text(text)


def test_generated_files_merge_in_the_order_given(toy: Toy, tmp_path: Path) -> None:
    for run in (1001, 1002):
        write_generation(tmp_path, f"gen_{run}.fcl", run)
        assert toy("-c", f"gen_{run}.fcl", "-n", "5", "-o", f"{run}.root").returncode == 0

    done = toy("-c", "merge.fcl", "-s", "1002.root", "-s", "1001.root", "-o", "merged.root")

    assert done.stdout.endswith("toy has completed and will exit with status 0.\n")
    parts = [content(tmp_path / f"{run}.root") for run in (1002, 1001)]
    assert content(tmp_path / "merged.root") == {
        name: parts[0][name] + parts[1][name] for name in parts[0]
    }


def test_same_job_twice_gives_the_same_content(toy: Toy, tmp_path: Path) -> None:
    write_generation(tmp_path, "gen.fcl", 1001)

    for name in ("one.root", "two.root"):
        toy("-c", "gen.fcl", "-n", "5", "-o", name)

    first, second = content(tmp_path / "one.root"), content(tmp_path / "two.root")
    assert first == second
    assert sum(len(pt) for pt in first["particle_pt"]) > 0
    assert (tmp_path / "one.root").read_bytes() != (tmp_path / "two.root").read_bytes()


def test_other_seed_gives_other_events(toy: Toy, tmp_path: Path) -> None:
    for run in (1001, 1002):
        write_generation(tmp_path, f"gen_{run}.fcl", run)
        toy("-c", f"gen_{run}.fcl", "-n", "3", "-o", f"{run}.root")

    assert (
        content(tmp_path / "1001.root")["particle_pt"]
        != content(tmp_path / "1002.root")["particle_pt"]
    )


def test_reconstruction_selects_in_two_streams_and_histogram_counts_them(
    toy: Toy, tmp_path: Path
) -> None:
    write_generation(tmp_path, "gen.fcl", 1001)
    toy("-c", "gen.fcl", "-n", "60", "-o", "gen.root")

    script = [str(PROGRAMS / "bin" / "run_reco.sh"), "smear.fcl", "select.fcl", "gen.root", "reco"]
    done = subprocess.run(
        ["/bin/sh", *script],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    toy("-c", "histogram.fcl", "-s", "reco_dimuon.root", "-T", "mass.json")

    assert done.returncode == 0, done.stdout
    inside = np.array(content(tmp_path / "reco_dimuon.root")["dimuon_mass"])
    outside = np.array(content(tmp_path / "reco_sideband.root")["dimuon_mass"])
    assert len(inside) > 0
    assert ((inside >= 76) & (inside < 106)).all()
    assert ((outside > 0) & ((outside < 76) | (outside >= 106))).all()
    histogram = json.loads((tmp_path / "mass.json").read_text())
    assert histogram["entries"] == len(inside)
    assert histogram["mean"] == pytest.approx(inside.mean())
    assert (tmp_path / "mass.svg").read_text().startswith("<svg")


def test_times_of_modules_are_left_as_art_leaves_them(toy: Toy, tmp_path: Path) -> None:
    write_generation(tmp_path, "gen.fcl", 1001)
    modules: dict[Any, dict[str, Any]] = {}

    toy("-c", "gen.fcl", "-n", "20", "-o", "gen.root")
    trackers.read(str(tmp_path / "timing.db"), modules, {})
    toy("-c", "smear.fcl", "-s", "gen.root", "-o", "smeared.root")
    again: dict[Any, dict[str, Any]] = {}
    trackers.read(str(tmp_path / "timing.db"), again, {})

    generator = modules["generate", "generator", "ToyPythia"]
    assert (generator["events"], generator["seconds_max"] < generator["seconds_total"]) == (
        20,
        True,
    )
    assert generator["seconds_max"] > generator["seconds_total"] / 20, "measured event by event"
    assert ("end_path", "out", "RootOutput(write)") in modules
    assert ("source", None, "EmptyEvent:source") in modules
    assert {label for _, label, _ in again} == {"smear", "out", None}, "each program writes it anew"
    with closing(sqlite3.connect(tmp_path / "timing.db")) as database:
        [(events, whole, parts)] = database.execute(
            "SELECT count(*), sum(Time), (SELECT sum(Time) FROM TimeModule "
            "WHERE ModuleType NOT LIKE '%(write)') FROM TimeEvent"
        )
    assert events == 20
    assert whole == pytest.approx(parts)


def test_without_a_name_no_times_are_written(toy: Toy, tmp_path: Path) -> None:
    write_generation(tmp_path, "gen.fcl", 1001, 'services.TimeTracker.dbOutput.filename: ""\n')

    assert toy("-c", "gen.fcl", "-n", "2", "-o", "gen.root").returncode == 0
    assert not list(tmp_path.glob("*.db*"))


def test_declaration_beside_an_output_counts_its_events(toy: Toy, tmp_path: Path) -> None:
    write_generation(tmp_path, "gen.fcl", 1001)
    toy("-c", "gen.fcl", "-n", "4", "-o", "gen.root")

    declared = json.loads((tmp_path / "gen.root.json").read_text())

    assert declared["size"] == (tmp_path / "gen.root").stat().st_size
    assert declared["metadata"]["core.event_count"] == 4
    assert declared["metadata"]["core.runs"] == [[1001, 0]]
    assert declared["metadata"]["core.data_tier"] == "generated"


def test_misspelt_parameter_ends_with_9_and_is_named_with_its_line(
    toy: Toy, tmp_path: Path
) -> None:
    (tmp_path / "bad.fcl").write_text(
        '#include "smear.fcl"\n\nphysics.producers.smear.eficiency: 0.9\n'
    )

    done = toy("-c", "bad.fcl", "-s", "gen.root")

    assert done.returncode == 9
    assert (
        "---- Configuration BEGIN\n  Module smear (ToySmear): unsupported parameter: "
        "eficiency [ ./bad.fcl:3 ]" in done.stdout
    )
    assert done.stdout.endswith("toy has completed and will exit with status 9.\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('#include "absent.fcl"\n', 'find file "absent.fcl", asked for by ./job.fcl:1'),
        ("a: @local::nothing\n", "Local lookup error: @local::nothing, ./job.fcl:1"),
        ("a: {\n", "the text ends"),
        ("a: $\n", "at or near character 4 of ./job.fcl:1"),
        ("BEGIN_PROLOG\nt: { x: 1 }\nEND_PROLOG\nt.x: 2\n", "prolog name"),
    ],
)
def test_fcl_that_cannot_be_read_ends_with_90(
    toy: Toy, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "job.fcl").write_text(text)

    done = toy("-c", "job.fcl")

    assert done.returncode == 90
    assert words in done.stdout


def test_truncated_input_is_named_with_its_size(toy: Toy, tmp_path: Path) -> None:
    write_generation(tmp_path, "gen.fcl", 1001)
    toy("-c", "gen.fcl", "-n", "4", "-o", "gen.root")
    (tmp_path / "cut.root").write_bytes((tmp_path / "gen.root").read_bytes()[:20000])

    done = toy("-c", "smear.fcl", "-s", "cut.root")

    assert done.returncode == 24
    assert "cut.root (20000 bytes) cannot be read" in done.stdout


def test_impossible_request_ends_by_the_limit_of_its_fcl(toy: Toy, tmp_path: Path) -> None:
    limits = "services.limits.cpuSeconds: 5\n"  # a busy machine takes two until the first event
    write_generation(
        tmp_path, "loop.fcl", 1, f"physics.producers.generator.requireMassAbove: 14000.\n{limits}"
    )

    done = toy("-c", "loop.fcl", "-n", "1")

    assert done.returncode == -signal.SIGXCPU
    assert "collisions tried, none with a mass of 14000 GeV or more" in done.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in FCL.glob("*.fcl")))
def test_own_fcl_reader_agrees_with_the_full_one(reader: ModuleType, name: str) -> None:
    """The subset reads the release's files as FHiCL does.

    Else the record would describe another job than ran.
    """
    full = fhicl.load(str(FCL / name), search_path=[str(FCL)])

    assert fhicl.loads(as_fcl(reader.load(name))).parameter_set_id == full.parameter_set_id


def as_fcl(table: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {_value(value)}" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + as_fcl(value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value) if value is not None else "@nil"


def test_programs_need_nothing_of_ours() -> None:
    """A rerun has the interpreter and the named packages, not jobprov."""
    sources = [
        path.read_text() for path in PROGRAMS.rglob("*") if path.is_file() and path.suffix != ".pyc"
    ]

    assert not [
        text for text in sources if "import provenance" in text or "from provenance" in text
    ]
    assert os.access(TOY, os.X_OK)
