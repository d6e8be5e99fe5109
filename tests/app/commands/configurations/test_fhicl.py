"""`jobprov fhicl` on files: one value, as run, lookup policies, and where a name lies."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov

TEXT = """#include "base.fcl"
physics: {
  producers: { gen: { module_type: Gen rate: 1e-3 names: [ a, "b c" ] } spare: { module_type: X } }
  reco: [ gen ]
  trigger_paths: [ reco ]
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    for name in ("first", "second"):
        (tmp_path / name / "base.fcl").write_text("process_name: Reco\n")
    (tmp_path / "job.fcl").write_text(TEXT)
    return tmp_path


def run(folder: Path, *words: str, **variables: str) -> Result:
    path = f"{folder}/first:{folder}/second"
    environment = {"FHICL_FILE_PATH": path, "ART_VERSION": None, **variables}
    return CliRunner().invoke(jobprov, ["fhicl", *words], env=environment)


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        ("process_name", "Reco"),
        ("physics.producers.gen.rate", "0.001"),
        ("physics.producers.gen.names[1]", "b c"),
        ("physics.producers.gen.names", '["a","b c"]'),
        ("physics.producers.spare", '{module_type:"X"}'),
    ],
)
def test_one_value_is_printed_for_scripts(folder: Path, key: str, printed: str) -> None:
    ended = run(folder, "get", key, f"{folder}/job.fcl")

    assert (ended.exit_code, ended.output) == (0, f"{printed}\n")


@pytest.mark.parametrize(
    ("key", "words", "printed"),
    [
        ("source.maxEvents", ["lar", "-c", "job.fcl", "-n", "7"], "7"),
        ("source.maxEvents", ["-n", "7"], "7"),
        ("source.fileNames", ["lar", "in.root", "--nskip", "2"], '["in.root"]'),
        ("trigger_paths.trigger_paths[0]", [], "0:reco"),
        ("services.scheduler.reportUnused", ["mu2e"], "false"),
    ],
)
def test_a_value_as_run_is_printed(folder: Path, key: str, words: list[str], printed: str) -> None:
    release = ["--art-release", "3.14.04"]
    ended = run(folder, "get", key, f"{folder}/job.fcl", *release, "--as-run", *words)

    assert (ended.exit_code, ended.output) == (0, f"{printed}\n")


def test_a_set_as_run_is_printed_and_named(folder: Path) -> None:
    as_run = [f"{folder}/job.fcl", "--as-run", "lar", "-n", "7"]
    dumped = run(folder, "dump", "--json", *as_run, ART_VERSION="v3_14_04")
    named = run(folder, "id", *as_run, ART_VERSION="v3_14_04")
    parsed = run(folder, "id", f"{folder}/job.fcl")

    assert list(json.loads(dumped.output)["physics"]["producers"]) == ["gen"]
    assert named.output != parsed.output
    assert len(named.output.split()[0]) == 40


def test_what_is_missing_or_not_known_says_so(folder: Path) -> None:
    missing = run(folder, "get", "nothing.here", f"{folder}/job.fcl")
    unknown = run(folder, "get", "process_name", f"{folder}/job.fcl", "--as-run", "lar")
    refused = run(folder, "id", f"{folder}/job.fcl", "--as-run", "lar", "--nevt", "7")

    assert 'no parameter "nothing.here"' in str(missing.exception)
    assert "Which release of art ran is not known" in str(unknown.exception)
    assert "no option --nevt" in str(refused.exception)


def test_where_a_name_lies_is_told_the_first_that_counts(folder: Path) -> None:
    first, both = run(folder, "which", "base.fcl"), run(folder, "which", "-a", "base.fcl")
    nowhere = run(folder, "which", "gone.fcl")

    assert first.output == f"{folder}/first/base.fcl\n"
    assert both.output == f"{folder}/first/base.fcl\n{folder}/second/base.fcl\n"
    assert nowhere.exit_code == 1


def test_lookup_policies_are_those_of_fhicl_dump(folder: Path) -> None:
    (folder / "first" / "whole.fcl").write_text(f'#include "{folder}/second/base.fcl"\n')

    glued = run(folder, "dump", "-q", "whole.fcl")
    as_named = run(folder, "dump", "-l", "nonabsolute", "whole.fcl")
    wrong = run(folder, "dump", "-l", "odd", "whole.fcl")

    assert glued.exception is not None
    assert as_named.output == 'process_name: "Reco"\n'
    assert wrong.exit_code == 2


def test_quiet_prints_nothing(folder: Path) -> None:
    ended = run(folder, "dump", "-q", f"{folder}/job.fcl")

    assert (ended.exit_code, ended.output) == (0, "")
