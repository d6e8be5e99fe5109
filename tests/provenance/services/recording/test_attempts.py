"""An attempt that died before it read its input is one of the unit that another attempt names."""

import json
import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.tasks.tasks import TaskProgress, UnitState
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.recording import attempt_rows
from jobprov.provenance.db.tables import Base
from jobprov.provenance.db.upkeep.migrating import downgrade, upgrade
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.orders.retries import RetryBody, choose_retries
from jobprov.provenance.services.orders.retry_choice import show_choice
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.rederivation import enqueue_derivation
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from jobprov.provenance.services.writing import Writing
from tests.library.examples import examples
from tests.library.logical_tables import differences
from tests.library.production import Production, tables_at
from tests.library.productions.attempts import FILE, alone, attempt, in_dag
from tests.library.records import job_id
from tests.library.statements import Statement, plan_of

Record = dict[str, Any]
READ = {"reads": ("raw_7.root",)}


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    made = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield made
    made.close()


def units_of(production: Production) -> list[str | None]:
    """Return the units of the jobs, in the order of their numbers."""
    with production.database.reading.connect() as connection:
        rows = connection.execute(text("SELECT unit FROM jobs ORDER BY uuid"))
        return [row[0] for row in rows]


def progress_of(production: Production) -> TaskProgress:
    """Return how far task t1 is."""
    with production.database.reading.connect() as connection:
        return show_task(connection, production.store, find_task(connection, "t1"))


DIED = attempt(1, "reco_7", batch=in_dag(81))
READ_IT = attempt(2, "raw_7.root", **READ, batch=in_dag(82))


@pytest.mark.parametrize("order", [(DIED, READ_IT), (READ_IT, DIED)])
def test_retry_of_a_dag_node_leaves_nothing_to_do(
    production: Production, order: tuple[Record, Record]
) -> None:
    production.declare("t1", units=["raw_7.root"])
    for record in order:
        production.record(record)

    task = progress_of(production)

    assert units_of(production) == ["raw_7.root", "raw_7.root"]
    assert (task.produced, task.missing, task.blocking) == (1, 0, [])
    assert sum(task.states.values()) == 1


def test_batch_job_that_is_started_again_is_at_the_same_unit(production: Production) -> None:
    """It was evicted before it read its input: the record has its number for a unit."""
    production.record(attempt(1, "7", batch=alone(81, 7, 1)))
    production.record(attempt(2, "raw_7.root", **READ, batch=alone(81, 7, 2)))

    assert units_of(production) == ["raw_7.root", "raw_7.root"]


def test_try_that_waits_for_its_input_runs_for_the_unit_of_the_first(
    production: Production,
) -> None:
    died_later = attempt(1, "raw_7.root", **READ, batch=in_dag(81), state="failed", outputs=[])
    begins = {"state": "running", "ended_at": None, "exit": None}
    running = attempt(2, "reco_7", batch=in_dag(82), **begins)
    production.record(died_later, running, received_at=datetime.now(UTC))

    assert units_of(production) == ["raw_7.root", "raw_7.root"]
    assert progress_of(production).states == {UnitState.RUNNING: 1}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (in_dag(81), in_dag(82, dag="71")),
        (in_dag(81), in_dag(82, schedd="sched2")),
        (in_dag(81), in_dag(82, "reco_8")),
        (in_dag(81), in_dag(82, process=1)),
        (alone(81, 7, 1), alone(82, 7, 1)),
        (alone(81, 7, 1), alone(81, 8, 2)),
        (alone(81, 7, 1), None),
    ],
)
def test_what_is_no_attempt_at_the_same_keeps_its_own_unit(
    production: Production, first: Record, second: Record | None
) -> None:
    """A rescue DAG has another number, and another DAG may name its nodes the same."""
    production.record(attempt(1, "reco_7", batch=first))
    production.record(attempt(2, "raw_7.root", **READ, batch=second))

    assert units_of(production) == ["reco_7", "raw_7.root"]


def test_same_node_in_another_task_is_another_unit(production: Production) -> None:
    production.record(DIED, attempt(2, "raw_7.root", **READ, batch=in_dag(82), task_id="t2"))

    assert units_of(production) == ["reco_7", "raw_7.root"]


def test_node_that_takes_what_comes_next_has_no_unit_of_its_own(production: Production) -> None:
    """As from a SAM project: the first try may have been for either."""
    other = attempt(3, "raw_8.root", reads=("raw_8.root",), batch=in_dag(83))
    production.record(DIED, READ_IT)

    production.record(other)

    assert units_of(production) == ["reco_7", "raw_7.root", "raw_8.root"]


def test_node_that_merges_several_files_stays_the_unit(production: Production) -> None:
    both = ("raw_1.root", "raw_2.root")
    read_one = attempt(2, "raw_1.root", reads=both[:1], batch=in_dag(82), state="failed")
    production.record(DIED, attempt(3, "reco_7", reads=both, batch=in_dag(83)))
    assert units_of(production) == ["reco_7", "reco_7"]

    production.record(read_one)

    assert units_of(production) == ["reco_7", "raw_1.root", "reco_7"]


def test_batch_job_that_works_on_unit_after_unit_has_none_of_its_own(
    production: Production,
) -> None:
    """The second part read nothing of its own: that is left to do."""
    pilot = alone(81, 0, 1)
    production.record(attempt(1, "raw_7.root", **READ, batch=pilot, state="failed", outputs=[FILE]))
    production.record(attempt(2, "0", batch={**pilot, "part": 1}))

    assert units_of(production) == ["raw_7.root", "0"]


def in_slurm(identity: str, start: int) -> Record:
    """Return what the hook calls a job, step or task of Slurm."""
    names = {"id": identity, "global_job_id": f"toy#{identity}"}
    return {"system": "slurm", **names, "attempt": start}


@pytest.mark.parametrize("first", ["4", "4.0"])
def test_job_of_slurm_that_is_requeued_is_at_the_same_unit(
    production: Production, first: str
) -> None:
    """Also where its script begins the hook by srun, as one task."""
    production.record(attempt(1, "7", batch=in_slurm(first, 1)))
    production.record(attempt(2, "raw_7.root", **READ, batch=in_slurm(first, 2)))

    assert units_of(production) == ["raw_7.root", "raw_7.root"]


@pytest.mark.parametrize("first", ["4", "4.0"])
@pytest.mark.parametrize("state", ["killed", "succeeded"])
def test_job_of_slurm_without_a_unit_is_one_however_often_it_is_started(
    production: Production, first: str, state: str
) -> None:
    """It is in no array and reads no input. Somebody may requeue it once it succeeded, too."""
    done = {"state": "succeeded", "exit": {"code": 0}, "outputs": [FILE]}
    production.record(attempt(1, None, batch=in_slurm(first, 1), state=state))
    production.record(attempt(2, None, batch=in_slurm(first, 2), **done))
    production.record(attempt(3, None, batch=in_slurm("5", 1), **done))

    task = progress_of(production)

    assert units_of(production) == [f"toy#{first}"] * 2 + ["toy#5"]
    assert task.states == {UnitState.SUCCEEDED: 2}


def test_job_of_slurm_that_read_several_files_is_at_the_unit_of_the_first_start(
    production: Production,
) -> None:
    both = ("raw_1.root", "raw_2.root")
    production.record(attempt(1, None, batch=in_slurm("4", 1)))
    production.record(attempt(2, None, reads=both, batch=in_slurm("4", 2)))

    assert units_of(production) == ["toy#4", "toy#4"]


@pytest.mark.parametrize(
    "further", [in_slurm("4.0.1", 1), in_slurm("4.1", 1), {**in_slurm("4", 1), "part": 1}]
)
def test_further_records_of_a_job_of_slurm_without_a_unit_count_each(
    production: Production, further: Record
) -> None:
    production.record(attempt(1, None, batch=further))
    production.record(attempt(2, None, batch={**further, "attempt": 2}))

    assert units_of(production) == [None, None]
    assert sum(progress_of(production).states.values()) == 2


@pytest.mark.parametrize("task", ["4.0.0", "4.0.2", "4.1"])
def test_tasks_and_further_steps_of_slurm_keep_their_own_units(
    production: Production, task: str
) -> None:
    """Steps that run at a time get their numbers as it comes: the next start may change them."""
    production.record(attempt(1, "7", batch=in_slurm(task, 1)))
    production.record(attempt(2, "raw_7.root", **READ, batch=in_slurm(task, 2)))

    assert units_of(production) == ["7", "raw_7.root"]


@pytest.mark.parametrize(
    "job", [{"system": "gridengine", "id": "6.7"}, {"system": "panda", "id": "6001"}]
)
def test_records_of_one_job_keep_their_own_units_where_nothing_numbers_them(
    production: Production, job: dict[str, str]
) -> None:
    """Nothing tells a second record of a job from one of its next start."""
    production.record(attempt(1, "7", batch=job))
    production.record(attempt(2, "raw_7.root", **READ, batch=job))

    assert units_of(production) == ["7", "raw_7.root"]


def test_correction_that_takes_the_unit_away_takes_it_from_the_others(
    production: Production,
) -> None:
    production.record(DIED, READ_IT)

    production.record(attempt(2, "raw_7.root", **READ), reason="no job of that DAG")

    assert units_of(production) == ["reco_7", "raw_7.root"]


@pytest.mark.parametrize("first", [[], [READ_IT]])
def test_attempt_that_changes_no_unit_does_not_look_at_those_before(
    production: Production, first: list[Record]
) -> None:
    """A batch job that was started a thousand times took seconds for the next thousand."""
    production.record(*first, DIED)
    with production.database.writing.begin() as connection:
        connection.execute(text("UPDATE jobs SET unit = 'mark' WHERE unit IS NOT NULL"))

    production.record(attempt(3, "reco_7", batch=in_dag(83)))
    production.record(attempt(3, "reco_7", batch=in_dag(83), exit={"code": 4}), reason="it was 4")

    *before, last = units_of(production)
    assert set(before) == {"mark"}
    assert last == ("raw_7.root" if first else "reco_7")


def test_units_of_a_node_are_found_without_a_look_at_all_of_its_attempts(
    database: Database,
) -> None:
    with database.reading.connect() as connection:
        if not database.is_sqlite:
            # A small table is faster read from its beginning to its end
            connection.execute(text("SET enable_seqscan = off"))
            connection.execute(text("SET enable_bitmapscan = off"))
        asked = attempt_rows._ASKED[connection.dialect.name]
        sql = attempt_rows._KNOWN_UNITS.format(asked=asked)
        values = "[1]" if database.is_sqlite else "{1}"
        if not database.is_sqlite:
            sql = sql.replace("?", "%s")
        steps = plan_of(connection, Statement(sql, (values,)))

    if database.is_sqlite:
        in_index = "COVERING INDEX ix_node_attempts_node (node=? AND knows_unit=?"
        assert len([step for step in steps if in_index in step]) == 3, steps
    else:
        seeks = [step for step in steps if "node = asked.node" in step]
        assert len([step for step in seeks if "Index Cond" in step]) == 3, steps


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_only_tasks_with_attempts_at_nodes_are_held_up(production: Production) -> None:
    """Other processes may record jobs of the other tasks of a batch meanwhile."""
    simple = attempt(3, "raw_8.root", reads=("raw_8.root",), batch=alone(90, 0, 1), task_id="t2")
    production.record(DIED, simple)
    batch = [attempt(2, "reco_7", batch=in_dag(82)), {**simple, "job_id": job_id(4)}]
    submissions = [
        Submission(decode_record(json.dumps(record).encode()), production.tick(), "token 1 hook")
        for record in batch
    ]

    def free_tasks(writing: Writing) -> list[str]:
        record_jobs(writing, submissions)
        with production.database.reading.connect() as other:
            rows = other.execute(text("SELECT task_id FROM tasks FOR NO KEY UPDATE SKIP LOCKED"))
            return [row[0] for row in rows]

    assert production.writer.run(free_tasks) == ["t2"]


def test_retry_repeats_the_attempt_that_knows_what_to_read(production: Production) -> None:
    died_later = attempt(2, "raw_7.root", **READ, batch=in_dag(82), state="failed", outputs=[])
    production.record(died_later, attempt(3, "reco_7", batch=in_dag(83)))

    with production.database.reading.connect() as connection:
        body = RetryBody(experiment="nova", jobs=[job_id(3)])
        [retry] = show_choice(choose_retries(connection, production.store, body)).tries

    assert (retry.unit, retry.order.bundle_of) == ("raw_7.root", job_id(2))


@pytest.mark.slow
def test_version_before_has_the_units_that_records_name_and_this_one_joins_them_again(
    empty_url: str, tmp_path: Path
) -> None:
    store = open_store("memory:")

    def with_production(use: Callable[[Production], object]) -> list[str | None]:
        database = open_database(empty_url)
        production = Production(database, store, tmp_path)
        use(production)
        units = units_of(production)
        production.close()
        database.dispose()
        return units

    upgrade(empty_url)
    joined = with_production(lambda production: production.record(DIED, READ_IT))
    with_production(derive_all)
    downgrade(empty_url, "0007")
    left = with_production(lambda _production: None)
    upgrade(empty_url)
    again = with_production(derive_all)

    assert joined == again == ["raw_7.root", "raw_7.root"]
    assert left == ["reco_7", "raw_7.root"]


def derive_all(production: Production) -> None:
    """Do what a service does that starts."""
    enqueue_derivation(production.parts())
    production.work()


@st.composite
def attempts(draw: st.DrawFn) -> list[tuple[Record, str | None]]:
    """Attempts at few nodes, some of them announced before and some corrected later."""
    sent: list[tuple[Record, str | None]] = []
    for number in range(1, draw(st.integers(2, 8)) + 1):
        record = draw(drawn_attempt(number))
        if draw(st.integers(0, 3)) == 0:
            running = {"state": "running", "ended_at": None, "exit": None, "outputs": None}
            sent.append(({**draw(drawn_attempt(number)), **running}, None))
        sent.append((record, None))
        if draw(st.integers(0, 4)) == 0:
            sent.append((draw(drawn_attempt(number)), "other records were wrong"))
    return sent


@st.composite
def drawn_attempt(draw: st.DrawFn, number: int) -> Record:
    node = draw(st.sampled_from(["a", "b"]))
    place = draw(st.integers(0, 1))
    batches: list[Record | None] = [
        None,
        in_dag(80 + number, node, process=place),
        in_dag(80 + number, node, dag="71"),
        {**in_dag(80 + number, node), "part": 1},
        {**in_dag(80 + number), "dag_node": None, "section": str(place)},
        alone(70, place, draw(st.integers(1, 3))),
    ]
    batch = draw(st.sampled_from(batches))
    reads = tuple(draw(st.lists(st.sampled_from(["r1", "r2"]), max_size=2, unique=True)))
    unit = reads[0] if len(reads) == 1 else draw(st.sampled_from(["a", str(place), "shard", None]))
    task_id = draw(st.sampled_from(["t1", "t1", "t2"]))
    state = draw(st.sampled_from(["succeeded", "failed"]))
    return attempt(number, unit, reads=reads, batch=batch, task_id=task_id, state=state)


def in_another_order(
    sent: Sequence[tuple[Record, str | None]], seed: int
) -> list[list[tuple[Record, str | None]]]:
    """Return batches of the same in another order; what is sent of one job keeps its order."""
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    of_job: dict[str, list[tuple[Record, str | None]]] = defaultdict(list)
    for item in sent:
        of_job[item[0]["job_id"]].append(item)
    order = [item[0]["job_id"] for item in sent]
    chance.shuffle(order)
    batches: list[list[tuple[Record, str | None]]] = []
    for job in order:
        item = of_job[job].pop(0)
        if batches and batches[-1][0][1] == item[1] and chance.random() < 0.5:
            batches[-1].append(item)
        else:
            batches.append([item])
    return batches


def expected_units(sent: Sequence[tuple[Record, str | None]]) -> list[str | None]:
    """Return the unit of each job by its last record, looking at all jobs at once."""
    last = {item[0]["job_id"]: item[0] for item in sent}
    units: list[str | None] = []
    for _, record in sorted(last.items()):
        own = record["task"].get("unit")
        others = [other for other in last.values() if is_same_place(record, other)]
        known = {other["task"].get("unit") for other in others if knows_unit(other)}
        is_told = not knows_unit(record) and len(known) == 1 and None not in known
        units.append(known.pop() if is_told else own)
    return units


def is_same_place(record: Record, other: Record) -> bool:
    one, two = record["batch"], other["batch"]
    if one is None or two is None or record["task"]["task_id"] != other["task"]["task_id"]:
        return False
    if one["dag"]:
        names = [(batch["dag_node"] or batch.get("section")) for batch in (one, two)]
        processes = [batch["id"].split(".")[1] for batch in (one, two)]
        is_same_node = names[0] == names[1] and processes[0] == processes[1]
        return is_same_node and one["dag"] == two["dag"]
    was_once = [
        one_record["state"] == "succeeded" and one_record["batch"]["attempt"] == 1
        for one_record in (record, other)
    ]
    return one["id"] == two["id"] and not any(was_once)


def knows_unit(record: Record) -> bool:
    batch, unit = record["batch"] or {}, record["task"].get("unit")
    if record["inputs"] or batch.get("part"):
        return True
    return unit not in (None, "0", "1", batch.get("dag_node"), batch.get("section"))


@settings(
    max_examples=examples(20),
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(sent=attempts(), seed=st.integers(0, 10_000))
def test_order_of_arrival_does_not_change_units_and_a_rebuild_has_the_same(
    sent: list[tuple[Record, str | None]],
    seed: int,
    database: Database,
    sqlite_template: Path,
    tmp_path: Path,
) -> None:
    with emptied(database, sqlite_template, tmp_path / "first.db") as production:
        for record, reason in sent:
            production.record(record, reason=reason)
        production.work()
        seal_all(production.database, production.writer, production.store)
        (tmp_path / "rebuilt.db").unlink(missing_ok=True)
        rebuild_database(production.store, f"sqlite:///{tmp_path / 'rebuilt.db'}")
        first, units = production.tables(), units_of(production)
    with emptied(database, sqlite_template, tmp_path / "second.db") as production:
        for batch in in_another_order(sent, seed):
            production.record(*[record for record, _ in batch], reason=batch[0][1])
        second, units_then = production.tables(), units_of(production)

    assert units == units_then == expected_units(sent)
    assert first["node_attempts"] == second["node_attempts"]
    assert differences(first, tables_at(f"sqlite:///{tmp_path / 'rebuilt.db'}")) == []


@contextmanager
def emptied(database: Database, template: Path, file: Path) -> Iterator[Production]:
    """Yield an empty production: on this database of PostgreSQL, or in a new file of SQLite."""
    if database.is_sqlite:
        shutil.copy(template, file)
        database = open_database(f"sqlite:///{file}")
    else:
        with database.writing.begin() as connection:
            names = ", ".join(table.name for table in Base.metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    production = Production(database, open_store("memory:"))
    yield production
    production.close()
    if database.is_sqlite:
        database.dispose()
