"""Questions in SQL: about the folder's tables, and about nothing else."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError
from jobprov.provenance.services.analysis.manifest import FORMAT, Manifest, encode
from jobprov.provenance.services.analysis.questions import ask_tables
from jobprov.provenance.services.analysis.schema import SCHEMA_VERSION
from tests.library.analysis import export
from tests.library.production import Production
from tests.library.records import record_of

MEMORY = 100_000_000


@pytest.fixture(scope="module")
def folder(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield tables of two jobs, in a folder whose name needs quotes."""
    place = tmp_path_factory.mktemp("tables")
    shutil.copy(sqlite_template, place / "jobprov.db")
    production = Production(open_database(f"sqlite:///{place / 'jobprov.db'}"))
    production.record(record_of(1), record_of(2, experiment="007"))
    export(production, place / "it's one")
    yield place / "it's one"
    production.close_all()


@pytest.mark.slow
def test_columns_and_rows_come_as_duckdb_names_them(folder: Path) -> None:
    answer = ask_tables(
        str(folder),
        "SELECT experiment, count(*) AS jobs FROM jobs JOIN edges USING (job_id, experiment)"
        " GROUP BY 1 ORDER BY 1;",
        memory_bytes=MEMORY,
    )

    assert answer.columns == ["experiment", "jobs"]
    # A name of digits is a name
    assert list(answer.rows) == [("007", 1), ("nova", 1)]


def test_days_are_those_of_utc_wherever_the_question_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Chicago")

    answer = ask_tables(
        str(folder),
        "SELECT max(ended_at), date_trunc('day', max(ended_at)), CAST(max(ended_at) AS date)"
        " FROM jobs",
        memory_bytes=MEMORY,
    )

    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    assert list(answer.rows) == [(midnight + timedelta(hours=1), midnight, midnight.date())]


def test_columns_of_one_name_are_told_apart(folder: Path) -> None:
    answer = ask_tables(
        str(folder),
        "SELECT a.job_id, b.job_id, 1 AS job_id_1, c.job_id FROM jobs a, jobs b, jobs c LIMIT 1",
        memory_bytes=MEMORY,
    )

    assert answer.columns == ["job_id", "job_id_1", "job_id_1_1", "job_id_2"]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT wall_second FROM jobs", "wall_seconds"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("", "one SELECT"),
        ("PIVOT jobs ON state USING count(*)", "PIVOT needs its values"),
        ("SELECT * FROM (PIVOT jobs ON state USING count(*))", "PIVOT needs its values"),
        ("CREATE TABLE x AS FROM jobs", "one SELECT"),
        ("COPY jobs TO 'x.csv'", "one SELECT"),
        ("INSTALL httpfs", "one SELECT"),
        ("SET enable_external_access = true", "one SELECT"),
        ("FROM read_csv('/etc/passwd')", "disabled by configuration"),
        ("FROM '/etc/passwd'", "passwd"),
        ("FROM read_text('/proc/self/environ')", "disabled by configuration"),
        ("SELECT CAST(job_id AS integer) FROM jobs", "Could not convert"),
    ],
)
def test_what_is_no_question_about_the_tables_is_refused(
    folder: Path, question: str, words: str
) -> None:
    with pytest.raises(BadInputError, match=words):
        list(ask_tables(str(folder), question, memory_bytes=MEMORY).rows)


def test_what_needs_more_memory_than_it_may_take_is_refused(folder: Path) -> None:
    with pytest.raises(BadInputError, match="memory"):
        list(
            ask_tables(
                str(folder),
                "SELECT list(range) FROM range(100000000)",
                memory_bytes=MEMORY,
            ).rows
        )


def test_folder_without_tables_and_one_that_is_being_published_are_told_apart(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "half")
    (tmp_path / "half" / "_publishing.json").write_text("{}")

    with pytest.raises(NotFoundError, match="has no tables: write them by"):
        ask_tables(str(tmp_path), "FROM jobs", memory_bytes=MEMORY)
    with pytest.raises(ConflictError, match="interrupted"):
        ask_tables(str(tmp_path / "half"), "FROM jobs", memory_bytes=MEMORY)


def test_tables_that_are_only_begun_are_not_taken_for_empty_ones(
    folder: Path, tmp_path: Path
) -> None:
    begun = Manifest(FORMAT, SCHEMA_VERSION, "an archive", is_only_begun=True)
    (tmp_path / "_jobprov.json").write_bytes(encode(begun))

    with pytest.raises(NotFoundError, match="has no tables yet"):
        ask_tables(str(tmp_path), "FROM jobs", memory_bytes=MEMORY)

    assert b"is_only_begun" not in (folder / "_jobprov.json").read_bytes()


def test_tables_of_nothing_are_empty(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "jobprov.db")
    production = Production(open_database(f"sqlite:///{tmp_path / 'jobprov.db'}"))
    export(production, tmp_path / "tables")
    production.close_all()

    for question in ("FROM jobs", "SELECT experiment, value FROM parameters"):
        answer = ask_tables(str(tmp_path / "tables"), question, memory_bytes=MEMORY)
        assert "experiment" in answer.columns
        assert list(answer.rows) == []
