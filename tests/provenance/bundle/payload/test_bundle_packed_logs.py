"""Archives of logs among the outputs of a job: compared, but they do not count."""

from pathlib import Path

import pytest

from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.bundle.plan import make_plan
from tests.library.productions.toy_job import Run, Toy

ARCHIVES = ["log.tar", "logs.tgz", "4711_0.log.tar.gz", "reco-log.zip"]


def is_required(toy: Toy, name: str, folder: Path, edition: int = 2) -> bool:
    toy.record["outputs"][0] |= {"name": name, "path": name}
    plan = make_plan(toy.ingredients(), toy.blobs, toy.blobs.write, edition=edition)
    table = (toy.unpack(folder, plan) / "data/outputs/expected.tsv").read_text().splitlines()
    row = dict(zip(table[0].split("\t"), table[1].split("\t"), strict=True))
    return row["required"] == "yes"


@pytest.mark.parametrize("name", ARCHIVES)
def test_packed_logs_do_not_count(toy: Toy, tmp_path: Path, name: str) -> None:
    assert not is_required(toy, name, tmp_path / "2")
    assert is_required(toy, name, tmp_path / "1", edition=1)


@pytest.mark.parametrize("name", ["catalog.tar", "log.root", "log.tar.root", "logs", "blog.json"])
def test_other_outputs_count(toy: Toy, tmp_path: Path, name: str) -> None:
    assert is_required(toy, name, tmp_path)


def test_experiment_can_have_them_count(toy: Toy, tmp_path: Path) -> None:
    toy.rules = [OutputRule(pattern="*.tar", required=True)]

    assert is_required(toy, "log.tar", tmp_path)


@pytest.mark.slow
def test_job_is_reproduced_whatever_its_packed_logs_say(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    log = {"name": "log.tar", "path": "log.tar", "status": "written", "size_bytes": 1}
    toy.record["outputs"].append({**log, "sha256": "0" * 64})
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    dash(bag / "data/run.sh", out)
    (out / "work/log.tar").write_bytes(b"y")

    verdict = dash(bag / "data/verify.sh", out)

    assert "DIFFERENT log.tar" in verdict.stdout
    assert "level R7" in verdict.stderr
