"""The worked examples of CONTRIBUTING.md still do what they promise in a copy of the tree."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = ("captured-field", "lineage-question", "page")
MOST_CODE_FILES = 8
FOLDERS = ("docs", "jobprov", "scripts", "tests")
FILES = ("CONTRIBUTING.md", "README.md", "pyproject.toml")
COMMAND_LINE = "from jobprov.app.cli import main; main()"
START_SECONDS = 60
pytestmark = pytest.mark.xdist_group("contributing")


class Changed(NamedTuple):
    """A copy of the tree with all three examples applied, and a service that runs from it."""

    tree: Path
    url: str
    environment: dict[str, str]


def patch(name: str) -> str:
    [block] = re.findall(rf"^```diff {name}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return str(block)


def apply(name: str, tree: Path) -> None:
    """Apply an example as its reader does."""
    done = subprocess.run(
        ["git", "apply", "--verbose", "-"],
        input=patch(name),
        cwd=tree,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"the example {name} of CONTRIBUTING.md does not fit the code: {done.stderr}"
    )


def test_examples_fit_the_code_one_after_the_other() -> None:
    done = subprocess.run(
        ["git", "apply", "--check", "-"],
        input="".join(patch(name) for name in EXAMPLES),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"an example of CONTRIBUTING.md does not fit: {done.stderr}"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changed]:
    folder = tmp_path_factory.mktemp("contributing")
    tree = folder / "tree"
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in FILES:
        shutil.copy(ROOT / name, tree)
    for name in EXAMPLES:
        apply(name, tree)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("JOBPROV_")
    }
    environment |= {"PYTHONPATH": str(tree), "JOBPROV_DATA": str(folder / "data")}
    log = folder / "log"
    with (
        log.open("wb") as told,
        subprocess.Popen(
            [sys.executable, "-c", COMMAND_LINE, "serve", "--port", "0"],
            cwd=tree,
            env=environment,
            stdout=told,
            stderr=told,
        ) as service,
    ):
        try:
            yield Changed(tree, address_of(service, log), environment)
        finally:
            service.terminate()


def address_of(service: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return the address at which the service answers, once it does."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and service.poll() is None:
        address = re.search(r"http://\S+?:\d+", log.read_text(encoding="utf-8"))
        if address and is_answering(address[0]):
            return address[0]
        time.sleep(0.2)
    pytest.fail(f"the service does not answer: {log.read_text(encoding='utf-8')}")


def is_answering(address: str) -> bool:
    try:
        return requests.get(f"{address}/api/v1/health", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def job(changed: Changed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a job that made three files, as recorded by the hook of the changed tree."""
    folder = tmp_path_factory.mktemp("job")
    hook = folder / "job-end-hook.pyz"
    build = [sys.executable, "scripts/build_hook.py", str(hook)]
    subprocess.run(
        build, cwd=changed.tree, env=changed.environment, check=True, capture_output=True
    )
    run = [
        sys.executable,
        str(hook),
        "run",
        "--url",
        changed.url,
        "--spool",
        str(folder / "spool"),
        "--experiment",
        "toy",
    ]
    outputs = [word for name in ("a.txt", "b.txt", "c.txt") for word in ("--output", name)]
    subprocess.run(
        [*run, *outputs, "--", "touch", "a.txt", "b.txt", "c.txt"], cwd=folder, check=True
    )

    [recorded] = get(changed, "/jobs?experiment=toy").json()["jobs"]
    return get(changed, f"/jobs/{recorded['job_id']}").json()


def get(changed: Changed, path: str) -> requests.Response:
    answer = requests.get(f"{changed.url}/api/v1{path}", timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.slow
def test_captured_field_arrives_in_the_record_and_on_the_page(
    changed: Changed, job: dict[str, Any]
) -> None:
    assert isinstance(job["merged"]["host"]["load_average"], float)
    assert (
        "Load at the start"
        in requests.get(f"{changed.url}/jobs/{job['summary']['job_id']}", timeout=30).text
    )


@pytest.mark.slow
def test_captured_field_is_checked(changed: Changed, job: dict[str, Any]) -> None:
    record = {**job["record"], "host": {"load_average": "high"}}

    answer = requests.put(f"{changed.url}/api/v1/jobs/{record['job_id']}", json=record, timeout=30)

    assert answer.status_code == 422
    assert "host.load_average" in answer.json()["errors"]


@pytest.mark.slow
def test_lineage_question_is_answered_and_described(changed: Changed, job: dict[str, Any]) -> None:
    assert job["summary"]["state"] == "succeeded"

    answer = get(changed, "/files/b.txt/siblings").json()
    assert answer["file"]["name"] == "b.txt"
    assert (answer["version"], answer["versions"]) == (1, 1)
    assert [file["name"] for file in answer["siblings"]] == ["a.txt", "c.txt"]
    assert "/api/v1/files/{name}/siblings" in json.dumps(get(changed, "/openapi.json").json())


@pytest.mark.slow
def test_command_asks_the_lineage_question(changed: Changed, job: dict[str, Any]) -> None:
    assert job["summary"]["state"] == "succeeded"

    command = [sys.executable, "-c", COMMAND_LINE, "siblings", "b.txt", "--url", changed.url]
    done = subprocess.run(
        command,
        cwd=changed.tree,
        env=changed.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "The job that made b.txt made 2 other files.\na.txt\nc.txt\n"


@pytest.mark.slow
def test_page_answers_with_the_files(changed: Changed, job: dict[str, Any]) -> None:
    assert job["summary"]["state"] == "succeeded"

    page = requests.get(f"{changed.url}/siblings/b.txt", timeout=30)

    assert page.status_code == 200
    assert "Its job made 2 other files." in page.text
    assert "/api/v1/files/b.txt/siblings" in page.text, "its twin"


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_touches_as_many_code_files_as_the_text_says(name: str) -> None:
    files = re.findall(r"^\+\+\+ b/(.+)$", patch(name), re.MULTILINE)
    code = [file for file in files if not file.startswith(("docs/", "tests/"))]
    [before] = re.findall(
        rf"^### ((?:(?!^###).)*?)^```diff {name}$", TEXT, re.MULTILINE | re.DOTALL
    )

    assert f"touches {len(code)} code files" in before
    assert len(code) <= MOST_CODE_FILES


@pytest.mark.slow
def test_changed_tree_passes_the_tests_that_the_text_names(changed: Changed) -> None:
    """The fields, routes and commands of the examples are documented.

    The new field's row is right.
    """
    paths = ["tests/docs/test_docs_reference.py", "tests/app/test_app_field_uses.py"]
    subprocess.run(
        [sys.executable, "tests/docs/reference_pages.py"],
        cwd=changed.tree,
        env=changed.environment,
        check=True,
    )

    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-m", "slow or not slow"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *paths],
        cwd=changed.tree,
        env=changed.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_what_the_record_is_decoded_by_works(tmp_path: Path) -> None:
    record = {
        "schema_version": 1,
        "job_id": "8470b049-eea9-4ce4-b0ab-55b4fe5ae513",
        "experiment": "toy",
        "state": "succeeded",
        "started_at": "2026-11-24T17:24:22Z",
        "host": {"cores": 2**70},
    }
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    [code] = re.findall(r"^```python decode\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert "JobRecord" in done.stdout
    assert "host.cores" in done.stdout, "a number past 64 bits is repaired"


def test_each_path_and_test_that_the_page_names_exists() -> None:
    prose = re.sub(r"^```diff.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    paths = re.findall(
        r"(?<![\w/])((?:app|archive|docs|provenance|scripts|tests)/[\w/.-]*\w|(?:app|provenance)/[\w/]+)",
        prose,
    )
    tests = re.findall(r"`(test_\w+)`", prose)
    written = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "tests").glob("**/test_*.py")
    )

    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [name for name in tests if f"def {name}(" not in written] == []
