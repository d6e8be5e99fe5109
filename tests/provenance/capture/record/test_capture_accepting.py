"""One odd name, time or length costs no record.

The service takes what the hook makes of it, and the record says what was changed.
"""

import json

import pytest

from jobprov.provenance.records.reading.decoding import decode_record
from tests.library.hook import Runner, only_entry, said

LONG = "x" * 2000
ODD_SIDECAR = json.dumps({"namespace": "a/b", "metadata": {"core.data_tier": LONG}})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "script", "note"),
    [
        (["--task-id", LONG], "", "task.task_id is cut after 1000 characters: xxx"),
        (["--task-id", "prod/7"], "", "a task id has no slash: prod/7 is written with %2F"),
        (["--unit", "\x01" * 600, "--task-id", "t"], "", "task.unit is cut after 1000 characters"),
        (["--name", LONG], "", "command.steps.name is cut after 1000 characters"),
        (["--input", LONG], "", "capture-incomplete one of inputs, xxx"),
        (
            ["--input", "\U0001f600" * 900],
            "",
            "capture-incomplete one of inputs, ",
        ),
        (
            [],
            "touch -d 1950-01-01 o.root",
            "outputs.closed_at is left out: 1950-01-01T00:00:00.000000Z of o.root",
        ),
        (
            [],
            "touch -d 2201-01-01 o.root",
            "outputs.closed_at is left out: 2201-01-01T00:00:00.000000Z of o.root",
        ),
        (
            [],
            f"echo '{ODD_SIDECAR}' > o.root.json",
            "outputs.data_tier is cut after 1000 characters",
        ),
        ([], f"echo '{ODD_SIDECAR}' > o.root.json", "the namespace of o.root is left out: a/b"),
    ],
)
def test_what_the_service_would_refuse_is_changed_and_noted(
    runner: Runner, words: list[str], script: str, note: str
) -> None:
    runner("run", "--output", "o.root", *words, "--", "sh", "-c", f"echo 1 > o.root; {script}")

    record, _ = only_entry(runner)
    assert decode_record(json.dumps(record).encode()).record is not None
    assert [entry["name"] for entry in record["outputs"]] == ["o.root"]
    assert [found for found in said(record) if found.startswith(note)]


@pytest.mark.slow
def test_task_id_is_the_same_in_record_and_sidecar(runner: Runner) -> None:
    runner("run", "--output", "o.root", "--task-id", "prod/7", "--", "sh", "-c", "echo 1 > o.root")

    record, _ = only_entry(runner)
    sidecar = json.loads((runner.folder / "o.root.json").read_text())
    assert record["task"]["task_id"] == sidecar["metadata"]["prov.task_id"] == "prod%2F7"
