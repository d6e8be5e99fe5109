"""What art prints when it fails, in several versions and surroundings, and what is read of it.

The texts follow art's sources: Worker, Schedule, EventProcessor, ServiceCacheEntry, run_art,
Tracer, UnixSignalHandlers.
"""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from jobprov.provenance.capture.logs import art_log as artlog
from jobprov.provenance.capture.logs import failure

STARTED = (
    "%MSG-i MF_INIT_OK:  Early 24-Nov-2026 14:50:51 UTC JobSetup\n"
    "Messagelogger initialization complete.\n%MSG\n"
)
BEGUN = (
    "Begin processing the 1st record. run: 4711 subRun: 3 event: 1 at 24-Nov-2026 14:50:53 UTC\n"
)
CONSTRUCTION = (
    "ArtException:  ToyFail:badmod@Construction 24-Nov-2026 14:50:52 UTC  ModuleConstruction"
)
EARLY = "ArtException:  Early 24-Nov-2026 14:50:52 UTC JobSetup"
POST = "ArtException:  PostEndJob 24-Nov-2026 14:50:52 UTC ModuleEndJob"
UNUSED = (
    "The following module labels are either not assigned to any path,\n"
    "or they have been assigned to ignored path(s):\n  spare\n"
)
DURING_END_JOB = "An exception was thrown while processing module ToyFail/badmod during endJob"
IN_EVENT = "module ToyFail/badmod run: 4711 subRun: 3 event: 7"
THROWN = "The above exception was thrown while processing module ToyFail/badmod run: 4711"


def block(name: str, *inside: str) -> str:
    lines = [f"  {line}" for part in inside for line in part.splitlines()]
    return "\n".join([f"---- {name} BEGIN", *lines, f"---- {name} END"])


def message(body: str, header: str = POST) -> str:
    return f"%MSG-s {header}\n{body}\n%MSG\n"


def closing(status: int = 1) -> str:
    return f"Art has completed and will exit with status {status}.\n"


def in_event(*inside: str) -> str:
    path = block(
        "ScheduleExecutionFailure",
        "Path: ProcessingStopped.",
        *inside,
        "Exception going through path reco",
    )
    return message(
        block(
            "EventProcessorFailure",
            "EventProcessor: an exception occurred during current event processing",
            path,
        )
    )


HIT = in_event(block("BadHit", "no hits", f"{THROWN} subRun: 3 event: 7"))


def find(code: int, out: str = "", err: str = "", signal: int | None = None) -> dict[str, Any]:
    logs = [("stdout", out.encode(), False), ("stderr", err.encode(), False)]
    return failure.find(SimpleNamespace(code=code, signal=signal, error=None, logs=logs))


def told(found: dict[str, Any]) -> tuple[Any, ...]:
    numbers = "/".join(found[name] for name in ("run", "subrun", "event") if found.get(name))
    return found.get("category"), found.get("phase"), found.get("module_label"), numbers


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            block(
                "DataCorruption",
                "outer",
                block("InnerToy", "inner"),
                f"{THROWN} subRun: 3 event: 7",
            ),
            "DataCorruption > InnerToy",
        ),
        (block("OtherArt", block("BadHit", "no hits", f"{THROWN} subRun: 3 event: 0")), "BadHit"),
        (
            block("Unknown", f"An unknown exception was thrown while processing {IN_EVENT}"),
            "Unknown",
        ),
        (
            block(
                "Unknown",
                "repeated",
                f"An unknown occurred during a previous call to the {IN_EVENT}",
            ),
            "Unknown",
        ),
        (
            block("StdException", f"An exception occurred during a call to the {IN_EVENT}", "boom"),
            "StdException",
        ),
        (
            block("BadAlloc", f"A bad_alloc exception occurred during a call to the {IN_EVENT}"),
            "BadAlloc",
        ),
        (
            block(
                "BadExceptionType",
                f"A string exception was thrown while processing {IN_EVENT}",
                "text",
            ),
            "BadExceptionType",
        ),
    ],
)
def test_exception_in_an_event_is_read_whatever_was_thrown(body: str, expected: str) -> None:
    category, phase, label, numbers = told(find(1, STARTED + BEGUN + in_event(body) + closing()))

    assert (category, phase, label, numbers[:7]) == (expected, "event", "badmod", "4711/3/")


@pytest.mark.parametrize(
    ("code", "out", "err", "expected"),
    [
        (
            1,
            STARTED + message(block("OtherArt", block("BadCalib", "none", THROWN))),
            "",
            ("BadCalib", "beginRun", "badmod", "4711"),
        ),
        (
            1,
            STARTED + BEGUN + message(block("BadCalib", "none", THROWN)),
            "",
            ("BadCalib", "endRun", "badmod", "4711"),
        ),
        (
            1,
            STARTED + BEGUN + message(block("BadCalib", "none", f"{THROWN} subRun: 3")),
            "",
            ("BadCalib", "endSubRun", "badmod", "4711/3"),
        ),
        (
            1,
            STARTED
            + BEGUN
            + message(
                block(
                    "EndJobFailure",
                    "cet::exception caught in Schedule::endJob",
                    block("OtherArt", DURING_END_JOB, block("HistError", "no")),
                )
            ),
            "",
            ("HistError", "endJob", "badmod", ""),
        ),
        (
            1,
            STARTED
            + message(
                block(
                    "OtherArt",
                    block(
                        "BadFile",
                        "no",
                        "A cet::exception happened while processing the beginJob of the 'source'",
                    ),
                )
            ),
            "",
            ("BadFile", "beginJob", "source", ""),
        ),
        (
            1,
            STARTED
            + message(
                block(
                    "FileOpenError",
                    "Input file root://x//a.root was not found or could not be opened.",
                )
            ),
            "Error in <TNetXNGFile::Open>: [ERROR] Server responded with an error",
            ("FileOpenError", "event loop", None, ""),
        ),
        (
            20,
            STARTED
            + message(
                "cet::exception caught in art\n" + block("FileOpenError", "no"),
                CONSTRUCTION.replace("ToyFail:badmod", "RootInput:source"),
            ),
            "",
            ("FileOpenError", "construction", "source", ""),
        ),
        (
            67,
            STARTED
            + message(
                "Unknown exception caught in art",
                CONSTRUCTION.replace("ArtException", "UnknownException"),
            ),
            "",
            ("unknown exception", "construction", "badmod", ""),
        ),
        (
            65,
            STARTED
            + message(
                block(
                    "Type mismatch",
                    "Unsuccessful attempt to convert FHiCL parameter 'pMax' to type 'double'.",
                    "[Specific error:]",
                    block("Type mismatch", "error in float string:", "abc"),
                ),
                CONSTRUCTION,
            ),
            "",
            ("Type mismatch", "construction", "badmod", ""),
        ),
        (
            9,
            STARTED
            + message(
                block(
                    "Configuration",
                    "!! The following service has been misconfigured: !!",
                    "service_type: ToyGeometry",
                    "Unsupported parameters:",
                    "",
                    " + gdmll [ ./job.fcl:7 ]",
                ),
                EARLY,
            ),
            "",
            ("Configuration", "services", None, ""),
        ),
        (
            1,
            STARTED
            + message(
                block(
                    "OtherArt",
                    "ServiceCreation",
                    block("SQLExecutionError", "unable to open database file"),
                    "cet::exception caught during construction of service type art::TimeTracker:",
                ),
                EARLY,
            ),
            "",
            ("SQLExecutionError", "services", None, ""),
        ),
        (
            9,
            closing(9),
            message(
                block(
                    "Configuration",
                    "Entry with name burnn in path reco does not have a module configuration.",
                ),
                "ArtException: ",
            ),
            ("Configuration", "parse", "burnn", ""),
        ),
        (
            69,
            closing(69),
            UNUSED + block("UnknownPlugin", "Library specification does not correspond"),
            ("UnknownPlugin", "message facility", None, ""),
        ),
        (
            91,
            closing(91),
            "ERROR: Failed to create a parameter set from parsed configuration with exception "
            + block("Can't insert", "key x already exists."),
            ("Can't insert", "parse", None, ""),
        ),
        (
            1,
            block("TrackQuality", "no", f"{THROWN} subRun: 810 event: 1152")
            + "\nException going through path p\n"
            + closing(),
            "",
            ("TrackQuality", "event", "badmod", "4711/810/1152"),
        ),
    ],
)
def test_phase_and_module_are_read_in_every_part_of_a_job(
    code: int, out: str, err: str, expected: tuple[str, ...]
) -> None:
    assert told(find(code, out, err)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (in_event(block("DataCorruption", "outer.", block("InnerToy", "inner"))), "outer: inner"),
        (
            message(
                block(
                    "Type mismatch",
                    "convert FHiCL parameter 'pMax' to type 'double'.",
                    block("Type mismatch", "not a number"),
                )
            ),
            "FHiCL parameter 'pMax': not a number",
        ),
        (
            message(
                block("BadHit", "no hits")
                + "\n"
                + block(
                    "EndJobFailure", block("StdException", "ToyFail/badmod during endJob file full")
                )
            ),
            "no hits (event loop); and StdException: file full (ToyFail/badmod, endJob)",
        ),
        (
            message(
                block(
                    "Configuration",
                    "service_type: Geo",
                    "Unsupported parameters:",
                    " + a [ ./job.fcl:7 ]",
                    " + b",
                ),
                EARLY,
            ),
            "Unsupported parameters: a [ ./job.fcl:7 ] b (service Geo, services)",
        ),
        (in_event(block("BadHit", "Error in <TFile::Write>: no space", "no hits")), "no hits"),
    ],
)
def test_sentence_says_what_each_kind_of_block_adds(text: str, words: str) -> None:
    assert find(1, STARTED + text)["message"].startswith(words)


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "".join(f"2026-11-24T14:50:52.123Z {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"[24/Nov/2026 14:50:52] {line}\n" for line in text.splitlines()),
        lambda text: "".join(
            f"Nov 24 14:50:52 node7 art[12]: {line}\n" for line in text.splitlines()
        ),
        lambda text: text.replace("BadHit", "\x1b[31mBadHit\x1b[0m").replace(
            "badmod", "\x1b[1mbadmod\x1b(B\x1b[m"
        ),
        lambda text: text[: text.index("---- BadHit END")],
        lambda text: text[text.index("    no hits") :],
        lambda text: message("done", EARLY) + closing(0) + text,
        lambda text: (
            text
            + STARTED
            + message("went wrong", EARLY.replace("ArtException", "Calibration"))
            + closing(0)
            + "copied\n"
        ),
    ],
    ids=[
        "crlf",
        "dated",
        "bracketed",
        "syslog",
        "colours",
        "cut-end",
        "cut-beginning",
        "run-before",
        "run-after",
    ],
)
def test_surroundings_of_a_log_change_nothing(changed: Any) -> None:
    found = find(1, changed(STARTED + BEGUN + HIT + closing()))

    assert told(found) == ("BadHit", "event", "badmod", "4711/3/7")
    assert found["message"].startswith("no hits")


UNCAUGHT = "terminate called after throwing an instance of 'std::runtime_error'\n  what():  boom\n"
CONSTRUCTING = (
    "++ constructing module: ana\n++ construction finished: ana\n++ constructing module: badmod\n"
)
BEGINNING_RUN = (
    "++ Job started\n++++ processing begin run: run: 1 time: 0\n++++++++ module for begin run: "
    "badmod\n"
)
TRACED = (
    "++ Job started\n++++ source event\n++++ finished source event\n++++ processing event: run: "
    "4711 subRun: 3 event: 3 time: 0\n"
    "++++++ processing path for event: reco\n++++++++ module for event: gen\n"
    "++++++++ finished for event: gen\n"
    "++++++++ module for event: badmod\n"
)


@pytest.mark.parametrize(
    ("signal", "out", "err", "expected"),
    [
        (11, STARTED + BEGUN + TRACED, "", ("SIGSEGV", "event", "badmod", "4711/3/3")),
        (11, STARTED + CONSTRUCTING, "", ("SIGSEGV", "construction", "badmod", "")),
        (11, STARTED + BEGINNING_RUN, "", ("SIGSEGV", "beginRun", "badmod", "")),
        (
            9,
            STARTED + BEGUN + HIT.replace("MSG-s", "MSG-w"),
            "",
            ("SIGKILL", "event loop", None, "4711/3/1"),
        ),
        (
            9,
            STARTED + BEGUN + message("no calibration", POST.replace("ArtException", "Calib")),
            "",
            ("SIGKILL", "event loop", None, "4711/3/1"),
        ),
        (
            6,
            STARTED + BEGUN,
            "User signal SIGINT terminating the process\n",
            ("SIGINT", "event loop", None, "4711/3/1"),
        ),
        (6, STARTED + BEGUN, UNCAUGHT, ("std::runtime_error", "event loop", None, "4711/3/1")),
        (9, STARTED + BEGUN + closing(0) + STARTED, "", ("SIGKILL", "construction", None, "")),
    ],
)
def test_crash_tells_how_far_the_log_came(
    signal: int, out: str, err: str, expected: tuple[str, ...]
) -> None:
    assert told(find(128 + signal, out, err, signal)) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("art: foo.cc:12: int f(): Assertion `x > 0' failed.", "Assertion `x > 0' failed."),
        ("free(): invalid pointer", "free(): invalid pointer"),
        (" *** Break *** segmentation violation", "*** Break *** segmentation violation"),
    ],
)
def test_last_words_of_a_crash_are_part_of_its_message(line: str, words: str) -> None:
    assert words in find(134, STARTED, f"{line}\nAborted\n", 6)["message"]


def test_clean_end_after_a_signal_is_not_its_phase() -> None:
    ending = (
        "%MSG-i ToyAna:  ToyAna:ana@EndJob 24-Nov-2026 14:50:55 UTC ModuleEndJob\nanalyzed\n%MSG\n"
    )

    assert (
        find(143, STARTED + BEGUN + ending + closing(143), "Art has handled signal 15.\n")["phase"]
        == "event loop"
    )


def test_process_that_contradicts_arts_closing_line_is_believed() -> None:
    found = find(
        3,
        STARTED + BEGUN + "TrigReport        Run    Success      Error Name\n" + closing(0),
        UNUSED,
    )

    assert found["message"].startswith(
        "the process ended with code 3, though art's closing line says 0"
    )


def test_severe_message_of_a_module_explains_what_nothing_else_does() -> None:
    said = message(
        "no calibration",
        "Calib:  ToyFail:badmod@BeginModule  24-Nov-2026 14:50:53 UTC run: 4711 subRun: 3 event: 7",
    )

    assert told(find(1, STARTED + BEGUN + said)) == ("Calib", "event", "badmod", "4711/3/7")


def test_suppressed_failures_are_counted_by_kind() -> None:
    header = (
        "%MSG-w BadHit:  ToyFail:badmod@BeginModule 24-Nov-2026 14:50:53 UTC  run: 4711 subRun: "
        "3 event: {}\n"
    )
    body = (
        "Failing path reco, due to exception,\nmessage:\n" + block("BadHit", "no hits") + "\n%MSG\n"
    )
    harmless = "%MSG-w Clock:  Early 24-Nov-2026 14:50:53 UTC JobSetup\nslow\n%MSG\n"
    text = STARTED + "".join(header.format(event) + body for event in range(1, 4)) + harmless

    (entry,) = failure.find_suppressed(
        SimpleNamespace(code=0, logs=[("stdout", text.encode(), False)])
    )

    assert (entry["category"], entry["path"], entry["count"], entry["event"]) == (
        "BadHit",
        "reco",
        3,
        "1",
    )
    assert (failure.say_suppressed([entry]) or "").endswith("(3 times)")


@pytest.mark.parametrize(
    "inside",
    [
        "---- A BEGIN\n" * 4000,
        "\n" * 60_000,
        "thrown while processing module" + " \n" * 30_000,
        "---- " * 12_000,
        "a/" * 30_000,
    ],
    ids=["blocks", "blank", "waiting", "dashes", "slashes"],
)
def test_hostile_log_is_read_in_time(inside: str) -> None:
    """Quadratic patterns took 10 to 30 seconds for these; now it is some milliseconds."""
    begun = time.process_time()

    find(1, f"%MSG-s ArtException: \n{inside}\n")

    assert time.process_time() - begun < 2


def test_log_that_only_begins_like_a_closing_line_is_one_run() -> None:
    assert artlog.failing_run("Art has completed" * 10) == "Art has completed" * 10
