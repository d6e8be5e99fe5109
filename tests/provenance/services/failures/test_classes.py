"""What failures were: by which rules, from which line of which log, and what keeps its meaning."""

from typing import Any

import pytest

from jobprov.provenance.answers.lookup.jobs import Failure
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.services.failures.classes import classes_of
from jobprov.provenance.services.failures.rules import declare_rules, show_rules
from jobprov.provenance.services.lookup.job import find_job
from tests.library.production import Production
from tests.library.records import job_id, record_of

DATABASE = {
    "name": "db",
    "class": "database",
    "words": "the database is down",
    "transient": True,
    "pattern": "db down",
}


def failed(number: int, **changes: Any) -> dict[str, Any]:
    defaults = {
        "state": "failed",
        "exit": {"code": 12, "failed_step": "tool"},
        "command": {"argv": ["tool"]},
    }
    return record_of(
        number, inputs=[], outputs=[], **{"configurations": [], "logs": [], **defaults, **changes}
    )


def class_of(production: Production, number: int) -> Failure:
    with production.database.reading.connect() as connection:
        key = find_job(connection, job_id(number)).key
        return classes_of(connection, [key])[key]


def test_failure_is_known_at_once_and_read_from_its_logs_later(production: Production) -> None:
    log = production.upload(b"x" * 70_000 + b"\nerror: db down\nbye\n")
    production.declare_rules(DATABASE)
    production.record(
        failed(1, logs=[{"name": "out", "sha256": log}]),
        failed(2, exit={"code": 90}, configurations=[{"main": "a.fcl"}]),
    )
    first = class_of(production, 1)

    production.work()

    read = class_of(production, 1)
    assert (first.class_name, first.transient, first.is_read) == ("unknown", None, False)
    assert (read.class_name, read.transient, read.is_read, read.version) == (
        "database",
        True,
        True,
        1,
    )
    assert (read.log_name, read.log_at) == ("out", 70_001)
    assert class_of(production, 2).rule == "built-in.art-fcl"


def test_log_that_comes_late_is_read_when_it_comes(production: Production) -> None:
    production.declare_rules(DATABASE)
    late = b"db down at last\n"
    sha256 = production.store.put(late).sha256
    production.record(failed(1, logs=[{"name": "out", "sha256": sha256}]))
    production.work()
    before = class_of(production, 1)

    production.upload(late)
    production.work()

    assert (before.class_name, class_of(production, 1).class_name) == ("unknown", "database")


def test_old_failure_keeps_its_meaning_until_it_is_read_again(production: Production) -> None:
    production.declare_rules(
        {"name": "twelve", "class": "data", "words": "bad file", "exit_code": [12]}
    )
    production.record(failed(1))
    production.declare_rules(
        {
            "name": "twelve",
            "class": "site",
            "words": "bad site",
            "transient": True,
            "exit_code": [12],
        }
    )
    production.record(failed(2))
    production.work()
    old, new = class_of(production, 1), class_of(production, 2)

    production.reclassify("t1")
    production.work()

    again = class_of(production, 1)
    assert (old.words, old.version, new.words, new.version) == ("bad file", 1, "bad site", 2)
    assert (again.words, again.version) == ("bad site", 2)


def test_job_that_succeeded_after_all_has_no_class(production: Production) -> None:
    production.record(failed(1, witness="history", state="killed", exit={"signal": 9}))
    production.work()
    production.record(record_of(1))
    production.work()

    with production.database.reading.connect() as connection:
        assert classes_of(connection, [find_job(connection, job_id(1)).key]) == {}


def test_same_rules_again_make_no_version_and_a_late_change_is_refused(
    production: Production,
) -> None:
    production.declare_rules(DATABASE)
    production.declare_rules(DATABASE, why="again")
    production.declare_rules({**DATABASE, "words": "down again"})

    with production.database.reading.connect() as connection:
        shown = show_rules(connection, "nova")
        assert show_rules(connection, "nova", version=1).rules == [DATABASE]
    assert [row.version for row in shown.versions] == [2, 1]
    document = {"rules": [], "who": "Eve", "why": "late"}
    with pytest.raises(ConflictError, match="version 2 by now"):
        production.writer.run(
            lambda writing: declare_rules(writing, "nova", document, after=1),
            received_at=production.tick(),
        )
