"""About which units of a task somebody may decide, and which are waived."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.tasks.tasks import OpenUnit, UnitState
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.waivers import (
    UnitsToDecide,
    check_known_units,
    units_to_decide,
)
from tests.library.production import Production
from tests.library.records import record_of

UNITS = [f"f{number}.root" for number in range(1, 7)]


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield a task of six units in six states."""
    made = Production(database, open_store("memory:"), tmp_path)
    made.declare("t1", campaign="c", stage="reco", units=UNITS)
    running = {**record_of(4), "state": "running"}
    for of_the_end in ("ended_at", "exit", "outputs"):
        running.pop(of_the_end)
    made.record(
        record_of(1),
        record_of(2, state="failed", exit={"code": 1}),
        record_of(3, outputs=[]),
        running,
        received_at=datetime.now(UTC),
    )
    yield made
    made.close()


def decided(production: Production) -> UnitsToDecide:
    with production.database.reading.connect() as connection:
        return units_to_decide(connection, production.store, find_task(connection, "t1"))


def test_units_that_are_done_or_run_are_not_to_be_waived(production: Production) -> None:
    assert decided(production).open == [
        OpenUnit("f2.root", UnitState.FAILED, None),
        OpenUnit("f3.root", UnitState.NO_OUTPUT, None),
        OpenUnit("f5.root", UnitState.NOT_SUBMITTED, None),
        OpenUnit("f6.root", UnitState.NOT_SUBMITTED, None),
    ]


def test_waived_units_are_listed_with_who_and_why_the_newest_first(production: Production) -> None:
    production.waive("t1", "f2.root", "f5.root", who="Ada", why="the tape is lost")
    production.waive("t1", "f3.root", who="Eve", why="nobody needs it")

    units = decided(production)

    assert [unit.unit for unit in units.open] == ["f6.root"]
    assert units.waived == ["f2.root", "f3.root", "f5.root"]
    assert [waived[:3] for waived in units.newest_waived] == [
        ("f3.root", "Eve", "nobody needs it"),
        ("f2.root", "Ada", "the tape is lost"),
        ("f5.root", "Ada", "the tape is lost"),
    ]


def test_unit_whose_waiver_is_taken_back_is_waited_for_again(production: Production) -> None:
    production.waive("t1", "f2.root", "f5.root")
    production.waive("t1", "f2.root", withdrawn=True)

    units = decided(production)

    assert [unit.unit for unit in units.open] == ["f2.root", "f3.root", "f6.root"]
    assert units.waived == ["f5.root"]


def check(production: Production, *units: str, task_id: str = "t2") -> None:
    with production.database.reading.connect() as connection:
        task = find_task(connection, task_id)
        check_known_units(connection, production.store, task, units)


@pytest.mark.parametrize("is_declared", [False, True])
def test_unit_of_which_nothing_is_known_is_refused_with_those_spelled_alike(
    production: Production, *, is_declared: bool
) -> None:
    """A task may be declared with a number of units alone, or not at all."""
    if is_declared:
        production.declare("t2", units=3)
    production.record(record_of(11, task={"task_id": "t2", "unit": "raw_0017.root"}))

    check(production, "raw_0017.root")
    with pytest.raises(BadInputError) as caught:
        check(production, "raw_0071.root", "x", "raw_0017.root")

    problem = (
        "nothing is known of these units of task t2: raw_0071.root (did you mean raw_0017.root?), x"
    )
    assert caught.value.fields == {"units": [problem]}


def test_unit_that_only_a_list_has_is_known(production: Production) -> None:
    check(production, "f6.root", task_id="t1")
