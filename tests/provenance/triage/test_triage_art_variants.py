"""From a log to what a shifter reads: class, category, module, message, advice and cause.

Failures as LArSoft jobs of SBN print them: in art, canvas, ROOT, XRootD, IFDatabase, Geant4, GENIE
and C++ itself. The texts follow their sources; names are our own.
"""

from types import SimpleNamespace
from typing import NamedTuple

import pytest

from jobprov.provenance.capture.logs import failure
from jobprov.provenance.capture.logs.clues import Clues
from jobprov.provenance.triage.built_in import PREFIX, built_in_rules
from jobprov.provenance.triage.causes import name_cause
from jobprov.provenance.triage.rules import Failure, find_rule, log_end

FCL = b"""
physics.producers: {
  daq: { module_type: "expcode/DetSim/SimWire" }
  hits: { module_type: HitFinder }
}
"""
WHEN = "24-Nov-2026 14:50:52 UTC"
POST, EARLY = (
    f"ArtException:  PostEndJob {WHEN} ModuleEndJob",
    f"ArtException:  Early {WHEN} JobSetup",
)
SOURCE = f"ArtException:  RootInput:source@Construction {WHEN} ModuleConstruction"
EVENT = "run: 14480 subRun: 12 event: 33"
BEGUN = f"Begin processing the 3rd record. {EVENT} at {WHEN}\n"
THROWN = "The above exception was thrown while processing module"


def block(name: str, *inside: str) -> str:
    lines = [f"  {line}" for part in inside for line in part.splitlines()]
    return "\n".join([f"---- {name} BEGIN", *lines, f"---- {name} END"])


def message(body: str, header: str = POST) -> str:
    return f"%MSG-s {header}\ncet::exception caught in art\n{body}\n%MSG\n"


def in_event(body: str, header: str = POST) -> str:
    """Return the message of an exception in an event, with art's wrappers around it."""
    path = block("ScheduleExecutionFailure", "Path: ProcessingStopped.", body)
    words = "EventProcessor: an exception occurred during current event processing"
    return BEGUN + message(block("EventProcessorFailure", words, path), header)


class Read(NamedTuple):
    """What is shown of a failure."""

    rule: str
    category: str
    module: str
    message: str
    cause: str


def read(code: int, out: str, err: str = "", signal: int | None = None) -> Read:
    logs = [("stdout", out.encode(), False), ("stderr", err.encode(), False)]
    outcome = SimpleNamespace(code=code, signal=signal, error=None, logs=logs)
    found = failure.find(outcome, Clues([FCL]))
    category, words = found.get("category"), found.get("message")
    exit_code = code if signal is None else None
    failed = Failure("failed", exit_code, signal, "lar", "art", category, words)
    ends = [log_end(name, content, 0) for name, content, _ in reversed(logs)]
    match = find_rule(built_in_rules(), failed, ends)
    assert match is not None
    rule = match.rule
    cause = name_cause(failed, rule.class_name, rule, found)
    module = found.get("service") or found.get("module_label") or ""
    return Read(rule.name.removeprefix(PREFIX), category or "", module, words or "", cause.words)


CASES = {
    "pointer to a product that was dropped": (
        1,
        in_event(
            block(
                "ProductNotFound",
                "A request to resolve an art::Ptr to a product containing items of type: "
                "simb::MCParticle with ProductID 2954128273",
                "cannot be satisfied because the product cannot be found.",
                f"{THROWN} CAFMaker/caf {EVENT}",
            )
        ),
        "",
        Read(
            "pointed-to-absent",
            "ProductNotFound",
            "caf",
            "with ProductID 2954128273 cannot be satisfied because the product cannot be found.",
            "caf: A request to resolve an art::Ptr",
        ),
    ),
    "no such file in dCache": (
        20,
        message(
            block(
                "FileOpenError",
                block(
                    "FatalRootError",
                    "Fatal Root Error: TNetXNGFile::Open",
                    "[ERROR] Server responded with an error: [3011] No such file",
                ),
                "RootInputFileSequence::initFile(): Input file root://h.org//pnfs/a.root was not found",
            ),
            SOURCE,
        ),
        "",
        Read(
            "xrootd-file-missing",
            "FileOpenError > FatalRootError",
            "source",
            "[3011] No such file",
            "source: RootInputFileSequence::initFile(): Input file … was not found",
        ),
    ),
    "no proxy": (
        20,
        message(
            block(
                "FileOpenError",
                block(
                    "FatalRootError",
                    "Fatal Root Error: TNetXNGFile::Open",
                    "[FATAL] Auth failed: No protocols left to try",
                ),
            ),
            SOURCE,
        ),
        "",
        Read(
            "xrootd-refused", "FileOpenError > FatalRootError", "source", "Auth failed", "source: "
        ),
    ),
    "conditions server": (
        1,
        in_event(
            block(
                "OtherArt",
                block(
                    "WebError",
                    "Can't retrieve data from https://db.org:9443/app/data?f=pmt&t=1701: "
                    "HTTP error: status: 504: Gateway Timeout",
                ),
                f"{THROWN} OpHitFinder/ophit {EVENT}",
            )
        ),
        "",
        Read(
            "conditions-server",
            "WebError",
            "ophit",
            "504: Gateway Timeout (OpHitFinder/ophit",
            "ophit: Can't retrieve data from … HTTP error: status: N: Gateway Timeout",
        ),
    ),
    "unwritable TFileService": (
        22,
        message(
            block(
                "FatalRootError",
                "Fatal Root Error: TFile::TFile",
                "file /nowhere/h.root can not be opened No such file or directory",
            ),
            EARLY,
        ),
        "",
        Read(
            "output-folder",
            "FatalRootError",
            "",
            "file /nowhere/h.root can not be opened",
            "Fatal Root Error: TFile::TFile: file … can not be opened",
        ),
    ),
    "process name used twice": (
        9,
        message(
            block(
                "Configuration",
                "The process name Reco1 was previously used on these products.",
                "Please modify the configuration file to use a distinct process name.",
            ),
            f"ArtException:  RootInput:source@BeginJob {WHEN}",
        ),
        "",
        Read("process-name-used", "Configuration", "source", "process name Reco1", "source: The"),
    ),
    "service that cannot be made": (
        65,
        message(
            block(
                "StdException",
                "ServiceCreation std::exception caught during construction of service type "
                "exp::ChannelStatus: bad lexical cast",
            ),
            EARLY,
        ),
        "",
        Read(
            "service-construction",
            "StdException",
            "exp::ChannelStatus",
            "bad lexical cast (service exp::ChannelStatus, services)",
            "exp::ChannelStatus: ",
        ),
    ),
    "geometry not on the search path": (
        65,
        message(
            block("Geometry", "cannot find the geometry file exp.gdml in FW_SEARCH_PATH."), EARLY
        ),
        "",
        Read(
            "file-not-on-search-path", "Geometry", "", "exp.gdml in FW_SEARCH_PATH", "cannot find"
        ),
    ),
    "two modules that are not there": (
        9,
        message(
            block(
                "Configuration",
                "The following were encountered while processing the module configurations:",
                *(
                    block(
                        "Configuration",
                        f"ERROR: Configuration of module with label {label} encountered the following error:",
                        block(
                            "Configuration",
                            f'Library specification "{kind}" does not correspond to any library in '
                            'CET_PLUGIN_PATH of type "module"',
                        ),
                    )
                    for label, kind in (("hits", "HitFindr"), ("crt", "Crt"), ("flash", "Flsh"))
                ),
            ),
            EARLY,
        ),
        "",
        Read(
            "plugin-not-found",
            "Configuration",
            "hits",
            'of type "module"; and 2 more (HitFindr/hits, construction)',
            "hits, HitFindr: ",
        ),
    ),
    "std::exception in an event": (
        1,
        in_event(
            block(
                "StdException",
                f"An exception was thrown while processing module TrackCalo/calo {EVENT}",
                "vector::_M_range_check: __n (which is 5) >= this->size() (which is 3)",
            )
        ),
        "",
        Read(
            "event-std-exception",
            "StdException",
            "calo",
            "vector::_M_range_check: __n (which is 5) >= this->size() (which is 3) (TrackCalo/calo",
            "calo: vector::_M_range_check",
        ),
    ),
    "exception of no type": (
        1,
        in_event(
            block(
                "Unknown",
                f"An unknown exception was thrown while processing module Pandora/pandora {EVENT}",
            )
        ),
        "",
        Read(
            "event-unknown-exception",
            "Unknown",
            "pandora",
            "An unknown exception (Pandora/pandora, run 14480 subRun 12 event 33)",
            "pandora: An unknown exception",
        ),
    ),
    "source, no catalog": (
        24,
        message(
            block("CatalogServiceError", "The SAM project exp_77 is not running."),
            f"ArtException:  PostSourceConstruction {WHEN} SourceConstruction",
        ),
        "",
        Read(
            "catalog-service",
            "CatalogServiceError",
            "",
            "The SAM project exp_77 is not running. (construction)",
            "The SAM project",
        ),
    ),
    "art's exception that nothing caught": (
        134,
        BEGUN,
        (
            "terminate called after throwing an instance of 'cet::coded_exception<art::errors::ErrorCodes>'\n"
            "  what():  ---- LogicError BEGIN\n  The view is not ready.\n---- LogicError END\n"
        ),
        Read(
            "not-caught-in-shell",
            "LogicError",
            "",
            "The view is not ready. (event loop, run 14480 subRun 12 event 33)",
            "The view is not ready.",
        ),
    ),
    "GENIE": (
        78,
        (
            "Begin processing the 1st record. run: 1 subRun: 0 event: 1 at 24-Nov-2026\n"
            "1706028910 FATAL GSpline : [n] <XSecSplineList.cxx::LoadFromXml (283)> : No tune G18 there\n"
            "1706028911 FATAL GSpline : [n] <XSecSplineList.cxx::LoadFromXml (284)> : Exiting\n"
        ),
        "",
        Read("genie", "GENIE > GSpline", "", "No tune G18 there (event loop", "No tune G18 there"),
    ),
}
G4 = """
-------- WWWW ------- G4Exception-START -------- WWWW -------
*** G4Exception : Had001
      issued by : G4HadronicProcess
Only a warning
*** This is just a warning message. ***
-------- EEEE ------- G4Exception-START -------- EEEE -------
*** G4Exception : GeomNav0003
      issued by : G4Navigator::ComputeStep()
Track stuck, not moving for 25 steps
in volume volCryostat
*** Fatal Exception *** core dump ***
-------- EEEE -------- G4Exception-END --------- EEEE -------
"""
STACK = """ *** Break *** segmentation violation
#4  <signal handler called>
#5  0x00007f5e in exp::SimWire::produce(art::Event&) () from /lib/libexpcode_DetSim_SimWire_module.so
"""
CRASHES = {
    "Geant4": (
        6,
        BEGUN + G4,
        "",
        Read(
            "geant4",
            "G4Exception > GeomNav0003",
            "",
            "Track stuck, not moving for 25 steps in volume volCryostat, "
            "issued by G4Navigator::ComputeStep() (event loop, in or after run 14480",
            "Track stuck, not moving for N steps in volume volCryostat",
        ),
    ),
    "check of a library": (
        6,
        BEGUN,
        "2026-11-24 14:50:52.123: F tensorflow/core/tensor.cc:681] Check failed: dtype() == 1\n",
        Read("check-failed", "SIGABRT", "", "Check failed: dtype() == 1", "ended by SIGABRT: "),
    ),
    "exception that nothing caught": (
        6,
        BEGUN,
        (
            "terminate called after throwing an instance of 'pandora::StatusCodeException'\n"
            "  what():  STATUS_CODE_INVALID_PARAMETER\n"
        ),
        Read(
            "not-caught",
            "pandora::StatusCodeException",
            "",
            "STATUS_CODE_INVALID_PARAMETER (event loop",
            "STATUS_CODE_INVALID_PARAMETER",
        ),
    ),
    "crash in a module whose type has folders": (
        11,
        BEGUN,
        STACK,
        Read(
            "crash",
            "SIGSEGV",
            "daq",
            "segmentation violation in exp::SimWire::produce (in SimWire/daq",
            "daq, libexpcode_DetSim_SimWire_module.so: ",
        ),
    ),
}


def check(found: Read, expected: Read) -> None:
    assert found[:3] == expected[:3]
    assert expected.message in found.message
    assert found.cause.startswith(expected.cause)


@pytest.mark.parametrize("name", CASES)
def test_failure_is_read_to_the_point(name: str) -> None:
    code, out, err, expected = CASES[name]

    check(read(code, out, err), expected)


@pytest.mark.parametrize("name", CRASHES)
def test_crash_is_read_to_the_point(name: str) -> None:
    signal, out, err, expected = CRASHES[name]

    check(read(128 + signal, out, err, signal), expected)


def test_these_failures_are_causes_of_their_own() -> None:
    found = [read(code, out, err) for code, out, err, _ in CASES.values()]

    assert len({each.cause for each in found}) == len(CASES)
