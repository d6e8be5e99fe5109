"""The archive suffices: a database rebuilt from it says what the first one said.

That is so in every derived table.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.upkeep.migrating import stamp, upgrade
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.services.ledger.chains import read_chain
from jobprov.provenance.services.ledger.frames import SegmentError
from jobprov.provenance.services.upkeep.adopted_segments import adopt_segment
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all, seal_ledger
from jobprov.provenance.services.writing import Writer
from tests.library.logical_tables import LogicalTables, differences
from tests.library.production import Production, tables_at
from tests.library.productions.story import play
from tests.library.records import job_id, record_of

PLACED = [(1, "first"), (2, "anew"), (3, "last")]


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production on both databases, with an archive in files."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()


@pytest.mark.slow
def test_rebuilt_database_equals_the_first_in_every_derived_table(
    production: Production, empty_url: str
) -> None:
    play(production)
    seal_all(production.database, production.writer, production.store)

    report = rebuild_database(production.store, empty_url)

    first = production.tables()
    empty = {name for name, rows in first.items() if not rows}
    assert differences(first, tables_at(empty_url)) == []
    assert empty == set(), "the story leaves something in every table"
    assert report.jobs == len(first["jobs"])
    assert report.entries == len(first["ledger_entries"])


@pytest.mark.slow
def test_rebuilding_after_sealing_at_every_step_gives_the_same(
    production: Production, tmp_path: Path
) -> None:
    """Segments cut the story anywhere.

    They may lie between a record and its revision, or a resolution and its job.
    """
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    production.most_entries = 1
    play(production)
    production.seal()

    report = rebuild_database(production.store, url)

    assert report.segments == report.entries
    assert differences(production.tables(), tables_at(url)) == []


@pytest.mark.slow
def test_tasks_stand_in_a_rebuilt_database_where_declarations_and_jobs_place_them(
    production: Production, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    production.declare("first")
    production.declare("anew", campaign="old", stage="old")
    production.record(
        *(
            record_of(n, task={"task_id": name, "campaign": "cc", "stage": "reco"})
            for n, name in PLACED
        )
    )
    production.declare("anew", stage="merge")
    production.declare("last")
    production.seal()

    rebuild_database(production.store, url)

    assert differences(production.tables(), tables_at(url)) == []
    assert [row["stage_id"][1:] for row in tables_at(url)["tasks"]] == [
        ("cc", "merge"),
        ("cc", "reco"),
        ("cc", "reco"),
    ]


@pytest.mark.slow
def test_rebuilt_database_goes_on_sealing_the_same_chain(
    production: Production, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    play(production)
    seal_all(production.database, production.writer, production.store)
    rebuild_database(production.store, url)
    second = Production(open_database(url), production.store, tmp_path)
    second.record(record_of(20))

    sealed = seal_ledger(second.database, second.writer, second.store)
    again = seal_ledger(production.database, production.writer, production.store)

    second.close()
    second.database.dispose()
    assert (sealed.segments, sealed.adopted) == (1, 0)
    assert (again.segments, again.adopted) == (0, 1)
    assert differences(production.tables(), tables_at(url)) == []


def say_of_a_running_job(production: Production) -> None:
    """Judge and bundle job 1 while it runs, and bundle it again when it is over.

    Job 2 never reports its end.
    """
    production.record(
        *(record_of(number, state="running", ended_at=None, exit=None) for number in (1, 2))
    )
    for number in (1, 2):
        production.verdict(number, "R5")
        production.bundle(number)
    production.record(record_of(1))
    production.verdict(1, "R1")
    production.bundle(1)


def of_job(tables: LogicalTables, number: int) -> dict[str, list[object]]:
    """Return the levels of verdicts and the numbered plans of a job."""
    named = {
        "verdicts": [(row["job_id"], row["level"]) for row in tables["verdicts"]],
        "plans": [
            (row["job_id"], row["number"], row["plan_sha256"]) for row in tables["bundle_plans"]
        ],
    }
    return {
        name: sorted(row[1:] for row in rows if row[0][1] == job_id(number))
        for name, rows in named.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("most_entries", [1, 100])
def test_what_was_said_of_a_running_job_is_there_after_a_rebuilding(
    production: Production, tmp_path: Path, most_entries: int
) -> None:
    """The ledger has the job's record after its verdict and first bundle.

    A bundle once built keeps its number.
    """
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    production.most_entries = most_entries
    say_of_a_running_job(production)
    production.seal()

    rebuild_database(production.store, url)

    found = tables_at(url)
    assert len(of_job(found, 1)["verdicts"]) == len(of_job(found, 1)["plans"]) == 2
    assert of_job(found, 1) == of_job(production.tables(), 1)
    assert of_job(found, 2) == {"verdicts": [], "plans": []}


@pytest.mark.slow
def test_what_was_said_of_a_running_job_is_adopted_with_its_record(
    production: Production, tmp_path: Path
) -> None:
    """Also where another process than the one that adopted the verdict adopts the record."""
    url = f"sqlite:///{tmp_path / 'second.db'}"
    upgrade(url)
    say_of_a_running_job(production)
    seal_ledger(production.database, production.writer, production.store, most_entries=1)
    database = open_database(url)

    for reader in read_chain(production.store, "nova"):
        adopting = Writer(database, production.store)  # knows nothing of the segments before
        adopting.run(lambda writing, reader=reader: adopt_segment(writing, reader))  # type: ignore[misc]
        adopting.close()

    database.dispose()
    assert of_job(tables_at(url), 1) == of_job(production.tables(), 1)


@pytest.mark.slow
def test_what_was_said_of_a_running_job_is_there_once_its_record_came_to_a_restored_database(
    production: Production, tmp_path: Path
) -> None:
    """A record that comes after the adoption is no replay.

    Until the next rebuilding nothing was written of them.
    """
    url = f"sqlite:///{tmp_path / 'second.db'}"
    upgrade(url)
    say_of_a_running_job(production)
    production.seal()
    database = open_database(url)
    restored = Production(database, production.store, tmp_path)
    seal_ledger(database, restored.writer, restored.store, most_entries=7)
    assert of_job(restored.tables(), 2) == {"verdicts": [], "plans": []}

    restored.record(record_of(2))
    restored.verdict(2, "R1")
    seal_ledger(database, restored.writer, restored.store, most_entries=7)
    seal_ledger(database, restored.writer, restored.store, most_entries=7)

    found = of_job(restored.tables(), 2)
    assert [level for (level,) in found["verdicts"]] == ["R1", "R5"]
    assert len(found["plans"]) == 1
    restored.close()
    rebuilt = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(production.store, rebuilt)
    assert of_job(tables_at(rebuilt), 2) == found


def test_a_database_that_holds_something_is_not_rebuilt_into(
    production: Production, database_url: str
) -> None:
    production.record(record_of(1))

    stamp(database_url)
    with pytest.raises(ConflictError, match="holds experiments already"):
        rebuild_database(production.store, database_url)


def test_a_chain_with_a_hole_is_refused(production: Production, tmp_path: Path) -> None:
    production.record(*[record_of(number) for number in range(1, 4)])
    seal_ledger(production.database, production.writer, production.store, most_entries=1)
    [head] = (tmp_path / "archive").rglob("00000002.head*")
    head.unlink()

    with pytest.raises(SegmentError, match="Segment 2 of nova is not in the archive"):
        rebuild_database(production.store, f"sqlite:///{tmp_path / 'rebuilt.db'}")


TIMES = {"received_at", "seen_at", "first_seen_at", "posted_at", "entry_id"}


def timeless(tables: LogicalTables) -> LogicalTables:
    """Return what does not depend on when something came: no moments.

    Of the ledger, whose records are there.
    """
    whose = [
        {name: row[name] for name in ("job_id", "witness", "revision")}
        for row in tables["ledger_entries"]
        if row["job_id"] is not None
    ]
    return {"ledger_entries": sorted(whose, key=repr)} | {
        name: sorted(
            ({key: value for key, value in row.items() if key not in TIMES} for row in rows),
            key=repr,
        )
        for name, rows in tables.items()
        if name not in ("ledger_entries", "chain_heads")
    }


def test_comparison_tells_whose_record_an_entry_is(production: Production) -> None:
    production.record(record_of(1), record_of(2), record_of(2, witness="history"))
    before = production.tables()

    found = []
    for change in ("job_id = 3 - job_id", "witness = 'else'", "revision = 1"):
        statement = text(f"UPDATE ledger_entries SET {change} WHERE job_id IS NOT NULL")  # noqa: S608 - ours
        production.writer.run(
            lambda writing, statement=statement: writing.connection.execute(statement)
        )
        after = production.tables()
        found.append({line.partition(":")[0] for line in differences(before, after)})
        before = after

    assert found == [{"ledger_entries"}] * 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_records_in_another_order_give_the_same_tables(
    production: Production, seed: int, tmp_path: Path
) -> None:
    records = [record_of(number) for number in range(1, 8)]
    records += [
        record_of(number, witness="history", host={"hostname": "seen"}) for number in (2, 5)
    ]
    records += [record_of(4, job_id=job_id(14), outputs=[{"name": "f4.root"}], state="failed")]
    url = f"sqlite:///{tmp_path / 'permuted.db'}"
    upgrade(url)
    permuted = Production(open_database(url), open_store("memory:"), tmp_path)

    production.record(*records)
    shuffled = records[:]
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - an order, no secret
    for record in shuffled:
        permuted.record(record)

    found = timeless(permuted.tables())
    permuted.close()
    permuted.database.dispose()
    assert differences(timeless(production.tables()), found) == []
