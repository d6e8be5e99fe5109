"""What a finished step tells of itself: seeds, event counts, module times, and its logs.

The logs are those that its configuration names.
"""

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.command import closure
from jobprov.provenance.capture.command.code import process_name
from jobprov.provenance.capture.logs import art_report as artreport
from jobprov.provenance.capture.logs import art_trackers as trackers
from tests.library.hook import Runner, only_entry
from tests.library.servers.hook_service import Service

REAL = "01-ok-1000-events"


def replay(
    runner: Runner, job: Path, *words: str, files: tuple[str, ...] = (), code: int = 0
) -> None:
    """Run a stand-in for art that prints and leaves what the real job did.

    It has the real job's configuration.
    """
    program = runner.folder / "art"
    copies = "".join(f"cp {job / name} .\n" for name in files)
    program.write_text(
        f"#!/bin/sh\n{copies}cat {job}/stdout.txt\ncat {job}/stderr.txt >&2\nexit {code}\n"
    )
    program.chmod(0o755)
    release = job.parent / "00-release"
    path = {"FHICL_FILE_PATH": f"{job}:{release}/toyexp:{release}/toycore"}
    runner("run", "--", "./art", "-c", "job.fcl", *words, environment=path)


@pytest.mark.slow
def test_module_times_seeds_events_and_process_name_of_a_real_job(
    runner: Runner, shared_data: Path
) -> None:
    job = shared_data / "art-jobs" / REAL
    words = ["-n", "1000", "--timing-db", "timing.db", "--memcheck-db=memory.db"]

    replay(runner, job, *words, files=("timing.db", "memory.db"))

    record, _ = only_entry(runner)
    modules = {(module.get("path"), module.get("label")): module for module in record["modules"]}
    burn = modules["reco", "burn"]
    assert (burn["type"], burn["events"], burn["seconds_max"]) == (
        "ToyBurn",
        1000,
        pytest.approx(0.00151761, rel=1e-4),
    )
    assert burn["seconds_total"] == pytest.approx(0.208132, rel=1e-4)
    assert modules["source", None]["type"] == "EmptyEvent"
    assert modules["hard", "leak"]["rss_delta_bytes_max"] > 0
    assert {module["step"] for module in record["modules"]} == {"art"}
    assert record["resources"]["max_vsize_bytes"] == 45_150_208
    assert record["extra"]["events"] == {"art": {"total": 1000, "passed": 1000, "failed": 0}}
    assert [
        (seed["module"], seed["instance"], seed["engine"], seed["seed"]) for seed in record["seeds"]
    ] == [
        ("gen", "gen", "HepJamesRandom", 101),
        ("smear", "", "HepJamesRandom", 202),
    ]
    assert {(seed["step"], seed["source"]) for seed in record["seeds"]} == {("art", "log")}
    assert record["configurations"][0]["process_name"] == "ToyMC"


@pytest.mark.slow
def test_database_and_log_that_only_the_configuration_names_are_read(
    runner: Runner, shared_data: Path
) -> None:
    job = shared_data / "art-jobs" / "68-log-to-file-only"
    (runner.folder / "timing.db").write_bytes(b"old and no database")
    os.utime(runner.folder / "timing.db", (1, 1))

    replay(runner, job, files=("job.log", f"../{REAL}/memory.db"))

    record, blobs = only_entry(runner)
    kept = {log["name"]: blobs[log["sha256"]] for log in record["logs"]}
    assert kept["job.log"] == (job / "job.log").read_bytes()
    assert record["resources"]["max_vsize_bytes"] == 45_150_208


@pytest.mark.slow
def test_summaries_that_the_log_prints_stand_in_for_databases(
    runner: Runner, shared_data: Path
) -> None:
    replay(runner, shared_data / "art-jobs" / REAL)

    record, _ = only_entry(runner)
    modules = {(module.get("path"), module.get("label")): module for module in record["modules"]}
    burn = modules["reco", "burn"]
    assert (burn["type"], burn["events"], burn["seconds_max"]) == (
        "ToyBurn",
        1000,
        pytest.approx(0.00151761),
    )
    assert burn["seconds_total"] == pytest.approx(0.208132)
    assert modules["source", None]["type"] == "EmptyEvent"
    assert record["resources"]["max_vsize_bytes"] == 45_150_200


@pytest.mark.parametrize(
    "job", ["01-ok-1000-events", "02-two-paths-output", "52-two-threads", "74-memory-growth"]
)
def test_printed_summary_says_what_the_databases_say(shared_data: Path, job: str) -> None:
    folder = shared_data / "art-jobs" / job
    kept: tuple[dict[Any, Any], dict[str, int]] = ({}, {})
    printed: tuple[dict[Any, Any], dict[str, int]] = ({}, {})
    trackers.read(str(folder / "timing.db"), *kept)
    trackers.read(str(folder / "memory.db"), *kept)
    trackers.read_printed((folder / "stdout.txt").read_text(), *printed)

    assert printed[0].keys() == {key for key, module in kept[0].items() if "events" in module}
    for key, module in printed[0].items():
        assert module["events"] == kept[0][key]["events"]
        assert module["seconds_max"] == pytest.approx(kept[0][key]["seconds_max"], rel=1e-5)
        assert module["seconds_total"] == pytest.approx(
            kept[0][key]["seconds_total"], rel=1e-4, abs=1e-6
        )
    assert printed[1] == pytest.approx(kept[1], rel=1e-4)


def test_summary_without_events_and_lines_like_its_rows_tell_no_modules() -> None:
    modules: dict[Any, Any] = {}
    peaks: dict[str, int] = {}
    text = (
        "a:b:C  1 2 3 4 5  6\nTimeTracker printout (sec)   Min\n[ No processed events ]\n"
        "Full event 1 2 3 4 5 6\n\na:b:C  1 2 3 4 5  6\n"
    )

    trackers.read_printed(f"{text}MemReport  VmPeak = 30.5 VmHWM = 14\n", modules, peaks)

    assert (modules, peaks) == ({}, {"vsize": 30_500_000, "rss": 14_000_000})


@pytest.mark.slow
def test_record_says_where_art_failed(runner: Runner, shared_data: Path) -> None:
    replay(runner, shared_data / "art-jobs" / "24-event-cet-analyzer", code=1)

    record, _ = only_entry(runner)
    assert record["exit"]["error_class"] == "BadHit"
    assert (
        record["exit"]["message"]
        == "hit 17 has a negative charge (ToyFail/badmod, run 4711 subRun 3 event 7)"
    )
    assert record["extra"]["failure"]["art"] == {
        "category": "BadHit",
        "message": record["exit"]["message"],
        "phase": "event",
        "module_label": "badmod",
        "module_type": "ToyFail",
        "run": 4711,
        "subrun": 3,
        "event": 7,
        "path": "end_path",
    }


@pytest.mark.slow
def test_record_of_a_job_that_succeeded_says_what_it_went_on_after(
    runner: Runner, shared_data: Path
) -> None:
    replay(runner, shared_data / "art-jobs" / "33-skip-event")

    record, _ = only_entry(runner)
    assert (record["state"], record["exit"].get("error_class")) == ("succeeded", None)
    assert record["exit"]["message"].startswith(
        "went on after BadHit: recoverable (ToyFailProducer/badmod"
    )
    assert [
        (entry["category"], entry["event"], entry["count"])
        for entry in record["extra"]["warnings"]["art"]
    ] == [("BadHit", 7, 1)]


@pytest.mark.slow
def test_database_that_is_none_is_a_note(runner: Runner) -> None:
    runner(
        "run",
        "--",
        "sh",
        "-c",
        "echo nonsense > t.db",
        "x",
        "-c",
        "main.fcl",
        "--timing-db",
        "t.db",
    )

    record, _ = only_entry(runner)
    assert any(
        "time and memory of modules in t.db: DatabaseError" in note
        for note in record["extra"]["hook_notes"]
    )


@pytest.mark.parametrize(
    ("lines", "seeds"),
    [
        (
            [
                " Seed Value     ModuleLabel.InstanceName",
                "     12345      generate",
                "        17      g4run.SeedEngine",
            ],
            [("generate", "", 12345), ("g4run", "SeedEngine", 17)],
        ),
        (
            [
                "Random policy: 'random'",
                "  master seed: 118780623",
                "  seed within: [ 1 ; 900000000 ]",
            ],
            [("NuRandomService", "base", 118780623)],
        ),
        (
            [
                "   Configured value          Last value   ModuleLabel.InstanceName",
                "     5      (same)   gen",
                "  7   9   g4.x",
            ],
            [("gen", "", 5), ("g4", "x", 9)],
        ),
    ],
)
def test_seed_summary_is_read(lines: list[str], seeds: list[tuple[str, str, int]]) -> None:
    text = "\n".join(
        [
            "%MSG-i SEEDS:",
            "",
            "Summary of seeds computed by the NuRandomService",
            *lines,
            "",
            "%MSG",
            " 5  other",
        ]
    )

    assert [
        (seed["module"], seed["instance"], seed["seed"]) for seed in artreport.seeds(text)
    ] == seeds


def test_process_name_is_the_last_assignment_of_the_closure_outside_prologs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "main.fcl": '#include "mid.fcl"\n#include "late.fcl"\n',
        "mid.fcl": 'process_name: Early\n#include "deep.fcl"\n process_name: Indented\n',
        "deep.fcl": 'process_name: "Deep"\nx.process_name: Other\n',
        "late.fcl": "BEGIN_PROLOG\nprocess_name: Prolog\nEND_PROLOG\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)

    assert process_name(closure.Closure("main.fcl", ["."])) == "Deep"


@pytest.mark.slow
def test_declared_outputs_come_first_and_found_ones_are_added_without_doubles(
    runner: Runner,
) -> None:
    runner(
        "run",
        "--output",
        "./b.root",
        "--",
        "sh",
        "-c",
        'echo 1 > "$1"; echo 2 > b.root',
        "x",
        "a.root",
        "b.root",
    )

    record, _ = only_entry(runner)
    assert [output["path"] for output in record["outputs"]] == ["./b.root", "a.root"]


@pytest.mark.slow
def test_what_start_was_told_reaches_the_end(runner: Runner, service: Service) -> None:
    (runner.folder / "setup.sh").write_text("# set up\n")
    (runner.folder / "job.sh").write_text(f"""
hook() {{ {runner.python} {runner.hook} "$@"; }}
hook start --script setup.sh --metadata data_tier=reco --output b.root --parent p.root --url {service.url}
hook step --name gen -- sh -c 'echo x > b.root'
hook end --metadata toy.x=1 --url {service.url}
""")

    subprocess.run(
        ["sh", "job.sh"], cwd=runner.folder, env=runner.environment, capture_output=True, check=True
    )

    record = service.only_record()
    assert [script["path"] for script in record["scripts"]] == ["job.sh", "setup.sh"]
    assert service.blobs[record["scripts"][1]["sha256"]] == b"# set up\n"
    (output,) = record["outputs"]
    assert (output["data_tier"], output["metadata"], output["parents"]) == (
        "reco",
        {"toy.x": "1"},
        ["p.root"],
    )


def test_reading_a_database_takes_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.db"
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE TimeModule(Run, SubRun, Event, Path, ModuleLabel, ModuleType, Time)"
    )
    database.executemany(
        "INSERT INTO TimeModule VALUES (1, 1, ?, 'p', ?, 'T', 0.5)",
        [(n, n % 2) for n in range(9999)],
    )
    database.commit()
    database.close()
    modules, peaks = {}, {}

    trackers.read(str(path), modules, peaks)

    assert modules["p", 0, "T"] == {
        "path": "p",
        "label": "0",
        "type": "T",
        "events": 5000,
        "seconds_total": 2500.0,
        "seconds_max": 0.5,
    }
    assert peaks == {}
    monkeypatch.setattr(trackers, "_SECONDS", -1.0)
    monkeypatch.setattr(trackers, "_STEPS", 100)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        trackers.read(str(path), {}, {})


@pytest.mark.slow
def test_events_of_each_run_of_art_in_one_log_are_kept(runner: Runner) -> None:
    report = "TrigReport Events total = {0} passed = {0} failed = 0"
    script = "; ".join(f"echo '{report.format(number)}'" for number in (5, 3, 7))

    runner("run", "--input", "raw.root", "--", "sh", "-c", script)

    record, _ = only_entry(runner)
    (events,) = record["extra"]["events"].values()
    assert (events["total"], [run["total"] for run in events["earlier"]]) == (7, [5, 3])
    assert "events_read" not in record["inputs"][0]
