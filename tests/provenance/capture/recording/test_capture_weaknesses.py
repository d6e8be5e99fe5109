"""What the hook tells of a job that a rerun will not have, or have otherwise; and that it records it all the same."""

import hashlib
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.command.randomness import find_run_specific, find_unseeded
from tests.library.hook import Runner, entry_of, only_entry

SECRET = "password='purple-elephant-7'"  # noqa: S105 - of nobody
NOBODY_SAW = "nobody saw which of its files were read"


def weak(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (weakness["kind"], weakness["name"], weakness["detail"])
        for weakness in record.get("weaknesses", ())
    ]


def script(runner: Runner, text: str, name: str = "job.sh") -> Path:
    path = runner.folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.slow
def test_plain_job_has_no_weakness(runner: Runner) -> None:
    script(runner, "#!/bin/sh\nsleep 0.01; cp a.txt b.txt; echo $(date)\n")
    (runner.folder / "a.txt").write_text("a")

    runner("run", "--input", "a.txt", "--", "./job.sh")

    assert "weaknesses" not in only_entry(runner)[0]


@pytest.mark.slow
def test_script_that_changes_while_it_runs_is_told_and_kept_as_it_was(runner: Runner) -> None:
    text = "#!/bin/sh\necho 1 > out.txt; echo 'exit 0' >> job.sh; exit 0\n"
    script(runner, text)

    runner("run", "--", "./job.sh")

    record, blobs = only_entry(runner)
    assert weak(record) == [
        ("changed-while-running", "script ./job.sh", "the record has what was there before")
    ]
    assert blobs[record["scripts"][0]["sha256"]] == text.encode()


@pytest.mark.slow
def test_fcl_file_that_changes_while_the_job_runs_is_told(runner: Runner) -> None:
    script(runner, "#!/bin/sh\necho 'b: 2' > inner.fcl\n", "art")
    (runner.folder / "a.fcl").write_text('#include "inner.fcl"\n')
    (runner.folder / "inner.fcl").write_text("b: 1\n")

    runner("run", "--", "./art", "-c", "a.fcl", environment={"FHICL_FILE_PATH": "."})

    assert weak(only_entry(runner)[0])[0][:2] == ("changed-while-running", "fcl file inner.fcl")


@pytest.mark.slow
def test_touch_and_rename_change_nothing(runner: Runner) -> None:
    script(
        runner, "#!/bin/sh\ntouch job.sh a.txt; mv a.txt b.txt; mv b.txt a.txt; chmod 700 job.sh\n"
    )
    (runner.folder / "a.txt").write_text("a")

    runner("run", "--input", "a.txt", "--", "./job.sh")

    assert weak(only_entry(runner)[0]) == []


@pytest.mark.slow
def test_file_that_the_job_updates_in_place_is_kept_as_it_was(runner: Runner) -> None:
    """A counter, or a database: without what was there before, a rerun counts from nothing."""
    (runner.folder / "counter.txt").write_text("41")
    update = "n = int(open('counter.txt').read()); open('counter.txt', 'w').write(str(n + 1))"
    script(runner, update, "update.py")

    runner("run", "--", sys.executable, "update.py", "counter.txt")

    record, blobs = only_entry(runner)
    (read,), (made,) = record["inputs"], record["outputs"]
    assert (read["name"], read["role"], read["sha256"]) == (
        "counter.txt", "configuration", digest("41"),
    )  # fmt: skip
    assert (made["name"], made["sha256"]) == ("counter.txt", digest("42"))
    assert blobs[read["sha256"]] == b"41"
    assert weak(record) == []


@pytest.mark.slow
def test_input_that_the_job_removes_is_kept(runner: Runner) -> None:
    (runner.folder / "a.txt").write_text("a")

    runner("run", "--input", "a.txt", "--", "rm", "a.txt")

    record, blobs = only_entry(runner)
    assert blobs[record["inputs"][0]["sha256"]] == b"a"


@pytest.mark.slow
def test_input_elsewhere_that_changes_is_told(runner: Runner) -> None:
    calibration = runner.folder.parent / "calibration.txt"
    calibration.write_text("before")

    runner("run", "--input", str(calibration), "--", "sh", "-c", f"echo after > {calibration}")

    assert weak(only_entry(runner)[0]) == [
        ("changed-while-running", f"input {calibration}", "the record has what was there before")
    ]


@pytest.mark.slow
def test_large_file_that_is_written_anew_is_told(runner: Runner) -> None:
    with (runner.folder / "big.root").open("wb") as stream:
        stream.truncate(17 << 20)

    program = runner.folder.parent / "cp"
    program.write_text('#!/bin/sh\nsleep 0.4; exec /bin/cp "$@"\n')
    program.chmod(0o755)

    runner("run", "--", program, "/dev/null", "big.root")

    record, _ = only_entry(runner)
    assert "inputs" not in record
    assert weak(record) == [
        ("changed-while-running", "input big.root", "what was there before is not kept")
    ]


@pytest.mark.slow
def test_large_input_that_the_job_fetches_is_no_weakness(runner: Runner) -> None:
    (runner.folder / "store").mkdir()
    with (runner.folder / "store/raw.root").open("wb") as stream:
        stream.truncate(17 << 20)
    script(runner, "#!/bin/sh\ncp store/raw.root . && wc -c raw.root\n")

    runner("run", "--input", "raw.root", "--", "./job.sh")

    record, _ = only_entry(runner)
    assert "raw.root" in {entry["path"] for entry in record["inputs"]}
    assert weak(record) == []


@pytest.mark.slow
def test_secret_in_what_runs_is_told_by_place_and_rule_alone(runner: Runner) -> None:
    script(runner, f"#!/bin/sh\n{SECRET}\n")
    (runner.folder / "art").write_text("#!/bin/sh\n")
    (runner.folder / "a.fcl").write_text(f"b: {{ {SECRET.replace('=', ': ')} }}\n")

    runner("run", "--", "./job.sh", "-c", "a.fcl", "--db-password", "purple-elephant-7")

    record, blobs = only_entry(runner)
    assert weak(record) == [
        ("secret-removed", "the command line", "option"),
        ("secret-removed", "script ./job.sh", "assignment"),
        ("secret-removed", "fcl a.fcl", "assignment"),
    ]
    assert not any(b"purple" in content for content in blobs.values())


@pytest.mark.slow
def test_secret_in_a_log_is_no_weakness(runner: Runner) -> None:
    (runner.folder / "print.py").write_text("print('pass' + 'word=\"purple-elephant-7\"')")

    runner("run", "--", sys.executable, "print.py")

    assert weak(only_entry(runner)[0]) == []


@pytest.mark.slow
def test_pipe_on_standard_input_is_told_where_it_was_read(runner: Runner) -> None:
    runner("run", "--", "cat", input=b"steering\n")

    assert weak(only_entry(runner)[0]) == [
        ("input-missing", "standard input", "it was a pipe, of which the job read 9 bytes and perhaps more")
    ]  # fmt: skip


@pytest.mark.slow
def test_pipe_on_standard_input_that_nobody_reads_is_no_weakness(runner: Runner) -> None:
    runner("run", "--", "true", input=b"steering\n")

    assert weak(only_entry(runner)[0]) == []


@pytest.mark.slow
def test_folder_of_which_nobody_saw_what_was_read_is_told(runner: Runner) -> None:
    for name in ("cards", "empty"):
        (runner.folder / name).mkdir()
    (runner.folder / "cards" / "a.dat").write_text("a")

    runner("run", "--", "ls", "cards", "--group=empty", "/usr", "..")

    assert weak(only_entry(runner)[0]) == [("input-missing", "folder cards", NOBODY_SAW)]


@pytest.mark.slow
def test_tarball_that_jobsub_unpacked_is_kept_in_each_step_of_a_script(runner: Runner) -> None:
    """`condor_lar.sh` copies it with `cp -r`, and a rerun had none of it."""
    (runner.folder / "code").mkdir()
    (runner.folder / "code" / "a.txt").write_text("a")
    brought = {"INPUT_TAR_DIR_LOCAL": str(runner.folder / "code")}

    runner("start", environment=brought)
    runner("step", "--name", "copy", "--", "sleep", "0.5", environment=brought)
    runner("end", environment=brought)

    record = only_entry(runner)[0]
    assert [file["path"] for file in record["inputs"]] == ["code/a.txt"]
    assert weak(record) == []


@pytest.mark.slow
def test_folder_that_the_job_writes_to_is_no_weakness(runner: Runner) -> None:
    (runner.folder / "out").mkdir()
    (runner.folder / "out" / "old.txt").write_text("a")
    (runner.folder / "make.py").write_text("import sys; open(sys.argv[1] + '/new.txt', 'w')")

    runner("run", "--", sys.executable, "make.py", "out")

    assert weak(only_entry(runner)[0]) == []


@pytest.mark.slow
def test_script_too_large_to_be_kept_is_still_a_script(runner: Runner) -> None:
    path = script(runner, "#!/bin/sh\nexit 0\n")
    with path.open("ab") as stream:
        stream.truncate(17 << 20)

    runner("run", "--", "sh", "job.sh")

    (entry,) = only_entry(runner)[0]["scripts"]
    assert (entry["path"], entry.get("sha256")) == ("job.sh", None)


@pytest.mark.slow
def test_include_that_only_the_program_finds_is_told(runner: Runner) -> None:
    script(runner, "#!/bin/sh\nexit ${FAIL:-0}\n", "art")
    (runner.folder / "a.fcl").write_text('#include "inner.fcl"\n')

    runner("run", "--", "./art", "-c", "a.fcl")

    assert weak(only_entry(runner)[0]) == [
        ("fcl-missing", "a.fcl", 'include "inner.fcl" is not in FHICL_FILE_PATH')
    ]


@pytest.mark.slow
def test_include_that_the_program_misses_too_is_no_weakness(runner: Runner) -> None:
    script(runner, "#!/bin/sh\nexit 9\n", "art")
    (runner.folder / "a.fcl").write_text('#include "inner.fcl"\n')

    runner("run", "--", "./art", "-c", "a.fcl")

    assert weak(only_entry(runner)[0]) == []


@pytest.mark.slow
def test_include_that_cannot_be_read_costs_no_record(runner: Runner) -> None:
    """Reading /proc/self/mem is an input/output error, as of a damaged disk."""
    script(runner, "#!/bin/sh\n", "art")
    (runner.folder / "bad.fcl").symlink_to("/proc/self/mem")
    (runner.folder / "a.fcl").write_text('#include "bad.fcl"\n')

    runner("run", "--", "./art", "-c", "a.fcl", environment={"FHICL_FILE_PATH": "."})

    record, _ = only_entry(runner)
    assert [kind for kind, _, _ in weak(record)] == ["fcl-missing"]
    assert [file["path"] for file in record["configurations"][0]["files"]] == ["a.fcl"]


@pytest.mark.slow
def test_input_and_script_that_cannot_be_read_cost_no_record(runner: Runner) -> None:
    (runner.folder / "bad.py").symlink_to("/proc/self/mem")

    runner("run", "--script", "bad.py", "--input", "bad.py", "--", "sh", "-c", "echo 1 > out.txt")

    record, _ = only_entry(runner)
    assert weak(record)[0][:2] == ("capture-incomplete", "script bad.py")
    assert [entry["name"] for entry in record["outputs"]] == ["out.txt"]


@pytest.mark.slow
def test_repository_that_is_none_is_told(runner: Runner) -> None:
    runner("run", "--repository", "/", "--", "true")

    assert weak(only_entry(runner)[0]) == [("capture-incomplete", "/", "it is in no git checkout")]


def limited_to(megabytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [400, 120, 64])
def test_limit_on_memory_costs_no_record(runner: Runner, megabytes: int) -> None:
    script(runner, "#!/bin/sh\nsleep 0.2; cat a.txt > out.txt\n")
    (runner.folder / "a.txt").write_text("a" * (1 << 20))

    done = runner("run", "--input", "a.txt", "--", "./job.sh", preexec_fn=limited_to(megabytes))

    assert done.returncode == 0
    record, _ = entry_of(runner)
    assert [entry["name"] for entry in record["outputs"]] == ["out.txt"]
    assert weak(record) == []


@pytest.mark.slow
@pytest.mark.parametrize("room", [60, 50, 44])
def test_hook_that_lacks_memory_says_what_it_lacks(runner: Runner, room: int) -> None:
    """However little there is: the job runs, and its record is whole or says what is missing."""
    script(runner, "#!/bin/sh\necho 1 > out.txt\nsleep 0.2\n")
    with (runner.folder / "a.bin").open("wb") as stream:
        stream.truncate(15 << 20)

    done = runner("run", "--input", "a.bin", "--", "./job.sh", preexec_fn=limited_to(room))

    assert (done.returncode, (runner.folder / "out.txt").read_text()) == (0, "1\n")
    record, _ = entry_of(runner)
    is_whole = [entry["name"] for entry in record.get("outputs", ())] == ["out.txt"]
    assert is_whole or "capture-incomplete" in {kind for kind, _, _ in weak(record)}


def broken(runner: Runner, statement: str, *words: str) -> subprocess.CompletedProcess:
    """Run a job under the hook in which a statement breaks something first."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from jobprov.provenance.capture import commands\n"
        f"{statement}\n"
        "commands.main(sys.argv[1:], dict(os.environ))\n"
    )
    command = [runner.python, "-c", program, runner.hook, "run", *words]
    environment = dict(runner.environment)
    return subprocess.run(
        command, env=environment, cwd=runner.folder, check=False, capture_output=True, timeout=60
    )


def fail(where: str, error: str) -> str:
    """Return a statement that makes a function of the hook raise an error."""
    module, _, name = where.rpartition(".")
    owner, _, last = module.rpartition(".")
    imported = f"from jobprov.provenance.capture.{owner} import {last}"
    return f"{imported}\ndef failing(*words, **more): raise {error}\n{last}.{name} = failing"


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", ["MemoryError()", "RecursionError('too deep')", "OSError(5, 'I/O')"]
)
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("command.glance.Glance._look", "what was there before the command"),
        ("recording.job.Job._look_around", "what is around the job"),
        ("recording.moments.one_command.OneCommand._settle", "more than the command and its end"),
        ("recording.job.Job.after", "what the command left"),
        ("recording.changes.settle_inputs", "inputs that changed"),
        ("recording.outputs.Outputs.add", "what the command left"),
    ],
)
def test_error_while_gathering_costs_no_record(
    runner: Runner, where: str, what: str, error: str
) -> None:
    done = broken(runner, fail(where, error), "--", "sh", "-c", "echo 1 > out.txt; exit 3")

    assert done.returncode == 3, done.stderr
    record, _ = entry_of(runner)
    assert (record["state"], record["exit"]["code"]) == ("failed", 3)
    assert record["command"]["argv"] == ["sh", "-c", "echo 1 > out.txt; exit 3"]
    missing = [(kind, name) for kind, name, _ in weak(record)]
    assert ("capture-incomplete", what) in missing
    assert error.partition("(")[0] in weak(record)[0][2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#!/bin/sh\nx=$RANDOM\n", "line 2, x=$RANDOM"),
        ("x=$((RANDOM % 7))", "line 1, x=$((RANDOM % 7))"),
        ("RANDOM=42\nx=$RANDOM\n", None),
        ("sleep $((RANDOM % 60))\n", None),
        ("f=/tmp/x.$RANDOM\n", None),
        ("# as random as $RANDOM\n", None),
        ("lar --seed $(date +%s)\n", "line 1, lar --seed $(date +%s)"),
        ("echo began $(date)\n", None),
        ("SEED=$$\n", "line 1, SEED=$$"),
        ("srand(time(NULL));", "line 1, srand(time(NULL));"),
        ("awk 'BEGIN { srand(); print rand() }'", "line 1, awk 'BEGIN { srand(); print rand() }'"),
        ("head -c 8 /dev/urandom > x\n", "line 1, head -c 8 /dev/urandom > x"),
        ("TRandom3 generator(0);", "line 1, TRandom3 generator(0);"),
        ("TRandom3 generator(4357);", None),
        ("gRandom->SetSeed(0);", "line 1, gRandom->SetSeed(0);"),
        ("import random\nx = random.random()\n", "line 2, x = random.random()"),
        ("import random\nrandom.seed(1)\nx = random.random()\n", None),
        ("rng = np.random.default_rng()\n", "line 1, rng = np.random.default_rng()"),
        ("rng = np.random.default_rng(7)\nrng.normal()\n", None),
        ("x <- rnorm(5)\n", "line 1, x <- rnorm(5)"),
        ("set.seed(1); x <- rnorm(5)\n", None),
        ("shuf list.txt | head -1\n", "line 1, shuf list.txt | head -1"),
        ("os.environ['UUID'] = str(uuid.uuid1())\n", None),
        ("\x7fELF\0\0$RANDOM", None),
    ],
)
def test_unseeded_random_numbers_are_found_by_words(text: str, found: str | None) -> None:
    assert find_unseeded(text.encode()) == found


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ('{ echo "made $(date)"; seq 3; } > report.txt', True),
        ("date > stamp", True),
        ("echo `hostname` >> out.txt", True),
        ("echo $$ > number.txt", True),
        ("reco -o hist_$(date +%Y).root", True),
        ("puts(__DATE__);", True),
        ("f.write(str(datetime.now()))", True),
        ("print(datetime.now(), file=out)", True),
        ('echo "began $(date)"', False),
        ("date >&2", False),
        ("began=$(date +%s)", False),
        ('echo "$(date) began" >> job.log', False),
        ("date; ./reco > out.txt", False),
        ("print(time.time() - began)", False),
        ("cat a > /tmp/x.$$", False),
        ("update > out.txt", False),
    ],
)
def test_time_and_host_in_a_file_are_found_by_words(text: str, *, is_told: bool) -> None:
    assert find_run_specific(b"\n" + text.encode()) == (f"line 2, {text}" if is_told else None)


@pytest.mark.slow
def test_script_that_writes_the_time_into_its_output_is_told(runner: Runner) -> None:
    script(runner, "date > stamp.txt\n")

    runner("run", "--", "sh", "job.sh")

    assert weak(only_entry(runner)[0]) == [
        ("run-specific", "script job.sh", "line 1, date > stamp.txt")
    ]


@pytest.mark.slow
def test_script_and_command_line_that_draw_unseeded_are_told(runner: Runner) -> None:
    script(runner, "echo $RANDOM > out.txt\n")

    runner("run", "--", "bash", "job.sh")

    assert weak(only_entry(runner)[0]) == [
        ("random-unseeded", "script job.sh", "line 1, echo $RANDOM > out.txt")
    ]
