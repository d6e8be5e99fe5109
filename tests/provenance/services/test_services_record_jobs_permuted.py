"""Records arrive in any order, twice, late: the graph is the same."""

import random
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from graph_reading import Graph, read_graph
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from production_samples import MOMENT, Production, file_entry, job, job_id
from sqlalchemy import text

from provenance.db.engines import Database, open_database
from provenance.db.tables import Base
from provenance.services.record_sighting import record_sighting

NAMES = ("a.root", "b.root", "c.root", "d.root")
STATES = ("succeeded", "succeeded", "succeeded", "failed", "killed")


@st.composite
def files(draw: st.DrawFn, *, is_output: bool) -> dict[str, Any]:
    """A file of few names and contents, so that names collide; some say little, some contradict each other."""
    entry: dict[str, Any] = {"name": draw(st.sampled_from(NAMES))}
    content = draw(st.integers(0, 2))
    checksums = draw(st.sampled_from([(), (), ("adler32",), ("md5",), ("adler32", "md5")]))
    if checksums:
        entry["checksums"] = [f"{name}:{content:032x}"[: 8 + 33 * (name == "md5") + 8] for name in checksums]
    if draw(st.booleans()):
        entry["size_bytes"] = content
    if draw(st.booleans()):
        entry["step"] = draw(st.sampled_from(["one", "two"]))
    if is_output and draw(st.integers(0, 4)) == 0:
        entry["parents"] = draw(st.lists(st.sampled_from(NAMES), max_size=2))
    if not is_output:
        entry["role"] = draw(st.sampled_from(["primary", "secondary", "shared"]))
    return entry


@st.composite
def seen_jobs(draw: st.DrawFn, number: int) -> list[tuple[str, Any, str | None]]:
    """What is sent of one job: ("record", record, reason of a revision); a revision comes after what it corrects."""
    sent: list[tuple[str, Any, str | None]] = []
    state = draw(st.sampled_from(STATES))
    shared = {"task": {"task_id": draw(st.sampled_from(["t1", "t2"])), "unit": "u"}}
    if draw(st.integers(0, 5)) == 0:
        shared["rerun_of"] = job_id(99)  # type: ignore[assignment]
    for witness in draw(st.sampled_from([["wrapper"], ["wrapper", "history"], ["history", "postcmd"]])):
        record = job(
            number,
            inputs=draw(st.lists(files(is_output=False), max_size=2)),
            outputs=draw(st.lists(files(is_output=True), max_size=2)),
            witness=witness,
            **{**shared, "state": state},
        )
        if draw(st.integers(0, 3)) == 0:
            sent.append(
                ("record", {**record, "state": "running", "inputs": draw(st.lists(files(is_output=False)))}, None)
            )
        sent.append(("record", record, None))
        if draw(st.integers(0, 3)) == 0:
            corrected = {**record, "outputs": draw(st.lists(files(is_output=True), max_size=2))}
            sent.append(("record", corrected, f"wrong outputs of {witness}"))
    return sent


@st.composite
def sightings(draw: st.DrawFn) -> tuple[str, Any, None]:
    seen = draw(files(is_output=True))
    metadata: dict[str, str] = {}
    if draw(st.booleans()):
        metadata = {"prov.job_id": job_id(draw(st.integers(1, 4))), "prov.output": draw(st.sampled_from(NAMES))}
    if draw(st.booleans()):
        metadata["prov.task_id"] = "t1"
    return "sighting", {"experiment": "nova", **seen, "metadata": metadata}, None


@st.composite
def productions(draw: st.DrawFn) -> list[tuple[str, Any, str | None]]:
    sent = [item for number in range(1, draw(st.integers(2, 4)) + 1) for item in draw(seen_jobs(number))]
    return sent + draw(st.lists(sightings(), max_size=2))


def shuffled(sent: list[tuple[str, Any, str | None]], seed: int) -> list[list[tuple[str, Any, str | None]]]:
    """Return batches of what was sent in another order, some of it twice; a revision stays behind what it corrects."""
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


def graph_of(database: Database, batches: list[list[tuple[str, Any, str | None]]]) -> Graph:
    production = Production(database)
    for batch in batches:
        for reason in dict.fromkeys(item[2] for item in batch):
            records = [item[1] for item in batch if item[0] == "record" and item[2] == reason]
            if records:
                production.record(*records, reason=reason)
        for kind, document, _ in batch:
            if kind == "sighting":
                production.write(
                    lambda c, seen=document: record_sighting(c, production.known, seen, received_at=MOMENT)
                )
    with database.reading.connect() as connection:
        return read_graph(connection)


@contextmanager
def fresh(template: Path, folder: Path) -> Iterator[Database]:
    file = folder / f"{uuid.uuid4().hex}.db"
    shutil.copy(template, file)
    database = open_database(f"sqlite:///{file}")
    yield database
    database.dispose()
    for left in folder.iterdir():
        left.unlink()


@settings(
    max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
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
        return [(seen[1:], claim[0], is_sure) for seen, claim, is_sure in read_graph(connection)["edges"]]


@pytest.mark.parametrize("role", ["primary", "shared"])
def test_identity_that_only_a_replaced_reading_named_resolves_when_it_is_named_again(
    database: Database, role: str
) -> None:
    production = Production(database)
    read = file_entry("a.root", size=1, role=role)
    production.record(job(1, outputs=[file_entry("a.root", 1)]))
    production.record(job(2, inputs=[read], state="running"))
    production.record(job(2))
    only_birth = resolved(production)

    production.record(job(3, inputs=[read]))

    expected = (("a.root", 1, ""), job_id(1), False)
    assert expected not in only_birth
    assert expected in resolved(production)


def test_declared_parent_that_only_a_replaced_reading_named_resolves_when_it_is_named_again(database: Database) -> None:
    production = Production(database)
    child = {"name": "b.root", "parents": ["a.root"]}
    production.record(job(1, outputs=[file_entry("a.root", 1)]))
    production.record(job(2, outputs=[child], state="running"))
    production.record(job(2))

    production.record(job(3, outputs=[child]))

    assert (("a.root", None, ""), job_id(1), False) in resolved(production)


def test_identity_that_is_named_again_ties_others_together_again(database: Database) -> None:
    production = Production(database)
    both = file_entry("a.root", checksums=["adler32:00000001", "md5:01"])
    production.record(job(1, outputs=[file_entry("a.root", 1)]))
    production.record(job(2, inputs=[file_entry("a.root", checksums=["md5:01"])]))
    production.record(job(3, inputs=[both], state="running"))
    production.record(job(3))
    assert (("a.root", None, "md5:01"), job_id(1), True) not in resolved(production)

    production.record(job(4, inputs=[both]))

    assert (("a.root", None, "md5:01"), job_id(1), True) in resolved(production)


def test_correction_of_a_job_that_is_not_held_is_read_again_as_its_record(database: Database) -> None:
    production = Production(database)
    corrected = job(1, outputs=[file_entry("a.root", 1)])

    first = production.record(corrected, reason="wrong outputs")
    again = production.record(corrected)
    other = production.record(job(1))

    assert [first[0].change, again[0].change, other[0].change] == ["created", "same", "conflict"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@settings(max_examples=5, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
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
