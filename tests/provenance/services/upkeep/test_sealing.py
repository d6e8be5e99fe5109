"""Sealing: chains that never fork, nothing lost or doubled, whatever breaks at whatever step."""

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.frames import SegmentError
from jobprov.provenance.services.ledger.segments import (
    GENESIS,
    SealedEntry,
    SegmentReader,
    write_segment,
)
from jobprov.provenance.services.ledger.witnessed_jobs import load_witnessed
from jobprov.provenance.services.upkeep import sealing
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all, seal_ledger
from jobprov.provenance.services.writing import Writer
from tests.library.logical_tables import differences
from tests.library.production import Production, shown_job, tables_at, tables_of
from tests.library.productions.story import play
from tests.library.records import FIRST, record_of


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production on both databases, with an archive in files."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def local(tmp_path: Path, sqlite_template: Path) -> Iterator[Production]:
    """Yield an empty production on a file that can be copied as a backup is."""
    (tmp_path / "var").mkdir()
    shutil.copy(sqlite_template, tmp_path / "var" / "jobprov.db")
    database = open_database(f"sqlite:///{tmp_path / 'var' / 'jobprov.db'}")
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()
    database.dispose()


def seal(production: Production, **more: Any) -> sealing.LedgerSeal:
    return seal_ledger(production.database, production.writer, production.store, **more)


def bodies(production: Production) -> dict[int, bytes]:
    """Return the bytes of every entry, wherever they lie."""
    with production.database.reading.connect() as connection:
        keys = [row[0] for row in connection.execute(text("SELECT id FROM ledger_entries"))]
        return read_entries(connection, production.store, keys)


def test_sealed_entries_read_as_before_and_leave_the_rows(production: Production) -> None:
    production.record(*[record_of(number) for number in range(1, 6)])
    before = bodies(production)

    report = seal(production)

    with production.database.reading.connect() as connection:
        left = connection.execute(text("SELECT count(*) FROM entry_bodies")).scalar_one()
    assert bodies(production) == before
    assert (report.segments, report.entries, left) == (1, 5, 0)


def test_a_second_sealing_finds_nothing_to_do(production: Production) -> None:
    production.record(record_of(1))
    seal(production)

    assert seal(production) == sealing.LedgerSeal()


def test_each_experiment_has_a_chain_of_its_own(production: Production) -> None:
    production.record(record_of(1), record_of(2, experiment="dune"))

    seal(production)

    names = list(production.store.documents("ledger/"))
    assert [name for name in names if name.endswith(".head")] == [
        "ledger/dune/00000001.head",
        "ledger/nova/00000001.head",
    ]


def test_each_head_names_the_one_before(production: Production) -> None:
    production.record(*[record_of(number) for number in range(1, 4)])

    seal(production, most_entries=1)

    readers = [SegmentReader.open(production.store, "nova", number) for number in (1, 2, 3)]
    assert [reader.head.previous for reader in readers] == [
        GENESIS,
        *(r.head_sha256 for r in readers[:2]),
    ]


def test_the_same_entries_give_the_same_segment() -> None:
    entries = [SealedEntry("record", FIRST, "me", b"s" * 16, b"{}")] * 300

    assert write_segment("nova", 1, GENESIS, entries) == write_segment("nova", 1, GENESIS, entries)


def test_possessions_are_entered_once(production: Production) -> None:
    production.upload(b"one")
    production.upload(b"two")
    first = seal(production)
    production.upload(b"three")

    second = seal(production)

    entered = [
        json.loads(SegmentReader.open(production.store, "nova", number).body(0))["sha256"]
        for number in (1, 2)
    ]
    assert (first.entries, second.entries) == (1, 1)
    assert [len(digests) for digests in entered] == [2, 1]


def test_a_sealed_job_still_takes_witnesses_and_revisions(production: Production) -> None:
    production.record(record_of(1))
    seal(production)

    again = production.record(record_of(1))
    revised = production.record(record_of(1, exit={"code": 3}), reason="wrong code")

    with production.database.reading.connect() as connection:
        shown = shown_job(connection, production.store, record_of(1)["job_id"])
    assert (again[0].change, revised[0].change) == ("same", "replaced")
    assert shown["record"]["exit"] == {"code": 3}


class Broken(Exception):  # noqa: N818 - the power goes
    """What a test breaks a sealing with."""


STEPS = ("body", "head-before", "head-after", "rows", "tip", "seal")


def break_at(step: str, production: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next sealing end at a step, as when the power goes."""
    store = production.store
    put = store.put_document

    def put_document(name: str, data: bytes) -> bool:
        if (step == "body" and name.endswith(".body")) or (
            step == "head-before" and name.endswith(".head")
        ):
            raise Broken
        stored = bool(put(name, data))
        if step == "head-after" and name.endswith(".head"):
            raise Broken
        return stored

    def fail(*_: Any, **__: Any) -> None:
        raise Broken

    monkeypatch.setattr(store, "put_document", put_document)
    if step == "rows":
        monkeypatch.setattr(sealing, "_let_go", fail)
    if step == "tip":
        monkeypatch.setattr(sealing, "note_tip", fail)
    if step == "seal":
        monkeypatch.setattr(store, "seal", fail)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    production: Production, step: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    production.record(*[record_of(number) for number in range(1, 8)])
    production.upload(b"a blob")
    with monkeypatch.context() as patch:
        break_at(step, production, patch)
        with pytest.raises(Broken):
            seal_all(production.database, production.writer, production.store)
    production.record(*[record_of(number) for number in range(8, 11)])
    before = bodies(production)

    seal_all(production.database, production.writer, production.store)

    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    report = rebuild_database(production.store, url)
    assert bodies(production) == before
    assert (report.jobs, report.entries) == (10, 11)
    assert differences(production.tables(), tables_at(url)) == []


@pytest.mark.slow
def test_a_restored_older_database_adopts_the_archive_and_seals_the_rest(
    local: Production, tmp_path: Path
) -> None:
    local.record(*[record_of(number) for number in range(1, 4)])
    seal(local)
    copy = local.copy_database(tmp_path / "copy.db")
    local.most_entries = 7
    play(local)
    local.seal()
    restored = local.restored(copy, tmp_path / "restored")
    restored.record(*[record_of(number) for number in range(21, 24)])

    report = seal(restored)

    restored.work()
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    seal(restored)
    rebuild_database(local.store, url)
    found = tables_of(restored.database)
    restored.close_all()
    assert report.adopted > 3
    assert report.entries == 3
    assert differences(found, tables_at(url)) == []
    assert len(found["jobs"]) == len(local.tables()["jobs"]) + 3


@pytest.mark.slow
def test_records_sent_again_after_a_restoration_are_not_doubled(
    local: Production, tmp_path: Path
) -> None:
    copy = local.copy_database(tmp_path / "copy.db")
    local.record(*[record_of(number) for number in range(1, 4)])
    seal(local)
    restored = local.restored(copy, tmp_path / "restored")
    restored.record(record_of(2), record_of(9))

    report = seal(restored)

    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuilt = rebuild_database(local.store, url)
    found = tables_of(restored.database)
    restored.close_all()
    assert (report.adopted, report.entries, rebuilt.entries) == (1, 1, 4)
    assert differences(found, tables_at(url)) == []


@pytest.mark.slow
def test_a_sealed_record_stands_against_another_that_came_after_a_restoration(
    local: Production, tmp_path: Path
) -> None:
    copy = local.copy_database(tmp_path / "copy.db")
    local.record(record_of(1, exit={"code": 1}))
    seal(local)
    restored = local.restored(copy, tmp_path / "restored")
    restored.record(record_of(1, exit={"code": 2}))

    seal(restored)

    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(local.store, url)
    with restored.database.reading.connect() as connection:
        shown = shown_job(connection, restored.store, record_of(1)["job_id"])
    found = tables_of(restored.database)
    restored.close_all()
    assert shown["record"]["exit"] == {"code": 1}
    assert shown["conflict_count"] == 1
    assert differences(found, tables_at(url)) == []


def shown_of(production: Production, number: int) -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        return shown_job(connection, production.store, record_of(number)["job_id"])


@pytest.mark.slow
def test_revisions_made_after_a_restoration_go_after_the_sealed_ones(
    local: Production, tmp_path: Path
) -> None:
    local.record(record_of(1))
    seal(local)
    copy = local.copy_database(tmp_path / "copy.db")
    for code in (11, 12):
        local.record(record_of(1, exit={"code": code}), reason="before")
        seal(local)
    restored = local.restored(copy, tmp_path / "restored")
    for code in (21, 22):
        restored.record(record_of(1, exit={"code": code}), reason="after")

    report = seal(restored)

    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(local.store, url)
    shown, found = shown_of(restored, 1), tables_of(restored.database)
    documents = [json.loads(body) for body in bodies(restored).values() if b'"reason"' in body]
    codes = {each["revision"]: json.loads(each["record"])["exit"]["code"] for each in documents}
    restored.close_all()
    assert (report.adopted, report.entries) == (2, 2)
    assert codes == {1: 11, 2: 12, 3: 21, 4: 22}
    assert shown["record"]["exit"] == {"code": 22}
    assert shown["summary"]["exit"]["code"] == 22
    assert differences(found, tables_at(url)) == []


@pytest.mark.slow
@pytest.mark.parametrize("is_recorded_again", [True, False])
def test_a_revision_stands_whose_record_only_the_archive_has(
    local: Production, tmp_path: Path, *, is_recorded_again: bool
) -> None:
    """After a restoration the record was sent otherwise, or not at all, before it was corrected."""
    copy = local.copy_database(tmp_path / "copy.db")
    local.record(record_of(1, exit={"code": 1}))
    seal(local)
    restored = local.restored(copy, tmp_path / "restored")
    if is_recorded_again:
        restored.record(record_of(1, exit={"code": 2}))
    restored.record(record_of(1, exit={"code": 3}), reason="it was 3")

    seal(restored)

    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(local.store, url)
    shown, found = shown_of(restored, 1), tables_of(restored.database)
    restored.close_all()
    assert shown["record"]["exit"] == {"code": 3}
    assert shown["conflict_count"] == int(is_recorded_again)
    assert differences(found, tables_at(url)) == []


def test_an_experiment_that_cannot_be_sealed_keeps_no_other_from_it(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.record(record_of(1, experiment="dune"), record_of(2))
    put = production.store.put_document

    def put_document(name: str, data: bytes) -> bool:
        if "/dune/" in name:
            raise Broken
        return bool(put(name, data))

    monkeypatch.setattr(production.store, "put_document", put_document)
    with pytest.raises(Broken):
        seal_all(production.database, production.writer, production.store)

    assert "ledger/nova/00000001.head" in set(production.store.documents("ledger/"))


def test_a_sealer_that_comes_second_adopts_what_the_first_sealed(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two processes seal without a lock: put-if-absent decides."""
    production.record(*[record_of(number) for number in range(1, 4)])
    before = bodies(production)
    put = production.store.put_document
    second = Writer(production.database, production.store)

    def put_document(name: str, data: bytes) -> bool:
        if name.endswith(".head"):
            monkeypatch.undo()
            with monkeypatch.context() as patch:
                patch.setattr(sealing, "one_sealer", lambda _database: nullcontext())
                seal_ledger(production.database, second, production.store, most_entries=2)
        return bool(put(name, data))

    monkeypatch.setattr(production.store, "put_document", put_document)
    report = seal(production)

    second.close()
    assert bodies(production) == before
    assert (report.segments, report.entries, report.adopted) == (0, 0, 0)


def test_an_archive_that_lacks_what_was_sealed_is_refused(
    local: Production, tmp_path: Path
) -> None:
    local.record(record_of(1))
    seal(local)
    other = Production(local.database, open_store(f"file:{tmp_path / 'other'}"), tmp_path)
    other.record(record_of(2))

    with pytest.raises(SegmentError, match="another or an older archive"):
        seal(other)

    other.close()
    assert list(other.store.documents()) == []


def test_an_archive_of_another_database_is_refused(
    local: Production, tmp_path: Path, sqlite_template: Path
) -> None:
    local.record(record_of(1))
    seal(local)
    shutil.copy(sqlite_template, tmp_path / "second.db")
    second = Production(
        open_database(f"sqlite:///{tmp_path / 'second.db'}"), open_store("memory:"), tmp_path
    )
    second.record(record_of(2))
    seal(second)
    second.record(record_of(3))
    local.record(record_of(4))
    seal(local)
    second.store = local.store

    with pytest.raises(SegmentError, match="does not continue"):
        seal(second)

    second.close_all()


def test_held_records_are_read_from_sealed_segments(production: Production) -> None:
    production.record(record_of(1))
    seal(production)

    with production.database.reading.connect() as connection:
        key = connection.execute(
            text("SELECT id FROM experiments WHERE name = 'nova'")
        ).scalar_one()
        held = load_witnessed(connection, production.store, [(record_of(1)["job_id"], key)])

    [job] = held.values()
    assert json.loads(job.finals["wrapper"].body) == record_of(1)
