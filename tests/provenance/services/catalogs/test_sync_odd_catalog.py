"""Catalogs with odd names, names in two namespaces, projects that change.

A task beside them is compared all the same.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.catalogs.differences import CatalogComparison
from jobprov.provenance.catalogs.opening import CatalogSettings, open_catalog
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.services.catalogs.differences import compare_catalog
from jobprov.provenance.services.catalogs.draining import list_draining
from jobprov.provenance.services.catalogs.frozen_units import freeze_units
from jobprov.provenance.services.catalogs.sync import sync_experiment
from jobprov.provenance.services.catalogs.syncing import units as syncing_units
from jobprov.provenance.services.catalogs.syncing.task import TaskSync
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.tasks.tasks import find_task
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

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
UNITS = [
    "plain.root",
    "run:1.root",
    ":2.root",
    "it's.root",
    "50%.root",
    "a?b.root",
    "back\\slash.root",
]


class Site:
    """A production beside a catalog in which UNITS lie, frozen as the units of task t1."""

    def __init__(self, production: Production, kind: str) -> None:
        self.production, self.kind, self.shelf = production, kind, Shelf()
        self.prefix, self.tier = ("", "data_tier") if kind == "sam" else ("dune:", "core.data_tier")
        for unit in UNITS:
            self.shelf.add(self.prefix + unit)
        self.shelf.lists[f"{self.prefix}raw"] = [self.prefix + unit for unit in UNITS]
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
            "output_metadata": {self.tier: "reco"},
            **more,
        }
        frozen = freeze_units(document, None, lambda name: open_catalog(self.catalogs, name))
        self.production.declare(
            "t1", **{name: value for name, value in frozen.items() if name != "experiment"}
        )
        return frozen

    def made(self, name: str, *units: str, **more: Any) -> None:
        """Put the output of some units into the catalog; a name with a namespace is whole."""
        metadata = {self.tier: "reco", "prov.task_id": "t1", **more.pop("metadata", {})}
        parents = [self.prefix + unit for unit in units]
        self.shelf.add(name, parents=parents, metadata=metadata, **{"size_bytes": 1, **more})

    def ran(self, number: int, name: str, **output: Any) -> None:
        """Record a job."""
        task = {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": UNITS[0]}
        self.production.record(
            record_of(number, task=task, outputs=[{"name": name, "size_bytes": 1, **output}])
        )

    def sync(self, task_id: str | None = "t1", **how: Any) -> list[TaskSync]:
        """Compare with the catalog."""
        place = self.production
        return sync_experiment(
            place.database,
            place.writer,
            place.store,
            self.catalogs,
            "nova",
            task_id=task_id,
            **{"seconds": 60, **how},
        )

    def compared(self) -> CatalogComparison:
        """Return the comparison of task t1."""
        with self.production.database.reading.connect() as connection:
            return compare_catalog(connection, self.production.store, find_task(connection, "t1"))

    def differences(self) -> dict[str, list[str]]:
        """Return the names of the files by the kind of difference."""
        return {
            difference.kind: [file.name for file in difference.files]
            for difference in self.compared().differences
        }

    def draining(self) -> list[str]:
        """Return what is still to be processed."""
        with self.production.database.reading.connect() as connection:
            return list_draining(connection, self.production.store, find_task(connection, "t1"))


@pytest.fixture
def open_site(database: Database, tmp_path: Path) -> Iterator[Any]:
    """Return what opens a site of a kind."""
    production = Production(database, open_store("memory:"), tmp_path)
    opened: list[Site] = []

    def start(kind: str) -> Site:
        opened.append(Site(production, kind))
        return opened[-1]

    yield start
    for site in opened:
        site.server.close()
    production.close()


@pytest.fixture
def metacat(open_site: Any) -> Site:
    found: Site = open_site("metacat")
    return found


@pytest.fixture
def sam(open_site: Any) -> Site:
    found: Site = open_site("sam")
    return found


def test_names_with_colons_are_whole_in_units_and_outputs(sam: Site) -> None:
    """What stood before the last colon was taken for a namespace."""
    frozen = sam.declare()
    sam.ran(1, "out:1:2.root")
    sam.made("out:1:2.root", "run:1.root", ":2.root")

    [done] = sam.sync()

    assert (frozen["units"], frozen.get("namespace")) == (sorted(UNITS), None)
    assert (done.problem, sam.differences()) == (None, {})
    assert sorted(sam.draining()) == sorted({*UNITS} - {"run:1.root", ":2.root"})


@pytest.mark.slow
def test_units_that_metacat_cannot_hold_are_told_and_the_others_compared(metacat: Site) -> None:
    """One such name made the server refuse 200 units, and the task was never compared."""
    metacat.declare()
    metacat.ran(1, "b.root")
    metacat.ran(2, "hist+1.root")
    metacat.made("dune:b.root", UNITS[0])

    [done] = metacat.sync()

    assert (done.is_whole, done.outputs) == (True, 1)
    assert done.problem is not None
    assert done.problem.startswith("6 units of 7 can be no file of the catalog")
    assert metacat.compared().not_compared is None
    assert metacat.differences() == {"never-arrived": ["hist+1.root"]}


def test_units_without_any_namespace_are_why_a_task_is_not_compared(metacat: Site) -> None:
    """MetaCat answered 500 for them, four times, and counted as away for all later tasks."""
    metacat.production.declare("t1", units=["x1.root", "x2.root"])
    metacat.production.declare("t2", units=["dune:plain.root"])
    metacat.made("dune:b.root", UNITS[0])

    first, second = metacat.sync(task_id=None)

    assert (first.is_whole, second.is_whole, second.outputs) == (False, True, 1)
    why = metacat.compared().not_compared
    assert why is not None
    assert "2 units of 2 can be no file of the catalog" in why
    assert "declare it again with `namespace`" in why
    assert metacat.server.asked.count("POST /data/files") == 2, "of the second task alone"


@pytest.mark.slow
def test_outputs_are_found_in_whichever_namespace_they_were_declared(metacat: Site) -> None:
    """They were looked up in the namespace of the inputs, and told as not in the catalog."""
    metacat.declare()
    metacat.ran(1, "orphan.root")
    metacat.ran(2, "nameless.root")
    metacat.ran(3, "common.root")
    metacat.made("reco:orphan.root")
    metacat.made("reco:nameless.root", UNITS[0], metadata={"prov.task_id": None})
    metacat.made("theirs:common.root", size_bytes=9, metadata={"prov.task_id": "other"})

    metacat.sync()

    assert metacat.differences() == {
        "never-arrived": ["common.root"],
        "task-id-lost": ["reco:nameless.root"],
        "no-parent": ["reco:orphan.root"],
    }


@pytest.mark.slow
def test_orphan_whose_job_knew_no_namespace_is_found_by_its_did(metacat: Site) -> None:
    """Only children of units were joined to the jobs that recorded them by bare name."""
    metacat.declare()
    metacat.ran(1, "orphan.root")
    hooks = {"prov.job_id": job_id(1), "prov.output": "orphan.root"}
    metacat.made("reco:orphan.root", metadata=hooks)

    metacat.sync()

    with metacat.production.database.reading.connect() as connection:
        file = show_file(connection, "reco:orphan.root")
    assert [version.job and version.job.job_id for version in file.versions] == [job_id(1)]


@pytest.mark.slow
def test_retired_file_in_another_namespace_is_ours_if_it_agrees(metacat: Site) -> None:
    metacat.declare()
    metacat.ran(1, "ours.root")
    metacat.ran(2, "common.root")
    metacat.made("reco:ours.root", is_retired=True)
    theirs = {"is_retired": True, "size_bytes": 9, "metadata": {"prov.task_id": "other"}}
    metacat.made("theirs:common.root", **theirs)

    metacat.sync()

    assert metacat.differences() == {"never-arrived": ["common.root"], "retired": ["ours.root"]}


def test_failure_at_one_task_is_told_and_the_next_is_compared(metacat: Site) -> None:
    """A failure of what one task asks counted as the catalog being away."""
    metacat.declare()
    metacat.production.declare("t2", units=["dune:plain.root"])
    metacat.server.faults = [500, "well", 500]

    first, second = metacat.sync(task_id=None)

    assert (first.is_whole, second.is_whole) == (False, True)
    why = metacat.compared().not_compared
    assert why is not None
    assert "status 500" in why


def test_units_that_are_refused_keep_no_others_from_being_compared(
    metacat: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing_units, "UNITS_AT_ONCE", 1)
    metacat.production.declare("t1", units=["dune:plain.root", "dune:other.root"])
    metacat.made("dune:other.root")
    metacat.made("dune:b.root", "other.root")
    metacat.server.faults = [400]

    [done] = metacat.sync()
    [again] = metacat.sync()

    assert (done.refused, done.outputs, done.is_whole) == (1, 1, False)
    assert done.problem is not None
    assert done.problem.startswith("1 unit from 'dune:plain.root' on could not be asked about")
    assert (again.units, again.is_whole) == (1, True)


@pytest.mark.slow
def test_task_that_was_never_compared_says_why(metacat: Site) -> None:
    metacat.declare()
    never = metacat.compared().not_compared
    metacat.sync(seconds=0)
    begun = metacat.compared().not_compared
    metacat.sync()

    assert never == "The catalog was never asked: an operator runs `jobprov catalog sync`."
    assert begun is not None
    assert begun.startswith("Its time was over before all of 7 units")
    assert metacat.compared().not_compared is None


def test_renamed_file_with_a_colon_is_known_by_its_whole_name(sam: Site) -> None:
    sam.declare()
    sam.ran(1, "b.root")
    sam.made("new:b.root", UNITS[0], metadata={"prov.job_id": job_id(1), "prov.output": "b.root"})
    sam.sync()

    with sam.production.database.reading.connect() as connection:
        found = show_file(connection, "new:b.root", experiment="nova", namespace="")

    assert found.producer.job_id == job_id(1)


@pytest.mark.parametrize("unit", UNITS[3:])
def test_unit_that_no_dimension_can_say_is_asked_about_by_its_lineage(sam: Site, unit: str) -> None:
    """It kept the whole task from being compared."""
    sam.declare()
    sam.made("b.root", unit)
    sam.made("retired.root", UNITS[0], is_retired=True)
    sam.made("histogram.root", UNITS[3], UNITS[4], metadata={"data_tier": "hist"})

    [done] = sam.sync()

    assert (done.problem, done.outputs) == (None, 1)
    assert sam.draining() == sorted({*UNITS} - {unit})


def test_unit_that_neither_a_dimension_can_say_nor_the_catalog_knows_is_left_out(sam: Site) -> None:
    sam.production.declare("t1", units=["who's this.root", *UNITS[:1]])
    sam.made("b.root", UNITS[0])

    [done] = sam.sync()

    assert (done.problem, sam.draining()) == (None, ["who's this.root"])


def test_query_that_is_refused_keeps_no_other_task_from_being_compared(sam: Site) -> None:
    sam.production.declare("t0", units=3, output_metadata={"data tier": "reco"})
    sam.production.declare("t%1", units=["x.root"], output_metadata={"no name": "reco"})
    sam.declare()

    done = sam.sync(task_id=None)

    assert [(each.task_id, each.problem is None) for each in done] == [
        ("t0", True),
        ("t%1", False),
        ("t1", True),
    ]


def test_catalog_that_is_away_is_not_asked_about_the_next_task(sam: Site) -> None:
    sam.declare()
    sam.production.declare("t2", units=["x.root"])
    sam.server.faults = [500, 500]

    assert [each.task_id for each in sam.sync(task_id=None)] == ["t1"]


def test_project_that_is_not_there_yet_is_told_and_the_outputs_are_compared(sam: Site) -> None:
    sam.declare(project="later")

    [done] = sam.sync()

    assert done.problem is not None
    assert "does not know project later" in done.problem
    assert done.is_whole
    assert sam.draining() == sorted(UNITS)


@pytest.mark.slow
def test_process_that_went_on_is_asked_again_for_its_inputs(sam: Site) -> None:
    process = ShelfProcess(7, "81.0@sched", "wn1", "active", {UNITS[0]: "delivered"})
    sam.shelf.projects["p1"] = ShelfProject(71, [process])
    sam.shelf.snapshots[71] = list(UNITS)
    sam.declare(project="p1")
    sam.sync()
    process.files[UNITS[1]] = "delivered"
    process.status = "bad"

    sam.sync()
    sam.server.asked.clear()
    sam.sync()

    assert [unit.unit for unit in sam.compared().silent] == sorted(UNITS[:2])
    assert sam.server.asked.count("GET /sam/nova/api/files/list") == 1, (
        "the units alone: the process is over"
    )


def test_files_of_one_name_in_two_namespaces_are_two(metacat: Site) -> None:
    """The one that came first by its name was compared with the job.

    Nobody heard of the other.
    """
    metacat.declare()
    metacat.ran(1, "b.root", namespace="mc")
    metacat.made("data:b.root", UNITS[0], size_bytes=9)
    metacat.made("mc:b.root", UNITS[0])

    metacat.sync()

    assert metacat.differences() == {"no-job": ["data:b.root"]}


@pytest.mark.slow
def test_job_that_says_no_namespace_wrote_the_file_that_nothing_contradicts(metacat: Site) -> None:
    metacat.declare()
    metacat.ran(1, "b.root")
    metacat.made("data:b.root", UNITS[0], size_bytes=9)
    metacat.made("mc:b.root", UNITS[0])

    metacat.sync()

    assert metacat.differences() == {"no-job": ["data:b.root"]}


@pytest.mark.slow
def test_file_of_another_namespace_is_not_the_one_that_a_job_wrote(metacat: Site) -> None:
    metacat.declare()
    metacat.ran(1, "b.root", namespace="mc")
    metacat.made("data:b.root", UNITS[0])
    metacat.made("mc:b.root")

    metacat.sync()

    assert metacat.differences() == {"no-job": ["data:b.root"], "no-parent": ["mc:b.root"]}
