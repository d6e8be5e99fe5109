"""`jobprov sidecar check`: sidecars from the hook, and catalogs that keep or drop the task id."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from jobprov.app.cli import jobprov
from tests.library.hook import put_hook
from tests.library.servers.catalogs import MetaCatServer, SamServer, Shelf
from tests.library.servers.live_service import LiveService


class Catalog:
    """A SAM and a MetaCat that answer with what is put in; `asked` holds the addresses."""

    def __init__(self) -> None:
        self.answer: tuple[int, Any] = (200, {})
        self.asked: list[str] = []
        catalog = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                catalog.asked.append(self.path)
                content = json.dumps(catalog.answer[1]).encode()
                self.send_response(catalog.answer[0])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    made = Catalog()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an output with the sidecar that the hook wrote beside it."""
    folder = tmp_path_factory.mktemp("sidecar")
    put_hook(folder / "hook.pyz")
    words = [
        "run",
        "--task-id",
        "t7",
        "--metadata",
        "core.data_tier=reco",
        "--output",
        "out.dat",
        "--spool",
        "spool",
    ]
    subprocess.run(
        [sys.executable, "hook.pyz", *words, "--", "sh", "-c", "echo 1 > out.dat"],
        cwd=folder,
        check=True,
    )
    return folder / "out.dat"


def metadata_of(output: Path) -> dict[str, Any]:
    return dict(json.loads(output.with_name("out.dat.json").read_bytes())["metadata"])


def run(*words: object) -> tuple[int, str]:
    ended = CliRunner().invoke(jobprov, ["sidecar", "check", *map(str, words)])
    return ended.exit_code, ended.output


@pytest.mark.slow
def test_sidecar_of_the_hook_is_fine(output: Path) -> None:
    assert run(output) == (0, "out.dat: fine\n")
    assert run(f"{output}.json") == (0, "out.dat: fine\n")


@pytest.mark.slow
def test_metacat_that_kept_everything_is_fine(output: Path, catalog: Catalog) -> None:
    catalog.answer = (200, {"fid": "1", "metadata": metadata_of(output)})

    assert run(output, "--metacat", catalog.url, "--namespace", "nova") == (0, "out.dat: fine\n")
    assert catalog.asked == ["/data/file?did=nova%3Aout.dat&with_metadata=yes&with_provenance=no"]


@pytest.mark.slow
def test_converter_that_dropped_the_task_id_is_found_out(output: Path, catalog: Catalog) -> None:
    kept = {"core.data_tier": "reco", "prov.job_id": metadata_of(output)["prov.job_id"]}
    catalog.answer = (200, {"metadata": kept})

    code, told = run(output, "--metacat", catalog.url, "--namespace", "nova")

    assert code == 1
    assert told == "out.dat: the catalog lost prov.task_id; the catalog lost prov.output\n"


@pytest.mark.slow
def test_key_that_is_not_ours_is_only_told(output: Path, catalog: Catalog) -> None:
    kept = {key: value for key, value in metadata_of(output).items() if key.startswith("prov.")}
    catalog.answer = (200, kept)

    assert run(output, "--sam", f"{catalog.url}/sam/nova/api") == (
        0,
        "out.dat: fine; the catalog dropped core.data_tier\n",
    )
    assert catalog.asked == ["/sam/nova/api/files/name/out.dat/metadata?format=json"]


def test_other_value_and_unknown_file_are_told(output: Path, catalog: Catalog) -> None:
    catalog.answer = (200, {"metadata": {**metadata_of(output), "prov.task_id": "t8"}})
    assert run(output, "--metacat", catalog.url, "--namespace", "nova") == (
        1,
        "out.dat: the catalog has another prov.task_id: t8\n",
    )
    code, told = run(output, "--metacat", catalog.url)
    assert (code, "':out.dat' is no file of MetaCat: say namespace:name" in told) == (1, True)

    catalog.answer = (404, {})
    code, told = run(output, "--metacat", catalog.url, "--namespace", "nova")
    assert (code, "does not know file nova:out.dat" in told) == (1, True)


def test_parents_that_metacat_does_not_know_are_why_it_refuses_a_file(tmp_path: Path) -> None:
    """An input by bare name gets the namespace of the outputs, and the parent exists in none."""
    shelf = Shelf()
    shelf.add("raw:known.root")
    server = MetaCatServer(shelf)
    prov = {"prov.job_id": "j", "prov.task_id": "t", "prov.output": "out.root"}
    parents = [
        {"namespace": "raw", "name": "known.root"},
        {"namespace": "reco", "name": "known.root"},
        {"did": "raw:new.root"},
        {"fid": "9"},
    ]
    content = {"namespace": "reco", "name": "out.root", "metadata": prov, "parents": parents}
    (tmp_path / "out.root.json").write_text(json.dumps(content))

    code, told = run(tmp_path / "out.root", "--metacat", server.url)
    server.close()

    assert code == 1
    for did in ("reco:known.root", "raw:new.root"):
        assert f"MetaCat does not know the parent {did}, and refuses the file" in told
    assert told.count("does not know the parent") == 2


def test_sidecars_that_cannot_work_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '{"size": 1, "metadata": {"plain": 1, "prov.job_id": "x", "prov.task_id": "t"}}'
    )
    (tmp_path / "a").write_text("four")
    (tmp_path / "b.json").write_text("nonsense")

    code, told = run(tmp_path / "a", tmp_path / "b", tmp_path / "c")

    assert code == 1
    assert (
        "the sidecar has no prov.output; MetaCat refuses the key 'plain', which has no dot; "
        "the file has 4 bytes" in told
    )
    assert told.count("cannot be read") == 2


def test_sam_is_asked_with_the_token_of_the_environment(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    shelf.add("out.dat", metadata=metadata_of(output))
    server = SamServer(shelf)
    server.token = "bearer-of-a-user"  # noqa: S105 - of this test alone
    (tmp_path / "token").write_text("bearer-of-a-user\n")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)

    words = ["sidecar", "check", str(output), "--sam", server.url]
    refused = CliRunner().invoke(jobprov, words).exception
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(tmp_path / "token"))
    with_token = run(output, "--sam", server.url)
    server.close()

    assert "renew the certificate or token" in str(refused)
    assert with_token == (0, "out.dat: fine\n")


def test_what_declad_would_put_into_quarantine_is_told(tmp_path: Path) -> None:
    """As declad itself did with such files; without the option all are fine."""
    ours = {"prov.job_id": "j", "prov.task_id": "t", "prov.output": "a.root"}
    good = {
        "name": "a.root",
        "size": 3,
        "checksums": {"adler32": "02df00f9"},
        "metadata": {**ours, "core.runs": [26305]},
    }
    bad = {"name": "a.root", "size": 0, "checksums": {}, "metadata": ours}
    of_sam = {"file_name": "a.root", "file_size": 3, "runs": [[26305, 1, "mc"]], **ours}
    told = []
    for content in (good, bad, of_sam):
        (tmp_path / "a.root.json").write_text(json.dumps(content))
        assert run(tmp_path / "a.root") == (0, "a.root: fine\n")
        told.append(run(tmp_path / "a.root", "--declad"))

    why_not = [
        "declad quarantines a file without core.runs",
        "declad quarantines a file of size 0",
        "declad fails at a file without checksum adler32, again and again",
    ]
    assert told == [
        (0, "a.root: fine\n"),
        (1, f"a.root: {'; '.join(why_not)}\n"),
        (1, "a.root: declad drops keys of ours from a sidecar in SAM's form, or refuses it\n"),
    ]


def test_names_that_metacat_refuses_are_told(tmp_path: Path) -> None:
    metadata = {"prov.job_id": "x", "prov.task_id": "t", "prov.output": "a"}
    parents = [
        {"name": "raw.root"},
        {"did": "ns:b+c.root"},
        {"namespace": "toy", "name": "a"},
        {"fid": "123"},
        {"namespace": "ns", "name": "fine.root"},
    ]
    document = {"namespace": "toy", "name": "a", "size": 1, "parents": parents}
    (tmp_path / "a.json").write_text(json.dumps({**document, "metadata": metadata}))

    code, told = run(tmp_path / "a.json")

    assert code == 1
    assert told == (
        'a: MetaCat refuses the parent {"name": "raw.root"}: it needs a namespace and a name, or '
        'a did; MetaCat refuses the parent {"did": "ns:b+c.root"}: names have letters, digits, _, '
        '., / and - alone; MetaCat refuses the parent {"namespace": "toy", "name": "a"}: a file '
        "cannot be its own parent\n"
    )


@pytest.mark.slow
def test_sidecar_gets_the_parents_that_a_catalog_named_after_the_job(tmp_path: Path) -> None:
    """A parent without a namespace stays out; the same parent is added once."""
    put_hook(tmp_path / "hook.pyz")
    for name in ("raw.root", "own.root"):
        (tmp_path / name).write_text(name)
    service = LiveService(tmp_path / "var")
    words = ["run", "--url", service.url, "--experiment", "nova", "--task-id", "t7"]
    words += ["--namespace", "", "--output", "out.root", "--input", "raw.root"]
    words += ["--input", "own.root"]
    try:
        subprocess.run(
            [sys.executable, "hook.pyz", *words, "--", "cp", "raw.root", "out.root"],
            cwd=tmp_path,
            check=True,
        )
        sidecar = tmp_path / "out.root.json"
        assert json.loads(sidecar.read_bytes())["parents"] == []
        seen = {"experiment": "nova", "namespace": "hd", "name": "raw.root"}
        sent = requests.post(
            f"{service.url}/api/v1/files", json={**seen, "is_only_namespace": True}, timeout=30
        )
        assert sent.status_code == 201

        first = service.run("sidecar", "complete", str(sidecar))
        second = service.run("sidecar", "complete", str(sidecar))
    finally:
        service.stop()

    why = "the parent own.root is left out: it needs a namespace and a name, or a did"
    assert first.stdout == f"out.root: added hd:raw.root; {why}\n"
    assert second.stdout == f"out.root: {why}\n"
    assert first.returncode == second.returncode == 1
    completed = json.loads(sidecar.read_bytes())
    assert completed["parents"] == [{"namespace": "hd", "name": "raw.root"}]
    assert completed["metadata"]["prov.task_id"] == "t7"
