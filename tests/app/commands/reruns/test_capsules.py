"""`jobprov capsule add`, `list` and `get`, as an operator types them."""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.tables.base import EPOCH
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.submissions import Submission

JOB = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def data(migrated_template: Path, tmp_path: Path) -> Path:
    """Return the folder of a service that holds one job of a release."""
    folder = tmp_path / "var"
    folder.mkdir()
    shutil.copy(migrated_template, folder / "jobprov.db")
    record = {
        "schema_version": 1, "job_id": JOB, "experiment": "nova", "state": "succeeded", "task": {"stage": "reco"},
        "started_at": "2026-01-01T00:00:00Z", "software": [{"name": "release", "product": {"version": "S24"}}],
    }  # fmt: skip
    service = open_service(load_settings({"JOBPROV_DATA": str(folder)}, {}))
    service.record(Submission(decode_record(json.dumps(record).encode()), EPOCH))
    service.close()
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(jobprov, words, catch_exceptions=False)


def test_capsule_is_registered_listed_and_written_out_again(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "release-S24" / "data" / "root"
    root.mkdir(parents=True)
    (root / "program").write_bytes(b"#!/bin/sh\n")

    empty = run("capsule", "list", "--data", str(data))
    added = run("capsule", "add", str(tmp_path / "release-S24"), "--job", JOB, "--data", str(data))
    listed = json.loads(run("capsule", "list", "--json", "--data", str(data)).output)
    got = run("capsule", "get", "release-S24", str(tmp_path / "again.tar"), "--data", str(data))

    assert empty.output == "No capsule is registered.\n"
    assert added.output.startswith("Capsule release-S24 is registered: ")
    [row] = listed
    assert (row["experiment"], row["kind"], row["stages"]) == ("nova", "files", ["reco"])
    assert row["sha256"] in got.output
    with tarfile.open(tmp_path / "again.tar") as tar:
        assert "data/root/program" in tar.getnames()


def test_job_that_is_not_recorded_is_not_found(data: Path, tmp_path: Path) -> None:
    image = tmp_path / "release.sif"
    image.write_bytes(b"image")

    with pytest.raises(NotFoundError, match=f"No job {JOB[:-1]}2 is recorded"):
        run("capsule", "add", str(image), "--job", f"{JOB[:-1]}2", "--data", str(data))


@pytest.mark.parametrize(("is_held", "code"), [(True, 0), (False, 1)])
def test_exit_code_is_1_while_anything_touched_is_missing(
    data: Path, tmp_path: Path, *, is_held: bool, code: int
) -> None:
    content = b"#!/bin/sh\n"
    digest = hashlib.sha256(content).hexdigest()
    listing = f"/opt/toy/run\tfile\t0755\t{len(content)}\t{digest}\n".encode()
    record = {
        "schema_version": 1, "job_id": f"{JOB[:-1]}2", "experiment": "nova", "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z", "environment": {"touched_sha256": hashlib.sha256(listing).hexdigest()},
    }  # fmt: skip
    service = open_service(load_settings({"JOBPROV_DATA": str(data)}, {}))
    service.store.put(listing)
    if is_held:
        service.store.put(content)
    service.record(Submission(decode_record(json.dumps(record).encode()), EPOCH))
    service.close()

    made = run(
        "capsule", "make", str(tmp_path / "c"), "--from-trace", f"{JOB[:-1]}2", "--data", str(data)
    )

    assert made.exit_code == code
    missing = "missing, since its bytes are neither held nor here: /opt/toy/run\n"
    assert (missing in made.output) is not is_held
