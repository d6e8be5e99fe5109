"""Words that the hook cannot use are said at once and noted in the record.

The job runs as it would have.
"""

import pytest

from tests.library.hook import Runner, only_entry


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--outptu", "out.root"],
            ["unknown option --outptu", "out.root is left out: options begin with --"],
        ),
        (
            ["--budget-seconds", "soon"],
            ["--budget-seconds soon is left out: no number from 0 to 1000000000"],
        ),
        (
            ["--verbose", "--trace-bytes", "2000000000"],
            ["--trace-bytes 2000000000 is left out: no number from 0 to 1000000000"],
        ),
        (["--rerun-of", "42"], ["--rerun-of 42 is no UUID and is left out"]),
        (["--outptu=ghp_" + "a" * 36], ["unknown option --outptu=<redacted:"]),
        (["--task-id"], ["--task-id has no value"]),
        (["--input", "--stage", "reco", "--part"], ["--input has no value", "--part has no value"]),
    ],
)
def test_words_that_cannot_be_used_are_said_and_noted(
    runner: Runner, words: list[str], told: list[str]
) -> None:
    done = runner("run", *words, "--", "sh", "-c", "echo made; exit 3")

    record, _ = only_entry(runner)
    assert (done.returncode, done.stdout) == (3, b"made\n")
    for sentence in told:
        assert done.stderr.decode().count(f"jobprov: {sentence}") == 1
        assert [note for note in record["extra"]["hook_notes"] if note.startswith(sentence)]


@pytest.mark.slow
def test_job_script_hears_of_them_at_each_call(runner: Runner) -> None:
    started = runner("start", "--stgae", "reco")
    ended = runner("end", "--exit-code", "many")

    notes = only_entry(runner)[0]["extra"]["hook_notes"]
    assert b"unknown option --stgae" in started.stderr
    assert b"--exit-code many is left out: no whole number" in ended.stderr
    assert {
        "unknown option --stgae",
        "--exit-code many is left out: no whole number",
    } <= set(notes)


@pytest.mark.slow
def test_exit_code_below_zero_is_taken_as_the_system_would(runner: Runner) -> None:
    runner("start")
    assert runner("end", "--exit-code", "-9").returncode == 247
