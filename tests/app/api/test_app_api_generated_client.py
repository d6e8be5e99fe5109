"""A client that `openapi-python-client` makes of our document has every call, and they work."""

import importlib
import importlib.util
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

from tests.library.records import JOB, chain, job_id, sha256

pytestmark = pytest.mark.slow

GENERATOR = "openapi_python_client"
PACKAGE = "generated_jobprov_client"
SETTINGS = {
    "content_type_overrides": {"application/x-tar": "application/octet-stream"},
    "post_hooks": [],
}
"""Bundles are read as bytes, as docs/reference/http.md says; nothing is formatted."""
CALLS = ("get", "put", "post")


@pytest.fixture(scope="module")
def document(bare_app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = bare_app.test_client().get("/api/v1/openapi.json").get_json()
    return found


@pytest.fixture(scope="module")
def package(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the folder of a client, made without a single warning, that can be imported."""
    if importlib.util.find_spec(GENERATOR) is None:
        pytest.skip("NO openapi-python-client HERE: clients made of our document are not tried")
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    words = ["generate", "--path", "openapi.json", "--config", "settings.json"]
    words += ["--meta", "none", "--output-path", PACKAGE, "--fail-on-warning"]
    generated = subprocess.run(
        [sys.executable, "-m", GENERATOR, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    assert "WARNING" not in generated.stdout + generated.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder / PACKAGE
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


class GeneratedClient:
    """The client, signed in to a service that runs."""

    def __init__(self, address: str, token: str) -> None:
        client = importlib.import_module(f"{PACKAGE}.client")
        self.models = importlib.import_module(f"{PACKAGE}.models")
        self.types = importlib.import_module(f"{PACKAGE}.types")
        self._signed_in = client.AuthenticatedClient(base_url=address, token=token)

    def call(self, name: str, *words: Any, **parameters: Any) -> Any:
        """Make the call `name`, such as `jobs.get_jobs`; return its status and its typed answer."""
        call = importlib.import_module(f"{PACKAGE}.api.{name}")
        answer = call.sync_detailed(*words, client=self._signed_in, **parameters)
        return answer.status_code, answer.parsed

    def put_chain(self, *names: str) -> None:
        """Record jobs that make each file from the one before."""
        for number, record in enumerate(chain(*names), 1):
            body = self.models.JobRecord.from_dict(record)
            assert self.call("recording.put_job", job_id(number), body=body)[0] == 201

    def close(self) -> None:
        """Close its connections."""
        self._signed_in.get_httpx_client().close()


@pytest.fixture
def client(
    package: Path, address: str, new_token: Callable[..., dict[str, str]]
) -> Iterator[GeneratedClient]:
    assert package.is_dir()
    client = GeneratedClient(address, new_token()["Authorization"].removeprefix("Bearer "))
    yield client
    client.close()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the calls that a document describes, by id."""
    found: dict[str, dict[str, Any]] = {}
    for path in document["paths"].values():
        for method in CALLS:
            if method in path:
                operation = path[method]
                assert operation["operationId"] not in found
                found[operation["operationId"]] = operation
    return found


def load(file: Path, package: Path) -> ModuleType:
    """Import a module of the generated client."""
    parts = file.relative_to(package.parent).with_suffix("").parts
    return importlib.import_module(".".join(parts))


def test_every_operation_of_the_document_is_a_function(
    document: dict[str, Any], package: Path
) -> None:
    files = [file for file in package.glob("api/*/*.py") if file.stem != "__init__"]

    assert sorted(file.stem for file in files) == sorted(operations(document))
    for file in files:
        assert callable(load(file, package).sync_detailed), file


def test_every_type_of_the_document_is_a_class(document: dict[str, Any], package: Path) -> None:
    models = importlib.import_module(f"{package.name}.models")

    for name in document["components"]["schemas"]:
        assert isinstance(getattr(models, name), type), name


def test_record_is_put_and_put_again(client: GeneratedClient) -> None:
    record = client.models.JobRecord.from_dict(chain("a.root")[0])

    status, answer = client.call("recording.put_job", JOB, body=record)
    assert (status, answer.job_id, answer.change) == (201, JOB, "created")
    assert [gap.code for gap in answer.gaps]

    status, answer = client.call("recording.put_job", JOB, body=record)
    assert (status, answer.change) == (200, "same")


def test_batch_is_posted(client: GeneratedClient) -> None:
    body = client.models.BatchBody.from_dict({"jobs": chain("a.root", "b.root")})

    status, answer = client.call("recording.post_batch", body=body)

    assert status == 200
    assert [result.status for result in answer.results] == [201, 201]
    assert [result.job_id for result in answer.results] == [job_id(1), job_id(2)]


def test_file_is_looked_up(client: GeneratedClient) -> None:
    client.put_chain("a.root", "b.root")

    status, answer = client.call("file.get_file", "b.root")

    assert status == 200
    assert answer.producer.job_id == job_id(2)
    assert [(parent.name, parent.is_sure) for parent in answer.parents] == [("a.root", True)]


def test_lineage_is_a_graph(client: GeneratedClient) -> None:
    client.put_chain("a.root", "b.root", "c.root")

    status, answer = client.call("lineage.get_lineage", "b.root")

    assert status == 200
    names = [node.name for node in answer.nodes if node.kind == "file"]
    assert sorted(names) == ["a.root", "b.root", "c.root"]
    assert len(answer.edges) == 5


def test_jobs_are_listed_page_by_page(client: GeneratedClient) -> None:
    client.put_chain("a.root", "b.root", "c.root")

    status, first = client.call("jobs.get_jobs", experiment="nova", limit=2)
    assert status == 200
    _, rest = client.call("jobs.get_jobs", experiment="nova", limit=2, cursor=first.next_)

    jobs = [*first.jobs, *rest.jobs]
    assert [job.job_id for job in jobs] == [job_id(3), job_id(2), job_id(1)]
    assert [job.state for job in jobs] == ["succeeded"] * 3
    assert rest.next_ is None


def test_blob_is_sent_and_read_as_bytes(client: GeneratedClient) -> None:
    content = b"\x00 not text \xff"
    digest = sha256(content)

    status, answer = client.call(
        "blobs.put_blob", digest, body=client.types.File(payload=BytesIO(content))
    )
    assert (status, answer.is_new, answer.size_bytes) == (201, True, len(content))
    status, answer = client.call("blobs.get_blob", digest)
    assert (status, answer.payload.read()) == (200, content)


def test_bundle_is_read_as_bytes(client: GeneratedClient) -> None:
    client.put_chain("a.root")

    status, answer = client.call("jobs.get_bundle", JOB)

    assert status == 200
    with tarfile.open(fileobj=answer.payload) as bundle:
        assert f"{JOB}/data/JOB.json" in bundle.getnames()


def test_error_is_a_problem(client: GeneratedClient) -> None:
    client.put_chain("a.root")

    status, problem = client.call("file.get_file", "b.root")

    assert (status, problem.status) == (404, 404)
    assert "b.root" in problem.detail
