"""Records arrive in any order, twice, late: the graph is the same."""

import random
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.tables import Base
from tests.library.examples import examples
from tests.library.production import Production
from tests.library.productions.drawn import graph_of, productions
from tests.library.productions.recorded_graph import read_graph
from tests.library.records import a_record, file_entry, job_id


def shuffled(
    sent: list[tuple[str, Any, str | None]], seed: int
) -> list[list[tuple[str, Any, str | None]]]:
    """Return batches of what was sent in another order, some of it twice.

    A revision stays behind what it corrects.
    """
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    order = [*sent, *chance.sample(sent, k=min(2, len(sent)))]
    chance.shuffle(order)
    finals = lambda item: item[0] == "record" and item[1]["state"] != "running"  # noqa: E731
    done: set[str] = set()
    settled: list[tuple[str, Any, str | None]] = []
    late: list[tuple[str, Any, str | None]] = []
    for item in order:
        key = f"{item[1].get('job_id')}{item[1].get('witness')}"
        if item[2] is not None and key not in done:
            late.append(item)
            continue
        settled.append(item)
        if finals(item) and item[2] is None:
            done.add(key)
    settled += late
    batches = []
    while settled:
        size = chance.randint(1, 4)
        batches.append(settled[:size])
        settled = settled[size:]
    return batches


@contextmanager
def fresh(template: Path, folder: Path) -> Iterator[Database]:
    file = folder / f"{uuid.uuid4().hex}.db"
    shutil.copy(template, file)
    database = open_database(f"sqlite:///{file}")
    yield database
    database.dispose()
    for left in folder.iterdir():
        left.unlink()


@pytest.mark.slow
@settings(
    max_examples=examples(40),
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(sent=productions(), seed=st.integers(0, 10_000))
def test_order_of_arrival_does_not_change_the_graph(
    sent: list[tuple[str, Any, str | None]],
    seed: int,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "permuted"
    folder.mkdir(exist_ok=True)
    with fresh(sqlite_template, folder) as database:
        expected = graph_of(database, [[item] for item in sent])
    with fresh(sqlite_template, folder) as database:
        assert graph_of(database, shuffled(sent, seed)) == expected


def resolved(production: Production) -> list[tuple[Any, ...]]:
    with production.database.reading.connect() as connection:
        return [
            (seen[1:], claim[0], is_sure)
            for seen, claim, is_sure in read_graph(connection)["edges"]
        ]


@pytest.mark.parametrize("role", ["primary", "shared"])
def test_identity_that_only_a_replaced_reading_named_resolves_when_it_is_named_again(
    production: Production, role: str
) -> None:
    read = file_entry("a.root", size=1, role=role)
    production.record(a_record(1, outputs=[file_entry("a.root", 1)]))
    production.record(a_record(2, inputs=[read], state="running"))
    production.record(a_record(2))
    only_birth = resolved(production)

    production.record(a_record(3, inputs=[read]))

    expected = (("a.root", 1, ""), job_id(1), False)
    assert expected not in only_birth
    assert expected in resolved(production)


def test_declared_parent_that_only_a_replaced_reading_named_resolves_when_it_is_named_again(
    production: Production,
) -> None:
    child = {"name": "b.root", "parents": ["a.root"]}
    production.record(a_record(1, outputs=[file_entry("a.root", 1)]))
    production.record(a_record(2, outputs=[child], state="running"))
    production.record(a_record(2))

    production.record(a_record(3, outputs=[child]))

    assert (("a.root", None, ""), job_id(1), False) in resolved(production)


def test_identity_that_is_named_again_ties_others_together_again(production: Production) -> None:
    both = file_entry("a.root", checksums=["adler32:00000001", "md5:01"])
    production.record(a_record(1, outputs=[file_entry("a.root", 1)]))
    production.record(a_record(2, inputs=[file_entry("a.root", checksums=["md5:01"])]))
    production.record(a_record(3, inputs=[both], state="running"))
    production.record(a_record(3))
    assert (("a.root", None, "md5:01"), job_id(1), True) not in resolved(production)

    production.record(a_record(4, inputs=[both]))

    assert (("a.root", None, "md5:01"), job_id(1), True) in resolved(production)


def test_correction_of_a_job_that_is_not_held_is_read_again_as_its_record(
    production: Production,
) -> None:
    corrected = a_record(1, outputs=[file_entry("a.root", 1)])

    first = production.record(corrected, reason="wrong outputs")
    again = production.record(corrected)
    other = production.record(a_record(1))

    assert [first[0].change, again[0].change, other[0].change] == ["created", "same", "conflict"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@settings(
    max_examples=examples(5),
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(sent=productions(), seed=st.integers(0, 10_000))
def test_postgresql_holds_the_same_graph_as_sqlite(
    sent: list[tuple[str, Any, str | None]],
    seed: int,
    database: Database,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "permuted"
    folder.mkdir(exist_ok=True)
    with fresh(sqlite_template, folder) as other:
        expected = graph_of(other, [[item] for item in sent])
    with database.writing.begin() as connection:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    assert graph_of(database, shuffled(sent, seed)) == expected
