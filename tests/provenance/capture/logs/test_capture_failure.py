"""The one line a shifter needs, held to real art jobs and their truth."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobprov.provenance.capture.logs import art_sentence as artsentence
from jobprov.provenance.capture.logs import failure
from jobprov.provenance.capture.running import ending

SAME = {
    "(dynamic linker)": "symbol lookup error",
    "(std::exception)": "std::exception",
    "(bad_alloc)": "std::bad_alloc",
    "(bad option)": "bad option",
    "(abort) Configuration": "Configuration",
}
HEADS = {  # what the message begins with, by job; written from how the job was made
    "03": 'Can\'t find file "overrides_that_nobody_wrote.fcl"',
    "04": 'detected at or near line 4, character 1, of file "./job.fcl"',
    "05": "toyexp_number_of_trakcs",
    "07": 'Library specification "ToySmeer" does not correspond to any library',
    "08": (
        'Library specification "ToyDup" corresponds to multiple libraries: '
        "/opt/art/lib/libtoyexp_ToyDup"
    ),
    "10": "/opt/art/lib/libtoyexp_ToyBroken_module.so: undefined symbol",
    "13": "Missing parameters: pMin: <double>",
    "15": 'Library specification "ToyCalibration" does not correspond',
    "16": "ServicesManager unable to find the service of type 'toyexp::ToyGeometry'.",
    "18": "cannot open toy_calib.txt",
    "19": "std text of the toy module",
    "21": "The job has probably exhausted the virtual memory",
    "22": "the detector is not there",
    "24": "hit 17 has a negative charge",
    "25": "corrupt block",
    "29": "The job has probably exhausted the virtual memory",
    "31": "histogram file could not be closed",
    "47": "unrecognised option '--nevt'",
    "48": "Options --timing and --no-timing are incompatible.",
    "50": 'Can\'t find file "jobb.fcl"',
    "51": "Underscores not permitted in process_name",
    "60": 'Can\'t find file "prod_toy_base.fcl"',
    "65": "Module label 'badmod' has been used in",
    "68": "the message goes to the log file only",
    "70": "ProductInserter::getProductDescription_",
    "72": "Unsupported parameters: maxEvnts",
    "75": "Unable to write post-processed configuration",
}
EVENT = "run 4711 subRun 3 event 7)"
FLOOR = 1.0


def outcome(folder: Path) -> SimpleNamespace:
    job = json.loads((folder / "job.json").read_text())
    names = [("stdout.txt", "stdout"), ("stderr.txt", "stderr"), ("job.log", "job.log")]
    logs = [
        (name, (folder / file).read_bytes(), False)
        for file, name in names
        if (folder / file).exists()
    ]
    return SimpleNamespace(code=job["exit_code"], signal=job["signal"], error=None, logs=logs)


def is_phase(found: str | None, truth: str) -> bool:
    """Return whether a phase is the true one.

    Where nobody caught the end, a log tells the event loop and not the event.
    """
    return found == truth or (found, truth) == ("event loop", "event")


def test_every_real_art_job_is_explained_by_category_module_event_and_head(
    shared_data: Path,
) -> None:
    jobs = list(
        csv.DictReader(
            (shared_data / "art-jobs" / "expected.tsv").read_text().splitlines(), delimiter="\t"
        )
    )
    misses, marks = [], 0
    for job in jobs:
        ended = outcome(shared_data / "art-jobs" / job["job"])
        if ending.name_state(ended, was_told=False) == "succeeded":
            continue
        category, message = failure.explain(ended)
        wanted = SAME.get(job["category"], job["category"].strip("()"))
        checks = [
            ("category", category == wanted),
            ("head", message.startswith(HEADS.get(job["job"][:2], ""))),
        ]
        is_in_text = not job["category"].startswith(("(SIG", "(dynamic"))  # a crash names no module
        if job["module_label"] and is_in_text:
            checks.append(("module", job["module_label"] in message))
        if job["run/subrun/event"] and is_in_text:
            checks.append(
                (
                    "event",
                    "run {} subRun {} event {}".format(*job["run/subrun/event"].split("/"))
                    in message,
                )
            )
        if is_in_text:
            found = failure.find(ended)
            checks.append(("phase", is_phase(found.get("phase"), job["phase"])))
            checks.append(("label", job["module_label"] in ("", found.get("module_label"))))
        marks += len(checks)
        misses += [(job["job"], what, category, message) for what, is_met in checks if not is_met]

    print(f"\n{marks - len(misses)} of {marks} marks for {len(jobs)} art jobs", *misses, sep="\n")
    assert marks > 130
    assert (marks - len(misses)) / marks >= FLOOR


@pytest.mark.parametrize(
    ("job", "severity", "category", "sentence"),
    [
        (
            "33-skip-event",
            "warning",
            "BadHit",
            f"went on after BadHit: recoverable (ToyFailProducer/badmod, {EVENT}",
        ),
        (
            "35-log-error-only",
            "error",
            "ToyFail",
            f"logged as error ToyFail: an error message only (ToyFail/badmod, {EVENT}",
        ),
        (
            "42-sigint-no-error",
            "warning",
            "SIGINT",
            "ended early by a signal, exit code 0: SIGINT: Art has handled signal 2. (event loop)",
        ),
    ],
)
def test_what_went_wrong_in_a_job_that_succeeded_is_told(
    shared_data: Path, job: str, severity: str, category: str, sentence: str
) -> None:
    (entry,) = failure.find_suppressed(outcome(shared_data / "art-jobs" / job))

    assert (entry["severity"], entry["category"], entry["count"]) == (severity, category, 1)
    assert failure.say_suppressed([entry]) == sentence


def test_nothing_is_told_of_a_real_job_in_which_nothing_went_wrong(shared_data: Path) -> None:
    for job in ("01-ok-1000-events", "52-two-threads", "62-tracer", "69-zero-events"):
        assert failure.find_suppressed(outcome(shared_data / "art-jobs" / job)) == []
    assert failure.say_suppressed([]) is None


def test_rule_lines_and_chatter_are_no_messages() -> None:
    logs = [
        (
            "stdout",
            b"event 7 done\n==========\n----------\n\n** Config output to file 'x' **\n",
            False,
        )
    ]

    assert failure.explain(SimpleNamespace(code=1, signal=None, error=None, logs=logs)) == (
        None,
        "event 7 done",
    )


def test_line_of_trouble_is_preferred_to_what_was_printed_after_it() -> None:
    logs = [
        ("stderr", b"cp: cannot stat 'a.root': No such file or directory\ncleaning up\n", False)
    ]

    _, message = failure.explain(SimpleNamespace(code=1, signal=None, error=None, logs=logs))

    assert message == "cp: cannot stat 'a.root': No such file or directory"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (127, "./job.sh: line 3: lar: command not found"),
        (127, "job.sh: 3: ./lar: not found"),
        (127, "timeout: failed to run command 'lar': No such file or directory"),
        (127, "env: 'lar': No such file or directory"),
        (127, "lar: Command not found."),
        (126, "./job.sh: line 3: ./lar: Permission denied"),
    ],
)
def test_program_that_could_not_be_started_tells_more_than_what_its_script_says_of_it(
    code: int, line: str
) -> None:
    text = f"3 files not found, will fetch\n{line}\nError: reco failed with status {code}\n"
    logs = [("stdout", text.encode(), False)]

    told = failure.explain(SimpleNamespace(code=code, signal=None, error=None, logs=logs))
    of_other_code = failure.explain(SimpleNamespace(code=1, signal=None, error=None, logs=logs))

    assert told == (None, line)
    assert of_other_code == (None, f"Error: reco failed with status {code}")


def test_crash_of_a_child_is_told_by_the_shells_code_and_the_event_begun_last() -> None:
    logs = [
        (
            "stdout",
            b"Begin processing the 3rd record. run: 9 subRun: 1 event: 3 at 24-Nov-2026\n",
            False,
        )
    ]

    told = failure.explain(SimpleNamespace(code=139, signal=None, error=None, logs=logs))

    assert told == (
        "SIGSEGV",
        "exit code 139, as after SIGSEGV (event loop, in or after run 9 subRun 1 event 3)",
    )


def test_text_cut_off_in_the_middle_of_a_block_is_still_read() -> None:
    text = b"%MSG-s x: \n---- EventProcessorFailure BEGIN\n  ---- BadHit BEGIN\n    no hits\n"

    found = failure.find(
        SimpleNamespace(code=1, signal=None, error=None, logs=[("stdout", text, True)])
    )

    assert (found["category"], found["message"]) == ("BadHit", "no hits")


@pytest.mark.parametrize("line", ["", "=====", "-----  ", "  ====  ----", "*****"])
def test_rule_is_recognised(line: str) -> None:
    assert artsentence.is_rule(line)
