"""What jobs wrote, what of it a catalog or transfer service saw, and what is late."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.catalogs.arrivals import Arrivals
from jobprov.provenance.answers.lookup.jobs import TaskOfJob
from jobprov.provenance.catalogs.opening import CatalogSettings
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.catalogs.arrivals import arrivals_sentence, list_arrivals
from jobprov.provenance.services.catalogs.sightings import record_sighting
from jobprov.provenance.services.catalogs.sync import sync_experiment
from jobprov.provenance.services.lookup.file import show_file
from tests.library.production import Production
from tests.library.records import job_id, record_of
from tests.library.servers.catalogs import MetaCatServer, Shelf

NOW = datetime(2026, 1, 8, 12, tzinfo=UTC)


class Site:
    """A production whose files go to a MetaCat, or are posted by a transfer service."""

    def __init__(self, production: Production) -> None:
        self.production, self.shelf = production, Shelf()
        self.server = MetaCatServer(self.shelf)
        self.catalogs = {
            "nova": CatalogSettings(kind="metacat", url=self.server.url, arrive_within_hours=12)
        }
        production.declare("t1", units=["dune:raw.root"])
        self.shelf.add("dune:raw.root")

    def wrote(self, number: int, hours: float, **changes: Any) -> None:
        """Record a job that ended so many hours ago and wrote `bNUMBER.root`."""
        ended_at = (NOW - timedelta(hours=hours)).isoformat()
        output = {"name": f"b{number}.root", "size_bytes": 7}
        record = {"ended_at": ended_at, "outputs": [output], **changes}
        self.production.record(record_of(number, **record))

    def posted(self, name: str, **more: Any) -> None:
        """Take a file as a transfer service declared it."""
        document = {"experiment": "nova", "name": name, "size_bytes": 7, **more}
        self.production.writer.run(lambda writing: record_sighting(writing, document))

    def synced(self) -> None:
        """Compare with the catalog."""
        place = self.production
        sync_experiment(
            place.database, place.writer, place.store, self.catalogs, "nova", seconds=60
        )

    def arrivals(self, **how: Any) -> Arrivals:
        """Return what arrived."""
        with self.production.database.reading.connect() as connection:
            return list_arrivals(
                connection, "nova", **{"catalogs": self.catalogs, "until": NOW, **how}
            )


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    production = Production(database, open_store("memory:"), tmp_path)
    made = Site(production)
    yield made
    made.server.close()
    production.close()


def names(arrivals: Arrivals) -> list[str]:
    return [file.name for file in arrivals.files]


@pytest.mark.slow
def test_files_are_counted_by_day_and_late_ones_listed_with_job_and_stage(site: Site) -> None:
    for number, hours in ((1, 30), (2, 30), (3, 30), (4, 3), (5, 24 * 40)):
        site.wrote(number, hours)
    site.wrote(6, 30, state="failed", exit={"code": 1})
    site.wrote(7, 30, outputs=[{"name": "empty.root", "size_bytes": 0}])
    site.posted("b1.root")
    site.shelf.add("reco:b2.root", size_bytes=7, metadata={"prov.task_id": "t1"})
    site.synced()

    arrivals = site.arrivals(days=3)

    days = [(day.day, day.written, day.arrived, day.late, day.waiting) for day in arrivals.days]
    assert days == [
        ("2026-01-06", 0, 0, 0, 0),
        ("2026-01-07", 3, 2, 1, 0),
        ("2026-01-08", 1, 0, 0, 1),
    ]
    [late] = arrivals.files
    assert (late.name, late.job_id, late.task_id, late.stage) == (
        "b3.root",
        job_id(3),
        "t1",
        "reco",
    )
    assert (late.node, late.ended_at) == ("wn0", "2026-01-07T06:00:00+00:00")
    assert late.compared_at == arrivals.compared_at
    assert arrivals_sentence(arrivals) == (
        "1 of 4 files did not arrive within 12 hours; 1 file may still come."
    )


def test_file_that_was_renamed_on_the_way_has_arrived(site: Site) -> None:
    site.wrote(1, 30)
    site.posted(
        "other.root",
        namespace="reco",
        metadata={"prov.job_id": job_id(1), "prov.output": "b1.root"},
    )

    assert names(site.arrivals()) == []


def test_file_that_only_names_its_task_belongs_to_task_and_stage(site: Site) -> None:
    """Metadata of which a converter left the task id alone."""
    site.wrote(1, 30)
    site.posted("theirs.root", namespace="reco", metadata={"prov.task_id": "t1"})

    with site.production.database.reading.connect() as connection:
        found = show_file(connection, "theirs.root", experiment="nova")

    assert (found.producer, found.is_placeholder) == (None, True)
    assert found.task == TaskOfJob("t1", "c", "reco", None)


def test_file_of_another_namespace_is_not_the_one_that_was_written(site: Site) -> None:
    site.wrote(1, 30, outputs=[{"name": "b1.root", "namespace": "mc", "size_bytes": 7}])
    site.posted("b1.root", namespace="data")

    assert names(site.arrivals()) == ["b1.root"]


def test_hours_are_those_of_the_experiment_or_as_asked_for(site: Site) -> None:
    site.wrote(1, 20)

    asked = site.arrivals(hours=21)
    unset = site.arrivals(catalogs={})

    assert (names(asked), asked.hours) == ([], 21)
    assert (names(unset), unset.hours) == ([], 24)
    assert (names(site.arrivals()), site.arrivals().hours) == (["b1.root"], 12)


def test_late_files_go_on_behind_a_cursor(site: Site) -> None:
    for number in range(1, 6):
        site.wrote(number, 30)

    first = site.arrivals(limit=3)
    second = site.arrivals(limit=3, cursor=first.next)

    assert names(first) + names(second) == [f"b{number}.root" for number in (5, 4, 3, 2, 1)]
    assert second.next is None


def test_experiment_that_nobody_knows_is_told(site: Site) -> None:
    with (
        site.production.database.reading.connect() as connection,
        pytest.raises(NotFoundError, match="No experiment none"),
    ):
        list_arrivals(connection, "none", catalogs={})
