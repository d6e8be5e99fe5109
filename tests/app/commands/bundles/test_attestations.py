"""`jobprov attest` and the exports: a real bundle signed, checked, and tampered with."""

import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import open_service
from jobprov.provenance.errors import BadInputError, BundleError, NotFoundError
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.work.queue import Parts
from tests.library.productions.joining import GOOD, joining_repository, record_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a service, which holds the sample, and an attestation of its bundle.

    The folder also holds the bundle and a key pair.
    """
    place = tmp_path_factory.mktemp("attest")
    assert run("migrate", "--data", str(place / "var")).exit_code == 0
    service = open_service(load_settings({"JOBPROV_DATA": str(place / "var")}, {}))
    parts = Parts(service.database, service.writer, service.store, place / "git")
    record_sample(parts, service.store, joining_repository(place / "upstream"))
    bundle = build_bundle(service.database, service.writer, service.store, GOOD)
    (place / "good.tar").write_bytes(b"".join(bundle.stream()))
    service.close()
    for key in ("key", "other"):
        assert run("attest", "--new-key", str(place / key)).exit_code == 0
    assert run("attest", str(place / "good.tar"), "--key", str(place / "key")).exit_code == 0
    return place


def run(*words: str) -> Result:
    return CliRunner().invoke(jobprov, words, catch_exceptions=False)


def check(tar: Path, key: Path, *more: str) -> Result:
    return run("attest", str(tar), "--check", "--public-key", str(key), *more)


@pytest.mark.slow
def test_attestation_holds_and_names_bundle_and_outputs(folder: Path) -> None:
    held = check(folder / "good.tar", folder / "key.pub", "--json")
    statement = json.loads(held.stdout)["statement"]
    envelope = json.loads((folder / "good.tar.dsse.json").read_bytes())

    assert held.exit_code == 0
    assert [subject["name"] for subject in statement["subject"]] == [f"{GOOD}.tar", "joined.txt"]
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert (folder / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_changed_bundle_other_key_and_other_envelope_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    data = bytearray((folder / "good.tar").read_bytes())
    data[data.index(b"/scratch/sample")] ^= 1  # in the record
    (tmp_path / "changed.tar").write_bytes(data)
    envelope = str(folder / "good.tar.dsse.json")
    (tmp_path / "bad.json").write_text(
        Path(envelope).read_text().replace('"payload": "', '"payload": "AAAA')
    )

    with pytest.raises(BundleError, match="another bundle"):
        check(tmp_path / "changed.tar", folder / "key.pub", "--envelope", envelope)
    with pytest.raises(BundleError, match="not signed with"):
        check(folder / "good.tar", folder / "other.pub")
    with pytest.raises(BundleError):
        check(folder / "good.tar", folder / "key.pub", "--envelope", str(tmp_path / "bad.json"))
    with pytest.raises(NotFoundError):
        check(tmp_path / "changed.tar", folder / "key.pub")


def test_wrong_files_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_text("no tar")
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    endless = tarfile.TarInfo("x")
    endless.type = tarfile.GNUTYPE_LONGNAME
    (tmp_path / "endless.tar").write_bytes(endless.tobuf(tarfile.USTAR_FORMAT) * 3000)

    with pytest.raises(BadInputError, match="never overwritten"):
        run("attest", "--new-key", str(folder / "key"))
    with pytest.raises(BadInputError, match="--key"):
        run("attest", str(folder / "good.tar"))
    with pytest.raises(BadInputError, match="private key"):
        run("attest", str(folder / "good.tar"), "--key", str(folder / "key.pub"))
    with pytest.raises(BadInputError, match=r"absent\.pem cannot be read: No such file"):
        run("attest", str(folder / "good.tar"), "--key", str(tmp_path / "absent.pem"))
    with pytest.raises(BadInputError, match=r"absent\.pub cannot be read: No such file"):
        check(folder / "good.tar", tmp_path / "absent.pub")
    for name in ("no.tar", "empty.tar", "endless.tar"):
        with pytest.raises(BundleError, match=name):
            run("attest", str(tmp_path / name), "--key", str(folder / "key"))


@pytest.mark.slow
def test_job_is_exported_in_every_form(folder: Path) -> None:
    application = create_app({"JOBPROV_DATA": str(folder / "var")})
    client = application.test_client()
    answers = {
        form: client.get(f"/api/v1/jobs/{GOOD}/exports/{form}")
        for form in ("prov-json", "prov-n", "openlineage", "in-toto")
    }
    unknown = client.get(f"/api/v1/jobs/{GOOD}/exports/dublin-core")
    application.extensions["jobprov"].close()
    with tarfile.open(folder / "good.tar") as archive:
        member = archive.extractfile(f"{GOOD}/data/prov/statement.json")
        assert member is not None
        statement = member.read()

    assert {answer.status_code for answer in answers.values()} == {200}
    assert answers["in-toto"].data == statement
    assert "activity" in answers["prov-json"].get_json(force=True)
    assert answers["prov-n"].data.startswith(b"document")
    events = [json.loads(line) for line in answers["openlineage"].data.splitlines()]
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"]
    assert unknown.status_code == 404
