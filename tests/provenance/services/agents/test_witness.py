"""The witness outside against a service that remembers what it was told."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.db.witness_state import WitnessState, stamp_of
from jobprov.provenance.errors import BadInputError, ConflictError, LimitError, UnreachableError
from jobprov.provenance.launchers.condor import attempts as condor_attempts
from jobprov.provenance.launchers.condor.attempts import Collection, Source
from jobprov.provenance.services.agents.witness import WitnessRun, witness_batch
from tests.library.servers.witnessed import ME, NOW, Service, attempt, tell


def test_second_run_tells_only_what_is_new(state: WitnessState) -> None:
    service = Service()

    first = tell(service, state, [attempt(1), attempt(2)])
    second = tell(service, state, [attempt(1), attempt(2), attempt(3)])

    assert (first.states, first.new, second.states, second.told_before) == (
        {"succeeded": 2},
        2,
        {"succeeded": 1},
        2,
    )


def test_what_ended_just_now_waits_and_is_looked_at_again(state: WitnessState) -> None:
    report = tell(Service(), state, [attempt(1), attempt(2, ended=NOW - 5)])

    assert (sum(report.states.values()), report.waiting, report.reached) == (1, 1, NOW - 5)


HAS_MACHINE: dict[str, Any] = {"RemoteHost": "slot1_1@wn1"}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("status", [2, 5])
def test_epoch_of_an_attempt_that_has_a_machine_waits(
    state: WitnessState, number: int, status: int
) -> None:
    """One that is held has its machine until its shadow is gone. The attempt before is over."""
    queued: dict[str, Any] = {"NumShadowStarts": number, "JobStatus": status, **HAS_MACHINE}
    collection = Collection()
    collection.add([attempt(1, **queued)], "queue")
    collection.add([attempt(1, ended=NOW - 9000)], "epochs")

    report = witness_batch(None, collection, state, WitnessRun(NOW))

    is_over = number == 2
    assert (sum(report.states.values()), report.waiting) == (is_over, not is_over)
    assert report.reached == (NOW if is_over else NOW - 9000)


@pytest.mark.parametrize(
    ("source", "ended"), [("history", {"JobStatus": 4}), ("queue", {"JobStatus": 1})]
)
def test_attempt_that_ended_while_it_was_asked_for_is_over(
    state: WitnessState, source: Source, ended: dict[str, Any]
) -> None:
    collection = Collection()
    collection.add([attempt(1, JobStatus=2, **HAS_MACHINE)], "queue")
    collection.add([attempt(1)], "epochs")
    collection.add([attempt(1, **ended)], source)

    report = witness_batch(None, collection, state, WitnessRun(NOW))

    assert (report.states, report.waiting) == ({"succeeded": 1}, 0)


@pytest.mark.parametrize(
    "odd",
    [
        {"ToE": None, "CompletionDate": 0, "JobStatus": 4},
        {"CompletionDate": NOW - 2000, "JobStatus": 4, "ToE": None},
        {"ToE": {"HowCode": 0, "When": NOW + 10**8, "ExitBySignal": False, "ExitCode": 0}},
    ],
    ids=["no date", "before the start", "years ahead"],
)
def test_attempt_whose_end_has_no_date_to_wait_for_is_told(
    state: WitnessState, odd: dict[str, Any]
) -> None:
    """It waited until the date came, or for ever."""
    service = Service()

    report = tell(service, state, [attempt(1, **odd)])

    assert (report.waiting, report.new, tell(service, state, [attempt(1, **odd)]).told_before) == (
        0,
        1,
        1,
    )


def test_clock_of_the_schedd_that_is_a_little_ahead_is_waited_for(state: WitnessState) -> None:
    assert tell(Service(), state, [attempt(1, ended=NOW + 300)]).waiting == 1


def test_limit_tells_the_oldest_first_and_the_next_run_goes_on(state: WitnessState) -> None:
    service, ads = Service(), [attempt(number, ended=NOW - 1000 + number) for number in range(5)]

    first = tell(service, state, ads, limit=3)
    second = tell(service, state, ads, limit=3)

    assert (sum(first.states.values()), first.left, first.reached) == (3, 2, NOW - 997)
    assert (sum(second.states.values()), second.left, len(service.records)) == (2, 0, 5)


def test_many_are_told_in_batches(state: WitnessState) -> None:
    service = Service()

    tell(service, state, [attempt(number) for number in range(250)])

    assert service.calls == [100, 100, 50]


def test_what_was_told_before_the_service_went_away_is_not_told_again(state: WitnessState) -> None:
    service, ads = Service(), [attempt(number) for number in range(150)]
    service.fails_after = 1

    with pytest.raises(UnreachableError):
        tell(service, state, ads)
    service.fails_after = None
    report = tell(service, state, ads)

    assert (report.told_before, report.new, len(service.records)) == (100, 50, 150)


def test_refused_records_are_named_and_told_again(state: WitnessState) -> None:
    service = Service()
    service.forbidden = {"dune"}

    report = tell(service, state, [attempt(1), attempt(2, Jobsub_Group="dune")])
    again = tell(service, state, [attempt(1), attempt(2, Jobsub_Group="dune")])

    assert (len(report.refused), report.new, again.told_before, len(again.refused)) == (1, 1, 1, 1)
    assert report.reached == NOW - 1000


def test_record_that_the_service_cannot_use_is_told_once(state: WitnessState) -> None:
    service = Service()
    service.unusable = {"nova"}

    report, again = tell(service, state, [attempt(1)]), tell(service, state, [attempt(1)])

    assert (len(report.refused), report.reached, again.refused, again.told_before) == (
        1,
        NOW,
        {},
        1,
    )


def test_another_word_of_the_same_attempt_is_a_conflict_that_changes_nothing(
    tmp_path: Path,
) -> None:
    service = Service()
    with WitnessState(tmp_path / "one.db") as one:
        tell(service, one, [attempt(1)])
    with WitnessState(tmp_path / "two.db") as two:
        report = tell(service, two, [attempt(1, RequestMemory=7)])

    assert (len(report.conflicts), report.refused) == (1, {})


def test_only_jobs_of_the_experiment_and_those_that_name_none_are_told(state: WitnessState) -> None:
    service = Service()
    nameless = attempt(3)
    del nameless["Jobsub_Group"]

    report = tell(
        service, state, [attempt(1), attempt(2, Jobsub_Group="dune"), nameless], experiment="nova"
    )

    assert (
        {json.loads(body)["experiment"] for body in service.records.values()},
        report.elsewhere,
    ) == ({"nova"}, 1)
    assert tell(service, state, [dict(nameless, GlobalJobId="s#4.0#1")]).elsewhere == 1


def test_dry_run_tells_nobody(state: WitnessState) -> None:
    report = tell(None, state, [attempt(1)])

    assert report.states == {"succeeded": 1}
    assert tell(Service(), state, [attempt(1)]).new == 1


def failed(tmp_path: Path, **more: Any) -> dict[str, Any]:
    ended_by = {"HowCode": 0, "When": NOW - 1000, "ExitBySignal": False, "ExitCode": 1}
    return attempt(1, ToE=ended_by, Iwd=str(tmp_path), Out="job.out", Err="job.err", **more)


def test_logs_of_a_failed_job_are_sent_without_secrets(state: WitnessState, tmp_path: Path) -> None:
    service = Service()
    (tmp_path / "job.out").write_text("password=hunter2canary\nlast words\n")
    (tmp_path / "job.err").write_text("")
    os.utime(tmp_path / "job.out", (NOW, NOW))

    tell(service, state, [failed(tmp_path)])

    [body] = service.records.values()
    [log] = json.loads(body)["logs"]
    assert log["name"] == "stdout"
    assert b"last words" in service.blobs[log["sha256"]]
    assert b"hunter2canary" not in service.blobs[log["sha256"]]


def test_log_in_which_the_service_finds_a_secret_stays_where_it_is(
    state: WitnessState, tmp_path: Path
) -> None:
    service = Service()
    service.finds_secrets = True
    (tmp_path / "job.out").write_text("words")
    os.utime(tmp_path / "job.out", (NOW, NOW))

    report = tell(service, state, [failed(tmp_path)])

    assert report.new == 1
    assert "logs" not in json.loads(next(iter(service.records.values())))


@pytest.mark.parametrize(
    "trick", ["other owner", "link", "pipe", "folder", "older than the job", "unknown owner"]
)
def test_file_that_is_no_plain_log_of_the_jobs_owner_is_not_read(
    state: WitnessState, tmp_path: Path, trick: str
) -> None:
    """The ad is the submitter's word.

    A witness that runs as root must not publish /etc/shadow for them.
    """
    service, file, more = Service(), tmp_path / "job.out", {}
    secret = tmp_path / "secret"
    secret.write_text("not theirs")
    os.utime(secret, (NOW, NOW))
    match trick:
        case "link":
            file.symlink_to(secret)
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "older than the job":
            file.write_text("of an earlier attempt")
        case "other owner":
            secret.rename(file)
            more = {"Owner": "nobody" if ME != "nobody" else "root"}
        case _:
            secret.rename(file)
            more = {"Owner": "nobody-of-this-name"}

    tell(service, state, [failed(tmp_path, **more)])

    assert service.blobs == {}


def test_two_witnesses_at_once_do_not_collide(tmp_path: Path) -> None:
    with WitnessState(tmp_path / "state.db"), pytest.raises(ConflictError, match="Another witness"):
        WitnessState(tmp_path / "state.db")

    with WitnessState(tmp_path / "state.db"):
        pass


def test_other_file_is_not_taken_for_a_state(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk, eggs, bread\n" * 100)

    with pytest.raises(BadInputError, match="--state"):
        WitnessState(tmp_path / "notes.txt")


def test_state_forgets_what_ended_long_ago_and_knows_files_by_their_stamp(tmp_path: Path) -> None:
    job, file = "0f8b3c1e-5b7d-5e0a-9c3f-23518a16f001", tmp_path / "job.log"
    file.write_text("000")
    with WitnessState(tmp_path / "state.db") as state:
        assert state.reached() is None
        state.note_told([(job, NOW - 20 * 86400)])
        assert state.was_told(job)
        state.note_reached(NOW)
        state.note_files([(file, stamp_of(file))])
    with WitnessState(tmp_path / "state.db") as state:
        assert (state.was_told(job), state.reached(), state.is_unchanged(file)) == (
            False,
            NOW,
            True,
        )
        file.write_text("000 001")
        assert not state.is_unchanged(file)
    assert sqlite3.connect(tmp_path / "state.db").execute(
        "SELECT count(*) FROM told"
    ).fetchone() == (0,)


def test_more_attempts_than_memory_holds_are_an_error_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(condor_attempts, "MOST_ATTEMPTS", 2)

    with pytest.raises(LimitError, match="--days"):
        Collection().add([attempt(number) for number in range(3)], "epochs")


def test_experiments_with_jobs_in_the_queue_are_remembered(state: WitnessState) -> None:
    """So that the service is told when the last job of one has left it."""
    state.note_reported(["nova", "mu2e"])
    assert sorted(state.reported_experiments()) == ["mu2e", "nova"]

    state.note_reported(["nova"])

    assert state.reported_experiments() == ["nova"]
    assert state.reached() is None
