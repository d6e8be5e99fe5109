"""Bundles are valid and readable for the programs that others use.

Bdbag, roc-validator, runcrate, prov, coreutils.

These programs exclude each other and most of what we need ourselves, so that each group has an
environment of its own.
"""

import copy
import functools
import hashlib
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobprov.provenance.bundle import tar
from jobprov.provenance.bundle.campaign import make_campaign
from tests.library.environments import programs_of
from tests.library.productions.toy_job import Toy

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CONTEXTS = ROOT / "jobprov/provenance/bundle/templates/1"
GROUPS = {
    "crate": ("roc-validator==0.13.0", "bdbag==1.8.0"),
    "runcrate": ("runcrate==0.6.2",),
    "prov": ("prov==3.2.3",),
}
SEED = """
import io, sys
from pathlib import Path
import requests
from requests_cache import CachedSession
from urllib3 import HTTPResponse

class Local(requests.adapters.BaseAdapter):
    def __init__(self, data):
        super().__init__()
        self.data = data
    def send(self, request, **kwargs):
        raw = HTTPResponse(
            io.BytesIO(self.data), status=200, preload_content=False, headers={"Content-Type": "application/ld+json"}
        )
        return requests.adapters.HTTPAdapter().build_response(request, raw)
    def close(self):
        pass

session = CachedSession(sys.argv[1], backend="sqlite", expire_after=-1)
for url, file in zip(sys.argv[2::2], sys.argv[3::2]):
    session.mount(url, Local(Path(file).read_bytes()))
    assert session.get(url, headers={"Accept": "application/ld+json"}).ok
"""


def environment(group: str) -> Path:
    """Return the folder of the programs of a group."""
    return programs_of(group, GROUPS[group])


@pytest.fixture(params=["job", "failed job", "campaign"])
def bag(request: pytest.FixtureRequest, toy: Toy, tmp_path: Path) -> Path:
    """Return the unpacked bundle of a job, of one that failed with odd names, and of three jobs."""
    if request.param == "job":
        return toy.unpack(tmp_path)
    if request.param == "failed job":
        toy.record |= {"state": "failed", "exit": {"code": 3, "message": "a <b> \"c\" 'd' & e"}}
        toy.record["inputs"][0]["name"] = "odd name <ü> #1.txt"
        return toy.unpack(tmp_path)
    jobs = []
    for number in range(3):
        toy.record = {
            **copy.deepcopy(toy.record),
            "job_id": f"0f8b6a4e-3c51-5a0e-9c3f-{number:012d}",
        }
        jobs.append(toy.ingredients())
    plan = make_campaign(jobs, toy.blobs, toy.blobs.write, name="three")
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar.stream(plan, toy.blobs)))) as archive:
        archive.extractall(tmp_path, filter="tar")
    return tmp_path / plan.top


Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home")}
        return subprocess.run(
            [str(word) for word in words],
            env=variables,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


def test_bag_is_valid_for_bdbag_and_coreutils(bag: Path, ask: Ask) -> None:
    ended = ask(environment("crate") / "bdbag", "--validate", "full", bag)

    assert "is valid" in ended.stderr + ended.stdout
    assert ended.returncode == 0
    for kind in ("manifest", "tagmanifest"):
        for bits in ("256", "512"):
            words = [f"sha{bits}sum", "-c", "--strict", "--quiet", f"{kind}-sha{bits}.txt"]
            subprocess.run(words, cwd=bag, check=True, capture_output=True)


def test_bdbag_fetches_what_fetch_txt_lists(toy: Toy, ask: Ask, tmp_path: Path) -> None:
    served, content = tmp_path / "served", b"4 5 6\n"
    served.mkdir()
    (served / "a file.txt").write_bytes(content)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a file.txt"
        facts = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "location": url,
        }
        toy.record["inputs"].append({"name": "large.txt", "path": "large.txt", **facts})
        bag = toy.unpack(tmp_path, toy.plan(is_holey=True))
        bdbag = environment("crate") / "bdbag"

        before = ask(bdbag, "--validate", "full", bag)
        ask(bdbag, "--resolve-fetch", "all", bag)
        after = ask(bdbag, "--validate", "full", bag)
        server.shutdown()

    assert before.returncode != 0
    assert after.returncode == 0, after.stderr
    assert (bag / "data/inputs/files/large.txt").read_bytes() == content


def test_crate_meets_every_requirement_of_its_profile_offline(
    bag: Path, ask: Ask, tmp_path: Path
) -> None:
    programs = environment("crate")
    cache = tmp_path / "http-cache"
    contexts = {
        "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld",
        "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.jsonld",
    }
    pairs = [word for url, name in contexts.items() for word in (url, CONTEXTS / name)]
    seeded = ask(programs / "python", "-c", SEED, cache, *pairs)
    assert seeded.returncode == 0, seeded.stderr

    report = tmp_path / "report.json"
    options = ["--offline", "--cache-path", cache, "--skip-availability-check", "--no-paging"]
    what = ["-p", "process-run-crate", "-l", "required", "-f", "json", "-o", report]
    ended = ask(programs / "rocrate-validator", "validate", *options, *what, bag / "data")

    found = json.loads(report.read_text())
    assert found["passed"] is True, ended.stdout + json.dumps(found.get("issues"))
    assert found["issues"] == []


def test_runcrate_reports_the_runs(bag: Path, ask: Ask) -> None:
    graph = json.loads((bag / "data/ro-crate-metadata.json").read_text())["@graph"]
    actions = [entity["@id"] for entity in graph if entity["@type"] == "CreateAction"]

    ended = ask(environment("runcrate") / "runcrate", "report", bag / "data")

    assert ended.returncode == 0, ended.stderr
    assert [
        line.split(" ", 1)[1] for line in ended.stdout.splitlines() if line.startswith("action:")
    ] == actions


def test_prov_reads_the_same_document_from_the_bundle(toy: Toy, tmp_path: Path, ask: Ask) -> None:
    bag = toy.unpack(tmp_path)
    program = (
        "import sys; from prov.model import ProvDocument as D;"
        "d = D.deserialize(sys.argv[1]); print(len(d.get_records())); print(d.get_provn())"
    )

    ended = ask(environment("prov") / "python", "-c", program, bag / "data/prov/prov.json")

    assert ended.returncode == 0, ended.stderr
    written = (bag / "data/prov/prov.provn").read_text()
    count, read = ended.stdout.split("\n", 1)
    statements = [line.strip().split("(")[0] for line in written.splitlines() if "(" in line]
    assert int(count) == len(statements)
    assert sorted(statements) == sorted(
        line.strip().split("(")[0] for line in read.splitlines() if "(" in line
    )
    assert "prov:type='prov:Organization'" in read
    assert "prov:type='prov:Organization'" in written
