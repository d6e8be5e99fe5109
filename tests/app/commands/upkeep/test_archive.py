"""`jobprov archive`, `backup` and `rebuild-database`, as an operator types them."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from jobprov.app.cli import exit_code, jobprov
from jobprov.app.commands.terminal import progress
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.tables.base import EPOCH
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.recording.submissions import Submission
from tests.library.commands import run_alone

JOB = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def data(migrated_template: Path, tmp_path: Path) -> Path:
    """Return the folder of a service that holds one job and its log."""
    folder = tmp_path / "var"
    folder.mkdir()
    shutil.copy(migrated_template, folder / "jobprov.db")
    service = open_service(load_settings({"JOBPROV_DATA": str(folder)}, {}))
    log = service.store.put(b"a log").sha256
    record = {
        "schema_version": 1, "job_id": JOB, "experiment": "nova", "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z", "logs": [{"name": "out", "sha256": log}],
    }  # fmt: skip
    service.record(Submission(decode_record(json.dumps(record).encode()), EPOCH))
    with service.database.writing.begin() as connection:
        insert = (
            "INSERT INTO possessions (experiment_id, sha256, is_entered) SELECT id, :digest, false "
            "FROM experiments"
        )
        connection.execute(text(insert), {"digest": bytes.fromhex(log)})
    service.close()
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(jobprov, words, catch_exceptions=False)


def test_empty_archive_is_refused_until_an_operator_adopts_it(data: Path) -> None:
    assert run("archive", "seal", "--data", str(data)).exit_code == 0
    shutil.rmtree(data / "archive")
    place = ("--data", str(data))

    with pytest.raises(ConflictError, match="archive is empty"):
        run("archive", "stats", *place)
    asked = run("archive", "adopt", *place)
    done = run("archive", "adopt", "--yes", *place)

    assert asked.exit_code == 1
    assert "--yes" in asked.output
    assert "is the database's own now" in done.output
    assert run("archive", "stats", *place).exit_code == 0
    assert run("archive", "check", *place).exit_code == 1


def test_seal_then_check_says_that_all_is_sound(data: Path) -> None:
    sealed = run("archive", "seal", "--data", str(data))

    checked = run("archive", "check", "--data", str(data))

    assert sealed.output.startswith("2 entries sealed in 1 segment (")
    assert sealed.output.endswith(" B); 1 blob packed.\n")
    assert checked.exit_code == 0
    assert checked.output.splitlines()[0] == (
        "Read: 1 blob, and 1 segment of the ledger with 2 entries."
    )
    assert checked.output.endswith(f"The archive file:{data / 'archive'} is sound.\n")


def test_check_names_the_jobs_of_a_lost_blob_and_ends_with_1(data: Path) -> None:
    [blob] = (data / "archive").rglob("*.zst")
    blob.unlink()

    checked = run("archive", "check", "--data", str(data))
    as_json = run("archive", "check", "--data", str(data), "--json")

    assert checked.exit_code == as_json.exit_code == 1
    assert f"touches job {JOB} of nova" in checked.output
    [trouble] = json.loads(as_json.output)["troubles"]
    assert trouble["jobs"] == [{"experiment": "nova", "job_id": JOB}]


@pytest.mark.slow
def test_check_of_a_copy_reads_the_copy_and_repair_mends_from_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    assert run("backup", str(copy), "--data", str(data)).exit_code == 0
    [blob] = (data / "archive").rglob("*.zst")
    blob.unlink()
    monkeypatch.setenv("JOBPROV_ARCHIVE_URL", f"file:{data / 'archive'}")
    monkeypatch.setenv("JOBPROV_DATABASE_URL", f"sqlite:///{data / 'jobprov.db'}")

    of_copy = run("archive", "check", "--data", str(copy))
    of_live = run("archive", "check")
    mended = run("archive", "repair", "--from", str(copy))

    assert (of_copy.exit_code, of_live.exit_code, mended.exit_code) == (0, 1, 0)
    assert f"The archive file:{copy / 'archive'} is" in of_copy.output
    assert "1 blob and 0 documents put back" in mended.output
    assert run("archive", "check").exit_code == 0


@pytest.mark.parametrize("left", [[], ["jobprov.db"]])
def test_check_of_a_folder_without_an_archive_does_not_read_another_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: list[str]
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in left:
        shutil.copy(data / name, folder / name)
    monkeypatch.setenv("JOBPROV_ARCHIVE_URL", f"file:{data / 'archive'}")
    monkeypatch.setenv("JOBPROV_DATABASE_URL", f"sqlite:///{data / 'jobprov.db'}")

    with pytest.raises(BadInputError, match=f"{folder} holds no archive, so nothing") as problem:
        run("archive", "check", "--data", str(folder))

    assert exit_code(problem.value) == 2


def test_check_and_stats_count_the_same_blobs(data: Path) -> None:
    """Some are stored before a record names them."""
    service = open_service(load_settings({"JOBPROV_DATA": str(data)}, {}))
    service.store.put(b"nobody named this yet")
    service.close()
    place = ("--data", str(data))

    checked = run("archive", "check", *place)
    stats = json.loads(run("archive", "stats", "--json", *place).output)

    assert stats["blobs"] == 2
    assert checked.output.startswith(
        "Read: 2 blobs, and 0 segments of the ledger with 0 entries.\n"
        "Looked for: 1 blob that records need.\n"
    )
    assert json.loads(run("archive", "check", "--json", *place).output)["blobs"] == 2


def test_stats_count_blobs(data: Path) -> None:
    assert json.loads(run("archive", "stats", "--data", str(data), "--json").output)["blobs"] == 1
    loose = run("archive", "stats", "--data", str(data)).output.splitlines()
    run("archive", "seal", "--data", str(data))
    packed = run("archive", "stats", "--data", str(data)).output.splitlines()

    assert loose[0].startswith("The archive holds 1 blob of 5 B, ")
    assert loose[1] == "Not packed yet: 1; `jobprov archive seal` does it."
    assert packed[1] == "All are packed, in 1 pack."


def test_backup_copies_database_and_archive(data: Path, tmp_path: Path) -> None:
    done = run("backup", str(tmp_path / "copy"), "--data", str(data))

    assert done.exit_code == 0
    assert (tmp_path / "copy" / "jobprov.db").is_file()
    assert "1 blob (5 B) and 1 document copied" in done.output


def test_backup_to_a_disk_that_is_not_mounted_is_noticed(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "disk" / "jobprov"
    with pytest.raises(NotFoundError, match=f"no folder {copy.parent} .*: is its disk mounted"):
        run("backup", str(copy), "--data", str(data))

    assert not copy.parent.exists()
    assert not (data / "last-backup").exists()

    copy.parent.mkdir()
    first, second = (run("backup", str(copy), "--data", str(data)) for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    assert (
        f"{copy} was missing and is made now. Unless this is the first backup, mount its disk."
        in first.stderr
    )
    assert "is made" not in second.stderr


def test_backup_into_a_folder_of_other_things_is_refused(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    (folder / "archive" / "letters").mkdir(parents=True)
    (folder / "thesis.tex").write_text("by somebody")

    with pytest.raises(BadInputError, match="holds other things") as problem:
        run("backup", str(folder), "--data", str(data))

    assert f"name an empty folder or a new one, such as {folder / 'jobprov'}" in str(problem.value)
    assert exit_code(problem.value) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["archive", "thesis.tex"]
    assert not (data / "last-backup").exists()


@pytest.mark.parametrize("left", ["lost+found", "jobprov.dump", "jobprov.db.new", "archive"])
def test_backup_takes_an_empty_disk_a_dump_and_what_a_killed_one_left(
    data: Path, tmp_path: Path, left: str
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    if left == "archive":
        open_store(f"file:{folder / left}")
        (folder / "README").write_text("what an operator noted beside it")
    elif left == "lost+found":
        (folder / left).mkdir()
    else:
        (folder / left).write_text("")

    assert run("backup", str(folder), "--data", str(data)).exit_code == 0
    assert (folder / "jobprov.db").is_file()


def test_backup_folder_that_cannot_be_made_is_not_said_to_be_made(data: Path) -> None:
    result = run_alone("backup", "/proc/copy", "--data", str(data))

    assert result.returncode == 3
    assert result.stderr.splitlines() == [
        "jobprov: /proc/copy cannot be made: No such file or directory."
    ]


def test_backup_without_a_database_tells_of_no_folder(tmp_path: Path) -> None:
    copy = tmp_path / "copy"

    result = run_alone("backup", str(copy), "--data", str(tmp_path / "elsewhere"))

    assert result.returncode == 3
    assert result.stderr.startswith("jobprov: There is no database")
    assert not copy.exists()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgresql://jobprov:hushhush@db.example.org:port/jobprov",
        "mysql://db.example.org/jobprov",
    ],
)
def test_address_that_is_no_database_s_is_wrong_usage_and_keeps_its_password(
    data: Path, url: str
) -> None:
    with pytest.raises(BadInputError, match="sqlite:///FILE or postgresql") as problem:
        run("rebuild-database", "--into", url, "--data", str(data))

    assert exit_code(problem.value) == 2
    assert "hushhush" not in str(problem.value)


@pytest.mark.slow
def test_rebuild_fills_an_empty_database_and_says_what_is_not_there(
    data: Path, tmp_path: Path
) -> None:
    run("archive", "seal", "--data", str(data))
    into = f"sqlite:///{tmp_path / 'new.db'}"

    rebuilt = run("rebuild-database", "--into", into, "--data", str(data))

    database = open_database(into)
    with database.reading.connect() as connection:
        jobs = connection.execute(text("SELECT count(*) FROM jobs")).scalar_one()
    database.dispose()
    assert rebuilt.exit_code == 0
    assert jobs == 1
    assert "1 job from 2 entries in 1 segment of 1 experiment." in rebuilt.output
    assert "write_tokens" in rebuilt.output


@pytest.mark.slow
def test_logs_expire_as_the_options_say_and_growth_is_told(data: Path) -> None:
    service = open_service(load_settings({"JOBPROV_DATA": str(data)}, {}))
    log = service.store.put(b"line\n" * 1000).sha256
    service.write(lambda writing: settle_blob(writing, "nova", log))
    record = {
        "schema_version": 1, "job_id": JOB.replace("1", "2"), "experiment": "nova", "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z", "logs": [{"name": "out", "sha256": log}],
    }  # fmt: skip
    service.record(
        Submission(
            decode_record(json.dumps(record).encode()), datetime.now(UTC) - timedelta(days=10)
        )
    )
    service.close()
    words = ("archive", "expire", "--experiment", "nova", "--data", str(data), "--keep", "1")

    young = run(*words, "--days", "11")
    trial = run(*words, "--days", "9", "--dry-run")
    done = run(*words, "--days", "9", "--json")
    stats = json.loads(run("archive", "stats", "--data", str(data), "--json").output)

    assert "0 logs of 1 job expired" in young.output
    assert "1 log of 1 job would expire: 3" in trial.output
    assert json.loads(done.output)["logs"] == 1
    assert stats["growth"]["recent_jobs"] == 1
    assert stats["growth"]["days_left"] > 0
    assert run("archive", "stats", "--data", str(data)).output.endswith(
        "its disk is full in more than ten years.\n"
    )


@pytest.mark.slow
def test_long_work_tells_programs_how_far_it_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.JsonLines, "first_seconds", 0)
    monkeypatch.setattr(progress.JsonLines, "seconds", 0)
    into = f"sqlite:///{tmp_path}/again.db"
    told = {}

    for words in (
        ("archive", "seal"),
        ("archive", "check"),
        ("backup", str(tmp_path / "copy")),
        ("rebuild-database", "--into", into),
        ("migrate",),
    ):
        ended = run(*words, "--data", str(data), "--json")
        assert ended.exit_code == 0
        json.loads(ended.stdout)  # the answer is whole
        rows = [json.loads(line) for line in ended.stderr.splitlines()]
        told[words[-1] if words[0] == "archive" else words[0]] = rows

    ends = {
        name: {(row["progress"], row["done"], row["total"]) for row in rows}
        for name, rows in told.items()
    }
    assert ("entries of nova sealed", 2, None) in ends["seal"]
    assert ("blobs read", 1, 1) in ends["check"]
    assert ("segments of nova read", 1, None) in ends["check"]
    assert ("blobs compared with the copy", 1, 1) in ends["backup"]
    assert ("segments replayed", 1, 1) in ends["rebuild-database"]
    assert ("bringing the schema up to date", 0, None) in ends["migrate"]


def test_rebuilt_database_tells_what_is_left_to_do_and_nothing_else(
    data: Path, tmp_path: Path
) -> None:
    place = ("--data", str(data))
    assert run("archive", "seal", *place).exit_code == 0

    rebuilt = run("rebuild-database", "--into", f"sqlite:///{tmp_path / 'new.db'}", *place)

    assert rebuilt.exit_code == 0
    assert rebuilt.output.startswith("1 job from ")
    assert "write_tokens: make new ones with `jobprov token create`" in rebuilt.output
    assert "kept_answers" not in rebuilt.output, "it comes back by itself"
