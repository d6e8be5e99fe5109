"""Tables for analysis hold what is recorded, change with it, and are never half there."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.queries.analysis import rows as queries
from jobprov.provenance.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)
from jobprov.provenance.services.analysis import export as exporting
from jobprov.provenance.services.analysis import parquet
from jobprov.provenance.services.analysis.folders import LocalFolder, open_folder
from jobprov.provenance.services.analysis.schema import TABLES
from tests.library.analysis import contents, export, rows
from tests.library.production import Production
from tests.library.productions.story import configured
from tests.library.records import a_record, file_entry, job_id, record_of

ANCESTORS = """
WITH RECURSIVE ancestors(job_id, file) AS (
    SELECT parent_job_id, parent_file FROM edges WHERE file = '{file}'
    UNION
    SELECT e.parent_job_id, e.parent_file FROM ancestors a
    JOIN edges e ON e.job_id = a.job_id AND e.file = a.file
)
SELECT file FROM ancestors ORDER BY file
"""


@pytest.fixture
def production(sqlite_template: Path, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production."""
    shutil.copy(sqlite_template, tmp_path / "jobprov.db")
    made = Production(open_database(f"sqlite:///{tmp_path / 'jobprov.db'}"), folder=tmp_path)
    yield made
    made.close_all()


@pytest.mark.slow
def test_tables_are_the_same_from_both_databases(database: Database, tmp_path: Path) -> None:
    production = Production(database, folder=tmp_path)
    production.record(*(record_of(number) for number in range(1, 6)))
    production.record(record_of(6, state="running", ended_at=None, exit=None, outputs=None))
    production.record(
        record_of(7, experiment="dune", inputs=[file_entry("f3.root", experiment="nova")])
    )
    production.record(a_record(8, state="lost"), record_of(9, state="failed", exit={"code": 65}))
    production.see("renamed.root", metadata={"prov.job_id": job_id(5), "prov.output": "f5.root"})
    production.record(*configured(production))
    production.work()
    folder = tmp_path / "tables"

    report = export(production, folder, parameters=("physics.producers.*",))
    again = export(production, folder, parameters=("physics.producers.*",))
    shut = export(production, tmp_path / "shut", private=("dune",))

    production.close()
    assert (report.rows["jobs"], report.rows["failures"], shut.rows["jobs"]) == (12, 2, 11)
    assert rows(folder, "SELECT state, count(*) FROM jobs GROUP BY 1 ORDER BY 1") == [
        ("failed", 1), ("lost", 1), ("succeeded", 10),
    ]  # fmt: skip
    assert rows(folder, "SELECT step, role, program, exit_code FROM steps") == [
        ("art", "payload", "art", 0)
    ]
    assert rows(folder, "SELECT alias_of FROM files WHERE file = 'renamed.root'") == [("f5.root",)]
    assert ("f0.root",) in rows(folder, ANCESTORS.format(file="renamed.root"))
    assert rows(folder, "SELECT parent_experiment FROM edges WHERE experiment = 'dune'") == [
        ("nova",)
    ]
    assert rows(
        folder,
        "SELECT DISTINCT value, number FROM parameters JOIN configurations USING (configuration)"
        " WHERE parameter LIKE '%.threshold' AND job_id = ?",
        job_id(32),
    ) == [("4", 4.0)]
    assert (again.written, again.unchanged) == ([], len(report.written))


@pytest.mark.slow
def test_values_are_those_of_the_record(production: Production, tmp_path: Path) -> None:
    steps = [
        {"name": "setup", "role": "setup", "argv": ["/bin/sh", "setup.sh"], "exit_code": 0},
        {
            "name": "art",
            "role": "payload",
            "started_at": "2026-01-01T00:00:01.5Z",
            "ended_at": "2026-01-01T00:00:02+01:00",
        },
    ]
    resources = {"wall_seconds": 10.5, "cpu_user_seconds": 7, "cpu_system_seconds": 1}
    production.record(
        record_of(
            1,
            command={"argv": ["art"], "steps": steps},
            resources={**resources, "max_rss_bytes": 2**33},
            batch={"id": "7.0@schedd"},
        )
    )
    # The second witness tells no steps, the third of another job tells some that need a repair
    production.record(record_of(1, witness="history", host={"site": "FNAL", "facility": "grid"}))
    late = {"name": "art", "started_at": "2026-01-01T00:00:60Z", "exit_code": 3}
    production.record(record_of(2, command={"steps": [late]}, ended_at=None))

    export(production, tmp_path / "tables")

    folder = tmp_path / "tables"
    assert rows(
        folder,
        "SELECT state, campaign, stage, task, unit, batch_id, site, facility, release, wall_seconds,"
        " cpu_seconds, max_rss_bytes, exit_code, output_count, month, epoch_us(ended_at)"
        " FROM jobs WHERE job_id = ?",
        job_id(1),
    ) == [
        (
            "succeeded", "c", "reco", "t1", "f1.root", "7.0@schedd", "FNAL", "grid", "x v1", 10.5,
            8.0, 2**33, 0, 1, "2026-01", 1767229200000000,
        )
    ]  # fmt: skip
    assert rows(
        folder,
        "SELECT job_id, position, step, role, program, exit_code, epoch_us(started_at),"
        " epoch_us(ended_at) FROM steps ORDER BY job_id, position",
    ) == [
        (job_id(1), 0, "setup", "setup", "sh", 0, None, None),
        (job_id(1), 1, "art", "payload", None, None, 1767225601500000, 1767222002000000),
        (job_id(2), 0, "art", None, None, 3, 1767225659000000, None),
    ]
    assert rows(folder, "SELECT label, type, events, seconds_total FROM modules LIMIT 1") == [
        ("slicer", "Slicer", 5, 0.125)
    ]
    assert rows(
        folder, "SELECT * EXCLUDE (experiment, month) FROM edges WHERE job_id = ?", job_id(2)
    ) == [(job_id(2), "f2.root", "nova", job_id(1), "f1.root", True)]
    assert rows(folder, ANCESTORS.format(file="f2.root")) == [("f0.root",), ("f1.root",)]


def test_second_export_writes_what_changed_and_nothing_else(
    production: Production, tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    production.record(record_of(1), record_of(2, ended_at="2026-02-01T00:00:00Z"))
    first = export(production, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    unchanged = export(production, folder)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    production.record(record_of(3, ended_at="2026-02-01T00:00:00Z"))
    second = export(production, folder)
    fresh = tmp_path / "fresh"
    export(production, fresh)

    assert first.written == [
        "experiment=nova/month=2026-01", "experiment=nova/month=2026-02", "experiment=nova",
    ]  # fmt: skip
    assert (unchanged.written, unchanged.unchanged) == ([], 3)
    # The lock is opened each time
    assert {path for path in before if before[path] != after.get(path)} <= {
        folder,
        folder / "_lock",
    }
    assert second.written == ["experiment=nova/month=2026-02"]
    assert contents(folder) == contents(fresh)


def revise(production: Production) -> None:
    production.record(record_of(1, exit={"code": 3}), reason="wrong code")


def come_late(production: Production) -> None:
    """A job of an earlier month turns out to have made the input."""
    production.record(
        record_of(0, ended_at="2025-12-01T00:00:00Z", outputs=[file_entry("f0.root", 1, 1)])
    )


def be_seen(production: Production) -> None:
    production.see("renamed.root", metadata={"prov.job_id": job_id(1), "prov.output": "f1.root"})


def be_placed(production: Production) -> None:
    production.declare("t5", campaign="c", stage="declared")


def swap_stages(production: Production) -> None:
    production.declare("t6", campaign="c", stage="two")
    production.declare("t7", campaign="c", stage="one")


def count_no_output(production: Production) -> None:
    production.declare("t1", campaign="c", stage="reco", output_patterns=["*.art"])


def be_classified(production: Production) -> None:
    rule = {"name": "x", "class": "data", "words": "the file is bad", "exit_code": [65]}
    production.declare_rules(rule)
    production.reclassify()
    production.work()


def be_witnessed(production: Production) -> None:
    production.record(record_of(1, witness="history", host={"site": "FNAL", "facility": "other"}))


def be_lost_otherwise(production: Production) -> None:
    production.record(a_record(9, state="lost", exit={"message": "gone for good"}))


@pytest.mark.parametrize(
    "change",
    [
        revise,
        come_late,
        be_seen,
        be_placed,
        swap_stages,
        count_no_output,
        be_classified,
        be_witnessed,
        be_lost_otherwise,
    ],
)
def test_whatever_changes_rows_changes_the_tables(
    production: Production, tmp_path: Path, change: Callable[[Production], None]
) -> None:
    """What an export adds is what a new one writes, however the rows changed."""
    folder, fresh = tmp_path / "tables", tmp_path / "fresh"
    production.record(record_of(1), record_of(2, state="failed", exit={"code": 65}))
    production.record(a_record(9, state="lost", exit={"message": "gone"}))
    production.record(a_record(5, task={"task_id": "t5"}))
    for number, stage in ((6, "one"), (7, "two")):
        production.record(a_record(number, task={"task_id": f"t{number}"}))
        production.declare(f"t{number}", campaign="c", stage=stage)
    export(production, folder)
    before = contents(folder)

    change(production)
    export(production, folder)
    export(production, fresh)

    def of_tables(found: dict[str, bytes]) -> dict[str, bytes]:
        return {name: data for name, data in found.items() if not name.startswith("_")}

    assert of_tables(contents(folder)) != of_tables(before), "the change changed nothing"
    assert of_tables(contents(folder)) == of_tables(contents(fresh))


@pytest.mark.slow
def test_erased_values_vanish_at_the_next_export(production: Production, tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    production.record(record_of(1, exit={"code": 1, "message": "hunter2"}, state="failed"))
    production.seal()
    export(production, folder)
    assert rows(folder, "SELECT message FROM jobs") == [("hunter2",)]

    production.erase_record(1, fields=("exit.message",))
    export(production, folder)

    assert rows(folder, "SELECT message FROM jobs") == [("[erased]",)]
    assert "hunter2" not in str(rows(folder, "FROM failures"))


@pytest.mark.slow
def test_private_experiments_are_left_out_unless_they_are_named(
    production: Production, tmp_path: Path
) -> None:
    production.record(
        record_of(1, experiment="secret"),
        record_of(2, inputs=[file_entry("f1.root", experiment="secret"), file_entry("raw.root")]),
        record_of(3, experiment="secret", inputs=[]),
    )

    every = export(production, tmp_path / "open", private=("secret",))
    named = export(production, tmp_path / "named", "secret", private=("secret",))
    all_open = export(production, tmp_path / "all")
    shut = export(production, tmp_path / "all", private=("secret",))

    assert every.left_out == ["secret"] == shut.left_out
    assert rows(tmp_path / "open", "SELECT DISTINCT experiment FROM jobs") == [("nova",)]
    assert rows(tmp_path / "open", "SELECT parent_file FROM edges") == [("raw.root",)]
    assert "secret" not in str(sorted(contents(tmp_path / "open").items()))
    assert (named.rows["jobs"], named.left_out, all_open.rows["jobs"]) == (2, [], 3)
    assert contents(tmp_path / "all") == contents(tmp_path / "open")
    with pytest.raises(NotFoundError, match="No experiment minerva"):
        export(production, tmp_path / "x", "minerva")


class CrashingFolder(LocalFolder):
    """A folder at which an export dies before its nth change."""

    def __init__(self, path: Path, changes: int) -> None:
        super().__init__(path)
        self.left = changes

    def _count(self) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1

    def write(self, name: str, data: bytes) -> None:
        self._count()
        super().write(name, data)

    def stage(self, path: Path, name: str) -> None:
        self._count()
        super().stage(path, name)

    def publish(self, name: str) -> None:
        self._count()
        super().publish(name)

    def remove(self, names: Any) -> None:
        self._count()
        super().remove(names)


@pytest.mark.slow
def test_export_that_dies_anywhere_leaves_whole_files_and_the_next_one_ends_it(
    production: Production, tmp_path: Path
) -> None:
    base, want = tmp_path / "base", tmp_path / "want"
    production.record(record_of(1), record_of(2, ended_at="2026-02-01T00:00:00Z"))
    export(production, base)
    old = contents(base)
    production.record(record_of(3))
    export(production, want)
    new = contents(want)

    deaths, is_dead = 0, True
    while is_dead:
        folder = tmp_path / f"died-{deaths}"
        shutil.copytree(base, folder)
        try:
            export(production, CrashingFolder(folder, deaths))
            is_dead = False
        except KeyboardInterrupt:
            deaths += 1
        visible = {name: data for name, data in contents(folder).items() if name[0] != "_"}
        assert all(data in (old.get(name), new.get(name)) for name, data in visible.items())
        is_publishing = (folder / "_publishing.json").exists()
        assert is_publishing or visible.items() <= old.items() or visible.items() <= new.items()
        export(production, folder)
        assert contents(folder) == new
    assert deaths > 10


def test_of_two_exports_at_once_one_refuses(production: Production, tmp_path: Path) -> None:
    production.record(record_of(1))
    with (
        open_folder(str(tmp_path / "tables")).alone(),
        pytest.raises(ConflictError, match="Another export writes into"),
    ):
        export(production, tmp_path / "tables")

    assert export(production, tmp_path / "tables").rows["jobs"] == 1


def change_manifest(folder: Path, **fields: Any) -> None:
    file = folder / "_jobprov.json"
    document = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**document, **fields}))


def test_strange_folders_are_refused_in_words_and_left_as_they_are(
    production: Production, tmp_path: Path
) -> None:
    production.record(record_of(1))
    later, other, broken, else_, file = (
        tmp_path / name for name in ("later", "other", "broken", "else", "file")
    )
    for folder in (later, other, broken):
        export(production, folder)
    change_manifest(later, schema_version=99)
    change_manifest(other, archive="another")
    (broken / "_jobprov.json").write_text("[]")
    else_.mkdir()
    (else_ / "thesis.tex").write_text("a year of work")
    file.write_text("a file")

    cases: list[tuple[Path, type[ProvenanceError], str]] = [
        (later, ConflictError, "schema version 99, and this jobprov knows versions up to 1"),
        (other, ConflictError, "tables of another service"),
        (broken, BadInputError, "did not write"),
        (else_, BadInputError, r"holds something else \(thesis.tex\)"),
        (file, BadInputError, "is a file"),
    ]
    for folder, error, words in cases:
        before = contents(folder)
        with pytest.raises(error, match=words):
            export(production, folder)
        assert contents(folder) == before, folder
    with pytest.raises(BadInputError, match="no place for tables"):
        export(production, "gs://bucket/x")


def test_what_a_later_version_left_half_published_is_left_to_it(
    production: Production, tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    production.record(record_of(1))
    export(production, folder)
    manifest = msgspec.json.decode((folder / "_jobprov.json").read_bytes())
    later = {**manifest, "schema_version": 99, "parts": {"of": "another form"}}
    left = {"staged": ["jobs/new.parquet"], "removed": ["jobs/old.parquet"], "manifest": later}
    (folder / "_publishing.json").write_bytes(msgspec.json.encode(left))
    before = contents(folder)

    with pytest.raises(ConflictError, match="schema version 99, and this jobprov knows versions"):
        export(production, folder)

    assert contents(folder) == before


class FullFolder(LocalFolder):
    """A folder on a disk that is full."""

    def write(self, name: str, data: bytes) -> None:
        (Path(self.where) / f".{name}-4711").write_bytes(data[:0])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_first_export_that_has_no_room_names_the_folder_and_is_no_obstacle(
    production: Production, tmp_path: Path
) -> None:
    production.record(record_of(1))
    folder = tmp_path / "tables"

    with pytest.raises(UnreachableError, match=f"{folder} cannot take the tables: No space left"):
        export(production, FullFolder(folder))

    assert export(production, folder).rows["jobs"] == 1
    assert not (folder / "._jobprov.json-4711").exists()


def test_files_that_somebody_removed_are_written_again(
    production: Production, tmp_path: Path
) -> None:
    folder = tmp_path / "tables"
    production.record(record_of(1))
    export(production, folder)
    before = contents(folder)
    (folder / "jobs/experiment=nova/month=2026-01/jobs.parquet").unlink()

    report = export(production, folder)

    assert report.written == ["experiment=nova/month=2026-01"]
    assert contents(folder) == before


@pytest.mark.slow
def test_small_pages_and_row_groups_give_the_same_rows(
    production: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.record(*(record_of(number) for number in range(1, 12)))
    production.record(*configured(production))
    production.work()
    export(production, tmp_path / "one", parameters=("*",))

    monkeypatch.setattr(exporting, "_PAGE_JOBS", 2)
    monkeypatch.setattr(parquet, "_MOST_ROWS", 3)
    for name in ("_MOST_REMEMBERED", "_MOST_EDGES", "_KEYS_AT_ONCE"):
        monkeypatch.setattr(queries, name, 1)
    export(production, tmp_path / "many", parameters=("*",))

    for table in TABLES:
        question = f"FROM {table.name} ORDER BY ALL"
        assert rows(tmp_path / "one", question) == rows(tmp_path / "many", question)
    [file] = (tmp_path / "many" / "edges").rglob("*.parquet")
    assert pq.ParquetFile(file).num_row_groups > 3
