"""A task beside its catalog: counted right with no hook, both sides held together.

Its parts go on where they stopped.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from jobprov.archive.opening import open_store
from jobprov.provenance.catalogs import metacat as metacat_reader
from jobprov.provenance.catalogs.opening import CatalogSettings, open_catalog
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.selections.mql import read_mql
from jobprov.provenance.services.catalogs import sync
from jobprov.provenance.services.catalogs.differences import compare_catalog
from jobprov.provenance.services.catalogs.draining import draining_query, list_draining
from jobprov.provenance.services.catalogs.frozen_units import freeze_units
from jobprov.provenance.services.catalogs.sync import sync_experiment
from jobprov.provenance.services.catalogs.syncing.task import TaskSync
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.lookup.job import read_job, show_job
from jobprov.provenance.services.selections.files import count_files
from jobprov.provenance.services.tasks.declarations import read_declaration, read_task_document
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from tests.library.production import Production
from tests.library.records import job_id, record_of
from tests.library.servers.catalogs import (
    CatalogServer,
    MetaCatServer,
    SamServer,
    Shelf,
    ShelfProcess,
    ShelfProject,
)

UNITS = [f"a{number:03}.root" for number in range(450)]
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What does not hang on the database is tried on one."""

RECO = {"core.data_tier": "reco"}
TIER = {"sam": "data_tier", "metacat": "core.data_tier"}


class Site:
    """A production beside a catalog of 450 raw files, frozen as the units of task t1."""

    def __init__(self, production: Production, kind: str) -> None:
        self.production, self.kind, self.shelf = production, kind, Shelf()
        self.prefix = "" if kind == "sam" else "dune:"
        for unit in UNITS:
            self.shelf.add(self.prefix + unit)
        self.shelf.lists[f"{self.prefix}raw"] = [self.prefix + unit for unit in UNITS]
        self.shelf.snapshots[71] = list(UNITS)
        self.server: CatalogServer = (
            SamServer(self.shelf) if kind == "sam" else MetaCatServer(self.shelf)
        )
        self.catalogs = {"nova": CatalogSettings(kind=kind, url=self.server.url, attempts=1)}  # type: ignore[arg-type]

    def declare(self, **more: Any) -> dict[str, Any]:
        """Declare task t1 from the catalog's raw files."""
        units = {"definition": "raw"} if self.kind == "sam" else {"dataset": "dune:raw"}
        document = {
            "experiment": "nova",
            "units": units,
            "output_metadata": {TIER[self.kind]: "reco"},
            **more,
        }
        frozen = freeze_units(
            document, self.declared(), lambda name: open_catalog(self.catalogs, name)
        )
        self.production.declare(
            "t1", **{name: value for name, value in frozen.items() if name != "experiment"}
        )
        return frozen

    def declared(self) -> dict[str, Any] | None:
        """Return the declaration of task t1."""
        with self.production.database.reading.connect() as connection:
            try:
                task = find_task(connection, "t1")
            except Exception:  # noqa: BLE001 - not declared yet
                return None
            return read_task_document(connection, self.production.store, task)

    def made(self, number: int, name: str, **more: Any) -> None:
        """Put the output of a unit into the catalog."""
        metadata = {TIER[self.kind]: "reco", "prov.task_id": "t1", **more.pop("metadata", {})}
        defaults = {"size_bytes": number + 1, "checksums": {"adler32": f"{number + 1:08x}"}}
        parents = [self.prefix + UNITS[number]]
        self.shelf.add(
            self.prefix + name, **{"parents": parents, "metadata": metadata, **defaults, **more}
        )

    def ran(self, number: int, name: str, **changes: Any) -> None:
        """Record the job of a unit."""
        task = {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": UNITS[number]}
        output = {"name": name, "size_bytes": number + 1, "checksums": [f"adler32:{number + 1:x}"]}
        record = {"task": task, "outputs": [output], "configurations": [], **changes}
        self.production.record(record_of(number + 1, **record))

    def sync(self, **how: Any) -> TaskSync:
        """Compare task t1 with the catalog."""
        place = self.production
        [done] = sync_experiment(
            place.database,
            place.writer,
            place.store,
            self.catalogs,
            "nova",
            **{"seconds": 60, **how},
        )
        return done

    def compared(self, **how: Any) -> dict[str, Any]:
        """Return what the comparison says, each kind of difference as its file names."""
        with self.production.database.reading.connect() as connection:
            task = find_task(connection, "t1")
            comparison = compare_catalog(connection, self.production.store, task, **how)
        found: dict[str, Any] = msgspec.to_builtins(comparison)
        found["differences"] = {
            each["kind"]: [file["name"].removeprefix(self.prefix) for file in each["files"]]
            for each in found["differences"]
        }
        return found

    def shown(self) -> dict[str, Any]:
        """Return the page of the task."""
        with self.production.database.reading.connect() as connection:
            task = show_task(connection, self.production.store, find_task(connection, "t1"))
        answer: dict[str, Any] = msgspec.to_builtins(task)
        return answer

    def draining(self) -> list[str]:
        """Return what is still to be processed."""
        with self.production.database.reading.connect() as connection:
            return list_draining(connection, self.production.store, find_task(connection, "t1"))


@pytest.fixture(params=["sam", "metacat"])
def site(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[Site]:
    production = Production(database, open_store("memory:"), tmp_path)
    made = Site(production, request.param)
    yield made
    made.server.close()
    production.close()


@pytest.mark.slow
def test_task_is_counted_right_with_no_hook_at_all(site: Site) -> None:
    site.declare()
    for number in range(300):
        site.made(number, f"b{number}.root")
    site.shelf.add(f"{site.prefix}hist.root", parents=[site.prefix + UNITS[400]])

    done = site.sync()

    shown = site.shown()
    assert (done.units, done.outputs, done.is_whole, done.problem) == (450, 300, True, None)
    assert (shown["expected"], shown["produced"], shown["missing"]) == (450, 300, 150)
    assert site.draining() == UNITS[300:]
    assert site.compared()["units"] == {
        "expected": 450,
        "in_catalog": 300,
        "without": 150,
        "by_catalog": 300,
    }


@pytest.mark.slow
@on_sqlite
def test_unit_is_asked_about_until_the_catalog_has_all_files_that_count(site: Site) -> None:
    """One that counts, or a log, was enough once: the rest was never asked for."""
    site.declare(output_patterns=["gen_*.root", "hist_*.root"])
    for number in (0, 1):
        site.made(number, f"gen_{number}.root")
        site.made(number, f"logs_{number}.tgz")
    site.made(0, "hist_0.root")
    site.sync()
    assert site.compared()["units"]["in_catalog"] == 1
    assert site.draining() == UNITS[1:]

    site.made(1, "hist_1.root")
    site.sync()

    assert site.compared()["units"]["in_catalog"] == 2
    assert site.draining() == UNITS[2:]


@on_sqlite
def test_list_is_frozen_though_the_definition_grows(site: Site) -> None:
    first = site.declare()
    site.shelf.add(f"{site.prefix}late.root")
    site.shelf.lists[f"{site.prefix}raw"].append(f"{site.prefix}late.root")

    again = site.declare(outputs_per_unit=2)

    assert first["units"] == again["units"] == UNITS
    assert again["outputs_per_unit"] == 2


@pytest.mark.slow
def test_both_sides_are_held_together(site: Site) -> None:
    site.declare()
    for number in range(6):
        site.ran(number, f"b{number}.root")
    site.made(0, "b0.root", checksums={"ADLER32": "0X1"})  # the same, as some write it
    site.made(1, "b1.root", size_bytes=99)
    site.made(2, "b2.root", checksums={"adler32": "ffffffff"})
    site.made(3, "b3.root", metadata={"prov.task_id": None})
    site.made(4, "b4.root", parents=[])
    site.made(7, "b7.root")
    site.sync()

    assert site.compared()["differences"] == {
        "no-output": [UNITS[5]],
        "never-arrived": ["b5.root"],
        "no-job": ["b7.root"],
        "size-differs": ["b1.root"],
        "checksum-differs": ["b2.root"],
        "task-id-lost": ["b3.root"],
        "no-parent": ["b4.root"],
    }


@pytest.mark.slow
def test_file_leads_to_its_page_and_job_where_a_record_mentions_it(site: Site) -> None:
    """The link of one that only the catalog knows led to a page with status 404."""
    site.declare()
    site.ran(0, "b0.root")
    site.made(0, "b0.root", parents=[])
    site.made(1, "b1.root")
    site.sync()

    with site.production.database.reading.connect() as connection:
        task = find_task(connection, "t1")
        comparison = compare_catalog(connection, site.production.store, task)

    files = {each.kind: each.files for each in comparison.differences}
    assert [(file.url, file.job_id) for file in files["no-job"]] == [(None, None)]
    [orphan] = files["no-parent"]
    assert orphan.url == "/files/b0.root?experiment=nova&namespace="
    assert (orphan.job_id, orphan.unit) == (job_id(1), UNITS[0]), "as its job says"


@pytest.mark.slow
def test_output_that_was_retired_is_told_from_one_that_never_arrived(site: Site) -> None:
    """Somebody looked for it in the transfers, where it had not been lost."""
    site.declare()
    for number in range(4):
        site.ran(number, f"b{number}.root")
    site.made(0, "b0.root")
    site.made(1, "b1.root", is_retired=True)  # before anybody compared
    site.made(2, "b2.root")
    site.sync()
    site.shelf.files[f"{site.prefix}b2.root"].is_retired = True

    site.sync(everything=True)

    assert site.compared()["differences"] == {
        "never-arrived": ["b3.root"],
        "retired": ["b1.root", "b2.root"],
        "no-output": UNITS[1:4],
    }
    assert site.draining() == UNITS[1:]

    site.shelf.files[f"{site.prefix}b1.root"].is_retired = False
    site.sync()

    assert site.compared()["differences"] == {
        "never-arrived": ["b3.root"],
        "retired": ["b2.root"],
        "no-output": UNITS[2:4],
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("late_after", "differences"),
    [
        ({}, {"never-arrived": ["old.root"], "not-in-catalog": ["new.root"]}),
        ({"late_after_hours": 0}, {"never-arrived": ["old.root", "new.root"]}),
        ({"late_after_hours": 9}, {"not-in-catalog": ["old.root", "new.root"]}),
    ],
)
def test_output_that_is_not_there_hours_after_its_job_never_arrived(
    site: Site, late_after: dict[str, Any], differences: dict[str, Any]
) -> None:
    site.declare()
    for number, name, hours in ((0, "old.root", 8), (1, "new.root", 1)):
        ended_at = datetime.now(UTC) - timedelta(hours=hours)
        site.ran(number, name, ended_at=ended_at.isoformat())
    site.sync()

    assert site.compared(**late_after)["differences"] == differences


@pytest.mark.slow
def test_units_that_succeeded_without_output_are_a_difference(site: Site) -> None:
    """Those of which the catalog knows a file are done, whatever their job says."""
    site.declare()
    for number in (0, 1, 2):
        site.ran(number, "none.root", outputs=[], host={"hostname": f"wn{number}"})
    site.made(1, "b1.root")
    site.sync()

    with site.production.database.reading.connect() as connection:
        task = find_task(connection, "t1")
        [empty, *_] = compare_catalog(connection, site.production.store, task).differences

    assert (empty.kind, empty.count) == ("no-output", 2)
    assert [(file.unit, file.job_id, file.node) for file in empty.files] == [
        (UNITS[0], job_id(1), "wn0"),
        (UNITS[2], job_id(3), "wn2"),
    ]


@pytest.mark.slow
@on_sqlite
def test_renamed_output_is_one_file(site: Site) -> None:
    site.declare()
    site.ran(0, "b0.root")
    site.made(0, "renamed.root", metadata={"prov.job_id": job_id(1), "prov.output": "b0.root"})
    site.sync()

    assert site.compared()["differences"] == {}
    assert site.shown()["produced"] == 1


@pytest.mark.slow
@on_sqlite
def test_output_that_moved_to_another_namespace_is_one_file(metacat: Site) -> None:
    """It was told as removed from the one, and in the other as made by no job."""
    metacat.declare()
    size = {"size_bytes": 1, "checksums": ["adler32:1"]}
    metacat.ran(0, "b0.root", outputs=[{"name": "b0.root", "namespace": "dune", **size}])
    metacat.made(0, "b0.root", metadata={"prov.job_id": job_id(1), "prov.output": "b0.root"})
    metacat.sync()
    moved = metacat.shelf.files.pop("dune:b0.root")
    moved.name = "archive:b0.root"
    metacat.shelf.files[moved.name] = moved

    metacat.sync(everything=True)

    assert metacat.compared()["differences"] == {}
    with metacat.production.database.reading.connect() as connection:
        found = show_file(connection, "archive:b0.root")
    assert found.producer is not None
    assert (found.producer.job_id, found.aliases) == (job_id(1), ["dune:b0.root"])


@pytest.mark.slow
@on_sqlite
def test_units_that_left_their_dataset_are_asked_about_by_name(metacat: Site) -> None:
    """A dataset gives its files with their children at once; the list is of another day."""
    metacat.declare()
    for number in (3, 449):
        metacat.made(number, f"b{number}.root")
    metacat.shelf.lists["dune:raw"] = [*metacat.shelf.lists["dune:raw"][:-1], "dune:new.root"]
    metacat.shelf.add("dune:new.root")
    metacat.shelf.add("dune:theirs.root", parents=["dune:new.root"], metadata=RECO)

    done = metacat.sync()

    assert (done.units, done.outputs, done.is_whole) == (450, 2, True)
    assert metacat.draining() == [unit for unit in UNITS if unit not in (UNITS[3], UNITS[449])]
    assert metacat.server.asked.count("POST /data/files") == 3, "two parts of children, one unit"


@pytest.mark.slow
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
def test_sync_gives_files_of_a_hook_without_namespaces_their_did(site: Site) -> None:
    """One by the hook's sidecar, one by task and checksum; a third has its namespace already."""
    site.declare()
    site.ran(0, "b0.root")
    site.ran(1, "b1.root")
    size = {"size_bytes": 3, "checksums": ["adler32:3"]}
    site.ran(2, "b2.root", outputs=[{"name": "b2.root", "namespace": "dune", **size}])
    site.made(0, "b0.root", metadata={"prov.job_id": job_id(1), "prov.output": "b0.root"})
    site.made(1, "b1.root")
    site.made(2, "b2.root", metadata={"prov.job_id": job_id(3), "prov.output": "b2.root"})

    site.sync()
    site.sync(everything=True)

    with site.production.database.reading.connect() as connection:
        for number in range(3):
            found = show_file(connection, f"dune:b{number}.root")
            assert found.producer is not None
            assert found.producer.job_id == job_id(number + 1)
            assert found.aliases == ([] if number == 2 else [f"b{number}.root"])
        bare = show_file(connection, "b0.root")
        assert (bare.file.namespace, bare.aliases) == ("", ["dune:b0.root"])
        sightings = connection.execute(text("SELECT count(*) FROM sightings")).scalar_one()
    assert sightings == 2, "what has its name needs none, and the same is not kept twice"
    assert site.compared()["differences"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
def test_sync_gives_inputs_that_jobs_recorded_by_bare_name_their_did(site: Site) -> None:
    """A unit, and one of another namespace; a job that comes later has both at once."""
    site.declare()
    site.shelf.add("calib:lamp.root", size_bytes=7, metadata={"DUNE.campaign": "fd"})
    inputs = [{"name": UNITS[0], "checksums": ["adler32:00000001"]}, {"name": "lamp.root"}]
    site.ran(0, "b0.root", inputs=inputs)

    first = site.sync()
    second = site.sync(everything=True)
    site.ran(1, "b1.root", inputs=[{"name": UNITS[1]}, inputs[1]])

    assert (first.named, first.problem, second.named) == (2, None, 0)
    with site.production.database.reading.connect() as connection:
        unit = show_file(connection, f"dune:{UNITS[0]}")
        assert [consumer.job_id for consumer in unit.consumers] == [job_id(1)]
        assert [child.name for child in unit.children] == ["b0.root"]
        assert show_file(connection, UNITS[0]).file.namespace == "dune", "there is no other"
        lamp = show_file(connection, "calib:lamp.root")
        assert [consumer.job_id for consumer in lamp.consumers] == [job_id(1), job_id(2)]
        in_campaign = read_mql("files where DUNE.campaign = fd", home="nova")
        assert count_files(connection, "nova", in_campaign) == 1
        parents = show_file(connection, "b0.root").parents
        assert [(file.namespace, file.name) for file in parents] == [
            ("dune", UNITS[0]),
            ("calib", "lamp.root"),
        ]
        store = site.production.store
        job = show_job(connection, read_job(connection, store, job_id(1)))
        assert [file["did"] for file in job.inputs] == [f"dune:{UNITS[0]}", "calib:lamp.root"]


@pytest.mark.slow
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
def test_input_that_two_namespaces_have_or_that_differs_stays_bare_and_is_told(site: Site) -> None:
    site.declare()
    for name in ("one:x.root", "two:x.root", "one:large.root"):
        site.shelf.add(name, size_bytes=5)
    inputs = [{"name": "x.root"}, {"name": "large.root", "size_bytes": 6}, {"name": "no.root"}]
    site.ran(0, "b0.root", inputs=inputs)

    done = site.sync()

    assert done.is_whole
    assert done.named == 0
    assert done.problem == (
        "2 inputs recorded without a namespace got none: one:large.root in the catalog differs in "
        "size or checksum; the catalog has x.root in one, two."
    )
    assert site.compared()["problem"] == done.problem
    with site.production.database.reading.connect() as connection:
        for name in ("x.root", ":large.root"):
            found = show_file(connection, name)
            assert (found.file.namespace, found.consumer_count) == ("", 1)


@pytest.mark.slow
def test_sync_stops_when_its_time_is_over_and_goes_on_there(site: Site) -> None:
    site.declare()
    site.made(449, "b.root")

    first = site.sync(seconds=0)
    with pytest.raises(BadInputError, match="not compared"):
        site.draining()
    second = site.sync()
    site.server.asked.clear()
    third = site.sync()

    assert (first.units, first.is_whole, second.is_whole, second.outputs) == (0, False, True, 1)
    assert third.units == 449, "the unit with an output is not asked about again"


class _Clock:
    """Ticks a second each time somebody looks at it."""

    def __init__(self) -> None:
        self.seconds = 0

    def monotonic(self) -> int:
        """Return the seconds, one more than before."""
        self.seconds += 1
        return self.seconds


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
@pytest.mark.parametrize("everything", [False, True])
def test_sync_of_a_dataset_that_takes_longer_than_its_time_comes_to_an_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, everything: bool
) -> None:
    """Each run asked for the same first files of the dataset, and got no further."""
    monkeypatch.setattr(metacat_reader, "_OF_SOURCE", 100)
    monkeypatch.setattr(sync, "time", _Clock())
    site.declare()
    for number in (0, 449):
        site.made(number, f"b{number}.root")

    runs = [site.sync(seconds=4, everything=everything) for _ in range(2)]

    assert [run.is_whole for run in runs] == [False, True]
    assert site.shown()["produced"] == 2


@pytest.mark.slow
@on_sqlite
def test_file_that_was_retired_is_missing_again_when_everything_is_asked(site: Site) -> None:
    site.declare()
    site.made(3, "b.root")
    site.sync()
    site.shelf.files[f"{site.prefix}b.root"].is_retired = True

    site.sync(everything=True)

    assert site.shown()["produced"] == 0


@pytest.mark.slow
@on_sqlite
def test_catalog_that_is_away_is_told_and_what_was_found_stays(site: Site) -> None:
    site.declare()
    site.made(0, "b.root")
    site.sync()
    site.server.faults = [500, 500, 500]

    done = site.sync()

    assert done.problem is not None
    assert "does not answer" in done.problem
    assert site.compared()["problem"] == done.problem
    assert site.shown()["produced"] == 1


@pytest.fixture
def metacat(database: Database, tmp_path: Path) -> Iterator[Site]:
    production = Production(database, open_store("memory:"), tmp_path)
    made = Site(production, "metacat")
    yield made
    made.server.close()
    production.close()


@pytest.fixture
def sam(database: Database, tmp_path: Path) -> Iterator[Site]:
    production = Production(database, open_store("memory:"), tmp_path)
    made = Site(production, "sam")
    yield made
    made.server.close()
    production.close()


@pytest.mark.slow
def test_silent_job_has_node_and_batch_id_by_its_process(sam: Site) -> None:
    sam.shelf.projects["p1"] = ShelfProject(
        71,
        [
            ShelfProcess(7, "81.0@sched", "wn1", "completed", {UNITS[0]: "consumed"}),
            ShelfProcess(8, "81.1@sched", "wn2", "bad", {UNITS[1]: "delivered"}),
        ],
    )
    sam.declare(project="p1")
    sam.made(0, "b0.root", process_id=7)
    sam.ran(2, "b2.root", state="failed", exit={"code": 1})

    done = sam.sync()

    found = sam.compared()
    assert done.processes == 2
    assert found["silent"] == [
        {
            "unit": UNITS[1],
            "process_id": 8,
            "batch_id": "81.1@sched",
            "node": "wn2",
            "status": "bad",
        }
    ]
    assert found["processes"] == {"completed": 1, "bad": 1}
    with sam.production.database.reading.connect() as connection:
        comparison = compare_catalog(connection, sam.production.store, find_task(connection, "t1"))
    [no_job] = [each.files[0] for each in comparison.differences if each.kind == "no-job"]
    assert (no_job.batch_id, no_job.node) == ("81.0@sched", "wn1")


@pytest.mark.slow
@on_sqlite
def test_draining_list_is_said_as_a_dimension_that_selects_it(sam: Site) -> None:
    declared = read_declaration(sam.declare())
    sam.made(0, "b0.root")
    sam.sync()
    catalog = open_catalog(sam.catalogs, "nova")

    query = draining_query(declared, catalog)

    assert query == "( defname: 'raw' ) minus isparentof: ( data_tier 'reco' )"
    assert list(catalog.list_names(query)) == sam.draining()


@on_sqlite
def test_task_without_inputs_is_counted_by_the_id_in_the_metadata(sam: Site) -> None:
    sam.production.declare("t1", units=10)
    sam.ran(0, "b0.root")
    sam.made(0, "b0.root", parents=[])
    sam.made(1, "b1.root", parents=[])
    sam.sync()

    assert sam.compared()["differences"] == {"no-job": ["b1.root"]}


@on_sqlite
@pytest.mark.parametrize(
    ("units", "words"),
    [
        ({"definition": "none"}, "refuses|does not know"),
        ({"definition": "raw", "snapshot_id": 1}, "exactly one"),
        ({"dataset": "a:b"}, "no datasets"),
        ({"query": "data_tier nothing"}, "query 'data_tier nothing' selects no file"),
    ],
)
def test_source_that_gives_no_list_is_refused(sam: Site, units: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        sam.declare(units=units)
