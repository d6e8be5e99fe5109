"""Jobs of more files than a record may hold.

What fits is recorded, the rest is counted, and nothing takes the job's time.
"""

import json
import time
from pathlib import Path

import pytest

from jobprov.provenance.capture.files import entries as files
from jobprov.provenance.capture.files.hashing import Clock, OutOfTimeError
from jobprov.provenance.capture.files.sidecar import write
from jobprov.provenance.capture.record import limits as fitting
from jobprov.provenance.capture.record.draft import Draft
from tests.library.hook import Runner, only_entry

MOST_BYTES = 8 << 20  # record.md


@pytest.mark.slow
def test_list_of_more_files_than_a_record_takes_is_cut_and_counted() -> None:
    draft = Draft(
        {
            "outputs": [{"name": f"{place}.root"} for place in range(40_000)],
            "inputs": [{"name": "a"}],
        }
    )

    fitting.fit(draft)

    assert [entry["name"] for entry in draft.record["outputs"]] == [
        f"{place}.root" for place in range(32_767)
    ]
    assert draft.record["inputs"] == [{"name": "a"}]
    assert draft.notes == ["only 32767 of 40000 outputs are recorded: a record holds no more"]


@pytest.mark.slow
def test_record_of_too_many_bytes_loses_the_end_of_its_longest_list() -> None:
    """Characters that JSON doubles count as what they become."""
    entries = [{"name": str(place), "location": '"\udcff' * 200} for place in range(10_000)]
    draft = Draft(
        {"inputs": entries, "outputs": [{"name": "o"}], "command": {"argv": ["x" * 100_000]}}
    )

    fitting.fit(draft)

    left = len(draft.record["inputs"])
    assert 0 < left < 10_000
    assert draft.record["outputs"] == [{"name": "o"}]
    assert draft.record["command"] == {"argv": ["x" * 100_000]}
    assert (
        MOST_BYTES * 0.9
        < len(json.dumps(draft.record["inputs"]).replace("\\udcff", r"\\xff"))
        < MOST_BYTES
    )
    assert draft.notes == [f"only {left} of 10000 inputs are recorded: a record holds no more"]


@pytest.mark.slow
def test_record_that_fits_is_left_alone(runner: Runner) -> None:
    runner(
        "run", "--output", "*.dat", "--", "sh", "-c", "for i in 1 2 3; do echo $i > $i.dat; done"
    )

    record, _ = only_entry(runner)

    assert [entry["name"] for entry in record["outputs"]] == ["1.dat", "2.dat", "3.dat"]
    assert "extra" not in record


def test_no_more_outputs_are_looked_at_than_a_record_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 3)
    monkeypatch.chdir(tmp_path)
    for name in "abcde":
        (tmp_path / name).touch()
    draft = Draft()

    entries = files.describe_outputs(draft, "s", ["*"], Clock(10))

    assert [entry["name"] for entry in entries] == ["a", "b", "c"]
    assert draft.notes == ["only 3 of 5 outputs are looked at: a record holds no more"]


def test_sidecar_is_not_written_after_its_time(tmp_path: Path) -> None:
    entry = {"name": "a.root", "path": f"{tmp_path}/a.root", "size_bytes": 1}
    clock = Clock(0)
    time.sleep(0.01)

    with pytest.raises(OutOfTimeError):
        write(entry, {}, {"prov.job_id": "x"}, [], clock)
