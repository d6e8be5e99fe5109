"""`jobprov tables`, as an operator and an analyser type it."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import exit_code, jobprov, sentence
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.submissions import Submission
from tests.library.records import MOMENT, record_of


@pytest.fixture
def data(migrated_template: Path, tmp_path: Path) -> Path:
    """Return the folder of a service that holds two jobs, one of a private experiment."""
    folder = tmp_path / "var"
    folder.mkdir()
    shutil.copy(migrated_template, folder / "jobprov.db")
    service = open_service(load_settings({"JOBPROV_DATA": str(folder)}, {}))
    for record in (record_of(1), record_of(2, experiment="secret")):
        service.record(Submission(decode_record(json.dumps(record).encode()), MOMENT))
    service.close()
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(jobprov, ["tables", *words])


@pytest.mark.slow
def test_tables_are_written_and_asked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBPROV_PRIVATE_EXPERIMENTS", "secret")
    folder = str(tmp_path / "tables")

    written = run("export", "--to", folder, "--data", str(data))
    again = run("export", "--to", folder, "--data", str(data), "--json")
    named = run("export", "--to", f"{folder}-2", "--data", str(data), "--experiment", "secret")
    question = "SELECT experiment, site, exit_code FROM jobs"
    shown = run("query", "--from", folder, question)
    as_csv = run("query", "--from", f"{folder}-2", "--csv", question)
    as_json = run("query", "--from", folder, "--json", "SELECT max(ended_at) AS last FROM jobs")
    cut = run("query", "--from", folder, "--limit", "1", "FROM range(3)")

    assert "2 parts written, 0 unchanged, 0 removed." in written.stdout, written.output
    assert "Left out, since they are private: secret." in written.stdout
    assert json.loads(again.stdout)["written"] == []
    assert json.loads(again.stdout)["rows"]["jobs"] == 1
    assert "has 1 job, 1 file and 1 edge" in named.stdout
    assert shown.stdout == "experiment  site  exit_code\nnova        FNAL  0\n"
    assert as_csv.stdout == "experiment,site,exit_code\nsecret,FNAL,0\n"
    assert json.loads(as_json.stdout) == {"rows": [{"last": "2026-01-01T01:00:00Z"}]}
    assert "There are more than 1 rows" in cut.stderr


@pytest.mark.slow
def test_what_a_command_made_private_is_left_out(data: Path, tmp_path: Path) -> None:
    words = ("private", "secret", "--why", "a collaboration of its own", "--data", str(data))
    made = CliRunner().invoke(jobprov, ["experiment", *words])

    written = run("export", "--to", str(tmp_path / "tables"), "--data", str(data))

    assert made.exit_code == 0, made.output
    assert "Left out, since they are private: secret." in written.stdout


@pytest.mark.slow
def test_errors_are_one_sentence_and_an_exit_code(data: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").write_text("a year of work")

    for code, words, said in (
        (2, ("export", "--to", str(tmp_path / "else")), "holds something else (thesis.tex)"),
        (2, ("export", "--to", "gs://x/y"), "gs://x/y is no place for tables"),
        (2, ("export", "--to", "s3://x/y?z"), "an S3 address is s3://bucket"),
        (2, ("export", "--to", str(tmp_path / "t"), "--experiment", "dune"), "No experiment dune"),
        (2, ("query", "--from", str(tmp_path), "FROM jobs"), "has no tables"),
    ):
        place = ("--data", str(data)) if words[0] == "export" else ()
        problem = run(*words, *place).exception
        assert isinstance(problem, Exception)
        assert (exit_code(problem), said in sentence(problem)) == (code, True), problem


@pytest.mark.slow
def test_missing_packages_are_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def without_pyarrow(name: str, package: str | None = None) -> Any:
        return None if name == "pyarrow" else found(name, package)

    monkeypatch.setattr("importlib.util.find_spec", without_pyarrow)

    problem = run("export", "--to", str(tmp_path / "t"), "--data", str(data)).exception

    assert isinstance(problem, UnreachableError)
    assert "pip install 'jobprov[tables]'" in str(problem)
