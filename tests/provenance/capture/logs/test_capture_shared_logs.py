"""Several jobs write one log: each is judged by its own lines alone."""

import pytest

from tests.library.hook import Runner, entry_of

BAD_ALLOC = b"terminate called after throwing an instance of 'std::bad_alloc'\n"


@pytest.mark.slow
@pytest.mark.parametrize("end", [">> all.log", ">> all.log 2>&1"])
def test_log_to_which_all_jobs_print_is_kept_from_where_this_one_began(
    runner: Runner, end: str
) -> None:
    log = runner.folder / "all.log"
    log.write_bytes(BAD_ALLOC)
    trouble = f"echo 'cat: x: Input/output error' {end}; sleep 0.3; exit 65"

    runner("run", "--", "sh", "-c", f"sh -c 'sleep 0.3; exit 0' {end}; {trouble}")

    record, blobs = entry_of(runner)
    kept = {log["name"]: blobs[log["sha256"]] for log in record["logs"]}
    assert kept == {"all.log": b"cat: x: Input/output error\n"}
    assert "bad_alloc" not in str(record["exit"])


@pytest.mark.slow
def test_own_streams_are_kept_once_though_they_go_to_logs_in_the_folder(runner: Runner) -> None:
    log = runner.folder / "all.log"
    log.write_bytes(BAD_ALLOC)
    out = runner.folder / "job.out"

    with log.open("ab") as errors, out.open("wb") as output:
        words = ("run", "--", "sh", "-c", "echo 5; echo 'x: Input/output error' >&2; exit 65")
        runner(*words, capture_output=False, stdout=output, stderr=errors)

    record, blobs = entry_of(runner)
    kept = {log["name"]: blobs[log["sha256"]] for log in record["logs"]}
    assert kept == {"stdout": b"5\n", "stderr": b"x: Input/output error\n"}
    assert record["exit"]["message"] == "x: Input/output error"
    assert not record.get("outputs")


@pytest.mark.slow
def test_exception_without_a_text_is_named_in_the_message(runner: Runner) -> None:
    printed = BAD_ALLOC.decode().strip().replace("std::bad_alloc", "toy::Bad")

    runner("run", "--", "sh", "-c", f'echo "{printed}" >&2; exit 134')

    record, _ = entry_of(runner)
    assert record["exit"]["error_class"] == "toy::Bad"
    assert record["exit"]["message"] == "toy::Bad, which nobody caught"
