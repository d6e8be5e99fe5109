"""Which inputs an output was made from, and that looking for them ends."""

import time
from typing import Any

import msgspec
import pytest

from jobprov.provenance.records.files import parents
from jobprov.provenance.records.files.parents import FilesOfJob, has_too_many_parents
from jobprov.provenance.records.job_record import JobRecord
from tests.library.records import a_record


def record(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], **fields: Any) -> JobRecord:
    return msgspec.convert(a_record(1, inputs=inputs, outputs=outputs, **fields), JobRecord)


def names(found: JobRecord) -> dict[str, list[str]]:
    within, inputs = FilesOfJob(found), found.inputs or []
    return {
        output.name: [inputs[place].name for place in within.parents(output)]
        for output in found.outputs or ()
    }


def test_file_that_an_earlier_step_wrote_stands_for_its_own_parents() -> None:
    found = record(
        [{"name": "raw", "step": "one"}, {"name": "flux"}, {"name": "middle", "step": "two"}],
        [{"name": "middle", "step": "one"}, {"name": "end", "step": "two"}],
    )
    assert names(found) == {"middle": ["raw", "flux"], "end": ["flux", "raw"]}


def test_file_that_lies_elsewhere_under_another_name_is_the_one_that_the_job_read() -> None:
    found = record(
        [{"name": "raw", "step": "one"}, {"name": "a.root", "path": "w/a.root", "step": "two"}],
        [
            {"name": "run7_a.root", "path": "w/a.root", "step": "one"},
            {"name": "end", "step": "two"},
        ],
    )
    assert names(found) == {"run7_a.root": ["raw"], "end": ["raw"]}


def test_file_that_a_job_reads_and_writes_anew_is_not_made_from_itself() -> None:
    found = record(
        [{"name": "a", "step": "two"}, {"name": "raw", "step": "one"}],
        [{"name": "a", "step": "one"}, {"name": "a", "step": "two"}],
    )
    assert names(found) == {"a": []}
    assert not has_too_many_parents(found)


def test_many_files_between_two_steps_are_looked_through_once() -> None:
    middle, count = [f"m{number}" for number in range(400)], 400
    found = record(
        [{"name": f"a{number}", "step": "A"} for number in range(count)]
        + [{"name": m, "step": "B"} for m in middle],
        [{"name": m, "step": "A"} for m in middle]
        + [{"name": f"x{number}", "step": "B"} for number in range(count)],
    )

    began = time.process_time()
    assert not has_too_many_parents(found)
    assert time.process_time() - began < 5  # it was ten minutes


@pytest.mark.slow
@pytest.mark.parametrize("step", [None, "s{}"])
def test_search_through_a_chain_of_steps_ends(step: str | None) -> None:
    count = 2000
    inputs = [
        {"name": f"o{number - 1}", "step": step and step.format(number)} for number in range(count)
    ]
    outputs = [{"name": f"o{number}", "step": f"s{number}"} for number in range(count)]

    began = time.process_time()
    assert has_too_many_parents(record(inputs, outputs))
    assert time.process_time() - began < 10


def test_more_pairs_than_are_kept_are_told_and_declared_ones_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parents, "MOST_PARENTS", 5)
    monkeypatch.setattr(parents, "_FEW", 0)
    inputs = [{"name": "a"}, {"name": "b"}]

    assert not has_too_many_parents(record(inputs, [{"name": "x"}, {"name": "y"}]))
    assert has_too_many_parents(record(inputs, [{"name": "x"}, {"name": "y"}, {"name": "z"}]))
    assert has_too_many_parents(
        record(inputs, [{"name": "x"}, {"name": "y", "parents": ["a", "b", "c", "d"]}])
    )
    rerun = record(
        inputs, [{"name": "x"}, {"name": "y"}, {"name": "z"}], rerun_of=a_record(2)["job_id"]
    )
    assert not has_too_many_parents(rerun)  # it claims nothing
