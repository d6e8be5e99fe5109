"""Where a spool cannot be written, the record goes to the next place, and says where it lies."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.running.background import Speaker
from jobprov.provenance.capture.sending import flushing, spool
from tests.library.hook import Runner
from tests.library.servers.hook_service import Service

DEAD = "http://127.0.0.1:9"


@pytest.fixture
def blocked(runner: Runner, tmp_path: Path) -> Path:
    """A spool that cannot be made, as on a file system that is gone.

    The runner's spool from now on.
    """
    (tmp_path / "gone").write_text("no folder")
    runner.environment["JOBPROV_SPOOL"] = str(tmp_path / "gone" / "spool")
    runner.environment["TMPDIR"] = str(tmp_path)
    return tmp_path / "gone"


def entries(place: Path) -> list[Path]:
    return sorted((place / "ready").glob("*.jobprov"))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["scratch", "home", "temporary"])
def test_record_lies_in_the_next_place_and_flush_sends_it_from_there(
    runner: Runner, service: Service, blocked: Path, tmp_path: Path, place: str
) -> None:
    places = {
        "scratch": tmp_path / "scratch" / "jobprov-spool",
        "home": runner.folder / ".jobprov" / "spool",
        "temporary": next(
            spool.usable(SimpleNamespace(spool=None), {"TMPDIR": str(tmp_path)}), None
        ),
    }
    (tmp_path / "scratch").mkdir()
    environment = {
        "_CONDOR_SCRATCH_DIR": str(tmp_path / "scratch") if place == "scratch" else None,
        "HOME": str(runner.folder) if place == "home" else None,
    }

    done = runner(
        "run",
        "--url",
        DEAD,
        "--budget-seconds",
        "1",
        "--",
        "sh",
        "-c",
        "exit 3",
        environment=environment,
    )
    found = Path(places[place])

    assert done.returncode == 3
    assert len(entries(found)) == 1
    assert f"kept in {found}, since {blocked}/spool cannot be written".encode() in done.stderr
    assert b"lost" not in done.stderr
    assert runner("flush", str(found), "--url", service.url).returncode == 0
    assert len(service.records) == 1
    assert entries(found) == []


@pytest.mark.slow
def test_flush_says_which_other_places_hold_records(
    runner: Runner, service: Service, blocked: Path
) -> None:
    runner("run", "--", "true")
    blocked.unlink()  # the file system is there again

    done = runner("flush", "--url", service.url)
    named = [line for line in done.stderr.decode().splitlines() if "1 more in" in line]

    assert service.records == {}
    assert named == [
        (
            f"jobprov: 1 more in {runner.folder}/.jobprov/spool: "
            f"send them by `flush {runner.folder}/.jobprov/spool`"
        )
    ]


@pytest.mark.slow
def test_flush_of_a_folder_that_cannot_be_written_sends_from_no_other(
    runner: Runner, service: Service, blocked: Path
) -> None:
    runner("run", "--", "true")

    done = runner("flush", str(blocked / "spool"), "--url", service.url)

    assert (done.returncode, service.records) == (3, {})
    assert f"there is no {blocked / 'spool'}".encode() in done.stderr


def test_log_is_not_said_to_be_sent_where_no_spool_can_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its records have nowhere to go, and stay in it."""
    log = tmp_path / "job.err"
    log.write_text("-----BEGIN JOBPROV RECORD x-----\n")
    monkeypatch.setattr(spool, "possible", lambda *_: [])
    options = Options([str(log)], {})

    code = flushing.flush(options, {}, Speaker(options))

    assert code == 3
    assert capsys.readouterr().err == "jobprov: no spool to send from\n"


def test_disk_that_is_full_hands_on_to_the_next_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written = spool.keep

    def full(place: str, *words: object) -> str:
        if place == str(tmp_path / "full"):
            raise OSError(28, "No space left on device")
        return written(place, *words)

    monkeypatch.setattr(spool, "keep", full)
    options = SimpleNamespace(spool=str(tmp_path / "full"), url=None)
    draft = Draft({"job_id": "0f8b0000-0000-4000-8000-000000000001"})

    path = flushing.keep(spool.find(options, {}), draft, options, {"TMPDIR": str(tmp_path)})

    assert spool.of_entry(path).startswith(str(tmp_path / "jobprov-spool-"))
    assert draft.notes == [f"the spool {tmp_path}/full cannot be written: No space left on device"]


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", [False, True])
def test_steps_of_a_job_script_find_the_record_wherever_start_could_open_it(
    runner: Runner, service: Service, blocked: Path, *, comes_back: bool
) -> None:
    script = f"""
hook() {{ {runner.python} {runner.hook} "$@"; }}
hook start
{"rm " + str(blocked) if comes_back else ":"}
hook step --name only -- sh -c 'echo said'
hook end --url {service.url}
"""
    done = subprocess.run(
        ["sh", "-c", script],
        env=runner.environment,
        cwd=runner.folder,
        check=False,
        capture_output=True,
    )

    record = service.only_record()
    assert done.stdout == b"said\n", done.stderr
    assert [step["name"] for step in record["command"]["steps"]] == ["only"]
