"""What the hook records of a real job of art is enough to compute the set that the job ran."""

import json
import shutil
from pathlib import Path

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.configurations import RunAnswer
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.fhicl import load
from jobprov.provenance.fhicl.running.as_run import as_run
from jobprov.provenance.fhicl.running.command_line import read_command_line
from jobprov.provenance.fhicl.running.facts import Facts
from jobprov.provenance.services.configurations.configuration import (
    read_configurations,
    run_answer,
)
from tests.library.hook import Runner, only_entry
from tests.library.production import Production

JOB = "59-lar-name"


def record_real_job(runner: Runner, job: Path, *, keeps_set: bool) -> None:
    """Run a stand-in that leaves the set that the real job wrote, by the same command line."""
    known = json.loads((job / "job.json").read_text())
    program = runner.folder / Path(known["command"][0]).name
    program.write_text(f"#!/bin/sh\ncp {job}/config-out.fcl .\ncat {job}/stdout.txt\n")
    program.chmod(0o755)
    words = [word if word.startswith("-") else Path(word).name for word in known["command"][1:]]
    if not keeps_set:
        program.write_text(f"#!/bin/sh\ncat {job}/stdout.txt\n")
    release = job.parent / "00-release"
    variables = {
        **{name: value for name, value in known["environment"].items() if "ART" in name},
        "FHICL_FILE_PATH": f"{job}:{release}/toyexp:{release}/toycore",
    }
    runner("run", "--", f"./{program.name}", *words, environment=variables)


def computed_run(runner: Runner, database: str, folder: Path) -> RunAnswer:
    """Return what the service says of the job that the hook recorded."""
    production = Production(open_database(database), open_store("memory:"), folder)
    try:
        record, blobs = only_entry(runner)
        for data in blobs.values():
            production.upload(data, record["experiment"])
        production.record(record)
        production.work()
        with production.database.reading.connect() as connection:
            [found] = read_configurations(connection, production.store, record["job_id"])
        assert found.evaluation is not None
        assert found.evaluation.difference is None
        return run_answer(found)
    finally:
        production.close_all()


@pytest.mark.slow
@pytest.mark.parametrize("keeps_set", [True, False])
def test_a_recorded_job_has_the_id_that_art_gave_it(
    runner: Runner, shared_data: Path, sqlite_template: Path, tmp_path: Path, *, keeps_set: bool
) -> None:
    file = tmp_path / "jobprov.db"
    shutil.copy(sqlite_template, file)
    lines = (shared_data / "art-jobs" / "ids.tsv").read_text().splitlines()
    ids = {tuple(line.split("\t")[:2]): line.split("\t")[3] for line in lines}
    record_real_job(runner, shared_data / "art-jobs" / JOB, keeps_set=keeps_set)
    run = computed_run(runner, f"sqlite:///{file}", tmp_path)

    assert run.computed_as == ids[JOB, "config-out.fcl"]
    assert run.evidence == ("written" if keeps_set else "computed")


@pytest.mark.slow
def test_a_recorded_job_with_a_list_of_files_has_the_id_of_its_names(
    runner: Runner, sqlite_template: Path, tmp_path: Path
) -> None:
    """What stands behind # in a list is a comment for art, and for the hook."""
    file = tmp_path / "jobprov.db"
    shutil.copy(sqlite_template, file)
    main = runner.folder / "job.fcl"
    main.write_text("process_name: Toy\nsource: { module_type: RootInput }\n")
    (runner.folder / "files.txt").write_text("# inputs\nxroot://host//a.root# first\n\nb.root\n")
    program = runner.folder / "lar"
    program.write_text("#!/bin/sh\ncat files.txt\n")
    program.chmod(0o755)
    words = ["-c", "job.fcl", "-n", "5"]
    runner("run", "--", "./lar", *words, "-S", "files.txt", environment={"ART_VERSION": "v3_14_04"})

    run = computed_run(runner, f"sqlite:///{file}", tmp_path)

    by_name = read_command_line(["lar", *words, "-s", "xroot://host//a.root", "b.root"])
    expected = as_run(load(main, []), by_name, Facts(release="v3_14_04"))
    assert (run.computed_as, run.evidence) == (expected.parameter_set_id, "computed")
    record, _ = only_entry(runner)
    primary = [read["name"] for read in record["inputs"] if read["role"] == "primary"]
    assert primary == ["a.root", "b.root"]
