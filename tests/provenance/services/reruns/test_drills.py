"""Drills: real jobs run again from their bundles, and what is recorded of it.

They run apart from network and environment.
"""

import fcntl
import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.reruns.reproduction import RerunsOfAge
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.services.reruns import isolation
from jobprov.provenance.services.reruns.drills import DrillLimits, drill
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.recorded_trials import TrialParts, TriedJob
from jobprov.provenance.services.reruns.reproduction import reproduction_facts
from tests.library.databases import on_sqlite_alone
from tests.library.production import shown_job
from tests.library.productions.joining import BAD, EXPERIMENT, GOOD, sample_parts
from tests.library.productions.trials import record, shell_job, trial_parts
from tests.library.records import a_record

pytestmark = pytest.mark.slow

ANY_AGE = DrillLimits(again_after=timedelta(0))


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Iterator[TrialParts]:
    """Yield a service that holds the two jobs of the sample."""
    with trial_parts(database, tmp_path) as opened:
        yield opened


def verdicts(parts: TrialParts, job_id: str) -> list[dict[str, Any]]:
    with parts.database.reading.connect() as connection:
        found: list[dict[str, Any]] = shown_job(connection, parts.store, job_id)["verdicts"]
    return found


def levels(done: list[TriedJob] | None) -> dict[str, str | None]:
    assert done is not None
    return {each.job_id: each.level for each in done}


def test_jobs_are_run_again_and_their_verdicts_recorded(parts: TrialParts) -> None:
    done = drill(parts, DrillLimits())
    with parts.database.reading.connect() as connection:
        facts = reproduction_facts(connection, datetime.now(UTC))

    assert levels(done) == {GOOD: "R7", BAD: "R1="}
    [verdict] = verdicts(parts, GOOD)
    assert (verdict["by"], verdict["level"], verdict["comparisons"][0]["output"]) == (
        "drill",
        "R7",
        "joined.txt",
    )
    assert verdict["plan"].startswith("1-L")
    assert (facts.drilled, facts.reproduced, facts.share) == (2, 2, 1.0)
    assert facts.by_level == {"R1=": 1, "R7": 1}
    assert facts.by_age == [RerunsOfAge(within_days=30, drilled=2, reproduced=2)]
    assert [path.name for path in parts.folder.iterdir()] == ["lock"]


def test_drill_goes_on_where_it_was_and_then_begins_anew(parts: TrialParts) -> None:
    first, second, third = (drill(parts, ANY_AGE._replace(jobs=1)) for _ in range(3))

    assert {*levels(first), *levels(second)} == {GOOD, BAD}
    assert levels(third) == levels(first)
    assert drill(parts, DrillLimits()) == []  # all were compared within a day


@on_sqlite_alone
def test_limits_end_a_drill_before_the_next_job(parts: TrialParts) -> None:
    assert len(drill(parts, ANY_AGE._replace(seconds=0.0)) or ()) == 0
    small = drill(parts, ANY_AGE._replace(disk_bytes=1000))

    assert set(levels(small).values()) == {None}
    assert "bytes" in str((small or [])[0].reason)
    assert verdicts(parts, GOOD) == []


@on_sqlite_alone
def test_only_one_drill_works_in_a_folder(parts: TrialParts) -> None:
    parts.folder.mkdir()
    with (parts.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert drill(parts, DrillLimits()) is None
    (parts.folder / "job").mkdir()
    (parts.folder / "job" / "left over").touch()  # by a drill that was killed

    assert len(drill(parts, DrillLimits()) or ()) == 2


@on_sqlite_alone
def test_job_that_does_not_end_is_stopped_and_says_so(parts: TrialParts) -> None:
    record(parts, shell_job(parts, 7, "sleep 60 & sleep 61", outputs=[]))
    began = time.monotonic()
    [done] = [
        each
        for each in drill(parts, ANY_AGE._replace(job_seconds=2)) or ()
        if each.job_id == a_record(7)["job_id"]
    ]

    assert time.monotonic() - began < 40
    assert done.level == "R0"
    assert verdicts(parts, done.job_id)[0]["reason"] == "stopped after 2 s"


@on_sqlite_alone
def test_rerun_has_no_network_and_no_environment(
    parts: TrialParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not parts.isolation.is_offline:
        pytest.skip("THE KERNEL ALLOWS NO USER NAMESPACE: reruns have the machine's network")
    monkeypatch.setenv("SECRET_OF_THE_OPERATOR", "x")
    script = 'test -z "$SECRET_OF_THE_OPERATOR" && grep -c : /proc/net/dev > seen.txt'
    alone = hashlib.sha256(b"1\n").hexdigest()  # the loopback, and no other
    record(parts, shell_job(parts, 8, script, outputs=[{"name": "seen.txt", "sha256": alone}]))

    assert levels(drill(parts, DrillLimits()))[a_record(8)["job_id"]] == "R7"


def test_running_jobs_reruns_and_jobs_without_code_are_left_alone(parts: TrialParts) -> None:
    drill(parts, DrillLimits())
    record(
        parts,
        shell_job(parts, 11, "true", outputs=[])
        | {"state": "running", "exit": None, "ended_at": None},
        shell_job(parts, 12, "true", outputs=[], rerun_of=GOOD),
        a_record(13, experiment=EXPERIMENT, outputs=[]),
    )

    assert drill(parts, DrillLimits()) == []


def test_job_whose_blobs_are_gone_does_not_stop_the_others(
    database: Database, tmp_path: Path
) -> None:
    archive = f"file:{tmp_path}/archive"
    kept = hashlib.sha256(b"1 2 3\n").hexdigest()  # the input; fcl and code are still there
    with sample_parts(database, tmp_path, archive) as sample:
        for file in (tmp_path / "archive").rglob(f"*{kept[2:]}*"):
            file.unlink()
        store = open_store(archive)
        parts = TrialParts(database, sample.writer, store, tmp_path / "drill", apart())
        done = drill(parts, DrillLimits())

    assert set(levels(done)) == {GOOD, BAD}
    assert set(levels(done).values()) == {None}
    assert all(kept[:12] in str(each.reason) for each in done or ())


def test_machine_without_namespaces_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_WAYS", (("no-such-program",), ("false",)))
    isolation._offline_prefix.cache_clear()
    found = apart()
    isolation._offline_prefix.cache_clear()

    assert not found.is_offline
    assert not apart(network=True).prefix
