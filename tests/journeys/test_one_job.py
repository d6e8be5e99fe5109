"""One job, from worker node to rerun, on both databases.

docs/explanation/architecture.md tells that story. A repository with a program and its fcl; two jobs
under the built hook over real HTTP; the service finds out which code ran; the question "what made
this file?"; then everything is gone but the bundle, and the job is made again with a shell alone.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import requests

from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.git import git

PROGRAM = """#!/usr/bin/env python3
import sys
config, source, target = sys.argv[2], sys.argv[4], sys.argv[6]
include = open(__file__.replace("bin/scale", "fcl/factor.fcl")).read()
factor = int(include.split("factor:")[1].split()[0])
print("Begin processing %s" % source)
with open(source) as lines, open(target, "w") as out:
    for line in lines:
        out.write("%d\\n" % (int(line) * factor))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a git repository with a program and its fcl, at tag v1."""
    folder = tmp_path / "scaling"
    for name, text in {
        "bin/scale": PROGRAM,
        "fcl/scale.fcl": (
            '#include "factor.fcl"\nprocess_name: Scale\nphysics.producers.scale: @local::scaling\n'
        ),
        "fcl/factor.fcl": "BEGIN_PROLOG\nscaling: { factor: 3 }\nEND_PROLOG\n",
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "bin/scale").chmod(0o755)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=Scale numbers")
    git(folder, "tag", "--annotate", "--message=first", "v1")
    return folder


def run_job(hook: Path, url: str, repository: Path, scratch: Path, unit: str, target: str) -> None:
    """Run the program under the hook, as a batch job's script would."""
    words = [
        sys.executable,
        str(hook),
        "run",
        "--url",
        url,
        "--experiment",
        "toyexp",
        "--task-id",
        "toyexp-scale-0001",
    ]
    words += [
        "--campaign",
        "c2026",
        "--stage",
        "scale",
        "--unit",
        unit,
        "--spool",
        str(scratch / "spool"),
        "--",
    ]
    words += [str(repository / "bin/scale"), "-c", "scale.fcl", "-s", unit, "-o", target]
    environment = {
        "PATH": os.environ["PATH"],
        "FHICL_FILE_PATH": str(repository / "fcl"),
        "TZ": "UTC",
        "BEARER_TOKEN": "hidden",
    }
    subprocess.run(words, cwd=scratch, env=environment, check=True, capture_output=True, timeout=60)


@pytest.mark.slow
def test_one_job_from_worker_node_to_rerun(
    running_service: Any, hook: Path, repository: Path, tmp_path: Path
) -> None:
    url, service = running_service.url, running_service.parts
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "numbers.txt").write_text("1\n2\n3\n")

    # 1 and 2: on the worker node the hook gathers what ran, and sends it
    run_job(hook, url, repository, scratch, "numbers.txt", "tripled.txt")
    run_job(hook, url, repository, scratch, "tripled.txt", "ninefold.txt")
    [first, second] = reversed(
        requests.get(f"{url}/api/v1/jobs?experiment=toyexp", timeout=10).json()["jobs"]
    )
    assert [first["state"], second["state"]] == ["succeeded", "succeeded"]

    # 3: what would stop a rerun in ten years is named while it can be closed
    job = requests.get(f"{url}/api/v1/jobs/{second['job_id']}", timeout=10).json()
    assert [gap["code"] for gap in job["gaps"] if gap["code"] != "seed-unknown"] == [
        "software-unresolved"
    ]
    assert "hidden" not in json.dumps(job)
    assert "BEARER_TOKEN" in job["record"]["environment"]["withheld"]

    # 4: the operator registers the repository; the service resolves the commit and pins it
    service.write(lambda writing: register_repository(writing, "scaling", str(repository)))
    assert (
        drain(
            Parts(service.database, service.writer, service.store, running_service.data / "git"),
            HANDLERS,
        )
        > 0
    )
    job = requests.get(f"{url}/api/v1/jobs/{second['job_id']}", timeout=10).json()
    assert job["gaps"] == []
    assert job["grade"] == "L2"
    assert (
        job["software"][0]["resolution"]["ref_kind"] == "annotated tag"
        or job["software"][0]["resolution"]["commit"]
    )

    # 5: lineage joins the two jobs by the file between them
    graph = requests.get(
        f"{url}/api/v1/files/ninefold.txt/lineage?direction=ancestors", timeout=10
    ).json()
    assert {node["name"] for node in graph["nodes"] if node["kind"] == "file"} == {
        "ninefold.txt",
        "tripled.txt",
        "numbers.txt",
    }
    assert all(edge["is_sure"] for edge in graph["edges"])

    # 6: what made this file, with which configuration?
    made = requests.get(f"{url}/api/v1/files/ninefold.txt", timeout=10).json()
    assert made["producer"]["job_id"] == second["job_id"]
    evaluated = requests.get(
        f"{url}/api/v1/jobs/{second['job_id']}/configurations/scale?form=evaluated", timeout=10
    ).json()
    assert evaluated["values"]["physics"]["producers"]["scale"]["factor"] == 3

    # 7: the bundle is all that is left
    bundle = requests.get(f"{url}/api/v1/jobs/{second['job_id']}/bundle", timeout=30)
    bundle.raise_for_status()
    assert (
        requests.get(f"{url}/api/v1/jobs/{second['job_id']}/bundle", timeout=30).content
        == bundle.content
    )
    expected = (scratch / "ninefold.txt").read_bytes()
    for folder in (
        repository,
        scratch,
        running_service.data / "archive",
        running_service.data / "git",
    ):
        shutil.rmtree(folder)
    with tarfile.open(fileobj=io.BytesIO(bundle.content)) as tar:
        tar.extractall(tmp_path / "alone", filter="data")
    [root] = (tmp_path / "alone").iterdir()
    path = f"/usr/bin:/bin:{Path(sys.executable).parent}"
    for script in (["run.sh"], ["verify.sh", "--report", str(tmp_path / "report.json")]):
        words = [
            "env",
            "-i",
            f"PATH={path}",
            "sh",
            str(root / "data" / script[0]),
            *script[1:],
            str(tmp_path / "out"),
        ]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "out/work/ninefold.txt").read_bytes() == expected
    verdict = json.loads((tmp_path / "report.json").read_text())
    assert verdict["level"] == "R7"
    posted = requests.post(
        f"{url}/api/v1/jobs/{second['job_id']}/verdicts", json=verdict, timeout=10
    )
    assert posted.status_code == 201
