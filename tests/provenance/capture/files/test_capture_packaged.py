"""Which package owns a file: by the lists of dpkg, rpm, wheels and conda as they are written."""

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest

from jobprov.provenance.capture.checkouts.repositories import Repositories
from jobprov.provenance.capture.command.code import keep_scripts
from jobprov.provenance.capture.command.glance import Script
from jobprov.provenance.capture.files import packaged
from jobprov.provenance.capture.record.draft import Draft

SAMPLE = b"passwd = 'cadaver123'\n"


@pytest.fixture
def dpkg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(packaged, "_RPM", ())
    monkeypatch.setattr(packaged, "_DPKG", str(tmp_path / "dpkg"))
    (tmp_path / "dpkg/info").mkdir(parents=True)
    (tmp_path / "dpkg/status").write_text("Package: toy\n")
    return tmp_path / "dpkg"


def write(path: Path, content: bytes = SAMPLE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_script_that_a_package_brought_is_kept_as_it_is(dpkg: Path, tmp_path: Path) -> None:
    """GNU parallel names `user:password@host` in a comment, and its number as a seed in a line."""
    content = b"#!/bin/sh\n# url: https://user:cadaver123@host/\necho $RANDOM > seed.txt\n"
    ours, theirs = (write(tmp_path / name, content) for name in ("own.sh", "usr/bin/toy"))
    (dpkg / "info/toy.list").write_text(f"/.\n{theirs}\n")
    draft = Draft()

    scripts = [Script(str(path), "0755", content) for path in (ours, theirs)]
    keep_scripts(draft, scripts, Repositories(draft))

    digest = hashlib.sha256(content).hexdigest()
    assert [entry["sha256"] == digest for entry in draft.record["scripts"]] == [False, True]
    assert {weak["name"] for weak in draft.record["weaknesses"]} == {f"script {ours}"}
    assert draft.record["extra"]["packaged"] == {digest: "dpkg toy"}


def test_file_of_dpkg_counts_while_its_digest_is_the_package_s(dpkg: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "usr/share/toy.pl")
    (dpkg / "info/toy:amd64.list").write_text(f"/.\n{file}\n")
    digest = hashlib.md5(SAMPLE).hexdigest()  # noqa: S324 - dpkg's
    (dpkg / "info/toy:amd64.md5sums").write_text(f"{digest}  {str(file)[1:]}\n")

    assert packaged.owner_of(str(file)) == "dpkg toy:amd64"
    file.write_bytes(SAMPLE + b"password = 'mine0815'\n")
    assert packaged.owner_of(str(file)) is None


def test_configuration_of_dpkg_is_compared_with_its_conffile(dpkg: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "etc/toy.conf")
    (dpkg / "info/toy.list").write_text(f"/.\n{file}\n")
    digest = hashlib.md5(SAMPLE).hexdigest()  # noqa: S324 - dpkg's
    (dpkg / "status").write_text(f"Package: toy\nConffiles:\n {file} {digest}\nVersion: 1\n")

    assert packaged.owner_of(str(file)) == "dpkg toy"
    file.write_bytes(b"password = 'mine0815'\n")
    assert packaged.owner_of(str(file)) is None


@pytest.mark.usefixtures("dpkg")
def test_file_of_a_wheel_counts_while_it_is_as_its_record_says(tmp_path: Path) -> None:
    site = tmp_path / "venv/lib/python3.11/site-packages"
    file = write(site / "toy/api.py")
    digest = base64.urlsafe_b64encode(hashlib.sha256(SAMPLE).digest()).rstrip(b"=").decode()
    write(site / "toy-1.0.dist-info/RECORD", f"toy/api.py,sha256={digest},22\n".encode())

    assert packaged.owner_of(str(file)) == "wheel toy-1.0"
    file.write_bytes(b"password = 'mine0815'\n")
    assert packaged.owner_of(str(file)) is None


@pytest.mark.usefixtures("dpkg")
def test_file_of_conda_counts_while_it_is_as_installed(tmp_path: Path) -> None:
    file = write(tmp_path / "miniforge/lib/perl5/Tiny.pm")
    entry = {"_path": "lib/perl5/Tiny.pm", "sha256_in_prefix": hashlib.sha256(SAMPLE).hexdigest()}
    listing = json.dumps({"paths_data": {"paths": [entry]}}).encode()
    write(tmp_path / "miniforge/conda-meta/perl-5.32-0.json", listing)

    assert packaged.owner_of(str(file)) == "conda perl-5.32-0"
    file.write_bytes(b"password = 'mine0815'\n")
    assert packaged.owner_of(str(file)) is None


@pytest.mark.usefixtures("dpkg")
def test_standard_library_of_a_python_built_by_hand_counts_as_installed_with_it(
    tmp_path: Path,
) -> None:
    library = tmp_path / ".pyenv/versions/3.11.7/lib/python3.11"
    write(library / "os.py")
    file = write(library / "urllib/request.py")
    later = write(library / "mine.py")
    os.utime(later, (4e9, 4e9))

    assert packaged.owner_of(str(file)) == "python3.11"
    assert packaged.owner_of(str(later)) is None
    assert packaged.owner_of(str(write(library / "site-packages/mine.py"))) is None


@pytest.mark.usefixtures("dpkg")
def test_file_of_rpm_counts_while_its_digest_is_the_package_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "opt/toy.py")
    digest = hashlib.sha256(SAMPLE).hexdigest()
    # a line as rpm 4.20 writes it for --dump
    line = f"{file} {len(SAMPLE)} 1795902384 {digest} 0100644 root root 0 0 0 X"
    rpm = write(tmp_path / "bin/rpm", f"#!/bin/sh\necho '{line}'\n".encode())
    rpm.chmod(0o755)
    monkeypatch.setattr(packaged, "_RPM", (str(tmp_path),))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")

    assert packaged.owner_of(str(file)) == "rpm"
    file.write_bytes(SAMPLE.replace(b"cadaver", b"madaver"))
    assert packaged.owner_of(str(file)) is None
