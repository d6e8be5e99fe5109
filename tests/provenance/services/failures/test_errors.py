"""Failures counted by cause and place, against a count by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.failures.errors import count_errors
from tests.library.production import Production
from tests.library.records import job_id, record_of

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def failed(number: int, day: int, **changes: Any) -> dict[str, Any]:
    ended = f"2026-03-0{day}T{number % 11:02}:00:00Z"
    defaults = {"state": "failed", "exit": {"code": 65, "failed_step": "art"}, "ended_at": ended}
    return record_of(number, inputs=[], outputs=[], configurations=[], **{**defaults, **changes})


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield thirty good jobs, and failures.

    Four failed by code 65 (three today), two by bad_alloc (yesterday), and one was killed.
    """
    made = Production(database, open_store("memory:"), tmp_path)
    alloc = {"code": 1, "failed_step": "art", "error_class": "std::bad_alloc"}
    mcc = {"task_id": "t2", "campaign": "mcc", "stage": "gen"}
    made.record(*[record_of(number, configurations=[]) for number in range(1, 31)])
    made.record(
        failed(41, 1, software=[{"name": "novasoft", "requested_ref": "S1"}]),
        *[
            failed(number, 3, software=[{"name": "novasoft", "requested_ref": "S2"}])
            for number in (42, 43, 44)
        ],
        failed(51, 2, exit=alloc, task=mcc),
        failed(52, 2, exit=alloc, task=mcc, host={"hostname": "other", "site": "CERN"}),
        failed(61, 1, state="killed", exit={"signal": 9}),
        failed(71, 3, rerun_of=job_id(41)),
        failed(72, 3, state="running", exit=None),
    )
    yield made
    made.close()


def counted(production: Production, filters: JobFilters | None = None, **how: Any) -> ErrorCounts:
    with production.database.reading.connect() as connection:
        return count_errors(connection, filters or JobFilters(), now=NOW, **how)


def test_causes_are_counted_most_frequent_first(production: Production) -> None:
    found = counted(production)

    assert (found.jobs, found.failures, found.cause_count) == (37, 7, 3)
    rows = [
        (cause.state, cause.exit_code, cause.signal, cause.error_class, cause.count)
        for cause in found.causes
    ]
    assert rows == [
        ("failed", 65, None, None, 4),
        ("failed", 1, None, "std::bad_alloc", 2),
        ("killed", None, 9, None, 1),
    ]
    first = found.causes[0]
    assert (first.last_day, first.day_before, first.hosts, first.sites) == (3, 0, 3, 1)
    assert (first.first_at[:10], first.last_at[:10]) == ("2026-03-01", "2026-03-03")
    assert first.example == job_id(44)


@pytest.mark.parametrize(
    ("sort", "codes"),
    [("count", [65, 1, None]), ("newest", [65, 1, None]), ("growing", [65, None, 1])],
)
def test_causes_come_in_the_order_that_is_asked_for(
    production: Production, sort: str, codes: list[int | None]
) -> None:
    assert [cause.exit_code for cause in counted(production, sort=sort).causes] == codes


@pytest.mark.parametrize(
    ("facet", "parts"),
    [
        ("stage", {("gen", 2), ("reco", 4), ("reco", 1)}),
        ("site", {("FNAL", 4), ("FNAL", 1), ("CERN", 1)}),
        ("version", {("novasoft S1", 1), ("novasoft S2", 3), ("x v1", 2), ("x v1", 1)}),
        ("day", {("2026-03-01", 1), ("2026-03-03", 3), ("2026-03-02", 2)}),
    ],
)
def test_causes_are_split_by_a_facet(
    production: Production, facet: str, parts: set[tuple[str, int]]
) -> None:
    assert {(cause.by, cause.count) for cause in counted(production, by=facet).causes} == parts


@pytest.mark.parametrize("facet", ["site", "stage"])
def test_what_is_not_said_is_one_part_and_no_place(production: Production, facet: str) -> None:
    """A host without a site is kept as one of site '', a job without a host has none at all."""
    mcd = {"task_id": "t3", "campaign": "mcd"}
    production.record(
        failed(81, 3, task=mcd, host={"hostname": "alone"}), failed(82, 3, task=None, host=None)
    )

    found = counted(production, by=facet).causes

    assert [(cause.count, cause.sites) for cause in found if cause.by is None] == [(2, 0)]
    assert "" not in {cause.by for cause in found}


def test_only_jobs_that_pass_the_filters_count(production: Production) -> None:
    found = counted(production, JobFilters(campaign="mcc"))

    assert (found.jobs, found.failures, found.cause_count) == (2, 2, 1)


def test_jobs_of_other_experiments_and_reruns_do_not_count(production: Production) -> None:
    production.record(
        *[failed(number, 3, experiment="sterile") for number in (80, 81)],
        failed(82, 3, experiment="sterile", rerun_of=job_id(80)),
    )

    nova, sterile = (
        counted(production, JobFilters(experiment=name)) for name in ("nova", "sterile")
    )

    assert [(found.jobs, found.failures) for found in (nova, sterile)] == [(37, 7), (2, 2)]
    assert [cause.count for cause in sterile.causes] == [2]


def test_host_that_spoils_its_jobs_stands_out(production: Production) -> None:
    hole = {"hostname": "hole", "site": "FNAL"}
    production.record(*[failed(number, 3, host=hole) for number in range(100, 112)])

    [outlier] = counted(production).outliers

    assert (outlier.kind, outlier.name, outlier.jobs, outlier.failures) == (
        "host",
        "hole",
        12,
        12,
    )
    assert outlier.p_value < 1e-5


@pytest.mark.parametrize("how", [{"by": "colour"}, {"sort": "size"}])
def test_unknown_facet_or_order_is_refused(production: Production, how: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match="one of"):
        counted(production, **how)


def configuration_error(number: int, message: str, **details: str) -> dict[str, Any]:
    ending = {"code": 9, "failed_step": "art", "error_class": "Configuration", "message": message}
    extra = {"failure": {"art": {"category": "Configuration", "message": message, **details}}}
    return failed(number, 3, exit=ending, extra=extra)


def test_causes_of_failures_that_were_read_are_what_was_wrong(production: Production) -> None:
    """Four configuration errors are four causes; exit codes of one cause do not split it."""
    production.record(
        configuration_error(81, "Unsupported parameters: nTracsk [ ./a.fcl:3 ] (Gen/gen)"),
        configuration_error(82, "Unsupported parameters: nTracsk [ ./a.fcl:7 ] (Gen/gen)"),
        configuration_error(83, "Unsupported parameters: pMx [ ./a.fcl:4 ] (Gen/gen)"),
        configuration_error(84, "Missing parameters: pMin: <double> (Cut/cut)"),
        configuration_error(85, 'Library specification "Smeer" is unknown', plugin="Smeer"),
    )
    production.work()

    found = counted(production)

    told = {cause.cause: cause.count for cause in found.causes if cause.exit_code == 9}
    assert told == {
        "gen: Unsupported parameters: nTracsk": 2,
        "gen: Unsupported parameters: pMx": 1,
        "cut: Missing parameters: pMin: <double>": 1,
        'Smeer: Library specification "…" is unknown': 1,
    }
    first = found.causes[0]
    by_site = counted(production, JobFilters(cause_id=first.cause_id), by="site")
    assert sum(cause.count for cause in by_site.causes) == first.count


def test_advice_of_one_rule_is_not_given_for_failures_that_another_fits(
    production: Production,
) -> None:
    """They have one message, and their logs tell that they were two things."""
    down = {"name": "down", "class": "storage", "words": "The door was shut", "advice": "Wait"}
    full = {"name": "full", "class": "storage", "words": "No room was left", "advice": "Clean up"}
    production.declare_rules({**down, "pattern": "door shut"}, {**full, "pattern": "no room"})
    shut, none_left = production.upload(b"door shut\n"), production.upload(b"no room\n")

    def copying(number: int, log: str) -> dict[str, Any]:
        exit_ = {"code": 1, "message": "copy failed", "failed_step": "copy"}
        return failed(number, 3, exit=exit_, logs=[{"name": "out", "sha256": log}])

    production.record(copying(81, shut))
    production.work()
    [alone] = [cause for cause in counted(production).causes if cause.class_name == "storage"]
    production.record(copying(82, none_left))
    production.work()
    [both] = [cause for cause in counted(production).causes if cause.class_name == "storage"]

    assert (alone.words, alone.advice) == ("The door was shut", "Wait")
    assert both.count == 2
    assert both.words == "No room was left (the newest; 2 rules fit these failures)"
    assert (both.advice, both.transient, both.rule) == (None, None, None)


def test_rule_of_the_experiment_merges_failures_of_several_kinds(production: Production) -> None:
    production.declare_rules(
        {
            "name": "calibration",
            "class": "database",
            "words": "The server was down",
            "pattern": "calib",
            "cause": "calibration server",
        }
    )
    production.record(
        configuration_error(81, "no calib answer"),
        failed(82, 3, exit={"code": 1, "failed_step": "gen", "message": "calib: timed out"}),
    )
    production.work()

    (cause,) = [one for one in counted(production).causes if one.cause == "calibration server"]

    assert (cause.count, cause.exit_code, cause.failed_step, cause.class_name) == (
        2,
        None,
        None,
        "database",
    )
