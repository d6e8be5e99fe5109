"""What `jobprov retry` can run: not what has nothing but a submission."""

from jobprov.app.commands.orders.retry_submission import check_inputs
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
