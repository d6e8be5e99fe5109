"""Exports of jobs and of a lineage, merged by the prov package, are one graph."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.environments import programs_of
from tests.library.records import job_id, record_of

PROGRAM = """
import json, sys
from prov.model import ProvActivity, ProvDocument, ProvEntity
whole = ProvDocument()
for path in sys.argv[1:]:
    whole.update(ProvDocument.deserialize(path))
whole = whole.unified()
print(json.dumps({
    "activities": sorted(each.identifier.uri for each in whole.get_records(ProvActivity)),
    "entities": sorted(each.identifier.uri for each in whole.get_records(ProvEntity)),
}))
"""


def merged(folder: Path, *documents: str) -> dict[str, Any]:
    """Return the URIs of what the documents tell of together, each once."""
    files = []
    for number, document in enumerate(documents):
        file = folder / f"{number}.json"
        file.write_text(document, encoding="utf-8")
        files.append(file)
    python = programs_of("prov", ("prov==3.2.3",)) / "python"
    ended = subprocess.run(
        [python, "-c", PROGRAM, *files], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def of_job(client: FlaskClient, number: int) -> str:
    return client.get(f"/api/v1/jobs/{job_id(number)}/exports/prov-json").text


def of_file(client: FlaskClient, name: str, **asked: str) -> str:
    query = {"format": "prov-json", **asked}
    return client.get(f"/api/v1/files/{name}/lineage", query_string=query).text


@pytest.mark.slow
def test_jobs_and_their_lineage_share_all_names(client: FlaskClient, tmp_path: Path) -> None:
    for number in range(1, 4):
        record = record_of(number, started_at="2026-01-01T00:00:00.123456Z")
        for file in record["inputs"] + record["outputs"]:
            file["namespace"] = "réco~x"
        put_job(client, record)
    lineage = of_file(client, "f3.root")

    whole = merged(tmp_path, lineage, *(of_job(client, number) for number in range(1, 4)))

    assert whole["activities"] == [f"urn:uuid:{job_id(number)}" for number in range(1, 4)]
    files = [uri for uri in whole["entities"] if uri.startswith("urn:jobprov:file:")]
    assert files == [f"urn:jobprov:file:nova/r%C3%A9co%7Ex/f{number}.root" for number in range(4)]


@pytest.mark.slow
def test_versions_of_a_lineage_meet_the_file_that_a_job_names(
    client: FlaskClient, tmp_path: Path
) -> None:
    put_job(client, record_of(1))
    again = [{"name": "f1.root", "size_bytes": 9, "checksums": ["adler32:00000009"]}]
    put_job(client, record_of(2, outputs=again, inputs=[]))
    lineage = of_file(client, "f1.root")

    whole = merged(tmp_path, lineage, of_job(client, 1), of_job(client, 2))

    statements = json.loads(lineage)["specializationOf"].values()
    general = {statement["prov:generalEntity"] for statement in statements}
    assert general == {"file:nova/f1.root"}
    assert len(whole["activities"]) == 2
    assert "urn:jobprov:file:nova/f1.root" in whole["entities"]
    assert "urn:jobprov:file:nova/f1.root/version/2" in whole["entities"]


@pytest.mark.slow
def test_files_that_a_catalog_named_have_one_uri(client: FlaskClient, tmp_path: Path) -> None:
    """A job wrote f1.root by its bare name, one read it so, and one by the name of the catalog."""
    records = [record_of(1), record_of(2), record_of(3, inputs=record_of(2)["inputs"])]
    records[1]["inputs"] = [{**records[1]["inputs"][0], "namespace": "dune"}]
    for record in records:
        put_job(client, record)
    metadata = {"prov.job_id": job_id(1), "prov.output": "f1.root"}
    seen = {"experiment": "nova", "namespace": "dune", "name": "f1.root", "metadata": metadata}
    assert client.post("/api/v1/files", json=seen).status_code == 201
    jobs = [of_job(client, number) for number in (1, 2, 3)]
    asked = [("f1.root", ""), ("f1.root", "dune"), ("f2.root", ""), ("f3.root", "")]
    lineages = [of_file(client, name, namespace=namespace) for name, namespace in asked]

    for documents in ([*jobs, *lineages], jobs, lineages):
        whole = merged(tmp_path, *documents)

        assert len(whole["activities"]) == 3
        files = [uri for uri in whole["entities"] if uri.startswith("urn:jobprov:file:")]
        names = ("dune/f1.root", "f0.root", "f2.root", "f3.root")
        assert files == [f"urn:jobprov:file:nova/{name}" for name in names]
