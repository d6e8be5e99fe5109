"""Capsules from recorded traces: what a listing may bring about, and whose bytes it may name."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.app.wiring import Service
from jobprov.archive.opening import open_store
from jobprov.archive.store import Store
from jobprov.provenance.db.tables.base import EPOCH
from jobprov.provenance.errors import BadInputError, BundleError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.reruns.capsule_making import CapsuleReport
from jobprov.provenance.services.reruns.isolation import Isolation
from jobprov.provenance.services.reruns.traced_capsules import (
    TouchedPath,
    Trace,
    make_traced_capsule,
    read_trace,
)
from tests.library.servers.served_app import opened_service

JOB = "00000000-0000-0000-0000-000000000001"
CONTENT = b"#!/bin/sh\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def lay_out(folder: Path, *entries: list[str], store: Store | None = None) -> CapsuleReport:
    """Make a capsule of a listing; the archive holds CONTENT."""
    store = store or open_store("memory:")
    store.put(CONTENT)  # type: ignore[attr-defined]
    paths = [path for path in map(TouchedPath.read, entries) if path is not None]
    trace = Trace(paths, frozenset({DIGEST}))
    return make_traced_capsule(folder, [trace], store, [], Isolation())


def file(path: str, digest: str = DIGEST, mode: str = "0755") -> list[str]:
    return [path, "file", mode, str(len(CONTENT)), digest]


def test_files_folders_and_links_are_laid_out_as_they_were(tmp_path: Path) -> None:
    report = lay_out(
        tmp_path / "capsule",
        ["/bin", "link", "/usr/bin"], ["/usr/bin", "dir"], file("/usr/bin/run"), file("/etc/x", mode="0644"),
        file("/etc/secret", "-"), file("/etc/lost", "0" * 64), ["/etc/alias", "link", "secret"],
    )  # fmt: skip

    root = tmp_path / "capsule/data/root"
    assert (root / "bin").readlink() == Path("usr/bin")
    assert os.access(root / "bin/run", os.X_OK)
    assert (root / "etc/x").stat().st_mode & 0o777 == 0o644
    assert (report.files, report.added, report.left_out, report.missing) == (
        2,
        2,
        ("/etc/secret",),
        ("/etc/lost",),
    )
    assert not (root / "etc/alias").is_symlink()  # what it led to was left out


def test_capsule_grows_by_a_second_trace(tmp_path: Path) -> None:
    lay_out(tmp_path / "capsule", file("/usr/bin/a"))

    second = lay_out(tmp_path / "capsule", file("/usr/bin/a"), file("/usr/bin/b"))

    assert (second.files, second.added) == (2, 1)


def test_what_the_archive_lacks_is_taken_from_this_machine_by_its_digest(tmp_path: Path) -> None:
    here, other = tmp_path / "release/here", tmp_path / "release/other"
    here.parent.mkdir()
    here.write_bytes(b"as recorded")
    here.chmod(0o755)
    other.write_bytes(b"of a later release")
    digest = hashlib.sha256(b"as recorded").hexdigest()

    report = lay_out(
        tmp_path / "capsule", file(str(here), digest), file(str(other), "0" * 64), ["/x", "dir"]
    )

    root = tmp_path / "capsule/data/root"
    assert (root / str(here)[1:]).read_bytes() == b"as recorded"
    assert report.missing == (str(other),)
    assert not report.is_whole


def test_what_is_missing_is_remembered_until_it_comes(tmp_path: Path) -> None:
    first = lay_out(
        tmp_path / "capsule", file("/opt/ä\nb", "0" * 64), file("/etc/secret", "-"), file("/bin/a")
    )
    second = lay_out(tmp_path / "capsule", file("/bin/b"))
    third = lay_out(tmp_path / "capsule", file("/opt/ä\nb"), file("/etc/secret"))

    assert first.missing == second.missing == ("/opt/ä\nb",)
    assert first.left_out == second.left_out == ("/etc/secret",)
    assert (tmp_path / "capsule/data/missing.tsv").read_text() == ""
    assert (third.is_whole, second.is_whole) == (True, False)


@pytest.mark.parametrize(
    "path", ["/../out", "relative", "/a/../../out", "/", "//jobprov-x", "/a//b", "/a\0b"]
)
def test_names_that_lead_elsewhere_are_passed_over(tmp_path: Path, path: str) -> None:
    report = lay_out(tmp_path / "capsule", file(path))

    assert report.added == 0
    assert not (tmp_path / "out").exists()
    assert not Path("/jobprov-x").exists()


def test_nothing_is_written_or_read_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/there").write_text("secret")
    aim = "../" * 20 + str(tmp_path / "outside")[1:]
    lay_out(
        tmp_path / "capsule",
        ["/usr", "dir"],
        ["/out", "link", aim],
        ["/usr/there", "link", f"../{aim}/there"],
    )

    report = lay_out(tmp_path / "capsule", file("/out/new"))
    (tmp_path / "capsule/data/root/kept").symlink_to(tmp_path / "outside")
    again = lay_out(tmp_path / "capsule", file("/kept/new"))

    assert (report.files, again.added) == (1, 0)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["there"]
    assert "there" not in (tmp_path / "capsule/manifest-sha256.txt").read_text()


def test_damaged_blob_is_said(tmp_path: Path) -> None:
    class Damaged:
        def put(self, _data: bytes) -> None:
            pass

        def open(self, _sha256: str) -> Any:
            return (tmp_path / "other").open("rb")

    (tmp_path / "other").write_bytes(b"other")

    with pytest.raises(BundleError, match="is damaged"):
        lay_out(tmp_path / "capsule", file("/a"), store=Damaged())  # type: ignore[arg-type]


@pytest.fixture
def service(sqlite_template: Path, tmp_path: Path) -> Iterator[Service]:
    with opened_service(sqlite_template, tmp_path / "var") as opened:
        yield opened


def traced(
    service: Service, listing: bytes | None, owner: str | None = None, **fields: Any
) -> Trace:
    """Record a job of nova with this listing, CONTENT sent by `owner`; return its trace."""
    environment = (
        {"touched_sha256": hashlib.sha256(listing).hexdigest()} if listing is not None else {}
    )
    record = {
        "schema_version": 1, "job_id": JOB, "experiment": "nova", "state": "succeeded", "environment": environment,
        "started_at": "2026-01-01T00:00:00Z", **fields,
    }  # fmt: skip
    for blob in [CONTENT] + ([listing] if listing else []):
        service.store.put(blob)
    if owner:
        service.write(lambda writing: settle_blob(writing, owner, DIGEST))
    service.record(Submission(decode_record(json.dumps(record).encode()), EPOCH))
    with service.reading() as connection:
        return read_trace(connection, service.store, JOB)


LISTING = f"/usr/bin\tdir\n/usr/bin/r\tfile\t0755\t10\t{DIGEST}\nrubbish\n/x\tfile\n".encode()


@pytest.mark.parametrize(("owner", "is_held"), [(None, True), ("nova", True), ("dune", False)])
def test_bytes_that_another_experiment_alone_sent_are_not_taken(
    service: Service, owner: str | None, *, is_held: bool
) -> None:
    trace = traced(service, LISTING, owner)

    assert trace.paths == [
        TouchedPath("/usr/bin", "dir"),
        TouchedPath("/usr/bin/r", "file", mode="0755", sha256=DIGEST),
    ]
    assert (DIGEST in trace.available) is is_held


def test_private_file_that_came_as_an_input_is_not_missing(service: Service) -> None:
    listing = b"/home/x/.secret\tfile\t0644\t1\t-\n/home/x/.toyrc\tfile\t0644\t10\t-\n"
    toyrc = {"name": ".toyrc", "path": "/home/x/.toyrc", "sha256": DIGEST, "size_bytes": 10}

    trace = traced(service, listing, inputs=[toyrc])

    assert [path.path for path in trace.paths] == ["/home/x/.secret"]


def test_job_that_was_not_traced_is_told_what_to_do(service: Service) -> None:
    with pytest.raises(BadInputError, match="record one of its release by `run --trace`"):
        traced(service, None)
