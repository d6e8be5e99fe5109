"""Recording: what becomes of a record, and what is kept."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import func, select

from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.recording.files import edges, linking
from jobprov.provenance.db.tables import (
    AwaitedBlob,
    Claim,
    Conflict,
    File,
    Job,
    LedgerEntry,
    Parent,
    Possession,
    Producer,
    ProvisionalRecord,
    Stage,
    TaskRow,
    UnreadRecord,
)
from jobprov.provenance.db.writer.turns import LostTurnError
from jobprov.provenance.records.files import parents
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.lookup.gaps import list_gaps
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import STATUS, Submission
from jobprov.provenance.services.writing import Writing
from tests.library.production import Production, shown_job
from tests.library.productions.recorded_graph import read_graph
from tests.library.records import FIRST, MOMENT, a_record, digest, file_entry, job_id

DONE = a_record(1, outputs=[file_entry("a.root", 1)], exit={"code": 0})
RUNNING = {**a_record(1), "state": "running", "ended_at": None}


def count(production: Production, table: Any) -> int:
    with production.database.reading.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def records_of_jobs(production: Production) -> list[tuple[str, int]]:
    """Return kind and number of the entries that jobs are made of."""
    query = select(LedgerEntry.kind, LedgerEntry.revision).join(Job, Job.id == LedgerEntry.job_id)
    with production.database.reading.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query.order_by(LedgerEntry.id))]


def shown(production: Production, number: int = 1) -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        return shown_job(connection, production.store, job_id(number))


def changes(
    production: Production, *records: dict[str, Any], reason: str | None = None
) -> list[str]:
    return [outcome.change for outcome in production.record(*records, reason=reason)]


def test_same_final_record_changes_nothing_the_second_time(production: Production) -> None:
    assert changes(production, DONE) == ["created"]
    reordered = dict(reversed(DONE.items()))  # other bytes, equal values
    assert changes(production, DONE) == changes(production, reordered) == ["same"]
    assert count(production, LedgerEntry) == count(production, Job) == count(production, Claim) == 1


def test_different_final_record_is_kept_once_as_evidence_and_changes_nothing(
    production: Production,
) -> None:
    production.record(DONE)
    other = {**DONE, "exit": {"code": 3}, "state": "failed"}
    assert changes(production, other) == changes(production, other) == ["conflict"]
    assert STATUS["conflict"] == 409
    assert shown(production)["summary"]["state"] == "succeeded"
    assert shown(production)["conflict_count"] == count(production, Conflict) == 1
    assert count(production, LedgerEntry) == 2
    assert records_of_jobs(production) == [("record", 0)]


def test_final_record_replaces_the_provisional_one_and_a_late_one_is_ignored(
    production: Production,
) -> None:
    assert changes(production, RUNNING) == ["created"]
    assert count(production, LedgerEntry) == 0
    assert changes(production, {**RUNNING, "threads": 2}) == ["replaced"]
    assert changes(production, DONE) == ["replaced"]
    assert changes(production, RUNNING) == ["ignored"]
    assert (
        count(production, ProvisionalRecord),
        count(production, LedgerEntry),
        count(production, Job),
    ) == (0, 1, 1)
    assert shown(production)["summary"]["state"] == "succeeded"


def test_same_job_several_times_in_one_batch_is_taken_in_order(production: Production) -> None:
    other = {**DONE, "exit": {"code": 9}}
    found = changes(production, RUNNING, a_record(2), DONE, DONE, other, RUNNING)
    assert found == ["created", "created", "replaced", "same", "conflict", "ignored"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_witnesses_merge_by_precedence_in_any_order(
    production: Production, order: tuple[int, ...]
) -> None:
    seen = [
        {**DONE, "witness": "wrapper", "exit": {"code": 0}, "batch": {"id": "1.0@s"}},
        {
            **DONE,
            "witness": "history",
            "exit": {"code": 1, "message": "killed"},
            "host": {"hostname": "wn1"},
        },
        {
            **DONE,
            "witness": "somebody",
            "outputs": [],
            "host": {"hostname": "wn2", "site": "FNAL"},
            "state": "lost",
        },
    ]
    for place in order:
        assert changes(production, seen[place]) == ["created"]
    page = shown(production)
    assert page["merged"]["exit"] == {"code": 0, "message": "killed"}
    assert page["merged"]["host"] == {"hostname": "wn1", "site": "FNAL"}
    assert page["summary"]["state"] == "succeeded"
    assert [found["field"] for found in page["contradictions"]] == ["exit.code"]
    assert "unknown-word" not in {gap["code"] for gap in page["gaps"]}
    assert {row["witness"]: row["is_final"] for row in page["witnesses"]} == {
        "wrapper": True,
        "history": True,
        "somebody": False,
    }


def test_job_whose_clock_was_a_day_ahead_says_so(production: Production) -> None:
    """Also when its gaps are looked up again; one that comes late is as it should be."""
    begun = FIRST + timedelta(days=1)
    host = {"hostname": "wn7"}
    log = {"name": "out", "sha256": sha256(b"log").hexdigest()}
    times = {"started_at": begun.isoformat(), "ended_at": (begun + timedelta(hours=1)).isoformat()}
    record = {**DONE, **times, "host": host, "logs": [log]}

    [outcome] = production.record(record, received_at=FIRST)
    production.record(a_record(2, ended_at="2026-01-01T01:00:00Z"), received_at=FIRST)
    production.upload(b"log")
    production.work()

    message = (
        "By the clock of wn7 the job ended 2026-01-02 13:00 UTC, after its record came, "
        "2026-01-01 12:00 UTC."
    )
    for gaps in (
        [(gap.code, gap.message) for gap in outcome.gaps],
        [(gap["code"], gap["message"]) for gap in shown(production)["gaps"]],
    ):
        assert ("clock-ahead", message) in gaps
    with production.database.reading.connect() as connection:
        counted = {gap.code: gap.job_count for gap in list_gaps(connection, JobFilters()).gaps}
    assert counted["clock-ahead"] == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_evidence_against_the_exit_code_of_a_shell_decides_and_is_no_gap(
    production: Production, order: tuple[int, int]
) -> None:
    """A shell around art returned 0; the log tells of the exception. The batch saw the 0 alone."""
    evidence = {"evidence": "log", "text": "---- FatalRootError BEGIN"}
    seen = [
        {**DONE, "state": "failed", "exit": {"code": 0, "decided_by": evidence}},
        {**DONE, "witness": "history", "exit": {"code": 0}},
    ]
    for place in order:
        production.record(seen[place])

    page = shown(production)

    assert (page["summary"]["state"], page["merged"]["exit"]["code"]) == ("failed", 0)
    assert page["decided_by"] == evidence
    [state] = page["contradictions"]
    assert (state["field"], state["is_explained"]) == ("state", True)
    assert "witness-contradiction" not in {gap["code"] for gap in page["gaps"]}
    assert "unknown-word" not in {gap["code"] for gap in page["gaps"]}


@pytest.mark.parametrize(
    "history",
    [
        {"state": "killed", "exit": {"code": 0}},
        {"state": "succeeded", "exit": {"code": 3}},
        {"state": "killed", "exit": {"signal": 9}},
    ],
)
def test_evidence_explains_nothing_but_another_reading_of_exit_code_0(
    production: Production, history: dict[str, Any]
) -> None:
    evidence = {"evidence": "output-not-there", "text": "out.root"}
    production.record(
        {**DONE, "state": "failed", "exit": {"code": 0, "decided_by": evidence}},
        {**DONE, "witness": "history", **history},
    )

    assert "witness-contradiction" in {gap["code"] for gap in shown(production)["gaps"]}


def test_revision_feeds_the_pages_and_keeps_the_first(production: Production) -> None:
    production.record(DONE)
    corrected = {**DONE, "outputs": [file_entry("b.root", 1)]}
    assert changes(production, corrected, reason="the name was wrong") == ["replaced"]
    page = shown(production)
    assert [output["name"] for output in page["outputs"]] == ["b.root"]
    assert (len(page["witnesses"]), [row["revision"] for row in page["revisions"]]) == (1, [1])
    assert records_of_jobs(production) == [("record", 0), ("revision", 1)]
    assert count(production, LedgerEntry) == 2


def stages(production: Production) -> dict[str, str | None]:
    query = select(TaskRow.task_id, Stage.name).outerjoin(Stage, Stage.id == TaskRow.stage_id)
    with production.database.reading.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def of_stage(number: int, stage: str | None, **more: Any) -> dict[str, Any]:
    return a_record(number, task={"task_id": "t1", "campaign": "c", "stage": stage}, **more)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_task_is_of_the_first_stage_by_name_that_a_job_says(
    production: Production, order: tuple[int, ...]
) -> None:
    for number in order:
        production.record(of_stage(number, {1: "calib", 2: "reco"}[number]))
    assert stages(production) == {"t1": "calib"}


@pytest.mark.slow
def test_stage_that_only_a_corrected_record_said_counts_no_more(production: Production) -> None:
    production.record(of_stage(1, "calib"), of_stage(2, "reco"))

    production.record(of_stage(1, "skim"), reason="wrong stage")

    assert stages(production) == {"t1": "reco"}


def test_stage_that_only_a_provisional_record_said_counts_no_more(production: Production) -> None:
    production.record(of_stage(1, "calib", state="running"))
    production.record(of_stage(1, None))
    task = {"task_id": "t2", "campaign": "c", "stage": "reco"}
    production.record(a_record(2, task=task, state="running"))
    production.record(a_record(2, task={"task_id": "t3"}))

    assert stages(production) == {"t1": "", "t2": None, "t3": None}


def test_record_sent_again_after_its_revision_is_still_the_same(production: Production) -> None:
    corrected = {**DONE, "outputs": []}
    production.record(DONE)
    production.record(corrected, reason="no output")
    assert changes(production, DONE) == changes(production, corrected) == ["same"]
    assert changes(production, {**DONE, "threads": 7}) == ["conflict"]
    assert shown(production)["outputs"] == []


def test_revision_sent_again_is_the_same(production: Production) -> None:
    production.record(DONE)
    corrected = {**DONE, "outputs": []}
    assert changes(production, corrected, reason="no output") == ["replaced"]
    assert changes(production, corrected, reason="no output") == ["same"]
    assert records_of_jobs(production) == [("record", 0), ("revision", 1)]
    assert changes(production, DONE, reason="it was right after all") == ["replaced"]
    assert [row["revision"] for row in shown(production)["revisions"]] == [1, 2]


def test_no_two_records_of_a_witness_have_one_number(production: Production) -> None:
    """Two would have one number if a segment was adopted late.

    It would be one that was read before another process recorded a revision.
    """
    production.record(DONE)
    production.record({**DONE, "outputs": []}, reason="no output")
    body = json.dumps({**DONE, "threads": 7}).encode()
    late = Submission(decode_record(body), MOMENT, None, "sealed", place=(1, 1), revision=1)

    with pytest.raises(LostTurnError, match="has a record 1"):
        production.write(lambda writing: record_jobs(writing, [late]))

    assert records_of_jobs(production) == [("record", 0), ("revision", 1)]


def test_provisional_record_is_no_revision(production: Production) -> None:
    production.record(DONE)
    assert changes(production, RUNNING, reason="still running") == ["ignored"]
    assert shown(production)["summary"]["state"] == "succeeded"


def test_record_of_a_later_version_is_kept_unread_once(production: Production) -> None:
    later = {**DONE, "schema_version": 2, "state": {"of": "a later kind"}}
    assert changes(production, later) == changes(production, later) == ["unread"]
    assert (
        count(production, UnreadRecord),
        count(production, LedgerEntry),
        count(production, Job),
    ) == (1, 1, 0)
    with production.database.reading.connect() as connection:
        assert connection.execute(select(LedgerEntry.kind)).scalar_one() == "unread"


def test_same_job_id_in_two_experiments_names_two_jobs(production: Production) -> None:
    assert changes(production, DONE, {**DONE, "experiment": "dune"}) == ["created", "created"]
    assert count(production, Job) == count(production, File) == 2


def test_answer_names_the_blobs_that_are_missing(production: Production) -> None:
    record = {
        **DONE,
        "logs": [{"name": "out", "sha256": digest(5)}, {"name": "err", "sha256": digest(6)}],
    }
    [outcome] = production.record(record)
    assert outcome.missing_blobs == [digest(5), digest(6)]
    assert count(production, AwaitedBlob) == 2

    def possess(writing: Writing) -> None:
        connection = writing.connection
        experiment = connection.execute(select(Job.experiment_id)).scalar_one()
        connection.execute(
            Possession.__table__.insert(), [{"experiment_id": experiment, "sha256": digest(5)}]
        )

    production.write(possess)
    [again] = production.record(record)
    assert (again.change, again.missing_blobs) == ("same", [digest(6)])


def test_bytes_are_kept_exactly(production: Production) -> None:
    body = (
        b' {"job_id" : "%b", "schema_version":1,"experiment":"nova","state":"lost", "new": 1.50}'
        % job_id(1).encode()
    )
    from jobprov.provenance.services.ledger.entries import read_entries  # noqa: PLC0415

    body = body.replace(b"lost", b"killed")
    production.write(
        lambda writing: record_jobs(writing, [Submission(decode_record(body), MOMENT)])
    )
    with production.database.reading.connect() as connection:
        [number] = connection.execute(select(LedgerEntry.id)).scalars()
        assert read_entries(connection, production.store, [number]) == {number: body}
    assert json.loads(body)["new"] == shown(production)["record"]["new"]


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_crowded_name_links_only_equal_identities_with_a_checksum(
    production: Production, monkeypatch: pytest.MonkeyPatch, *, is_one_batch: bool
) -> None:
    monkeypatch.setattr(edges, "CROWD", 3)
    monkeypatch.setattr(linking, "CROWD", 3)
    makers = [
        a_record(n, outputs=[file_entry("hist.root", n if n < 5 else None, 7)]) for n in range(1, 7)
    ]
    reader = a_record(9, inputs=[file_entry("hist.root", 2, 7), file_entry("hist.root", None, 7)])
    for batch in (
        [[*makers, reader]] if is_one_batch else [[record] for record in [reader, *makers]]
    ):
        production.record(*batch)
    with production.database.reading.connect() as connection:
        assert connection.execute(select(File.is_crowded)).scalar_one()
        assert len(read_graph(connection)["edges"]) == 4
        assert set(connection.execute(select(Producer.is_sure)).scalars()) == {True}


def test_witnesses_that_make_too_many_pairs_together_are_kept_and_none_is_derived(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusing the second would lose it.

    Deriving a thousand million pairs would hold up all others for days.
    """
    monkeypatch.setattr(parents, "MOST_PARENTS", 5)
    monkeypatch.setattr(parents, "_FEW", 0)
    wrapper = a_record(
        1, outputs=[file_entry(name, 1) for name in "xyz"] + [file_entry("told", 2, parents=["a"])]
    )
    postcmd = a_record(1, witness="postcmd", inputs=[file_entry("a", 3), file_entry("b", 4)])

    production.record(wrapper)
    [outcome] = production.record(postcmd)

    assert outcome.change == "created"
    assert [gap.code for gap in outcome.gaps if gap.code == "parents-unknown"] == [
        "parents-unknown"
    ]
    assert count(production, Parent) == 1  # the declared one
    assert len(shown(production)["witnesses"]) == 2


def test_value_out_of_range_gives_way_to_that_of_another_witness_and_is_told(
    production: Production,
) -> None:
    production.record(a_record(1, exit={"code": 2**64}, threads=2**70))

    [outcome] = production.record(a_record(1, witness="postcmd", exit={"code": 7}))

    told = shown(production)
    assert (told["summary"]["exit"]["code"], told["merged"]["exit"]["code"]) == (7, 7)
    assert told["merged"]["threads"] == 2**70  # nobody says it better
    assert {gap.message for gap in outcome.gaps if gap.code == "value-out-of-range"} == {
        f"The value of {path} is out of range." for path in ("exit.code", "threads")
    }
    assert not [gap for gap in outcome.gaps if gap.code == "witness-contradiction"]


def test_step_that_failed_in_a_script_that_exits_0_is_a_failed_job_without_contradiction(
    production: Production,
) -> None:
    """Both witnesses are right: the hook names the step's end, the batch system the script's."""
    steps = [
        {"name": "art", "role": "payload", "argv": ["art", "-c", "reco.fcl"], "exit_code": 65},
        {"name": "copy", "role": "stage_out", "argv": ["ifdh", "cp"], "exit_code": 0},
    ]
    command = {"argv": ["bash", "job.sh"], "steps": steps}
    step_failed = {"code": 65, "failed_step": "art"}
    production.record(a_record(1, state="failed", exit=step_failed, command=command))

    [outcome] = production.record(a_record(1, witness="history", exit={"code": 0}))

    page = shown(production)
    assert (page["summary"]["state"], page["merged"]["exit"]) == ("failed", step_failed)
    assert [gap.message for gap in outcome.gaps if gap.code == "witness-contradiction"] == []
    values = {one["field"]: one["values"] for one in page["contradictions"]}
    assert values["exit.code"] == {"wrapper": 65, "history": 0}
