"""Files that a catalog retired: their units are not done, unless what was made from them is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.tasks.tasks import OpenUnit, UnitState
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.services.catalogs.sync import sync_experiment
from jobprov.provenance.services.catalogs.syncing import retired
from jobprov.provenance.services.lookup.file import show_file
from jobprov.provenance.services.lookup.job import read_job, show_job
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.units import list_ready, missing_units
from tests.library.production import Production
from tests.library.records import job_id, record_of
from tests.provenance.services.catalogs.test_sync import UNITS, Site, on_sqlite


class RetiringSite(Site):
    """A site whose catalog retires files of its task."""

    def retire(self, name: str, *, is_retired: bool = True) -> None:
        """Retire a file, or take that back."""
        self.shelf.files[self.prefix + name].is_retired = is_retired

    def done(self, number: int, name: str) -> None:
        """Record the job of a unit, and put its file into the catalog."""
        self.ran(number, name)
        self.made(number, name)

    def merge(self, name: str, inputs: list[str], **changes: Any) -> None:
        """Record a job of another task that made a file from others."""
        record = {
            "task": {"task_id": "merge", "campaign": "c", "stage": "merge", "unit": "0"},
            "inputs": [{"name": each} for each in inputs],
            "outputs": [{"name": name, "size_bytes": 9}],
            "configurations": [],
            **changes,
        }
        self.production.record(record_of(900, **record))

    def sync_all(self) -> None:
        """Compare all tasks with the catalog."""
        place = self.production
        sync_experiment(
            place.database, place.writer, place.store, self.catalogs, "nova", seconds=60
        )

    def counts(self) -> tuple[int, int, int]:
        """Return how many units are done, succeeded without output, and missing."""
        shown = self.shown()
        return shown["produced"], shown["no_output"], shown["missing"]

    def missing(self) -> list[OpenUnit]:
        """Return the units that are not done, of those that were tried."""
        with self.production.database.reading.connect() as connection:
            task = find_task(connection, "t1")
            units = missing_units(connection, self.production.store, task).missing
        return [unit for unit in units if unit.state != UnitState.NOT_SUBMITTED or unit.why]

    def is_retired(self, name: str) -> bool:
        """Return whether the page of a file says that the catalog has retired it."""
        with self.production.database.reading.connect() as connection:
            return show_file(connection, name).is_retired

    def retired_outputs(self, number: int) -> list[str]:
        """Return which outputs of a job were retired, as its page and command say."""
        with self.production.database.reading.connect() as connection:
            job = read_job(connection, self.production.store, job_id(number))
            outputs = show_job(connection, job).outputs
        return [output["name"] for output in outputs if output["is_retired"]]

    def ready(self) -> list[str]:
        """Return the files that are ready for the next stage."""
        with self.production.database.reading.connect() as connection:
            task = find_task(connection, "t1")
            files = list_ready(connection, self.production.store, task).files
        return [file.name for file in files]


@pytest.fixture(params=["sam", "metacat"])
def site(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path
) -> Iterator[RetiringSite]:
    production = Production(database, open_store("memory:"), tmp_path)
    made = RetiringSite(production, request.param)
    yield made
    made.server.close()
    production.close()


def sync_more_than_are_checked(site: RetiringSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a task of 450 files known, of which each further sync looks at 200."""
    monkeypatch.setattr(retired, "MOST_CHECKED", 200)
    site.declare()
    for number in range(450):
        site.made(number, f"b{number:03}.root")
    site.sync()


@pytest.mark.slow
def test_unit_is_not_done_once_its_only_file_is_retired(site: RetiringSite) -> None:
    """A plain sync is enough: nobody gives --everything from cron."""
    site.declare()
    site.done(0, "b0.root")
    site.done(1, "b1.root")
    site.sync()
    before = site.counts()
    site.retire("b1.root")

    done = site.sync()

    assert (before, done.retired) == ((2, 0, 448), 1)
    assert site.counts() == (1, 1, 449)
    assert site.missing() == [
        OpenUnit(UNITS[1], UnitState.NO_OUTPUT, "b1.root was retired in the catalog")
    ]
    assert site.draining() == UNITS[1:]
    assert site.compared()["differences"] == {"no-output": [UNITS[1]], "retired": ["b1.root"]}
    assert site.ready() == ["b0.root"]
    assert (site.is_retired("b0.root"), site.is_retired("b1.root")) == (False, True)


@pytest.mark.slow
def test_job_tells_which_of_its_outputs_were_retired(site: RetiringSite) -> None:
    site.declare()
    for number in range(3):
        site.done(number, f"b{number}.root")
    site.sync()
    # What was merged is there, so its input is spent and its job still has output
    site.merge("merged.root", ["b0.root"])
    for number in range(2):
        site.retire(f"b{number}.root")
    site.sync()

    assert site.counts()[0] == 2
    assert [site.retired_outputs(number) for number in (1, 2, 3)] == [["b0.root"], ["b1.root"], []]

    site.retire("b1.root", is_retired=False)
    site.sync()

    assert site.retired_outputs(2) == []


@pytest.mark.slow
def test_unit_is_done_again_when_its_file_is_back_or_was_made_again(site: RetiringSite) -> None:
    site.declare()
    for number in range(2):
        site.done(number, f"b{number}.root")
    site.sync()
    site.retire("b0.root")
    site.retire("b1.root")
    site.sync()
    retired = site.counts()

    site.retire("b0.root", is_retired=False)
    site.sync()
    returned = site.counts()
    task = {"task_id": "t1", "unit": UNITS[1]}
    again = [{"name": "b1-again.root", "size_bytes": 7}]
    site.production.record(record_of(77, task=task, outputs=again, configurations=[]))

    assert (retired, returned) == ((0, 2, 450), (1, 1, 449))
    assert site.counts() == (2, 0, 448), "the record of the retry names a file"

    site.made(1, "b1-again.root", size_bytes=7, checksums={})
    site.sync()

    assert site.counts() == (2, 0, 448)
    assert site.draining() == UNITS[2:]


@pytest.mark.slow
def test_unit_whose_file_was_deleted_after_it_was_merged_is_done(site: RetiringSite) -> None:
    """Productions delete what they have merged, and nobody wants it made again."""
    site.declare()
    site.done(0, "b0.root")
    site.done(1, "b1.root")
    site.merge("merged.root", ["b0.root"])
    site.sync()
    site.retire("b0.root")
    site.retire("b1.root")

    site.sync()

    assert site.counts() == (1, 1, 449)
    assert [unit.unit for unit in site.missing()] == [UNITS[1]]
    assert site.draining() == UNITS[1:]
    assert site.compared()["differences"] == {"no-output": [UNITS[1]], "retired": ["b1.root"]}

    calls = len(site.server.asked)
    site.retire("b1.root", is_retired=False)
    site.sync()

    assert site.counts() == (2, 0, 448)
    assert len(site.server.asked) - calls < 12, "what is spent is not asked about unit by unit"


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
def test_other_catalog_than_before_retires_nothing(site: RetiringSite) -> None:
    """An operator who mistypes the address would have had every task begin anew."""
    site.declare()
    site.done(0, "b0.root")
    site.sync()
    site.shelf.files.clear()

    done = site.sync()

    assert site.counts() == (1, 0, 449)
    assert done.problem is not None
    assert "is it another catalog than before?" in done.problem


@pytest.mark.slow
def test_syncs_go_through_all_known_files_in_turn(
    site: RetiringSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks at as many as the last one, so a task with a million takes no longer."""
    sync_more_than_are_checked(site, monkeypatch)
    site.retire("b449.root")
    site.retire("b250.root")

    lost = [site.sync().retired for _ in range(3)]

    assert lost == [1, 1, 0]
    assert site.shown()["produced"] == 448


@pytest.mark.slow
@on_sqlite
def test_everything_is_looked_at_when_that_is_asked_for(
    site: RetiringSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_more_than_are_checked(site, monkeypatch)
    site.retire("b449.root")

    assert site.sync(everything=True).retired == 1
    assert site.shown()["produced"] == 449


@pytest.mark.slow
@on_sqlite
def test_file_that_was_merged_and_deleted_before_anybody_compared_is_spent(
    site: RetiringSite,
) -> None:
    """Its unit drained for ever, and would have been processed again."""
    site.declare()
    site.done(0, "b0.root")
    site.merge("merged.root", ["b0.root"])
    site.retire("b0.root")

    site.sync()

    assert site.counts() == (1, 0, 449)
    assert site.draining() == UNITS[1:]
    assert site.compared()["differences"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("state", ["failed", "succeeded"])
def test_job_that_left_nothing_keeps_no_retired_file_done(site: RetiringSite, state: str) -> None:
    site.declare()
    site.done(0, "b0.root")
    exit_code = {"failed": 1, "succeeded": 0}[state]
    empty = [{"name": "merged.root", "size_bytes": 0}]
    site.merge("merged.root", ["b0.root"], outputs=empty, exit_code=exit_code)
    site.sync()
    site.retire("b0.root")

    site.sync()

    assert site.counts() == (0, 1, 450)


@pytest.mark.slow
def test_file_that_only_the_catalog_knows_makes_no_unit_done_once_retired(
    site: RetiringSite,
) -> None:
    site.declare()
    site.made(0, "b0.root")
    site.made(1, "b1.root")
    site.shelf.add(f"{site.prefix}merged.root", parents=[f"{site.prefix}b0.root"])
    site.sync()
    site.retire("b0.root")
    site.retire("b1.root")

    site.sync()

    assert site.counts() == (1, 0, 449), "of the first one the catalog has a merged file"
    assert site.missing() == [
        OpenUnit(UNITS[1], UnitState.NOT_SUBMITTED, "b1.root was retired in the catalog")
    ]


@pytest.mark.slow
@on_sqlite
def test_deleted_file_is_not_ready_for_the_next_stage_though_its_unit_is_done(
    site: RetiringSite,
) -> None:
    """It was merged where no hook ran: the catalog alone knows what was made from it."""
    site.declare()
    site.done(0, "b0.root")
    site.shelf.add(f"{site.prefix}merged.root", parents=[f"{site.prefix}b0.root"])
    site.sync()
    before = site.ready()
    site.retire("b0.root")

    site.sync()

    assert (before, site.ready()) == (["b0.root"], [])
    assert site.counts() == (1, 0, 449)


@pytest.mark.slow
def test_file_declared_bad_is_as_good_as_retired(site: RetiringSite) -> None:
    site.declare()
    site.done(0, "b0.root")
    site.sync()
    key = {"sam": "content_status", "metacat": "core.file_content_status"}[site.kind]
    site.shelf.files[f"{site.prefix}b0.root"].metadata[key] = "bad"

    site.sync()

    assert site.counts() == (0, 1, 450)


@pytest.mark.slow
@on_sqlite
def test_file_that_was_removed_altogether_is_as_good_as_retired(site: RetiringSite) -> None:
    site.declare()
    site.done(0, "b0.root")
    site.sync()
    del site.shelf.files[f"{site.prefix}b0.root"]

    site.sync()

    assert site.counts() == (0, 1, 450)
    assert site.compared()["differences"]["retired"] == ["b0.root"]


@pytest.mark.slow
def test_task_without_a_list_loses_units_too(site: RetiringSite) -> None:
    site.production.declare("t1", units=2)
    site.done(0, "b0.root")
    site.done(1, "b1.root")
    site.sync()
    site.retire("b1.root")

    site.sync()

    assert site.counts() == (1, 1, 1)


@pytest.mark.slow
@on_sqlite
def test_person_waives_a_unit_whose_file_was_retired(site: RetiringSite) -> None:
    site.declare()
    site.done(0, "b0.root")
    site.sync()
    site.retire("b0.root")
    site.sync()

    site.production.waive("t1", UNITS[0])

    assert site.counts() == (0, 0, 449)
    assert site.missing() == []


@pytest.mark.slow
@on_sqlite
def test_record_that_is_derived_again_does_not_bring_a_retired_file_back(
    site: RetiringSite,
) -> None:
    site.declare()
    site.done(0, "b0.root")
    site.sync()
    site.retire("b0.root")
    site.sync()

    site.ran(0, "b0.root", message="sent again with more in it")
    site.production.declare("t1", output_patterns=["*.root"], units=UNITS)

    assert site.counts() == (0, 1, 450)


@pytest.mark.slow
@on_sqlite
def test_merged_file_that_is_retired_too_leaves_nothing_of_its_inputs(site: RetiringSite) -> None:
    """Then the inputs are wanted again: the merged file can only be made from them."""
    site.declare()
    site.done(0, "b0.root")
    site.merge("merged.root", ["b0.root"])
    site.shelf.add(f"{site.prefix}merged.root", parents=[f"{site.prefix}b0.root"], size_bytes=9)
    site.production.declare("merge")
    site.sync(task_id="merge")
    site.sync(task_id="t1")
    site.retire("b0.root")
    site.sync(task_id="t1")
    merged = site.counts()
    site.retire("merged.root")

    done = site.sync(task_id="merge")

    assert merged == (1, 0, 449)
    assert site.counts() == (0, 1, 450)
    assert done.retired == 2

    site.retire("merged.root", is_retired=False)
    site.sync(task_id="merge")

    assert site.counts() == (1, 0, 449), "it is merged again"


@pytest.mark.slow
@on_sqlite
def test_all_generations_are_settled_by_one_sync(
    site: RetiringSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each took a sync: with five tasks in a row a shifter read wrong numbers for hours."""
    site.declare()
    site.done(0, "b0.root")
    for generation, name in enumerate(("c.root", "d.root", "e.root", "f.root")):
        before = "bcde"[generation] + ("0" if not generation else "") + ".root"
        task = {"task_id": f"merge{generation}", "campaign": "c", "stage": "m", "unit": "0"}
        outputs = [{"name": name, "size_bytes": 9}]
        inputs = [{"name": before}]
        record = record_of(900 + generation, task=task, inputs=inputs, outputs=outputs)
        site.production.record({**record, "configurations": []})
        site.shelf.add(site.prefix + name, parents=[site.prefix + before], size_bytes=9)
        site.production.declare(task["task_id"])
    site.sync_all()
    for name in ("b0.root", "c.root", "d.root", "e.root"):
        site.retire(name)
    site.sync_all()
    merged = site.counts()
    site.retire("f.root")

    done = site.sync(task_id="merge3")

    assert merged == (1, 0, 449)
    assert (site.counts(), done.retired) == ((0, 1, 450), 5)

    site.retire("f.root", is_retired=False)
    monkeypatch.setattr(retired, "MOST_FOLLOWED", 2)
    site.sync(task_id="merge3")

    assert site.counts() == (0, 1, 450), "what is too much for one sync is left to the next ones"

    site.sync_all()
    site.sync_all()

    assert site.counts() == (1, 0, 449)
