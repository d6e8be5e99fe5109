"""`jobprov product` as operators use it: map, list, unmap, as words and as JSON."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.app.commands.lookup.job import job_text
from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.answers.lookup.jobs import JobAnswer
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from tests.library.git import git
from tests.library.markup import tight

JOB = "00000000-0000-4000-8000-000000000001"
FILE = "made.root"


@pytest.fixture
def service(migrated_template: Path, tmp_path: Path) -> Iterator[Service]:
    """Yield a service that knows a repository with a tag, and a job of three products."""
    settings = load_settings({"JOBPROV_DATA": str(tmp_path / "var")})
    settings.data.mkdir()
    shutil.copy(migrated_template, settings.data / "jobprov.db")
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=one")
    git(folder, "tag", "v1_2_3")
    versions = (("art", "v1_2_3"), ("art", "v9"), ("root", "v6"))
    software = [
        {"name": name, "product": {"manager": "ups", "version": version}}
        for name, version in versions
    ]
    body = {
        "schema_version": 1,
        "job_id": JOB,
        "experiment": "toyexp",
        "state": "succeeded",
        "started_at": "2026-11-24T00:00:00Z",
        "software": software,
        "outputs": [{"name": FILE, "size_bytes": 1}],
    }
    opened = open_service(settings)
    submission = Submission(decode_record(msgspec.json.encode(body)), datetime.now(UTC))
    opened.write(lambda writing: record_jobs(writing, [submission]))
    yield opened
    opened.close()


def call(service: Service, *words: str) -> Result:
    return CliRunner().invoke(jobprov, [*words, "--data", str(service.settings.data)])


def listed(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(service, "product", "list", "--json").stdout)
    return found


@pytest.mark.slow
def test_operator_sees_what_to_map_maps_it_and_sees_what_is_not_found(
    service: Service, tmp_path: Path
) -> None:
    call(service, "repository", "add", "art-suite", str(tmp_path / "upstream"))
    before = call(service, "product", "list")

    mapped = call(service, "product", "map", "art", "art-suite", "--manager", "ups", "--json")
    call(service, "work")
    after = call(service, "product", "list")

    assert before.stdout.startswith("No product is mapped.")
    assert [line.split() for line in before.stdout.splitlines()[-2:]] == [
        ["art", "ups", "1", "2"],
        ["root", "ups", "1", "1"],
    ]
    assert json.loads(mapped.stdout) == {
        "name": "art", "manager": "ups", "repository": "art-suite", "ref": "{version}", "waiting": 2
    }  # fmt: skip
    assert after.stdout.splitlines()[1].split() == [
        "art",
        "ups",
        "art-suite",
        "map",
        "{version}",
        "1",
        "2",
        "1",
    ]
    assert "art v9: art-suite has no tag v9." in after.stdout
    [row] = listed(service)["mapped"]
    assert row["unresolved"] == [
        {"version": "v9", "ref": "v9", "reason": "art-suite has no tag v9"}
    ]


@pytest.mark.slow
def test_unmapped_product_is_listed_again(service: Service, tmp_path: Path) -> None:
    call(service, "repository", "add", "art-suite", str(tmp_path / "upstream"))
    call(service, "product", "map", "art", "art-suite")

    ended = call(service, "product", "unmap", "art")
    again = call(service, "product", "unmap", "art")

    assert ended.stdout == "Product art is not mapped any more.\n"
    assert listed(service)["mapped"] == []
    assert "No product art is mapped" in str(again.exception)


@pytest.mark.slow
def test_bad_template_is_refused_with_its_field(service: Service, tmp_path: Path) -> None:
    call(service, "repository", "add", "art-suite", str(tmp_path / "upstream"))

    ended = call(service, "product", "map", "art", "art-suite", "--ref", "v{major}")

    assert ended.exit_code != 0
    assert "ref: 'v{major}' has the placeholder {major}" in str(ended.exception)


@pytest.mark.slow
def test_pages_and_commands_say_that_the_commit_is_inferred(
    service: Service, tmp_path: Path
) -> None:
    call(service, "repository", "add", "art-suite", str(tmp_path / "upstream"))
    call(service, "product", "map", "art", "art-suite")
    call(service, "work")
    commit = git(tmp_path / "upstream", "rev-parse", "v1_2_3")
    application = create_app({"JOBPROV_DATA": str(service.settings.data)})
    client = application.test_client()

    page = tight(client.get(f"/jobs/{JOB}").text)
    impact_page = tight(client.get(f"/impact?revision={commit}").text)
    shown = msgspec.json.decode(client.get(f"/api/v1/jobs/{JOB}").data, type=JobAnswer)
    made = tight(client.get(f"/files/{FILE}").text)
    application.extensions["jobprov"].close()

    assert '<span class="tag" title="Inferred from the version of the product' in page
    assert f"/impact?experiment=toyexp&amp;revision={commit}" in page
    assert (
        "Inferred from the version of a product, not observed: art v1_2_3 is tag v1_2_3, commit"
        in impact_page
    )
    assert "inferred commit" in made
    [code, *_] = [line for line in job_text(shown, "").splitlines() if line.startswith("code")]
    assert code.endswith(f"art v1_2_3, commit {commit}, inferred from its version (kept here)")


@pytest.mark.slow
def test_list_says_which_products_are_known_by_their_name(service: Service, tmp_path: Path) -> None:
    call(service, "repository", "add", "art", str(tmp_path / "upstream"))
    call(service, "work")

    ended = call(service, "product", "list")

    row = ended.stdout.splitlines()[1].split()
    assert [row[0], *row[2:]] == ["art", "art", "its", "name", "usual", "ones", "1", "2", "1"]
    assert "art v9: art has no tag v9 or 9." in ended.stdout
