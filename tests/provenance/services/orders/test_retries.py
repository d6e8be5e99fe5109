"""Retries: which jobs are offered, which are not and why, and what is ordered.

That is tried on both databases.
"""

from typing import Any

import pytest
from sqlalchemy import insert

from jobprov.provenance.answers.orders.orders import (
    NewOrder,
    OrdersReported,
    RetryChoice,
    TakenOrder,
)
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.db.tables import CatalogFileRow, CatalogOutput
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError
from jobprov.provenance.launchers.resubmitting import Destination
from jobprov.provenance.services.orders.orders import (
    EndedOrder,
    PlacedOrder,
    ReportBody,
    TakeBody,
    append_orders,
    report_orders,
    take_orders,
)
from jobprov.provenance.services.orders.resubmission import repeats_of, resubmission
from jobprov.provenance.services.orders.retries import RetryBody, choose_retries, order_retries
from jobprov.provenance.services.orders.retry_choice import show_choice
from jobprov.provenance.services.orders.retry_policies import declare_policies
from jobprov.provenance.services.writing import Writing
from tests.library.production import Production
from tests.library.records import MOMENT, a_record, digest, job_id
from tests.library.statements import statements_sent

BAD_ALLOC = {"code": 1, "error_class": "std::bad_alloc", "message": "std::bad_alloc"}
TASK = {"task_id": "t1", "campaign": "c", "stage": "reco"}


def an_attempt(
    number: int, unit: str | None, *, code: int | None = 65, **more: Any
) -> dict[str, Any]:
    state = "succeeded" if code == 0 else "failed"
    signal = more.pop("signal", None)
    return a_record(
        number,
        **{
            "state": "killed" if signal else state,
            "exit": {"code": code, "signal": signal},
            "task": {**TASK, **({"unit": unit} if unit else {})},
            "host": {"hostname": "wn1", "site": "BNL"},
            "outputs": [{"name": f"{number}.root", "size_bytes": 9}] if code == 0 else [],
            **more,
        },
    )


def choose(production: Production, **body: Any) -> RetryChoice:
    with production.database.reading.connect() as connection:
        return show_choice(
            choose_retries(connection, production.store, RetryBody(experiment="nova", **body))
        )


def order(production: Production, **document: Any) -> RetryChoice:
    document = {"experiment": "nova", "who": "me", "why": "it may help", **document}
    return production.write(lambda writing: order_retries(writing, document), received_at=MOMENT)


def reasons(shown: RetryChoice) -> dict[str, str]:
    return {job.unit or "-": job.reason for job in shown.skipped}


@pytest.fixture
def tried(production: Production) -> Production:
    """Return a task with units that were done, failed for good, or were killed.

    Some were killed before they were done.
    """
    production.record(
        an_attempt(1, "done", code=0),
        an_attempt(2, "bad", code=90),
        an_attempt(3, "killed", code=137, signal=9),
        an_attempt(4, "again", code=137, signal=9),
        an_attempt(5, "again", code=0),
        an_attempt(6, None, code=1),
    )
    return production


def test_policy_offers_transient_failures_of_units_that_are_not_done(tried: Production) -> None:
    shown = choose(tried, task_id="t1")

    assert [(row.unit, row.job_id, row.attempt, row.made_from) for row in shown.tries] == [
        ("killed", job_id(3), 2, "bundle")
    ]
    assert "not transient" in reasons(shown)["bad"]
    assert set(reasons(shown)) == {"bad"}, "units that are done are not spoken of"


def test_jobs_of_units_that_are_done_are_not_read(tried: Production) -> None:
    """Of a task of 40,000 jobs, reading them all took most of the time of the page of retries."""
    with statements_sent(tried.database.reading) as statements:
        choose(tried, task_id="t1")

    of_attempts = [sent for sent in statements if "node_attempts.knows_unit" in sent.sql]
    asked_about = [str(sent.values) for sent in of_attempts]
    assert any("killed" in values for values in asked_about)
    assert all(" IN (" in sent.sql for sent in of_attempts)
    assert not any("done" in values or "again" in values for values in asked_about)


def test_selected_job_of_a_waived_unit_is_said_to_be_waived(tried: Production) -> None:
    tried.waive("t1", "bad")

    shown = choose(tried, jobs=[job_id(2), job_id(3)])

    assert [(row.unit, row.is_waived) for row in shown.tries] == [("bad", True), ("killed", False)]


def removed_before_it_began(number: int, unit: str) -> dict[str, Any]:
    """Return the record that the batch history gives of such a job."""
    more = {"witness": "history", "started_at": None, "host": None, "outputs": None}
    record = an_attempt(number, unit, **more)
    return {**record, "state": "killed", "exit": {"error_class": "removed", "message": "by me"}}


def test_a_job_that_never_began_is_submitted_for_the_first_time(production: Production) -> None:
    production.record(removed_before_it_began(1, "u"))
    assert "--as-submitted" in reasons(choose(production, task_id="t1"))["u"]

    [retry] = choose(production, jobs=[job_id(1)]).tries

    assert (retry.attempt, retry.retry_of, retry.made_from) == (1, None, "submission")
    assert (retry.order.bundle_of, retry.memory_factor) == (None, 1)
    ordered = order(production, jobs=[job_id(1)])
    assert ordered.tries == [], "there is no bundle that an agent could run"
    assert "--as-submitted" in reasons(ordered)["u"]


def test_a_job_that_never_began_does_not_hide_the_one_before_it(production: Production) -> None:
    """The try repeats that one, and the policy counts one try, not two."""
    policies = {"stages": {"*": {"times": 1}}}
    production.write(
        lambda writing: declare_policies(writing, "nova", policies), received_at=MOMENT
    )
    production.record(an_attempt(1, "u", code=137, signal=9), removed_before_it_began(2, "u"))
    assert "removed before it began" in reasons(choose(production, task_id="t1"))["u"]

    [retry] = choose(production, jobs=[job_id(2)]).tries
    assert (retry.attempt, retry.retry_of, retry.made_from) == (2, job_id(1), "bundle")
    assert (retry.order.bundle_of, retry.avoided_sites) == (job_id(1), [])

    production.record(an_attempt(3, "u", code=137, signal=9, ended_at="2026-11-30T00:00:00Z"))
    assert choose(production, task_id="t1").tries == [], "tried twice, which is once again"


def test_a_unit_that_is_done_is_not_offered_where_a_twin_of_its_job_failed_later(
    tried: Production,
) -> None:
    tried.record(an_attempt(7, "done", code=137, signal=9))

    shown = choose(tried, task_id="t1")

    assert {row.unit for row in [*shown.tries, *shown.skipped]} == {"bad", "killed"}


def test_a_unit_that_succeeded_without_output_is_offered(tried: Production) -> None:
    """Its process returned 0; without a file it is as undone as one that failed."""
    empty = {"name": "7.root", "size_bytes": 0, "status": "empty"}
    tried.record(an_attempt(7, "empty", code=0, outputs=[empty]))

    shown = choose(tried, task_id="t1")

    assert [(row.unit, row.state) for row in shown.tries] == [
        ("killed", "killed"),
        ("empty", "no_output"),
    ]


def test_a_unit_whose_output_the_catalog_has_is_not_offered(tried: Production) -> None:
    """The task counts it as done; its job may have failed after its output was declared."""

    def write(writing: Writing) -> None:
        connection = writing.connection
        [task] = find_tasks(connection, "t1", "nova")
        file = {
            "id": 1,
            "experiment_id": task.experiment_key,
            "name": "killed.out",
            "namespace": "",
            "checksums": "",
        }
        connection.execute(insert(CatalogFileRow).values(**file, seen_at=MOMENT))
        connection.execute(insert(CatalogOutput).values(task_id=task.key, unit="killed", file_id=1))

    tried.write(write)

    assert choose(tried, task_id="t1").tries == []
    assert [row.unit for row in choose(tried, jobs=[job_id(3)]).tries] == ["killed"], (
        "whoever selects it decides"
    )


def test_a_selection_is_tried_again_whatever_its_class_and_says_why_not(tried: Production) -> None:
    shown = choose(tried, jobs=[job_id(number) for number in range(1, 7)])

    assert sorted(row.unit for row in shown.tries) == ["bad", "killed"]
    assert reasons(shown)["done"] == "its unit is done"
    assert reasons(shown)["again"] == "its unit is done"
    assert "names no unit" in reasons(shown)["-"]


def test_an_experiments_policy_says_how_often_what_and_how(tried: Production) -> None:
    policies = {
        "stages": {
            "reco": {"times": 1, "transient_only": False, "memory_factor": 2.0, "other_site": True}
        }
    }
    tried.write(lambda writing: declare_policies(writing, "nova", policies), received_at=MOMENT)
    tried.record(an_attempt(7, "bad", code=90, resources={"requested_memory_bytes": 1000}))
    memory = {"requested_memory_bytes": 1000}
    tried.record(
        an_attempt(8, "other", code=12, resources=memory),
        an_attempt(10, "short", code=1, resources=memory, exit=BAD_ALLOC),
    )

    shown = choose(tried, task_id="t1")

    assert "tried 2 times, and the policy of its stage says 1" in reasons(shown)["bad"]
    rows = {row.unit: row for row in shown.tries}
    assert (rows["short"].memory_bytes, rows["short"].avoided_sites) == (2000, ["BNL"])
    assert (rows["other"].memory_bytes, rows["other"].memory_factor) == (1000, 1)


def test_memory_grows_by_hand_only_where_it_was_or_may_have_been_the_cause(
    tried: Production,
) -> None:
    memory = {"requested_memory_bytes": 1000}
    no_space = {"code": 1, "message": "write failed: No space left on device"}
    tried.record(
        an_attempt(10, "short", resources=memory, exit=BAD_ALLOC),
        an_attempt(11, "disk", resources=memory, exit=no_space),
        an_attempt(12, "nobody knows", resources=memory, exit={"code": 77}),
    )

    shown = choose(tried, jobs=[job_id(number) for number in (10, 11, 12)], memory_factor=3)

    grown = {row.unit: row.memory_bytes for row in shown.tries}
    assert grown == {"short": 3000, "disk": 1000, "nobody knows": 3000}


def test_ordering_twice_makes_one_order_and_an_open_one_is_not_ordered_again(
    tried: Production,
) -> None:
    first = order(tried, jobs=[job_id(2), job_id(3)])
    assert len({row.order_id for row in first.tries}) == 2

    again = order(tried, jobs=[job_id(2), job_id(3)])

    assert again.tries == []
    assert {row.reason for row in again.skipped} == {
        "its unit is ordered already, and that is not over"
    }
    taken = take(tried, "agent")
    assert [(row.unit, row.bundle_of, row.retry_of) for row in taken] == [
        ("bad", job_id(2), job_id(2)),
        ("killed", job_id(3), job_id(3)),
    ]


def test_a_leased_order_is_given_to_nobody_else_and_its_holder_gets_it_back(
    tried: Production,
) -> None:
    order(tried, jobs=[job_id(2), job_id(3)])

    mine = take(tried, "one")

    assert len(mine) == 2
    assert take(tried, "other") == []
    assert [row.order_id for row in take(tried, "one")] == [row.order_id for row in mine], (
        "after a restart"
    )


def test_what_was_placed_is_not_given_out_and_telling_twice_changes_nothing(
    tried: Production,
) -> None:
    order(tried, jobs=[job_id(2)])
    [taken] = take(tried, "one")
    said = ReportBody(experiment="nova", placed=[PlacedOrder(taken.order_id, "7.0@s")])

    assert report(tried, said) == OrdersReported(placed=1, ended=0)
    assert report(tried, said) == OrdersReported(placed=0, ended=0)
    assert take(tried, "one") == []

    over = ReportBody(experiment="nova", ended=[EndedOrder(taken.order_id, exit_code=1)])
    assert report(tried, over) == OrdersReported(placed=0, ended=1)
    tried.record(an_attempt(9, "bad", code=90))
    assert [row.attempt for row in order(tried, jobs=[job_id(9)]).tries] == [3]


def test_a_try_that_never_became_a_job_counts_and_the_next_is_another_order(
    tried: Production,
) -> None:
    """The ended order was answered again as if it were new, and nobody could take it."""
    declare(tried, times=3)
    for attempt in (2, 3, 4):
        [row] = order(tried, jobs=[job_id(3)]).tries
        assert row.attempt == attempt
        [taken] = take(tried, "agent")
        assert taken.order_id == row.order_id
        over = EndedOrder(taken.order_id, problem="not submitted: no proxy")
        assert report(tried, ReportBody(experiment="nova", ended=[over])) == OrdersReported(
            placed=0, ended=1
        )

    offered = choose(tried, task_id="t1")

    assert offered.tries == []
    assert (
        reasons(offered)["killed"]
        == "it was tried 4 times, and the policy of its stage says 3 times again"
    )


def test_an_order_that_is_over_is_not_answered_as_a_new_one(tried: Production) -> None:
    order(tried, jobs=[job_id(3)])
    [taken] = take(tried, "agent")
    report(tried, ReportBody(experiment="nova", ended=[EndedOrder(taken.order_id, exit_code=1)]))
    again = NewOrder(task_id="t1", unit="killed", attempt=2)

    with pytest.raises(ConflictError, match="Attempt 2 of unit killed was ordered and is over"):
        tried.write(lambda writing: append_orders(writing, "nova", [again]), received_at=MOMENT)


def test_a_rerun_for_comparison_is_not_tried_again_also_where_nothing_else_is_known_of_its_unit(
    tried: Production,
) -> None:
    tried.record(
        an_attempt(7, "only", code=1, rerun_of=job_id(99)),
        an_attempt(8, "bad", code=1, rerun_of=job_id(2)),
        a_record(9, state="failed", exit={"code": 1}, rerun_of=job_id(2)),
    )
    selected = {"jobs": [job_id(number) for number in (7, 8, 9)]}

    for shown in (choose(tried, **selected), order(tried, **selected)):
        assert shown.tries == []
        assert [row.reason for row in shown.skipped] == [
            "a rerun: retry the job that it repeats"
        ] * 3


def test_a_report_on_an_order_that_is_none_is_refused(tried: Production) -> None:
    said = ReportBody(experiment="nova", placed=[PlacedOrder(job_id(1), "7.0@s")])

    with pytest.raises(BadInputError, match="has no order"):
        report(tried, said)


def test_unknown_jobs_and_tasks_are_named(tried: Production) -> None:
    with pytest.raises(NotFoundError, match=job_id(99)):
        choose(tried, jobs=[job_id(99)])
    with pytest.raises(NotFoundError, match="t9"):
        choose(tried, task_id="t9")
    with pytest.raises(BadInputError, match="name jobs"):
        choose(tried)


@pytest.mark.parametrize("form", ["condor", "jobsub", "sam"])
def test_the_exact_resubmission_is_said_in_each_form(tried: Production, form: str) -> None:
    tried.record(
        an_attempt(
            10, "a b.root", inputs=[{"name": "raw.root", "sha256": digest(1), "role": "primary"}]
        )
    )
    body = RetryBody(experiment="nova", jobs=[job_id(2), job_id(10)], memory_factor=2)
    with tried.database.reading.connect() as connection:
        choice = choose_retries(connection, tried.store, body)
        repeats = repeats_of(connection, tried.store, choice, "nova")

    destination = Destination("nova", "https://jobprov.example.org")
    text = resubmission(repeats, form, destination)

    if form == "sam":
        assert text == "file_name 'raw.root'\n"
        return
    assert job_id(2) in text
    assert job_id(10) in text
    assert "a b.root" in text
    if form == "condor":
        assert text.count("queue\n") == 2
        assert "JOBPROV_UNIT='a b.root'" in text
        files = f"job-end-hook.pyz, retry-places.tsv, {job_id(2)}.tar"
        assert f"transfer_input_files = {files}\n" in text
        for repeat in repeats:
            assert f"transfer_output_files = {repeat.home}\n" in text
    else:
        assert "jobsub_submit -G nova -N 2" in text
        assert '--output-dir "$output_dir"' in text
        assert "output_dir=${1:?" in text, "jobsub brings no files back"
        ticket = '$([ ! -f jobprov.ticket ] || echo "-e JOBPROV_TOKEN_FILE=jobprov.ticket '
        assert text.count("JOBPROV_TOKEN_FILE") == text.count(ticket) == 1
        assert f"https://jobprov.example.org/api/v1/jobs/{job_id(2)}/bundle?experiment=nova" in text


def declare(production: Production, **policy: Any) -> None:
    body = {"stages": {"*": policy}}
    production.write(lambda writing: declare_policies(writing, "nova", body), received_at=MOMENT)


def take(production: Production, holder: str) -> list[TakenOrder]:
    body = TakeBody(experiment="nova", holder=holder)
    return production.write(lambda writing: take_orders(writing, body), received_at=MOMENT)


def report(production: Production, body: ReportBody) -> OrdersReported:
    return production.write(lambda writing: report_orders(writing, body), received_at=MOMENT)


MISSING = (
    "retry-job.sh: input a.root (sha256:12, 7 bytes) is missing: /d/a.root: no such file. "
    "Nothing was run. Put it back, or give its folder (jobprov retry JOB --input-dir FOLDER), "
    "and retry."
)


def test_a_try_whose_input_was_missing_does_not_count_and_is_retried_by_hand(
    tried: Production,
) -> None:
    declare(tried, times=1)
    missing = {"code": 66, "failed_step": "stage_in", "message": MISSING}
    first = {"environment": {"variables": {"RETRY_BUNDLE_OF": job_id(3)}}}
    tried.record(an_attempt(10, "killed", exit=missing, **first))

    offered, selected = choose(tried, task_id="t1"), choose(tried, jobs=[job_id(10)])

    assert "retry it by hand, once the input is there" in reasons(offered)["killed"]
    [retry] = selected.tries
    assert retry.failure is not None
    assert (retry.failure.class_name, retry.attempt) == ("input", 3)
    assert retry.order.bundle_of == job_id(3), "the try itself ran nothing that could be repeated"

    tried.record(an_attempt(11, "killed", code=137, signal=9))
    assert [row.unit for row in choose(tried, task_id="t1").tries] == []
    declare(tried, times=2)
    assert [row.unit for row in choose(tried, task_id="t1").tries] == ["killed"]
