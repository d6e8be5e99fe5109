"""The forms in which art, ROOT, LArSoft and the message facility say that something failed.

They follow the sources of art 1 to 3, canvas, cetlib, fhicl-cpp, messagefacility and
art_root_io, and logs that NOvA, LArSoft, SBN and Mu2e published; names are our own.
"""

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobprov.provenance.capture.logs import failure
from jobprov.provenance.capture.logs.clues import Clues
from jobprov.provenance.capture.logs.configured_modules import ConfiguredModules

POST = "ArtException:  PostEndJob 24-Nov-2026 14:50:52 UTC ModuleEndJob"
EARLY = "ArtException:  Early 24-Nov-2026 14:50:52 UTC JobSetup"
LAST_MADE = (
    "ArtException:  TriggerResultInserter:TriggerResults@Construction"
    "  24-Nov-2026 14:50:52 UTC ModuleConstruction"
)
IN_EVENT = (
    "The above exception was thrown while processing module exp::Fit/fit run: 1 subRun: 0 event: 9"
)
BEGUN = (
    "Begin processing the 201st record. run: 1 subRun: 0 event: 201 at 24-Nov-2026 14:50:53 UTC\n"
)
FCL = b"""
#include "base.fcl"
BEGIN_PROLOG
exp_fit: { module_type: "exp/Reco/Fit" iterations: 3 }
exp_reco: { fit: { @table::exp_fit } }
END_PROLOG
source: { module_type: RootInput }
physics.producers: @local::exp_reco
physics.analyzers.dump: { module_type: Dump  inner: { module_type: "NotThis" } }
"""


def block(name: str, *inside: str) -> str:
    lines = [f"  {line}" for part in inside for line in part.splitlines()]
    return "\n".join([f"---- {name} BEGIN", *lines, f"---- {name} END"])


def message(body: str, header: str = POST) -> str:
    return f"%MSG-s {header}\ncet::exception caught in art\n{body}\n%MSG\n"


def find(
    code: int, out: str = "", err: str = "", signal: int | None = None, clues: Clues | None = None
) -> dict[str, Any]:
    logs = [("stdout", out.encode(), False), ("stderr", err.encode(), False)]
    outcome = SimpleNamespace(code=code, signal=signal, error=None, logs=logs)
    return failure.find(outcome, clues or Clues([FCL]))


GALLERY = block(
    "ProductNotFound",
    "Failed to find product for ",
    "  type = 'std::vector<exp::Hit>'",
    "  module = 'hits'",
    "  productInstance = 'top'",
    "  process='Reco'",
)
LONG = "larexamples/DebuggingExamples/CatchException/Exploder"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            block(
                "StdException",
                f"A std::exception occurred during a call to the module {LONG}/exploder"
                " run: 1 subRun: 0 event: 1",
                "and cannot be repropagated.",
                "Previous information:",
                "vector::_M_range_check: __n (which is 5) >= this->size() (which is 5)",
            ),
            {
                "module_type": LONG,
                "module_label": "exploder",
                "event": "1",
                "message": "vector::_M_range_check: __n (which is 5) >=",
            },
        ),
        (
            block(
                "ProductNotFound",
                "Found zero products matching all selection criteria",
                "  C++ type: std::vector<exp::Track>",
                "  Module label: 'gem'",
                "  Product instance name: 'long'",
                "  Process name: (empty)",
                IN_EVENT,
            ),
            {
                "product": "std::vector<exp::Track> of gem:long",
                "module_label": "fit",
                "message": "Found zero products matching all selection criteria: std::vector<exp",
            },
        ),
        (
            block(
                "ProductNotFound",
                "getByLabel: Found zero products matching all criteria",
                "Looking for type: std::vector<exp::Hit>",
                "Looking for module label: hits",
                "Looking for productInstanceName: ",
                f"cet::{IN_EVENT[10:]}".replace("was thrown while processing", "going through"),
            ),
            {"product": "std::vector<exp::Hit> of hits", "module_label": "fit", "event": "9"},
        ),
        (
            block(
                "ProductRegistrationFailure",
                "ProductInserter::getProductDescription_: error while trying to retrieve product description:",
                "No product is registered for",
                "  process name:                'Reco'",
                "  module label:                'fit'",
                "  product class name:          'int'",
                "  product friendly class name: 'int'",
                "  product instance name:       'extra'",
                "  branch type:                 'Event'",
                IN_EVENT,
            ),
            {
                "product": "int instance extra",
                "message": (
                    "ProductInserter::getProductDescription_: error while trying to retrieve "
                    "product description: No product is registered for int instance extra"
                ),
            },
        ),
        (
            block(
                "LogicError",
                "ProductInserter::checkPutProducts The following products have been declared with"
                " 'produces',",
                "but they have not been placed onto the event:",
                "=========================",
                "Branch Type = Event",
                "Process Name = Detsim",
                "ModuleLabel = trig",
                "Branch ID = 1585150159",
                "Class Name = std::vector<raw::Trigger>",
                "Friendly Class Name = raw::Triggers",
                "Product Instance Name = ",
                "=========================",
                IN_EVENT,
            ),
            {
                "product": "std::vector<raw::Trigger>",
                "message": (
                    "ProductInserter::checkPutProducts The following products have been declared "
                    "with 'produces', but they have not been placed onto the event: "
                    "std::vector<raw::Trigger>"
                ),
            },
        ),
        (
            block(
                "FatalRootError",
                "Fatal Root Error: TFile::Write",
                "file /dev/null not opened in write mode",
                "ROOT severity: 2000",
            ),
            {
                "message": "Fatal Root Error: TFile::Write: file /dev/null not opened in write mode ("
            },
        ),
        (
            block(
                "FileOpenError",
                block(
                    "FatalRootError",
                    "Fatal Root Error: TStreamerInfo::BuildCheck",
                    "The StreamerInfo of class exp::Spill read from file x.root",
                    "has the same version (=15) as the active class but a different checksum.",
                    "ROOT severity: 2000",
                ),
            ),
            {
                "category": "FileOpenError > FatalRootError",
                "message": (
                    "Fatal Root Error: TStreamerInfo::BuildCheck: The StreamerInfo of class "
                    "exp::Spill read from file x.root has the same version"
                ),
            },
        ),
        (
            block(
                "OtherArt",
                block("TPCGeo", "no plane for view #2", "cet::exception going through module "),
            ),
            {"category": "TPCGeo", "message": "no plane for view #2 ("},
        ),
        (
            block("BadExceptionType", f"string {IN_EVENT[4:].replace('above', '')}", "no hits"),
            {"message": "no hits (", "module_label": "fit"},
        ),
        (
            block(
                "DictionaryNotFound", "No dictionary found for the following classes:", "", "exp::A"
            ),
            {"message": "No dictionary found for the following classes: exp::A ("},
        ),
    ],
)
def test_failure_in_an_event_is_read_to_the_point(body: str, expected: dict[str, str]) -> None:
    path = block("ScheduleExecutionFailure", "Path: ProcessingStopped.", body)
    text = message(
        block("OtherArt", block("EventProcessorFailure", "EventProcessor: an exc", path))
    )

    found = find(1, text)

    assert {name: found.get(name) for name in expected if name != "message"} == {
        name: value for name, value in expected.items() if name != "message"
    }
    assert found["message"].startswith(expected.get("message", ""))


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (
            9,
            message(
                block(
                    "Configuration",
                    "FailedInputSource Configuration of main input source has failed",
                    block("TransferWrapper", "no Init event came"),
                ),
                LAST_MADE,
            ),
            {
                "category": "Configuration > TransferWrapper",
                "module_label": "source",
                "module_type": "RootInput",
                "phase": "construction",
                "message": (
                    "FailedInputSource Configuration of main input source has failed: "
                    "no Init event came (RootInput/source, construction)"
                ),
            },
        ),
        (
            65,
            message(
                block(
                    "ProductRegistrationFailure",
                    "An error occurred during a call to 'produces' or 'reconstitutes'."
                    " An attempt was made to declare the following product in the same module:",
                    "Branch type: Event",
                    "Class name: std::vector<exp::Hit>",
                    "Product instance name: top",
                ),
                "ArtException:  exp/Reco/Fit:fit@Construction  24-Nov-2026 14:50:52 UTC ModuleConstruction",
            ),
            {
                "product": "std::vector<exp::Hit> instance top",
                "module_type": "exp/Reco/Fit",
                "module_label": "fit",
                "phase": "construction",
            },
        ),
        (
            9,
            message(
                block(
                    "Configuration",
                    "The following error occurred while processing the path configurations:",
                    "Entry with name softcutt in path reco does not have a module configuration.",
                ),
                "ArtException: ",
            ),
            {
                "category": "Configuration",
                "module_label": "softcutt",
                "path": "reco",
                "phase": "parse",
                "message": (
                    "Entry with name softcutt in path reco does not have a module configuration. "
                    "(module softcutt, parse)"
                ),
            },
        ),
        (
            9,
            message(
                block(
                    "Configuration",
                    "The following were encountered while processing the module configurations:",
                    "  ERROR: Module with label p of type PFilter is configured as a producer but"
                    " defined in code as a filter.",
                ),
                EARLY,
            ),
            {"module_label": "p", "module_type": "PFilter", "phase": "construction"},
        ),
        (
            9,
            message(
                block(
                    "Configuration",
                    "The following were encountered while processing the module configurations:",
                    "  ERROR: Configuration of module with label fit encountered the following error:",
                ).replace("---- Configuration END", "")
                + block(
                    "Configuration",
                    "Unable to load requested library /o/libexp_Reco_Fit_module.so",
                    "/o/libexp_Reco_Fit_module.so: undefined symbol: exp::Fit::go()",
                )
                + "\n---- Configuration END",
                EARLY,
            ),
            {
                "category": "Configuration",
                "library": "/o/libexp_Reco_Fit_module.so",
                "symbol": "exp::Fit::go()",
                "module_label": "fit",
                "module_type": "Fit",
                "message": (
                    "Unable to load requested library /o/libexp_Reco_Fit_module.so: "
                    "undefined symbol: exp::Fit::go() (Fit/fit, construction)"
                ),
            },
        ),
        (
            69,
            block(
                "Other error",
                block(
                    "Configuration error",
                    "MessageLoggerScribe:  Exception caught while processing plugin spec.",
                    block(
                        "Configuration",
                        'Library specification "kafka" does not correspond to any library in '
                        'CET_PLUGIN_PATH of type "mfPlugin"',
                    ),
                ),
            ),
            {
                "category": "Configuration",
                "plugin": "kafka",
                "phase": "message facility",
                "message": 'Library specification "kafka" does not correspond',
            },
        ),
        (
            65,
            message(
                block(
                    "OtherArt",
                    "ServiceCreation",
                    block("Can't find key", "SampleFreq"),
                    "cet::exception caught during construction of service type exp::Clock:",
                )
            ),
            {
                "category": "Can't find key",
                "service": "exp::Clock",
                "parameter": "SampleFreq",
                "phase": "services",
                "message": "SampleFreq (service exp::Clock, services)",
            },
        ),
        (
            65,
            message(
                block(
                    "Type mismatch",
                    "Unsuccessful attempt to convert FHiCL parameter 'pMax' to type 'double'.",
                    "[Specific error:]",
                    block("Type mismatch", "error in float string:", "abc"),
                ),
                "ArtException:  Gen:gen@Construction  24-Nov-2026 14:50:52 UTC ModuleConstruction",
            ),
            {"category": "Type mismatch", "parameter": "pMax", "module_label": "gen"},
        ),
        (
            1,
            GALLERY,
            {
                "category": "ProductNotFound",
                "product": "std::vector<exp::Hit> of hits:top:Reco",
                "message": "Failed to find product for std::vector<exp::Hit> of hits:top:Reco",
            },
        ),
        (
            134,
            (
                "terminate called after throwing an instance of 'cet::coded_exception<art::errors>'\n"
                f"  what():  {GALLERY}\nAborted (core dumped)\n"
            ),
            {"category": "ProductNotFound", "product": "std::vector<exp::Hit> of hits:top:Reco"},
        ),
        (
            9,
            message(block("Configuration", "BadPluginLibrary: no symbols for label fit"), EARLY),
            {"module_label": "fit", "module_type": "exp/Reco/Fit"},
        ),
    ],
)
def test_failure_before_the_first_event_is_read_to_the_point(
    code: int, text: str, expected: dict[str, str]
) -> None:
    found = find(code, f"{text}Art has completed and will exit with status {code}.\n")

    assert {name: found.get(name) for name in expected if name != "message"} == {
        name: value for name, value in expected.items() if name != "message"
    }
    assert found["message"].startswith(expected.get("message", ""))


def test_both_failures_of_a_job_are_told_each_with_its_place() -> None:
    first = block("EventProcessorFailure", block("BadHit", "no hits", IN_EVENT))
    second = block(
        "EndJobFailure",
        "cet::exception caught in Schedule::endJob",
        block("StdException", "Dump/dump during endJob disk full"),
    )

    found = find(1, message(f"{first}\n{second}"))

    assert (found["category"], found["module_label"], found["event"]) == ("BadHit", "fit", "9")
    (other,) = found["also"]
    assert (other["category"], other["module_type"], other["phase"]) == (
        "StdException",
        "Dump",
        "endJob",
    )
    assert found["message"] == (
        "no hits (exp::Fit/fit, run 1 subRun 0 event 9); and StdException: disk full "
        "(Dump/dump, endJob)"
    )


def test_of_two_modules_configured_wrongly_the_first_is_told() -> None:
    def error(label: str, kind: str) -> str:
        return (
            f"ERROR: Configuration of module with label {label} encountered the following error:\n"
            + block(
                "Configuration",
                f'Library specification "{kind}" does not correspond to any library in'
                ' CET_PLUGIN_PATH of type "module"',
            )
        )

    found = find(
        9, message(block("Configuration", error("one", "One"), error("two", "Two")), EARLY)
    )

    assert (found["module_label"], found["module_type"]) == ("one", "One")
    assert '"One"' in found["message"]


def test_missing_plugin_path_is_said() -> None:
    text = message(
        block(
            "Configuration",
            'Library specification "One" does not correspond to any library in CET_PLUGIN_PATH'
            ' of type "service"',
        ),
        EARLY,
    )

    said = [find(65, text, clues=Clues(is_path_set=is_set)) for is_set in (False, True)]

    assert "CET_PLUGIN_PATH is not set (service One, services)" in said[0]["message"]
    assert "is not set" not in said[1]["message"]


def test_path_of_a_database_that_cannot_be_written_is_that_of_the_command_line() -> None:
    text = message(
        block(
            "OtherArt",
            "ServiceCreation",
            block("SQLExecutionError", "Failed to open SQLite database", "Return code: 14"),
            "cet::exception caught during construction of service type art::TimeTracker:",
        )
    )

    found = find(1, text, clues=Clues(argv=["art", "--timing-db", "/no/where.db"]))

    assert found["file"] == "/no/where.db"
    assert found["message"].startswith("Failed to open SQLite database: --timing-db /no/where.db (")


def test_last_event_of_a_log_that_was_cut_is_that_of_the_database(tmp_path: Path) -> None:
    path = tmp_path / "timing.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE TimeEvent(Run, SubRun, Event, Time)")
    database.execute(
        "CREATE TABLE TimeModule(Run, SubRun, Event, Path, ModuleLabel, ModuleType, Time)"
    )
    rows = [(1, 0, event, "p", "fit", "Fit", 0.1) for event in range(1, 287)]
    database.executemany("INSERT INTO TimeModule VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()

    found = find(137, BEGUN, signal=9, clues=Clues(databases=[str(path)]))

    assert (found["event"], found["event_from"]) == ("286", "timing.db")
    assert found["message"].endswith("in or after run 1 subRun 0 event 286 by timing.db)")
    assert find(137, BEGUN, signal=9, clues=Clues(databases=[__file__]))["event"] == "201"


def test_process_that_ended_itself_is_told_with_the_contradiction() -> None:
    ending = "%MSG-i Dump:  Dump:dump@EndJob 24-Nov-2026 14:50:55 UTC ModuleEndJob\ndone\n%MSG\n"
    found = find(3, BEGUN + ending + "Art has completed and will exit with status 0.\n")

    assert (found["category"], found["phase"]) == ("exited itself", "event loop")
    assert "code 3, though art's closing line says 0" in found["message"]


@pytest.mark.parametrize(
    "frame",
    [
        "#7  0x00007f5b in exp::Fit::produce(art::Event&) () from /o/lib/libexp_Reco_Fit_module.so",
        "#7  exp::Fit::produce (this=0x1, e=...) at /b/exp/Reco/Fit_module.cc:52",
    ],
)
def test_stack_of_a_crash_names_the_module(frame: str) -> None:
    stack = (
        "*** Break *** segmentation violation\n#0  0x01 in wait4 () from /lib64/libc.so.6\n"
        "#3  0x02 in Other::go() () from /o/lib/libexp_Other_module.so\n"
        "The lines below might hint at the cause of the crash.\n"
        f"#6  0x03 in exp::sum(int) () from /o/lib/libexp_Reco.so\n{frame}\n"
        "#8  0x04 in art::Worker::run() () from /o/lib/libart_Framework.so\n"
    )

    found = find(139, BEGUN, stack, signal=11, clues=Clues([FCL.replace(b"exp/Reco/", b"")]))

    assert (found["category"], found["module_type"], found["module_label"]) == (
        "SIGSEGV",
        "Fit",
        "fit",
    )
    assert found["function"] == "exp::Fit::produce"


def test_library_that_lacks_a_symbol_names_its_module() -> None:
    line = "art: symbol lookup error: /o/libexp_Dump_module.so: undefined symbol: _ZN3exp2goEv\n"

    found = find(127, BEGUN, line)

    assert (found["module_type"], found["module_label"]) == ("Dump", "dump")
    assert (found["library"], found["symbol"]) == ("/o/libexp_Dump_module.so", "_ZN3exp2goEv")


@pytest.mark.parametrize(
    ("label", "expected"),
    [("fit", "exp/Reco/Fit"), ("source", "RootInput"), ("dump", "Dump"), ("other", None)],
)
def test_type_of_a_label_is_found_through_references(label: str, expected: str | None) -> None:
    assert ConfiguredModules([FCL]).type_of(label) == expected


def test_label_of_a_type_that_two_modules_have_is_not_known() -> None:
    twice = b"physics.producers: { a: { module_type: Fit } b: { module_type: Fit } c: {module_type: One} }"

    assert ConfiguredModules([twice]).label_of("Fit") is None
    assert ConfiguredModules([twice]).label_of("One") == "c"
    assert ConfiguredModules([FCL]).label_of("exp/Reco/Fit") == "fit"


def test_references_in_a_circle_end() -> None:
    circle = b"a: @local::b\nb: { @table::c }\nc: @local::a\nmodule_type: x\n"

    assert ConfiguredModules([circle]).type_of("a") is None
    assert ConfiguredModules([b"{" * 100_000 + b"module_type: X" + b"}" * 10]).label_of("X") is None


EVENTS = "%MSG-i MF_INIT_OK:  Early 24-Nov-2026 14:50:51 UTC JobSetup\n%MSG\n" + BEGUN
WELL = "Art has completed and will exit with status 0.\n"
NOT_FOUND = "./job.sh: line 9: pushOutput: command not found\n"


@pytest.mark.parametrize(
    ("out", "err"),
    [
        (EVENTS + WELL + NOT_FOUND, ""),
        (EVENTS + WELL, NOT_FOUND),
        ("TrigReport\n" + WELL, EVENTS + NOT_FOUND),
        (EVENTS + WELL + EVENTS + WELL + NOT_FOUND, ""),
    ],
    ids=["one log", "two logs", "events to stderr", "twice"],
)
def test_script_that_fails_after_art_ended_well_is_told_after_art(out: str, err: str) -> None:
    found = find(127, out, err, clues=Clues(is_script=True))

    assert found == {"phase": "after art", "message": f"{NOT_FOUND.strip()} (after art)"}


def test_program_that_fails_after_art_tells_its_own_failure() -> None:
    traceback = "Traceback (most recent call last)\n  ...\nKeyError: 'sequencer'\n"

    found = find(1, EVENTS + WELL, traceback, clues=Clues(is_script=True))

    assert (found["category"], found["message"]) == ("KeyError", "'sequencer' (after art)")
    assert "event" not in found


@pytest.mark.parametrize(
    ("out", "err"),
    [
        (EVENTS + WELL + EVENTS, ""),
        ("TrigReport\n" + WELL, EVENTS + EVENTS),
    ],
    ids=["one log", "events to stderr"],
)
def test_second_run_of_art_that_breaks_off_is_told_with_its_event(out: str, err: str) -> None:
    found = find(139, out, err, clues=Clues(is_script=True))

    assert (found["phase"], found["event"]) == ("event loop", "201")


def test_script_that_fails_without_a_word_after_art_is_told_so() -> None:
    found = find(3, EVENTS + WELL, clues=Clues(is_script=True))

    assert found == {"phase": "after art", "message": "nothing was printed after art ended well"}


def test_log_of_the_program_that_failed_tells_before_its_script() -> None:
    """`lar > lar.out 2> lar.err`, and a script that looks for what is not there, as condor_lar.sh."""
    logs = [
        ("stdout", b"lar exit status: 3\n", False),
        ("stderr", b"grep: *.json: No such file or directory\n", False),
        ("lar.out", b"begin\nno event was read\n", False),
        ("lar.err", b"Geometry: cannot open dune10kt.gdml\nbye\n", False),
        ("clean.log", b"clean: failed to remove x\n", False),
    ]
    outcome = SimpleNamespace(code=3, signal=None, error=None, logs=logs)
    clues = Clues(is_script=True, own_logs=["lar.out", "lar.err"])

    assert failure.find(outcome, clues) == {"message": "Geometry: cannot open dune10kt.gdml"}


def test_script_in_python_says_why_the_program_that_it_called_failed() -> None:
    said = (
        "ifdh cp: error: no space on server\nTraceback (most recent call last):\n  ...\n"
        "subprocess.CalledProcessError: Command 'ifdh cp a b' returned non-zero exit status 1.\n"
    )

    found = find(1, EVENTS, said, clues=Clues(is_script=True))

    assert found["category"] == "subprocess.CalledProcessError"
    assert found["message"] == (
        "Command 'ifdh cp a b' returned non-zero exit status 1. ifdh cp: error: no space on server"
    )


def test_trace_of_the_shell_around_python_is_not_what_the_called_program_said() -> None:
    said = (
        "+ set_up --on-error stop\n++ export A=1\n+ exec python3 job.py\n"
        "Traceback (most recent call last):\n  ...\n"
        "subprocess.CalledProcessError: Command 'push out' returned non-zero exit status 127.\n"
    )

    found = find(1, EVENTS, said, clues=Clues(is_script=True))

    assert found["message"] == "Command 'push out' returned non-zero exit status 127."
