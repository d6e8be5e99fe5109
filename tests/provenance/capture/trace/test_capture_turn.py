"""The first job of each kind is traced without being told, where the service asks for it."""

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest

from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.trace.turn import is_disturbed, kind_of
from tests.library.hook import Runner, entry_of, with_strace
from tests.library.servers.hook_service import Service
from tests.library.servers.live_service import LiveService


@pytest.fixture
def asking(service: Service) -> Service:
    """Return a service that wants every job traced."""
    service.wants_traces = True
    return service


def glance_at(*argv: str, environment: dict[str, str] | None = None) -> Glance:
    return Glance(list(argv), Options([], {}), environment or {})


def kind(*argv: str, task: dict[str, Any] | None = None) -> list[str]:
    return kind_of(Options([], {}), task or {}, glance_at(*argv))


def test_kind_is_that_of_program_options_and_code_and_not_of_files_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("a.sh", "echo 1\n"), ("b.sh", "echo 2\n")):
        (tmp_path / name).write_text(text)

    usual = kind("sh", "a.sh", "--seed", "7", "in_1.root", "--mode=fast")
    assert kind("sh", "a.sh", "--seed", "8", "in_2.root", "--mode=slow") == usual
    assert kind("nice", "sh", "a.sh", "--seed", "8", "x.root", "--mode=slow") == usual
    assert kind("sh", "b.sh", "--seed", "7", "in_1.root", "--mode=fast") != usual
    assert kind("sh", "a.sh", "--all", "7", "in_1.root", "--mode=fast") != usual
    assert kind("sh", "a.sh", "--seed", "7", "in_1.root", "--mode", task={"stage": "x"}) != usual
    (tmp_path / "a.sh").write_text("echo 3\n")
    assert kind("sh", "a.sh", "--seed", "7", "in_1.root", "--mode=fast") != usual


def test_kind_of_a_shells_text_is_that_of_its_words_and_not_of_its_numbers() -> None:
    usual = kind("sh", "-c", "wc -l run_17.txt")

    assert kind("sh", "-c", "wc -l run_18.txt") == usual
    assert kind("sh", "-c", "gzip -c run_17.txt") != usual


def test_kind_counts_the_bytes_of_the_jobs_own_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "prog"
    shutil.copy("/bin/true", program)
    words = [["sh", "-c", "./prog > out.txt"], ["./prog"]]
    before = [kind(*each) for each in words]

    program.write_bytes(Path("/bin/false").read_bytes())

    assert [kind(*each) == old for each, old in zip(words, before, strict=True)] == [False, False]


def test_kind_counts_fcl_files_and_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.fcl").write_text("x: 1\n")
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git/refs/heads/main").write_text("1" * 40 + "\n")

    first = kind("lar", "-c", "a.fcl")
    (tmp_path / ".git/refs/heads/main").write_text("2" * 40 + "\n")
    second = kind("lar", "-c", "a.fcl")
    (tmp_path / "a.fcl").write_text("x: 2\n")

    assert len({tuple(first), tuple(second), tuple(kind("lar", "-c", "a.fcl"))}) == 3


def test_jobs_whose_fcl_differs_in_seeds_runs_and_comments_are_of_one_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = []
    for number, more in ((1, ""), (2, ""), (3, "tune: 3\n")):
        text = (
            f'#include "gen.fcl"\n# run {number}\nsource.firstRun: {number}\n'
            f"physics.producers.generator.seed: 20{number}\n  baseSeed: {number}\n{more}"
        )
        (tmp_path / f"gen_{number}.fcl").write_text(text)
        keys.append(kind("lar", "-c", f"gen_{number}.fcl"))
    (tmp_path / "gen_1.fcl").write_text('#include "other.fcl"\n')

    assert keys[0] == keys[1] != keys[2]
    assert kind("lar", "-c", "gen_1.fcl") != keys[0]


@pytest.mark.parametrize(
    ("script", "is_so"),
    [
        ("sudo mount /x\n", True),
        ("exec gdb -batch ./prog\n", True),
        ("apptainer exec i.sif x\n", True),
        ("echo result > sudoku.txt; ./gdb-like\n", False),
    ],
)
def test_scripts_that_a_tracer_disturbs_are_left_alone(
    tmp_path: Path, script: str, *, is_so: bool
) -> None:
    (tmp_path / "job.sh").write_text(script)

    assert is_disturbed(glance_at("sh", str(tmp_path / "job.sh"))) == is_so


@pytest.mark.slow
@with_strace
def test_job_is_traced_where_the_service_wants_it(runner: Runner, asking: Service) -> None:
    command = ["sh", "-c", "cat /etc/passwd; sleep 1"]
    runner("run", "--url", asking.url, "--trace-bytes", "0", "--", *command)

    record = asking.only_record()
    assert "touched_sha256" in record["environment"]
    assert record["trace"]["keys"] == asking.turns
    assert asking.confirmed == asking.turns


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["--no-trace"], {}),
        ([], {"JOBPROV_TRACE": "no"}),
        ([], {"JOBPROV_NO_TRACE": "1"}),
        (["--told-only"], {}),
        (["--rerun-of", "00000000-0000-0000-0000-00000000000a"], {}),
    ],
)
def test_job_that_says_no_is_not_traced(
    runner: Runner, asking: Service, words: list[str], environment: dict[str, str]
) -> None:
    runner("run", "--url", asking.url, *words, "--", "true", environment=environment)

    assert asking.turns == []
    assert "touched_sha256" not in asking.only_record()["environment"]


@pytest.mark.slow
@with_strace
def test_option_goes_before_the_environment(runner: Runner) -> None:
    words = ["run", "--trace", "--trace-bytes", "0", "--", "true"]
    runner(*words, environment={"JOBPROV_TRACE": "no"})

    assert "touched_sha256" in entry_of(runner)[0]["environment"]


@pytest.mark.slow
@with_strace
@pytest.mark.parametrize("way", ["silent", "gone", "without the call"])
def test_service_that_does_not_answer_costs_half_a_second_at_most(
    runner: Runner, service: Service, way: str
) -> None:
    url = service.url if way != "gone" else "http://127.0.0.1:9"
    if way == "silent":
        service.wants_traces, service.turn_seconds = True, 50.0
    words = ["--budget-seconds", "4", "--url", url]
    begun = time.time()

    done = runner("run", *words, "--", "sh", "-c", "date +%s.%N; exit 3")

    assert done.returncode == 3
    assert float(done.stdout) - begun < 30  # on a busy machine; the service thinks for longer
    if way != "gone":
        assert "touched_sha256" not in service.only_record()["environment"]
        assert service.confirmed == []  # so that the service soon asks another job


@pytest.fixture
def choosing(tmp_path: Path) -> Iterator[LiveService]:
    """Yield a service that has jobs traced; it is awake, and answers in time."""
    live = LiveService(tmp_path / "service", JOBPROV_TRACE_FIRST="on")
    question = json.dumps({"experiment": "other", "key": "0" * 64}).encode()
    headers = {"Content-Type": "application/json"}
    urlopen(Request(live.url + "/api/v1/traces/turns", question, headers)).close()
    yield live
    live.stop()


@pytest.mark.slow
@with_strace
def test_first_job_of_a_kind_is_traced_and_the_next_is_not(
    runner: Runner, choosing: LiveService
) -> None:
    traced = []
    for name in ("a", "b"):
        (runner.folder / f"{name}.txt").write_text(name)
        job_id = f"00000000-0000-0000-0000-00000000000{name}"
        words = ["--url", choosing.url, "--job-id", job_id]
        done = runner("run", "--verbose", *words, "--", "cat", f"{name}.txt")
        assert b"recorded" in done.stderr, done.stderr
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            record = json.loads(answer.read())["record"]
        traced.append("touched_sha256" in record["environment"])

    assert traced == [True, False]


@pytest.mark.slow
@with_strace
def test_next_job_of_a_kind_keeps_what_the_traced_one_used(
    runner: Runner, choosing: LiveService
) -> None:
    """Only the first of a thousand jobs was whole, and the others did not say so."""
    odd = runner.folder.parent / "odd"
    odd.mkdir()
    (odd / "calib.txt").write_text("1.5")
    (odd / "scratch.txt").write_text("of one job alone")
    # names that no look at the script finds
    script = "folder=../od; cat ${folder}d/calib?txt ${folder}d/scratch?txt; : $1\n"
    (runner.folder / "job.sh").write_text(script)
    records = []
    for number in ("1", "2"):
        job_id = f"00000000-0000-0000-0000-00000000001{number}"
        words = ["--url", choosing.url, "--job-id", job_id]
        runner("run", *words, "--", "sh", "job.sh", number)
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            records.append(json.loads(answer.read()))
        (odd / "scratch.txt").unlink(missing_ok=True)

    first, second = (job["record"] for job in records)
    used = [file["path"] for file in second["inputs"] if file["evidence"] == "traced"]
    assert "trace" not in second
    assert used == [f"{odd}/calib.txt"]
    assert used[0] in [file["path"] for file in first["inputs"]]
    unseen = [gap for gap in records[1]["gaps"] if gap["code"] == "reads-unseen"]
    assert [f"{odd}/scratch.txt" in gap["message"] for gap in unseen] == [True]


@pytest.mark.slow
@with_strace
def test_next_job_of_a_kind_has_no_input_of_the_traced_one(
    runner: Runner, choosing: LiveService
) -> None:
    """It was a parent of all that jobs of the kind made."""
    data = runner.folder.parent / "data"
    data.mkdir()
    for number in ("001", "002"):
        (data / f"sim.{number}.art").write_text(number)
    (data / "calib.txt").write_text("1.5")
    # The names of the inputs stand nowhere else, and each job copies its own before it reads it
    script = 'there=../da; cat ${there}ta/calib?txt; cat ${there}ta/sim?"$1"?art > sim.$1.art\n'
    (runner.folder / "job.sh").write_text(script)
    records = []
    for number, is_traced in (("001", ["--trace"]), ("002", [])):
        job_id = f"00000000-0000-0000-0000-000000000{number}"
        words = ["--url", choosing.url, "--job-id", job_id, *is_traced]
        runner("run", *words, "--", "sh", "job.sh", number)
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            records.append(json.loads(answer.read())["record"])

    names = [file["name"] for file in records[1]["inputs"]]
    assert "calib.txt" in names
    assert "sim.001.art" not in names
    # calib.txt, which all jobs read, stands for nothing of this one's own
    unseen = [weak["name"] for weak in records[1]["weaknesses"] if weak["kind"] == "reads-unseen"]
    assert f"{data}/sim.001.art" in unseen[0]


@pytest.mark.slow
@with_strace
def test_input_that_is_named_stands_for_no_configuration_that_nobody_saw(
    runner: Runner, choosing: LiveService
) -> None:
    """The script fetches the fcl of its unit under another name, and adds to it.

    The jobs had grade L2 and no gap, because the record of each has as many inputs of its own as
    the traced job had that nobody named.
    """
    data = runner.folder.parent / "data"
    data.mkdir()
    for number in ("1", "2"):
        (data / f"raw_{number}.root").write_text(f"raw {number}")
        (data / f"cnf.{number}.fcl").write_text(f"physics.seed: {number}\n")
    (runner.folder / "job.sh").write_text(
        "there=../da; cp ${there}ta/raw_$1.root .; cp ${there}ta/cnf.$1.fcl job.fcl\n"
        "echo outputs.fileName: reco_$1.root >> job.fcl; sleep 0.3\n"
        "cat job.fcl raw_$1.root > reco_$1.root; rm raw_$1.root\n"
    )
    records = []
    for number, is_traced in (("1", ["--trace"]), ("2", [])):
        job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"configured {number}"))
        words = ["--url", choosing.url, "--job-id", job_id, *is_traced]
        words += ["--task-id", "digi", "--unit", number, "--input", f"{data}/raw_{number}.root"]
        runner("run", *words, "--", "sh", "job.sh", number)
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            records.append(json.loads(answer.read())["record"])

    traced, other = records
    assert f"{data}/cnf.1.fcl" in [file["path"] for file in traced["inputs"]]
    assert "reads-unseen" not in [weak["kind"] for weak in traced.get("weaknesses", ())]
    assert f"{data}/raw_2.root" in [file["path"] for file in other["inputs"]]
    unseen = [weak["name"] for weak in other["weaknesses"] if weak["kind"] == "reads-unseen"]
    assert [f"{data}/cnf.1.fcl" in name for name in unseen] == [True]


@pytest.mark.slow
@with_strace
def test_file_that_was_listed_and_not_read_is_no_parent(
    runner: Runner, choosing: LiveService
) -> None:
    """Make lists its folder: all that lay there was a parent of what it made."""
    for name in ("raw.root", "other.root"):
        (runner.folder / name).write_text(name)
    script = "ls > /dev/null; cat $(printf r%s.root aw) > reco.dat; rm reco.dat\n"
    (runner.folder / "job.sh").write_text(script)
    roles = []
    for number, is_traced in (("1", ["--trace"]), ("2", [])):
        job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"listed {number}"))
        words = ["--url", choosing.url, "--job-id", job_id, *is_traced]
        runner("run", *words, "--", "sh", "job.sh")
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            inputs = json.loads(answer.read())["record"]["inputs"]
        roles.append({file["name"]: file["role"] for file in inputs})

    assert roles == [{"raw.root": "primary", "other.root": "configuration"}] * 2


MAKING = "mkdir -p ${HOME}/$(dirname NAME); cat ${HOME}/NAME 2>&1; :\n"
LOOKING = "test -d ${HOME}/$(dirname NAME) && cat ${HOME}/NAME; :\n"


@pytest.mark.slow
@with_strace
@pytest.mark.parametrize(
    ("name", "script", "absent"),
    [
        (".toolrc", MAKING, "~/.toolrc"),
        (".config/tool/toolrc", MAKING, "~/.config/tool/toolrc"),
        (".config/tool/toolrc", LOOKING, "~/.config/tool"),
    ],
)
def test_next_job_of_a_kind_keeps_what_the_traced_one_looked_for_in_vain(
    runner: Runner, choosing: LiveService, name: str, script: str, absent: str
) -> None:
    """Settings in the home folder of one job, and of no other, were in no record.

    Programs such as matplotlib make the folder of their settings before they look into it; others
    look for the folder first.
    """
    (runner.folder / "job.sh").write_text(script.replace("NAME", name))
    homes = [runner.folder.parent / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    (homes[1] / name).parent.mkdir(parents=True, exist_ok=True)
    (homes[1] / name).write_text("cuts = tight\n")
    records = []
    for number, home in enumerate(homes, 1):
        job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{absent} {number}"))
        words = ["--url", choosing.url, "--job-id", job_id, "--", "sh", "job.sh"]
        runner("run", *words, environment={"HOME": str(home)})
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            records.append(json.loads(answer.read())["record"])

    assert absent in records[0]["trace"]["absent"]
    [kept] = [file for file in records[1]["inputs"] if file["path"] == str(homes[1] / name)]
    assert kept["evidence"] == "traced"


@pytest.mark.slow
@with_strace
def test_report_that_the_traced_job_lacked_is_no_changed_input_of_a_job_that_made_it(
    runner: Runner, choosing: LiveService
) -> None:
    """A wrapper looks for the report of a program that failed in the traced job."""
    script = 'test "$GOOD" && echo fine > part && mv part report.xml; cat "$HOME/report.xml"; :\n'
    (runner.folder / "job.sh").write_text(script)
    records = []
    for good in ("", "yes"):
        job_id = str(uuid.uuid4())
        words = ["--url", choosing.url, "--job-id", job_id, "--", "sh", "job.sh"]
        runner("run", *words, environment={"GOOD": good})
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            records.append(json.loads(answer.read())["record"])

    assert records[0]["trace"]["absent"] == ["~/report.xml"]
    assert [file["path"] for file in records[1]["outputs"]] == ["report.xml"]
    assert "weaknesses" not in records[1]


@pytest.mark.slow
@with_strace
def test_program_that_each_job_of_a_kind_copies_in_is_no_changed_input(
    runner: Runner, choosing: LiveService
) -> None:
    """As `cp $CONDOR_DIR_INPUT/*.py .`: that of the traced job stood in its list of code."""
    given = runner.folder.parent / "given"
    given.mkdir()
    (given / "merge.py").write_text("#!/bin/sh\nsleep 0.3\n")
    (runner.folder / "job.sh").write_text('cp "$GIVEN/merge.py" .; chmod 755 merge.py; $RUN\n')
    weak = []
    for run in ("./merge.py", "true"):
        (runner.folder / "merge.py").unlink(missing_ok=True)
        job_id = str(uuid.uuid4())
        words = ["--url", choosing.url, "--job-id", job_id, "--", "sh", "job.sh"]
        runner("run", *words, environment={"GIVEN": str(given), "RUN": run})
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            weak.append(json.loads(answer.read())["record"].get("weaknesses"))

    assert weak == [None, None]


@pytest.mark.slow
@with_strace
def test_next_job_of_a_kind_hears_that_the_traced_one_looked_for_more_than_its_record_names(
    runner: Runner, choosing: LiveService
) -> None:
    """Of 260 names that it looked for in vain, 210 were in no list, and nothing said so."""
    looking = "for name in $(seq 260); do test -e missing-$name; done; test -e ~/.toolrc; :\n"
    (runner.folder / "job.sh").write_text(looking)
    home = runner.folder.parent / "home"
    home.mkdir()
    jobs = []
    for number in ("1", "2"):
        job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"left out {number}"))
        words = ["--url", choosing.url, "--job-id", job_id, "--", "sh", "job.sh"]
        runner("run", *words, environment={"HOME": str(home)})
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            jobs.append(json.loads(answer.read()))

    trace = jobs[0]["record"]["trace"]
    assert (trace["absent"][0], len(trace["absent"])) == ("~/.toolrc", 200)
    assert trace["absent_left_out"] == 61
    assert "reads-unseen" not in [gap["code"] for gap in jobs[0]["gaps"]]
    [message] = [gap["message"] for gap in jobs[1]["gaps"] if gap["code"] == "reads-unseen"]
    assert "61 more files than its record names" in message


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@with_strace
def test_job_that_ends_before_the_traced_one_of_its_kind_says_which_settings_it_has(
    runner: Runner, choosing: LiveService
) -> None:
    """Of two jobs that began together one had its settings in HOME, and its rerun lacked them."""
    (runner.folder / "job.sh").write_text("echo > begun.$1; sleep $1; cat ~/.toolrc; :\n")
    homes = {seconds: runner.folder.parent / f"home-{seconds}" for seconds in ("0", "3")}
    for home in homes.values():
        home.mkdir()
    (homes["0"] / ".toolrc").write_text("cuts = tight\n")
    ids = {seconds: str(uuid.uuid5(uuid.NAMESPACE_URL, seconds)) for seconds in homes}

    def run(seconds: str) -> None:
        words = ["--url", choosing.url, "--job-id", ids[seconds], "--", "sh", "job.sh", seconds]
        runner("run", *words, environment={"HOME": str(homes[seconds])})

    traced = Thread(target=run, args=("3",))
    traced.start()
    wait_until((runner.folder / "begun.3").exists)
    run("0")
    traced.join()

    def gaps() -> list[str]:
        with urlopen(f"{choosing.url}/api/v1/jobs/{ids['0']}") as answer:
            found = json.loads(answer.read())["gaps"]
        return [gap["message"] for gap in found if gap["code"] == "touched-not-kept"]

    wait_until(lambda: bool(gaps()))
    assert "~/.toolrc" in gaps()[0]


@pytest.mark.slow
@with_strace
def test_next_job_of_a_kind_doubts_an_input_that_another_process_changed_below_the_traced_one(
    runner: Runner, choosing: LiveService
) -> None:
    """Whether this job wrote to it nobody saw; the traced one did not."""
    script = "touch ../begun; until [ -e ../changed ]; do sleep 0.1; done; cat $1 > out.txt\n"
    (runner.folder / "job.sh").write_text(script)
    table, begun = runner.folder / "table.dat", runner.folder.parent / "begun"
    changed = runner.folder.parent / "changed"

    def change() -> None:
        wait_until(begun.exists)
        table.write_text("new\n")
        changed.touch()

    codes = []
    for number, is_traced in (("1", ["--trace"]), ("2", [])):
        table.write_text("old\n")
        job_id = f"00000000-0000-0000-0000-00000000003{number}"
        changing = Thread(target=change)
        changing.start()
        words = [*is_traced, "--url", choosing.url, "--job-id", job_id, "--"]
        runner("run", *words, "sh", "job.sh", "table.dat")
        changing.join()
        for flag in (begun, changed):
            flag.unlink()
        with urlopen(f"{choosing.url}/api/v1/jobs/{job_id}") as answer:
            job = json.loads(answer.read())
        codes.append({gap["code"] for gap in job["gaps"]})
        assert ("keys" in job["record"].get("trace", {})) == (number == "1")

    assert "changed-while-running" in codes[0] & codes[1]


@pytest.mark.slow
def test_strace_is_not_needed(runner: Runner, asking: Service) -> None:
    (runner.folder / "empty").mkdir()
    environment = {"PATH": str(runner.folder / "empty")}

    done = runner(
        "run", "--url", asking.url, "--", shutil.which("true") or "", environment=environment
    )

    assert done.returncode == 0
    assert asking.turns == []


@pytest.mark.slow
@with_strace
@pytest.mark.parametrize("limit", ["-t 600", "-f 100000"])
def test_job_whose_limits_may_end_strace_is_traced_only_if_told(
    runner: Runner, asking: Service, limit: str
) -> None:
    hook = [runner.python, runner.hook, "run", "--url", asking.url]
    command = ["--", "true"]
    for words in ([], ["--trace", "--trace-bytes", "0"]):
        limited = ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *hook, *words, *command]
        subprocess.run(
            limited, cwd=runner.folder, env=runner.environment, check=True, capture_output=True
        )

    assert asking.turns == []
    traced = [
        "touched_sha256" in json.loads(each)["environment"] for each in asking.records.values()
    ]
    assert traced == [False, True]


@pytest.mark.slow
def test_job_that_nobody_traced_says_whose_trace_would_tell_what_it_read(runner: Runner) -> None:
    """Without strace, or without a service, too: a trace that comes from elsewhere is enough."""
    command = ["--", "sh", "-c", "true"]

    runner("run", "--no-trace", *command)

    record, _ = entry_of(runner)
    assert record["trace"].keys() == {"waits_for"}


@pytest.mark.slow
def test_job_of_several_untraced_steps_waits_for_the_traces_of_all(runner: Runner) -> None:
    runner("start")
    for name, program in (("first", "true"), ("second", "false || true"), ("third", "true")):
        runner("step", "--no-trace", "--name", name, "--", "sh", "-c", program)
    runner("end")

    record, _ = entry_of(runner)
    assert len(set(record["trace"]["waits_for"])) == 3


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--told-only", "--rerun-of"])
def test_job_that_says_all_by_itself_waits_for_no_trace(runner: Runner, option: str) -> None:
    job = [] if option == "--told-only" else ["0f8b6a4e-3c51-5a0e-9c3f-000000000017"]

    runner("run", option, *job, "--", "true")

    record, _ = entry_of(runner)
    assert "trace" not in record


@pytest.mark.slow
@with_strace
def test_job_that_was_to_be_traced_has_the_key_that_others_of_its_kind_wait_for(
    runner: Runner,
) -> None:
    runner("run", "--no-trace", "--", "sh", "-c", "sort 1.txt; true")
    waiting, _ = entry_of(runner)
    shutil.rmtree(runner.spool)

    runner("run", "--trace", "--", "sh", "-c", "sort 2.txt; true")

    traced, _ = entry_of(runner)
    assert traced["trace"]["keys"] == waiting["trace"]["waits_for"]
