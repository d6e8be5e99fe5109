"""What `jobprov retry` can run, and what it says against that."""

import pytest
from click.testing import CliRunner

from jobprov.app.cli import jobprov
from jobprov.app.commands.orders.retry_submission import check_inputs
from jobprov.provenance.answers.lookup.jobs import Failure
from jobprov.provenance.answers.orders.orders import NewOrder, Retry, RetryChoice
from jobprov.provenance.client import Client
from tests.library.records import job_id


def a_try(number: int, **changes: object) -> Retry:
    order = NewOrder(task_id="t1", unit=f"u{number}", attempt=1)
    fields = {
        "job_id": job_id(number),
        "task_id": "t1",
        "stage": None,
        "unit": order.unit,
        "state": "killed",
        "site": None,
        "exit_code": None,
        "signal": None,
        "message": None,
        "attempt": 1,
        "retry_of": None,
        "made_from": "bundle",
        "memory_bytes": None,
        "memory_factor": 1.0,
        "runs_out_again": False,
        "avoided_sites": [],
        "failure": None,
        "outside_inputs": [],
        "order": order,
        **changes,
    }
    return Retry(**fields)  # type: ignore[arg-type]


def test_try_of_which_only_the_submission_is_known_cannot_be_run() -> None:
    choice = RetryChoice([a_try(1), a_try(2, made_from="submission")], [], {"unknown": 2})

    checked = check_inputs(Client("http://127.0.0.1:9"), choice, "nova", []).choice

    assert [retry.job_id for retry in checked.tries] == [job_id(1)]
    [skipped] = checked.skipped
    assert skipped.job_id == job_id(2)
    assert "--as-submitted" in skipped.reason


def a_failure(*, transient: bool | None) -> Failure:
    return Failure(
        class_name="time",
        words="The job took more CPU time than it may",
        advice="Run fewer events a job.",
        transient=transient,
        rule="built-in.sigxcpu",
        version=0,
        log_name=None,
        log_at=None,
        is_read=True,
        cause=None,
        cause_id=None,
    )


def test_dry_run_says_what_speaks_against_trying_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = [
        a_try(1, failure=a_failure(transient=False)),
        a_try(2, failure=a_failure(transient=True), is_waived=True),
        a_try(3, failure=a_failure(transient=None)),
    ]
    monkeypatch.setattr(
        Client, "retries", lambda *_given, **_query: RetryChoice(tries, [], {"time": 3})
    )

    words = ["retry", job_id(1), "--experiment", "nova", "--url", "http://127.0.0.1:9"]
    done = CliRunner().invoke(jobprov, words)

    first, second, third = done.output.splitlines()[1:4]
    assert first.endswith("; trying again does not help: Run fewer events a job.")
    assert second.endswith("bundle; its unit is waived: the task goes on without it")
    assert third.endswith("time, attempt 1, from its bundle")
