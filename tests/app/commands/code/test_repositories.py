"""`jobprov repository list` as operators read it.

When each repository was fetched, and what went wrong.
"""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from jobprov.app.cli import jobprov
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from tests.library.git import git


@pytest.fixture
def service(migrated_template: Path, tmp_path: Path) -> Iterator[Service]:
    """Yield a service with a job whose code is a commit of the folder `gone`, which is missing."""
    settings = load_settings({"JOBPROV_DATA": str(tmp_path / "var")})
    settings.data.mkdir()
    shutil.copy(migrated_template, settings.data / "jobprov.db")
    software = [{"name": "code", "repository": str(tmp_path / "gone"), "revision": "a" * 40}]
    body = {
        "schema_version": 1,
        "job_id": "00000000-0000-4000-8000-000000000001",
        "experiment": "toyexp",
        "state": "succeeded",
        "started_at": "2026-11-24T00:00:00Z",
        "software": software,
    }
    opened = open_service(settings)
    submission = Submission(decode_record(msgspec.json.encode(body)), datetime.now(UTC))
    opened.write(lambda writing: record_jobs(writing, [submission]))
    yield opened
    opened.close()


def call(service: Service, *words: str) -> str:
    return CliRunner().invoke(jobprov, [*words, "--data", str(service.settings.data)]).stdout


def test_list_says_what_went_wrong_when_a_repository_was_last_fetched(
    service: Service, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet", "gone")
    call(service, "repository", "add", "gone", str(tmp_path / "gone"))
    shutil.rmtree(tmp_path / "gone")
    before = json.loads(call(service, "repository", "list", "--json"))
    call(service, "work")
    after = json.loads(call(service, "repository", "list", "--json"))
    text = call(service, "repository", "list")

    assert [row["problem"] for row in before] == [None]
    assert "does not appear to be a git repository" in after[0]["problem"]
    assert after[0]["fetched_at"] is None
    head, row = text.splitlines()
    assert head.split() == ["NAME", "URL", "FETCHED", "LAST", "PROBLEM"]
    assert "git ls-remote" in row
    assert row.endswith(" ".join(after[0]["problem"].split()))


def test_list_says_in_words_when_a_repository_was_fetched(service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=one")
    call(service, "repository", "add", "there", str(folder))
    call(service, "repository", "fetch", "there")

    row = call(service, "repository", "list").splitlines()[1]

    assert f"{datetime.now(UTC):%Y-%m-%d}" in row
    assert " UTC  –" in row  # noqa: RUF001 - missing is an en dash


def test_path_without_a_repository_is_refused(service: Service, tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        jobprov,
        ["repository", "add", "code", str(tmp_path), "--data", str(service.settings.data)],
    )

    assert isinstance(ended.exception, BadInputError)
    assert str(ended.exception) == f"There is no git repository at {tmp_path}."
    assert json.loads(call(service, "repository", "list", "--json")) == []


@pytest.mark.parametrize("name", ["", " ", "a\tb"])
def test_repository_without_a_name_is_refused(service: Service, tmp_path: Path, name: str) -> None:
    """A variable that is not set becomes an empty word of a script."""
    ended = CliRunner().invoke(
        jobprov, ["repository", "add", name, str(tmp_path), "--data", str(service.settings.data)]
    )

    assert isinstance(ended.exception, BadInputError)
    assert json.loads(call(service, "repository", "list", "--json")) == []
