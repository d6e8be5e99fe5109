"""What changed in a window: new releases, rules, and sites that came or went, against jobs by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from jobprov.provenance.answers.statistics.marks import Mark, Marks
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.orders.retry_policies import declare_policies
from jobprov.provenance.services.statistics.marks import MOST_MARKS, find_marks
from tests.library.production import Production
from tests.library.records import a_record

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When a production of tests begins to record: rules are declared some minutes later."""
MINUTE = timedelta(minutes=1)
DAY = Window(START, START + timedelta(days=1), timedelta(hours=1))


def job(number: int, ended: datetime, version: str = "v1", site: str = "", **more: Any) -> Any:
    software = [
        {
            "name": "novasoft",
            "repository": "https://git.example.org/n.git",
            "requested_ref": version,
        }
    ]
    fields: dict[str, Any] = {"software": software, "ended_at": ended.isoformat(), **more}
    if site:
        fields["host"] = {"hostname": f"n{number}", "site": site}
    return a_record(number, **fields)


def marks(production: Production, window: Window = DAY, **filters: Any) -> Marks:
    with production.database.reading.connect() as connection:
        return find_marks(connection, JobFilters(**filters), window)


def told(found: Marks) -> list[tuple[str, str, str, int]]:
    return [(mark.letter, mark.at, mark.words, mark.jobs) for mark in found.marks]


def test_release_is_marked_where_its_first_job_ended(production: Production) -> None:
    production.record(
        job(1, START - MINUTE),
        job(2, START + MINUTE),
        job(3, START + 3 * MINUTE, "v2"),
        job(4, START + 2 * MINUTE, "v2"),
        job(5, START + MINUTE, "v3", rerun_of="0f8b0000-0000-4000-8000-000000000002"),
    )

    found = marks(production)

    assert told(found) == [("A", "2026-01-01T12:02:00Z", "first job of novasoft v2", 2)]
    assert found.marks[0].url == "/jobs?experiment=nova&software=novasoft%3Dv2"
    assert found.ended == 3, "reruns count nowhere"


def test_release_is_old_though_its_list_of_software_is_new(production: Production) -> None:
    before, after = job(1, START - MINUTE), job(2, START + MINUTE)
    after["software"].append({"name": "genie", "requested_ref": "R-3"})
    production.record(before, after)

    assert marks(production).marks == []


def test_release_is_new_to_those_jobs_that_are_asked_for(production: Production) -> None:
    production.record(
        job(1, START - 2 * MINUTE, site="FNAL"),
        job(2, START - MINUTE, "v0", site="CERN"),
        job(3, START + MINUTE, site="CERN"),
    )

    assert marks(production).marks == []
    assert [mark.words for mark in marks(production, site="CERN").marks] == [
        "first job of novasoft v1"
    ]


def test_sites_that_come_and_go_are_marked(production: Production) -> None:
    hour = timedelta(hours=1)
    production.record(
        job(1, START - MINUTE, site="FNAL"),
        *[job(number, START + number * MINUTE, site="CERN") for number in range(2, 8)],
        *[job(number, START + number * MINUTE, site="RAL") for number in range(8, 11)],
        job(11, START + 20 * hour, site="FNAL"),
    )

    assert told(marks(production)) == [
        ("A", "2026-01-01T12:02:00Z", "first job at CERN", 6),
        ("B", "2026-01-01T12:07:00Z", "last job at CERN", 6),
        ("C", "2026-01-01T12:08:00Z", "first job at RAL", 3),
    ], "RAL ran so few that it is no news that it runs none"


def test_site_or_release_that_another_experiment_has_too_is_no_change_of_their_chart(
    production: Production,
) -> None:
    hour = timedelta(hours=1)
    small: dict[str, Any] = {"site": "FNAL", "experiment": "dune"}
    production.record(
        job(1, START - MINUTE, site="FNAL"),
        *[job(number, START + number * MINUTE, **small) for number in range(2, 8)],
        job(8, START + 20 * hour, site="FNAL"),
    )

    assert marks(production).marks == [], "jobs of nova ran there before and later"
    assert [mark.words for mark in marks(production, experiment="dune").marks] == [
        "first job of novasoft v1",
        "first job at FNAL",
    ]


@pytest.mark.slow
def test_site_of_one_job_in_a_hundred_at_most_does_not_stop_to_run(production: Production) -> None:
    second, later = timedelta(seconds=1), START + timedelta(hours=20)
    production.record(
        job(1, START - MINUTE, site="FNAL"),
        job(2, START - MINUTE, site="CERN"),
        *[job(number, START + MINUTE, site="CERN") for number in range(3, 8)],
        *[job(number, later + number * second, site="FNAL") for number in range(8, 600)],
    )

    assert marks(production).marks == []
    assert [mark.words for mark in marks(production, site="CERN").marks] == []


def test_site_is_quiet_where_others_go_on_alone(production: Production) -> None:
    production.record(
        job(20, START - MINUTE, site="FNAL"),
        *[job(number, START + number * MINUTE, site="FNAL") for number in range(2, 8)],
    )

    assert marks(production).marks == []


def test_changes_of_rules_are_marked_in_experiments_that_ran(production: Production) -> None:
    production.record(job(1, START - MINUTE), job(2, START + MINUTE))
    production.declare_rules()
    body = {"stages": {"gen": {"times": 3, "transient_only": False}}}
    production.write(
        lambda writing: declare_policies(writing, "nova", body), received_at=production.tick()
    )

    found = marks(production)

    assert [mark.words for mark in found.marks] == [
        "retry policies declared",
        "error rules, version 1 declared",
    ], "the newest first"
    assert found.marks[1].url == "/rules?experiment=nova&version=1"
    before = Window(START - timedelta(hours=1), START, timedelta(hours=1))
    assert "rule" not in [mark.kind for mark in marks(production, before).marks]
    assert marks(production, experiment="dune").marks == []


def test_marks_are_bounded_and_each_kind_has_its_share(production: Production) -> None:
    production.record(
        *[job(number, START + number * MINUTE, f"v{number}", "FNAL") for number in range(1, 31)]
    )
    production.declare_rules()

    found = marks(production)

    assert len(found.marks) == MOST_MARKS
    assert found.left_out == 32 - MOST_MARKS
    assert [mark.kind for mark in found.marks[:4]] == ["rule", "release", "site_first", "release"]
    assert found.marks[-1].letter == "T"
    assert msgspec.json.decode(msgspec.json.encode(found.marks[0]), type=Mark) == found.marks[0]
