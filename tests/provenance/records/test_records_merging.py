"""One job out of what several witnesses saw."""

import itertools
from typing import Any

import pytest

from jobprov.provenance.records.merging import Disagreement, merge_witnesses


def merge(**records: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    merged, found = merge_witnesses(records)
    return merged, {one.field: one.values for one in found}


def test_one_witness_is_the_job() -> None:
    record = {"state": "failed", "exit": {"code": 1}}
    assert merge(history=record) == (record, {})


def test_first_witness_that_has_a_value_gives_it() -> None:
    merged, found = merge(
        wrapper={"state": "failed", "exit": {"code": 1, "message": None}, "host": None},
        history={"state": "failed", "exit": {"code": 1, "message": "no"}, "host": {"site": "FNAL"}},
    )
    assert merged == {
        "state": "failed",
        "exit": {"code": 1, "message": "no"},
        "host": {"site": "FNAL"},
    }
    assert found == {}


def test_lists_are_taken_whole_and_an_empty_one_gives_way() -> None:
    merged, found = merge(
        wrapper={"state": "failed", "inputs": [], "outputs": [1]},
        history={"state": "failed", "inputs": [2, 3], "outputs": [4, 5]},
    )
    assert (merged["inputs"], merged["outputs"], found) == ([2, 3], [1], {})


def test_final_state_goes_before_a_provisional_one_whoever_saw_it() -> None:
    merged, found = merge(wrapper={"state": "lost", "threads": 1}, history={"state": "failed"})
    assert (merged, found) == ({"state": "failed", "threads": 1}, {})


def test_what_a_killed_job_was_says_the_witness_inside_though_it_saw_no_end() -> None:
    inside = {
        "state": "running",
        "command": {"argv": ["art", "-c", "reco.fcl"]},
        "started_at": "2026-01-01T00:00:01Z",
    }
    outside = {
        "state": "killed",
        "command": {"argv": ["hook.pyz"], "cwd": "/scratch"},
        "exit": {"signal": 9},
        "started_at": "2026-01-01T00:00:00Z",
    }

    merged, contradictions = merge_witnesses({"history": outside, "wrapper": inside})

    assert merged["command"] == {"argv": ["art", "-c", "reco.fcl"], "cwd": "/scratch"}
    assert (merged["state"], merged["exit"], merged["started_at"]) == (
        "killed",
        {"signal": 9},
        "2026-01-01T00:00:01Z",
    )
    assert contradictions == []


def test_job_that_was_lost_no_longer_runs() -> None:
    merged, found = merge(
        wrapper={"state": "running", "threads": 1}, history={"state": "lost", "host": {"a": 1}}
    )
    assert (merged, found) == ({"state": "lost", "threads": 1, "host": {"a": 1}}, {})


def test_contradictions_are_listed_and_what_each_says_of_itself_is_none() -> None:
    _, found = merge(
        wrapper={
            "state": "succeeded",
            "witness": "wrapper",
            "sent_at": "1",
            "exit": {"code": 0, "signal": None},
        },
        history={
            "state": "killed",
            "witness": "history",
            "sent_at": "2",
            "exit": {"code": 1},
            "host": {"a": 1},
        },
    )
    assert found == {
        "exit.code": {"wrapper": 0, "history": 1},
        "state": {"wrapper": "succeeded", "history": "killed"},
    }


@pytest.mark.parametrize("order", list(itertools.permutations(["wrapper", "history", "zed"])))
def test_merge_does_not_depend_on_the_order_of_arrival(order: tuple[str, ...]) -> None:
    records = {
        "wrapper": {"state": "running", "a": {"x": 1}, "b": [1]},
        "history": {"state": "failed", "a": {"y": 2}, "c": 1},
        "zed": {"state": "failed", "a": {"x": 5, "z": 3}, "c": 2},
    }
    merged, found = merge_witnesses({name: records[name] for name in order})
    assert merged == {"state": "failed", "a": {"x": 1, "y": 2, "z": 3}, "b": [1], "c": 1}
    assert [(one.field, one.values) for one in found] == [("c", {"history": 1, "zed": 2})]


def test_merging_leaves_the_records_as_they_were() -> None:
    records = {
        "wrapper": {"state": "failed", "a": {"x": 1}},
        "history": {"state": "failed", "a": {"y": 2}},
    }
    merge_witnesses(records)
    assert records == {
        "wrapper": {"state": "failed", "a": {"x": 1}},
        "history": {"state": "failed", "a": {"y": 2}},
    }


@pytest.mark.parametrize(
    ("field", "one", "other", "is_serious"),
    [
        ("state", "succeeded", "killed", True),
        ("exit.code", 0, 1, True),
        ("exit.message", "ended by SIGTERM", "via condor_rm", False),
        ("resources.wall_seconds", 10.0, 11.0, False),
        ("started_at", "2026-11-24T10:00:00Z", "2026-11-24T10:59:00.5+00:00", False),
        ("started_at", "2026-11-24T10:00:00Z", "2026-11-24T11:01:00Z", True),
        ("ended_at", "2026-11-24T10:00:00+01:00", "2026-11-24T09:00:00Z", False),
        ("ended_at", "yesterday", "2026-11-24T09:00:00Z", True),
        ("host.hostname", "wn7.example.org", "WN7", False),
        ("host.hostname", "wn7.example.org", "wn8.example.org", True),
    ],
)
def test_what_each_witness_measures_in_its_own_way_is_no_serious_contradiction(
    field: str, one: Any, other: Any, is_serious: Any
) -> None:
    assert (
        Disagreement(field, {"wrapper": one, "history": other}, is_explained=False).is_serious
        is is_serious
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-01-01t00:00:00z", "2026-01-01T00:00:00Z"),
        ("2026-06-30T23:59:60Z", "2026-06-30T23:59:59Z"),
        ("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.123456Z"),
    ],
)
def test_one_moment_written_in_two_ways_contradicts_nothing(one: str, other: str) -> None:
    _, found = merge(
        wrapper={"state": "failed", "started_at": one},
        history={"state": "failed", "started_at": other},
    )
    assert found == {}


def test_leap_second_and_a_moment_beside_it_are_no_serious_contradiction() -> None:
    values = {"wrapper": "2026-06-30T23:59:60Z", "postcmd": "2026-06-30T23:59:58Z"}
    assert not Disagreement("started_at", values, is_explained=False).is_serious


def of_steps(code: int | None, *, argv: str = "job.sh") -> dict[str, Any]:
    """Return a record of the hook in a job script whose step `art` ended with exit code 65."""
    steps = [
        {"name": "art", "role": "payload", "argv": ["art"], "exit_code": 65},
        {"name": "copy", "role": "stage_out", "argv": ["cp"], "exit_code": 0},
    ]
    return {
        "state": "failed",
        "exit": {"code": code, "failed_step": "art"},
        "command": {"argv": [argv], "steps": steps},
    }


def serious(**records: dict[str, Any]) -> list[str]:
    _, found = merge_witnesses(records)
    return [contradiction.field for contradiction in found if contradiction.is_serious]


@pytest.mark.parametrize(
    ("code", "state", "script_code"), [(0, "succeeded", 0), (65, "succeeded", 0), (65, "failed", 1)]
)
def test_failed_step_and_exit_code_of_its_script_contradict_nothing(
    code: int, state: str, script_code: int
) -> None:
    """`end` was told 0, or nothing: then the record has the exit code of the step."""
    history = {"state": state, "exit": {"code": script_code}}

    merged, found = merge_witnesses({"wrapper": of_steps(code), "history": history})

    assert [one.field for one in found if one.is_serious] == []
    assert merged["state"] == "failed"
    assert merged["exit"] == {"code": code, "failed_step": "art"}
    if (code, state) == (65, "succeeded"):  # both are kept for the page
        assert {one.field: one.values for one in found} == {
            "exit.code": {"wrapper": 65, "history": 0},
            "state": {"wrapper": "failed", "history": "succeeded"},
        }


@pytest.mark.parametrize(
    ("wrapper", "history", "fields"),
    [
        # The batch system stopped the script
        (of_steps(65), {"state": "killed", "exit": {"code": 137}}, ["exit.code", "state"]),
        # The script told the hook that it would exit with 3
        (of_steps(3), {"state": "failed", "exit": {"code": 1}}, ["exit.code"]),
        # The job is one command: no script can have changed its exit code
        (
            of_steps(65, argv="art"),
            {"state": "succeeded", "exit": {"code": 0}},
            ["exit.code", "state"],
        ),
        # No step failed
        (
            {**of_steps(0), "exit": {"code": 0}, "state": "succeeded"},
            {"state": "failed", "exit": {"code": 1}},
            ["exit.code", "state"],
        ),
        # Steps of another form than the contract's
        (
            {**of_steps(65), "command": {"steps": ["art", None]}},
            {"state": "succeeded", "exit": {"code": 0}},
            ["exit.code", "state"],
        ),
    ],
)
def test_what_no_failed_step_explains_stays_a_contradiction(
    wrapper: dict[str, Any], history: dict[str, Any], fields: list[str]
) -> None:
    assert serious(wrapper=wrapper, history=history) == fields


def test_witnesses_of_the_script_that_differ_stay_a_contradiction() -> None:
    fields = serious(
        wrapper=of_steps(65),
        postcmd={"state": "failed", "exit": {"code": 1}},
        history={"state": "succeeded", "exit": {"code": 0}},
    )
    assert fields == ["exit.code", "state"]
