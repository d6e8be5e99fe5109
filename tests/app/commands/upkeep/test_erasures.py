"""`jobprov erase`, as an operator types it."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.tables.base import EPOCH
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.erasures import traces
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.recording.submissions import Submission

JOB, OTHER = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
WORDS = ("--who", "Eve", "--why", "a password slipped through")
FIELD = ("--field", "environment.variables.DOOR")


def record_of(job_id: str, log: str) -> dict[str, object]:
    return {
        "schema_version": 1, "job_id": job_id, "experiment": "nova", "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z", "logs": [{"name": "out", "sha256": log}],
        "environment": {"variables": {"DOOR": "hunter2-of-Ada"}}, "host": {"hostname": "wn-hunter2-of-Ada"},
    }  # fmt: skip


@pytest.fixture
def log(migrated_template: Path, tmp_path: Path) -> str:
    """Return the digest of the log of two jobs, in a service below the folder."""
    shutil.copy(migrated_template, tmp_path / "jobprov.db")
    service = open_service(load_settings({"JOBPROV_DATA": str(tmp_path)}, {}))
    sha256 = str(service.store.put(b"a log").sha256)
    for job_id in (JOB, OTHER):
        service.record(
            Submission(decode_record(json.dumps(record_of(job_id, sha256)).encode()), EPOCH)
        )
    service.write(lambda writing: settle_blob(writing, "nova", sha256))
    service.close()
    return sha256


def run(data: Path, *words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(
        jobprov, [*words, "--data", str(data)], input=answer, catch_exceptions=False
    )


@pytest.mark.usefixtures("log")
@pytest.mark.slow
def test_record_is_erased_after_a_question_that_says_what_goes(tmp_path: Path) -> None:
    no = run(
        tmp_path, "erase", "record", JOB, *FIELD, "--field", "host.hostname", *WORDS, answer="n\n"
    )
    yes = run(
        tmp_path, "erase", "record", JOB, *FIELD, "--field", "host.hostname", *WORDS, answer="y\n"
    )

    assert (no.exit_code, no.output.endswith("Nothing was erased.\n")) == (1, True)
    assert (
        f"Of job {JOB} of nova, witness wrapper, this will be erased:\n    the record as sent\n"
        "A corrected record replaces it, as a revision.\n"
        "It does not have these values, which are gone then:\n"
        "    environment.variables.DOOR\n    host.hostname\n" in no.output
    )
    assert "hunter2" not in no.output
    assert (
        f"THE SAME TEXT is in records of 1 other job: erase these as well.\n    {OTHER}\n"
        in no.output
    )
    assert yes.exit_code == 0
    assert (
        "Erased. 0 segments written anew, 0 blobs removed. Restart every serving process"
        in yes.output
    )
    assert "The database still has it in hosts.hostname (1)" in yes.output
    assert run(tmp_path, "archive", "check").exit_code == 0


@pytest.mark.usefixtures("log")
def test_nothing_is_erased_where_nobody_answers_and_the_way_out_is_told(tmp_path: Path) -> None:
    """From cron, or with Ctrl-C."""
    both = (*FIELD, "--field", "host.hostname")

    ended = run(tmp_path, "erase", "record", JOB, *both, *WORDS, answer="")

    assert ended.exit_code != 0
    assert "Nothing was erased; --yes skips the question.\n" in ended.output


@pytest.mark.usefixtures("log")
def test_what_was_not_looked_for_in_shared_rows_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "_MOST_TEXTS", 0)

    done = run(
        tmp_path, "erase", "record", JOB, *FIELD, "--field", "host.hostname", *WORDS, "--yes"
    )

    assert "too many texts to look for in rows that many jobs share" in done.output


@pytest.mark.usefixtures("log")
@pytest.mark.slow
def test_sealed_record_is_replaced_by_a_file_and_told_as_json(tmp_path: Path) -> None:
    run(tmp_path, "archive", "seal")
    corrected = tmp_path / "corrected.json"
    document = {
        **record_of(JOB, "0" * 64),
        "environment": {"variables": {}},
        "host": {"hostname": "wn"},
    }
    corrected.write_text(json.dumps(document))

    done = run(
        tmp_path, "erase", "record", JOB, "--replacement", str(corrected), *WORDS, "--yes", "--json"
    )

    told = json.loads(done.stdout)
    assert (done.exit_code, told["segments"], told["is_clear"]) == (0, 1, True)
    assert (told["entries"], told["also_in_jobs"]) == ([{"kind": "record", "revision": 0}], [OTHER])
    assert told["fields"] == ["logs[0].sha256", "environment.variables.DOOR", "host.hostname"]
    assert run(tmp_path, "archive", "check").exit_code == 0


@pytest.mark.slow
def test_blob_is_erased_and_its_jobs_are_named(tmp_path: Path, log: str) -> None:
    done = run(tmp_path, "erase", "blob", log, "--experiment", "nova", *WORDS, answer="y\n")
    again = run(tmp_path, "erase", "finish")

    assert done.exit_code == again.exit_code == 0
    assert (
        f"Blob {log} of nova goes (5 B). It is named by 2 jobs.\n    {JOB}\n    {OTHER}\n"
        in done.output
    )
    assert "1 blob removed" in done.output
    assert again.output.startswith("nova: Erased. 0 segments written anew, 0 blobs removed.")


@pytest.mark.slow
def test_database_older_than_its_archive_catches_up_first(tmp_path: Path, log: str) -> None:
    copy = tmp_path / "older.db"
    with closing(sqlite3.connect(tmp_path / "jobprov.db")) as database:
        database.execute("VACUUM INTO ?", (str(copy),))
    later = "00000000-0000-0000-0000-000000000003"
    service = open_service(load_settings({"JOBPROV_DATA": str(tmp_path)}, {}))
    service.record(Submission(decode_record(json.dumps(record_of(later, log)).encode()), EPOCH))
    service.close()
    run(tmp_path, "archive", "seal")
    for file in tmp_path.glob("jobprov.db*"):
        file.unlink()
    copy.rename(tmp_path / "jobprov.db")

    done = run(
        tmp_path, "erase", "record", later, *FIELD, "--field", "host.hostname", *WORDS, "--yes"
    )

    assert done.exit_code == 0
    assert run(tmp_path, "archive", "check").exit_code == 0


def test_finish_has_nothing_to_do_where_nothing_was_erased(tmp_path: Path, log: str) -> None:
    done = run(tmp_path, "erase", "finish")

    assert log
    assert (done.exit_code, done.output) == (0, "Nothing was ever erased.\n")


@pytest.mark.usefixtures("log")
def test_words_are_needed_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert run(tmp_path, "erase", "record", JOB, *FIELD).exit_code == 2
    with pytest.raises(NotFoundError, match="never sent it"):
        run(tmp_path, "erase", "blob", "0" * 64, "--experiment", "nova", *WORDS, "--yes")
