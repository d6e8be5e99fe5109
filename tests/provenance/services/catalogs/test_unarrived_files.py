"""Files that never arrived in a catalog: their units are not done, once others overtook them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.tasks.tasks import OpenUnit, UnitState
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.tables import CatalogFileRow
from jobprov.provenance.db.upkeep.migrating import downgrade, stamp, upgrade
from jobprov.provenance.services.catalogs.syncing import unarrived
from jobprov.provenance.services.lookup.file import show_file
from tests.library.production import Production
from tests.library.records import record_of
from tests.provenance.services.catalogs.test_retired_files import RetiringSite
from tests.provenance.services.catalogs.test_sync import UNITS, on_sqlite

HOUR = timedelta(hours=1)


class LosingSite(RetiringSite):
    """A site some of whose files never arrive; hours are told from now on backwards."""

    def ran_before(self, hours: float, number: int, name: str, **changes: Any) -> None:
        """Record the job of a unit that ended so many hours ago."""
        ended_at = datetime.now(UTC) - hours * HOUR
        task = {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": UNITS[number]}
        output = {"name": name, "size_bytes": number + 1, "checksums": [f"adler32:{number + 1:x}"]}
        record = record_of(
            number + 1,
            **{
                "task": task,
                "outputs": [output],
                "configurations": [],
                "ended_at": ended_at.isoformat(),
                **changes,
            },
        )
        self.production.record(record, received_at=ended_at)

    def arrived_before(self, hours: float, *names: str) -> None:
        """Have the catalog known these files for so many hours, or all files."""
        seen_at = datetime.now(UTC) - hours * HOUR
        change = update(CatalogFileRow).values(seen_at=seen_at)
        if names:
            change = change.where(CatalogFileRow.name.in_(names))
        with self.production.database.writing.begin() as connection:
            connection.execute(change)

    def lose_one_of_three(self, *, name: str = "b2.root") -> None:
        """Have the jobs of three units end two days ago, whose last file never arrives."""
        self.declare()
        for number, file in enumerate(("b0.root", "b1.root", name)):
            self.ran_before(48, number, file)
        self.made(0, "b0.root")
        self.made(1, "b1.root")
        self.sync()
        self.arrived_before(30)

    def is_unarrived(self, name: str) -> bool:
        """Return whether the page of a file says that it never arrived."""
        with self.production.database.reading.connect() as connection:
            return show_file(connection, name).is_unarrived

    def lost(self) -> int:
        """Return how many files are taken for such as never arrived."""
        with self.production.database.reading.connect() as connection:
            query = text("SELECT COUNT(*) FROM unarrived_files")
            return int(connection.execute(query).scalar_one())


@pytest.fixture(params=["sam", "metacat"])
def site(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path
) -> Iterator[LosingSite]:
    production = Production(database, open_store("memory:"), tmp_path)
    made = LosingSite(production, request.param)
    yield made
    made.server.close()
    production.close()


@pytest.mark.slow
def test_unit_is_not_done_whose_file_never_arrived_and_done_when_it_comes(
    site: LosingSite,
) -> None:
    """The page said 100 %, and the next stage was sent to a file that nobody could read."""
    site.lose_one_of_three()
    before = site.counts()

    done = site.sync()

    assert (before, done.unarrived) == ((3, 0, 447), 1)
    assert site.counts() == (2, 1, 448)
    assert site.missing() == [
        OpenUnit(UNITS[2], UnitState.NO_OUTPUT, "b2.root never arrived in the catalog")
    ]
    assert site.ready() == ["b0.root", "b1.root"]
    assert site.compared()["differences"] == {
        "no-output": [UNITS[2]],
        "never-arrived": ["b2.root"],
    }
    assert [site.is_unarrived(name) for name in ("b1.root", "b2.root")] == [False, True]
    assert site.sync().unarrived == 0, "it is told once"

    site.made(2, "b2.root")
    site.sync()

    assert site.counts() == (3, 0, 447)
    assert site.ready() == ["b0.root", "b1.root", "b2.root"]
    assert site.lost() == 0
    assert not site.is_unarrived("b2.root")


@pytest.mark.slow
@on_sqlite
def test_file_that_others_did_not_overtake_is_waited_for(site: LosingSite) -> None:
    """A transfer service that is down for a weekend would have un-done a whole production."""
    site.lose_one_of_three()
    site.arrived_before(49)

    site.sync()

    assert site.counts() == (3, 0, 447)

    site.arrived_before(23)  # it is back, and the backlog is under way
    site.sync()

    assert site.counts() == (3, 0, 447)

    site.arrived_before(25, "b1.root")
    site.sync()

    assert site.counts() == (2, 1, 448)


@pytest.mark.slow
@on_sqlite
def test_last_file_of_a_task_is_given_up_after_a_week(site: LosingSite) -> None:
    site.declare()
    hours = 8 * 24 + 1
    for number in range(3):
        site.ran_before(hours, number, f"b{number}.root")
    site.made(0, "b0.root")
    site.sync()
    site.arrived_before(hours + 1)

    site.sync()

    assert site.counts() == (1, 2, 449)


@pytest.mark.slow
@on_sqlite
def test_limit_is_the_one_of_the_experiment(site: LosingSite) -> None:
    site.lose_one_of_three()
    settings = site.catalogs["nova"]
    settings.arrive_within_hours = 31
    site.sync()
    patient = site.counts()
    settings.arrive_within_hours = 29

    site.sync()

    assert (patient, site.counts()) == ((3, 0, 447), (2, 1, 448))


@pytest.mark.slow
@on_sqlite
def test_files_that_nobody_declares_make_no_unit_not_done(site: LosingSite) -> None:
    """Histograms stay where they are; a unit that needs two files has one of them."""
    site.declare(outputs_per_unit=2)
    for number in range(3):
        outputs = [
            {"name": f"{UNITS[number][:-5]}_reco.root", "size_bytes": number + 1},
            {"name": f"{UNITS[number][:-5]}_hist.root", "size_bytes": 1},
        ]
        site.ran_before(48, number, "", outputs=outputs)
        if number:
            site.made(number, f"{UNITS[number][:-5]}_reco.root", checksums={})
    site.sync()
    site.arrived_before(30)

    site.sync()

    assert site.counts() == (2, 1, 448)
    [unit] = site.missing()
    assert unit.why == "0 of 2 files; a000_reco.root never arrived in the catalog"


@pytest.mark.slow
@on_sqlite
def test_histogram_that_is_left_makes_no_unit_done(site: LosingSite) -> None:
    """Nearly every job leaves one beside its events, and most tasks declare no number of files."""
    site.declare()
    for number in range(3):
        outputs = [
            {"name": f"reco_{number}.root", "size_bytes": number + 1},
            {"name": f"hist_{number}.root", "size_bytes": 1},
        ]
        site.ran_before(48, number, "", outputs=outputs)
        if number:
            site.made(number, f"reco_{number}.root", checksums={})
    site.sync()
    site.arrived_before(30)

    site.sync()

    assert site.counts() == (2, 1, 448)
    assert [unit.why for unit in site.missing()] == ["reco_0.root never arrived in the catalog"]
    assert "hist_0.root" not in site.ready()

    site.made(0, "reco_0.root", checksums={})
    site.sync()

    assert site.counts() == (3, 0, 447)
    assert "hist_0.root" in site.ready()


@pytest.mark.slow
@on_sqlite
def test_task_of_which_the_catalog_has_nothing_stays_as_it_was(site: LosingSite) -> None:
    site.declare()
    site.ran_before(480, 0, "b0.root")

    site.sync()
    site.sync()

    assert site.counts() == (1, 0, 449)


@pytest.mark.slow
@on_sqlite
def test_file_from_which_something_was_made_is_not_missed(site: LosingSite) -> None:
    """It was merged and deleted before anybody declared it."""
    site.lose_one_of_three()
    site.merge("merged.root", ["b2.root"])

    site.sync()

    assert site.counts() == (3, 0, 447)


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("fault", [503, 401, 404, 302, "broken"])
def test_catalog_that_gives_no_answer_changes_nothing(site: LosingSite, fault: int | str) -> None:
    site.lose_one_of_three()
    site.server.faults = [fault] * 50

    done = site.sync()

    assert done.problem is not None
    assert (site.counts(), site.lost()) == ((3, 0, 447), 0)


@pytest.mark.slow
@on_sqlite
def test_catalog_that_forgot_everything_says_nothing_of_a_file(site: LosingSite) -> None:
    """Its empty answer is no statement."""
    site.lose_one_of_three()
    site.shelf.files.clear()

    done = site.sync()

    problem = {"sam": "counts for nothing", "metacat": "another catalog than before"}[site.kind]
    assert done.problem is not None
    assert problem in done.problem
    assert site.lost() == 0


@pytest.mark.slow
@on_sqlite
def test_what_was_judged_stays_when_the_rest_of_a_task_is_retired(site: LosingSite) -> None:
    site.lose_one_of_three()
    site.sync()
    site.retire("b0.root")
    site.retire("b1.root")
    site.sync()

    site.sync()

    assert (site.counts(), site.lost()) == ((0, 3, 450), 1)


@pytest.mark.slow
@on_sqlite
def test_catalog_that_dies_later_keeps_what_was_judged(site: LosingSite) -> None:
    site.lose_one_of_three()
    site.sync()
    site.server.faults = [503] * 50

    site.sync()

    assert (site.counts(), site.lost()) == ((2, 1, 448), 1)


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
def test_file_that_is_in_another_namespace_did_arrive(site: LosingSite) -> None:
    """Its size and metadata were dropped on the way: nothing else joins it to its job."""
    site.lose_one_of_three()
    site.shelf.add("elsewhere:b2.root", size_bytes=777)

    site.sync()

    assert site.counts() == (3, 0, 447)


@pytest.mark.slow
@on_sqlite
def test_file_that_was_renamed_without_its_metadata_did_arrive(site: LosingSite) -> None:
    site.lose_one_of_three()
    site.made(2, "other-name.root", metadata={"prov.task_id": None})

    site.sync()

    assert site.counts() == (3, 0, 447)


@pytest.mark.slow
@on_sqlite
def test_second_job_of_a_unit_is_judged_by_its_own_file(site: LosingSite) -> None:
    """The first one's file never arrived, so that of the second one is ready for the next stage."""
    site.lose_one_of_three()
    again = {"task_id": "t1", "unit": UNITS[2]}
    outputs = [{"name": "b2-again.root", "size_bytes": 3}]
    site.production.record(record_of(77, task=again, outputs=outputs, configurations=[]))
    site.made(2, "b2-again.root", size_bytes=3, checksums={})

    site.sync()

    assert site.counts() == (3, 0, 447)
    assert site.ready() == ["b0.root", "b1.root", "b2-again.root"]


@pytest.mark.slow
@on_sqlite
def test_file_that_came_and_was_retired_is_told_as_retired(site: LosingSite) -> None:
    site.lose_one_of_three()
    site.sync()
    site.made(2, "b2.root")
    site.retire("b2.root")

    site.sync()

    [unit] = site.missing()
    assert unit.why == "b2.root was retired in the catalog"
    assert site.lost() == 0


@pytest.mark.slow
@on_sqlite
def test_file_that_a_transfer_service_saw_did_arrive(site: LosingSite) -> None:
    site.lose_one_of_three()
    site.sync()
    lost = site.counts()
    site.production.see("b2.root", size_bytes=3, metadata={})

    site.sync()

    assert (lost, site.counts()) == ((2, 1, 448), (3, 0, 447))


@pytest.mark.slow
@on_sqlite
def test_record_that_is_sent_again_does_not_bring_it_back(site: LosingSite) -> None:
    site.lose_one_of_three()
    site.sync()

    site.ran(2, "b2.root", message="sent again with more in it")
    site.production.declare("t1", output_patterns=["*.root"], units=UNITS)

    assert site.counts() == (2, 1, 448)


@pytest.mark.slow
@on_sqlite
def test_time_that_is_over_judges_nothing(site: LosingSite) -> None:
    site.lose_one_of_three()

    done = site.sync(seconds=0)

    assert (done.is_whole, site.lost()) == (False, 0)


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
def test_name_that_the_catalog_cannot_hold_is_not_asked_for(site: LosingSite) -> None:
    site.lose_one_of_three(name="b2 größe.root")

    site.sync()

    assert site.counts() == (3, 0, 447)


@pytest.mark.slow
@on_sqlite
def test_kind_of_which_hardly_any_arrives_is_none_that_is_declared(site: LosingSite) -> None:
    """Somebody declared one histogram by hand."""
    site.declare()
    for number in range(12):
        site.ran_before(48, number, f"b{number}.root")
    site.made(0, "b0.root")
    site.sync()
    site.arrived_before(30)
    site.sync()
    by_hand = site.counts()
    site.made(1, "b1.root")

    site.sync()

    assert unarrived._ONE_IN == 10
    assert (by_hand, site.counts()) == ((12, 0, 438), (2, 10, 448))


@pytest.mark.slow
@pytest.mark.parametrize("site", ["metacat"], indirect=True)
def test_version_before_counts_what_records_name(site: LosingSite, database_url: str) -> None:
    """It knows nothing of files that never arrived, and would have kept the unit not done."""
    site.lose_one_of_three()
    site.sync()
    database = site.production.database

    database.dispose()
    stamp(database_url)
    downgrade(database_url, "0004")

    with database.reading.connect() as connection:
        counts = list(connection.execute(text("SELECT output_count FROM jobs")).scalars())
    database.dispose()
    upgrade(database_url)

    assert counts == [1, 1, 1]
    site.sync()
    assert site.counts() == (2, 1, 448)
