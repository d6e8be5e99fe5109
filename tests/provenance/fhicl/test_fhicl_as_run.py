"""The set that art ran, computed: as real jobs of art wrote it, and rule by rule."""

import json
from pathlib import Path

import pytest

from jobprov.provenance.fhicl import Configuration, load, loads
from jobprov.provenance.fhicl.running.as_run import as_run
from jobprov.provenance.fhicl.running.command_line import read_command_line
from jobprov.provenance.fhicl.running.errors import NotKnownError, RefusedError
from jobprov.provenance.fhicl.running.facts import Facts

NEWEST = Facts(release="v3_15_00", has_root_output=True)
BASE = """
process_name: Reco
physics: {
  producers: { gen: { module_type: Gen seed: 5 } unused: { module_type: Old } }
  filters: { cut: { module_type: Cut } }
  analyzers: { ana: { module_type: Ana } }
  reco: [ gen, "!cut" ]
  end1: [ ana ]
  spare: [ unused ]
  trigger_paths: [ reco ]
}
outputs: { out1: { module_type: RootOutput fileName: "a.root" } }
services: { TFileService: { fileName: "h.root" } message: { destinations: { log: { type: cout } } } }
"""
TRIGGERS = "trigger_paths.trigger_paths"
SCHEDULER = "services.scheduler"


def ran(text: str, *words: str, facts: Facts = NEWEST, program: str = "lar") -> Configuration:
    argv = [f"/products/bin/{program}", "-c", "job.fcl", *words]
    return as_run(loads(text), read_command_line(argv), facts)


def values(configuration: Configuration, *paths: str) -> dict[str, str | None]:
    """Return the canonical text at each path, None where there is none."""
    found = {parameter.path: parameter.canonical for parameter in configuration.parameters()}
    return {
        path: configuration.canonical_value(path)
        if any(other == path or other.startswith((f"{path}.", f"{path}[")) for other in found)
        else None
        for path in paths
    }


def test_every_real_job_ran_the_set_that_is_computed(shared_data: Path) -> None:
    """Jobs that wrote their set by --config-out, --debug-config or --validate-config."""
    jobs = shared_data / "art-jobs"
    release = jobs / "00-release"
    wrong, total = [], 0
    for job in sorted(jobs.iterdir()):
        for option, name in (
            ("--config-out", "config-out.fcl"),
            ("--debug-config", "config-debug.fcl"),
            ("--validate-config", "validated.fcl"),
        ):
            written = job / name
            if not written.exists():
                continue
            known = json.loads((job / "job.json").read_text())
            renamed = {"--config-out": option, "config-out.fcl": name}
            options = read_command_line([renamed.get(word, word) for word in known["command"]])
            folders = [job, release / "toyexp", release / "toycore"]
            facts = Facts(release=known["environment"]["ART_VERSION"])
            computed = as_run(load(job / "job.fcl", folders), options, facts)
            total += 1
            if computed.parameter_set_id != load(written).parameter_set_id:
                wrong.append(str(written))

    assert total >= 39
    assert wrong == []


def test_a_set_without_a_debug_table_has_the_id_in_the_process_history(shared_data: Path) -> None:
    """Job 78 is job 77 without --config-out; the facts about it name the id in art's own history."""
    jobs = shared_data / "art-jobs"
    release = jobs / "00-release"
    ids = []
    for job in ("77-provenance-ids", "78-provenance-ids-no-debug"):
        known = json.loads((jobs / job / "job.json").read_text())
        folders = [jobs / job, release / "toyexp", release / "toycore"]
        parsed = load(jobs / job / "job.fcl", folders)
        computed = as_run(parsed, read_command_line(known["command"]), Facts(release="3.15.00"))
        ids.append(computed.parameter_set_id)
    written = (jobs / "77-provenance-ids" / "config-out.fcl").read_text()
    without_debug = loads(written + f"{SCHEDULER}.debug: @erase\n")

    assert ids[0] == loads(written).parameter_set_id
    assert ids[1] == without_debug.parameter_set_id


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # what runs, and what art adds to every configuration
        (
            [],
            {
                "physics.producers.unused": None,
                "physics.spare": None,
                "physics.producers.gen.module_label": '"gen"',
                "outputs": None,
                "physics.trigger_paths": '["reco"]',
                "physics.end_paths": '["end1"]',
                TRIGGERS: '["0:reco"]',
                "services.TFileService.service_type": '"TFileService"',
                "services.message.service_type": None,
                "services.message.destinations.log.categories.MTdiagnostics.limit": "0",
                "services.CatalogInterface.service_provider": '"TrivialFileDelivery"',
                "source.module_type": '"EmptyEvent"',
                "source.maxEvents": "1",
                "source.module_label": '"source"',
                f"{SCHEDULER}.debug": None,
                f"{SCHEDULER}.num_threads": "1",
                f"{SCHEDULER}.errorOnSIGINT": "true",
                f"{SCHEDULER}.reportUnused": "true",
            },
        ),
        (
            ["--prune-config", "false", "--report-unused=no"],
            {
                "physics.producers.unused.module_label": '"unused"',
                "physics.spare": '["unused"]',
                "outputs.out1.module_label": '"out1"',
                f"{SCHEDULER}.pruneConfig": "false",
                f"{SCHEDULER}.reportUnused": "false",
            },
        ),
        # source
        (
            ["-n", "10", "-s", "a.root", "b.root", "--source=c.root"],
            {
                "source.fileNames": '["a.root","b.root","c.root"]',
                "source.maxEvents": "10",
                "source.module_type": '"RootInput"',
            },
        ),
        (["-n-1", "in.root"], {"source.maxEvents": "-1", "source.fileNames": '["in.root"]'}),
        (["--nevts", "-1"], {"source.maxEvents": "-1"}),
        (["-n", "1234567"], {"source.maxEvents": "1.234567e+6"}),
        (["--", "-n.root"], {"source.fileNames": '["-n.root"]'}),
        (
            ["-e", "6001:2:10", "--nskip", "5"],
            {
                "source.firstRun": "6001",
                "source.firstSubRun": "2",
                "source.firstEvent": "10",
                "source.skipEvents": "5",
            },
        ),
        # outputs
        (["-o", "new.root"], {"outputs": None}),
        (
            ["-o", "new.root", "--prune-config=0"],
            {"outputs.out1.fileName": '"new.root"', "physics.injected_end_path_1": None},
        ),
        (
            ["-o", "other:new.root"],
            {
                "outputs.out1": None,
                "outputs.other.module_type": '"RootOutput"',
                "outputs.other.fileName": '"new.root"',
                "outputs.other.module_label": '"other"',
                "physics.injected_end_path_1": '["other"]',
                "physics.end_paths": '["end1","injected_end_path_1"]',
            },
        ),
        (
            ["-o", "root://host/new.root", "--prune-config=0"],
            {"outputs.out1.fileName": '"root://host/new.root"'},
        ),
        (["-T", "hist.root"], {"services.TFileService.fileName": '"hist.root"'}),
        (
            ["--tmpDir", "scratch", "--prune-config=0"],
            {
                "services.TFileService.tmpDir": '"scratch"',
                "outputs.out1.tmpDir": '"scratch"',
            },
        ),
        # processing
        (["-j", "4"], {f"{SCHEDULER}.num_threads": "4", f"{SCHEDULER}.num_schedules": "4"}),
        (["--nthreads=2"], {f"{SCHEDULER}.num_threads": "2", f"{SCHEDULER}.num_schedules": "1"}),
        (["--errorOnSIGINT", "false"], {f"{SCHEDULER}.errorOnSIGINT": "false"}),
        (["--errorOnMissingConsumes"], {f"{SCHEDULER}.errorOnMissingConsumes": "true"}),
        (
            ["--rethrow-all"],
            {f"{SCHEDULER}.defaultExceptions": "false", f"{SCHEDULER}.SkipEvent": "[]"},
        ),
        (["--rethrow-default"], {f"{SCHEDULER}.SkipEvent": None}),
        # debugging
        (
            ["--config-out", "c.fcl", "--annotate"],
            {
                f"{SCHEDULER}.debug.option": '"config-out"',
                f"{SCHEDULER}.debug.fileName": '"c.fcl"',
                f"{SCHEDULER}.debug.printMode": '"annotate"',
            },
        ),
        (
            ["--config-summary"],
            {f"{SCHEDULER}.debug.printMode": '"brief"', f"{SCHEDULER}.debug.fileName": '"brief"'},
        ),
        (["--trace", "--timing"], {"services.Tracer.service_type": '"Tracer"'}),
        (["--memcheck-db", "m.db"], {"services.MemoryTracker.dbOutput.filename": '"m.db"'}),
        (["-g", "STDOUT"], {f"{SCHEDULER}.dataDependencyGraph": '"STDOUT"'}),
        (
            ["-M", "mt.log"],
            {
                "services.message.destinations.MTdiagnostics.filename": '"mt.log"',
                "services.message.destinations.MTdiagnostics.categories.default.limit": "0",
            },
        ),
        # SAM
        (
            ["--sam-file-type=mc", "--sam-data-tier", "reco", "--prune-config=false"],
            {
                "services.FileCatalogMetadata.fileType": '"mc"',
                "outputs.out1.dataTier": '"reco"',
                "outputs.out1.streamName": '"out1"',
            },
        ),
        (
            ["--sam-web-uri", "http://sam", "--sam-process-id", "77"],
            {
                "source.fileNames": '["77"]',
                "services.FileCatalogMetadata.processID": '"77"',
                "services.CatalogInterface.service_provider": '"IFCatalogInterface"',
                "services.IFDH.service_type": '"IFDH"',
            },
        ),
    ],
)
def test_options_and_defaults_make_what_art_makes(
    words: list[str], expected: dict[str, str | None]
) -> None:
    sam = "services.FileCatalogMetadata: {}\n"
    text = BASE + "outputs.out1.dataTier: x\n" if "--sam-web-uri" in words else BASE
    computed = ran(text + sam if "--sam-file-type=mc" in words else text, *words)

    assert values(computed, *expected) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        # without lists of paths, their modules say which are trigger paths
        (
            "physics.trigger_paths: @erase",
            {
                TRIGGERS: '["0:reco","1:spare"]',
                "physics.trigger_paths": '["0:reco","1:spare"]',
                "physics.producers.unused.module_label": '"unused"',
            },
        ),
        # empty places are counted, empty paths are blanked
        (
            "physics.none: [] physics.trigger_paths: [ none, @nil, reco ]",
            {
                TRIGGERS: '["2:reco"]',
                "physics.trigger_paths": '[@nil,@nil,"reco"]',
                "physics.none": None,
            },
        ),
        (
            'physics.trigger_paths: [ "7:reco", "7:reco" ]',
            {TRIGGERS: '["7:reco"]', "physics.trigger_paths": '["7:reco","7:reco"]'},
        ),
        (
            "physics: { analyzers: { ana: { module_type: Ana } } end1: [ ana ] }",
            {
                "physics.producers": None,
                TRIGGERS: None,
                "physics.end_paths": '["end1"]',
            },
        ),
        ("physics: { producers: { a: {} } }", {"physics": None, "outputs": None}),
        ("process_name: @erase", {"process_name": '"DUMMY"'}),
        ("source: { maxTime: 5 }", {"source.maxEvents": None}),
        (
            "services.message: @erase",
            {
                "services.message.destinations.STDOUT.type": '"cout"',
                "services.message.destinations.STDOUT.categories.ArtReport.limit": "100",
            },
        ),
        (
            "services.message.destinations.statistics: { sum: { type: cout } }",
            {
                "services.message.destinations.statistics.sum.categories.MTdiagnostics.limit": "0",
                "services.message.destinations.statistics.categories": None,
            },
        ),
        (
            f"{SCHEDULER}: {{ configOut: x debug: {{ option: y }} num_threads: 8 }}",
            {
                f"{SCHEDULER}.configOut": None,
                f"{SCHEDULER}.debug": None,
                f"{SCHEDULER}.num_threads": "8",
            },
        ),
        # what is protected stays as it is
        ("source: { maxEvents @protect_ignore: 3 }", {"source.maxEvents": "3"}),
    ],
)
def test_paths_and_additions_follow_the_configuration(
    more: str, expected: dict[str, str | None]
) -> None:
    computed = ran(f"{BASE}{more}\n", "-n", "9") if "protect" in more else ran(f"{BASE}{more}\n")

    assert values(computed, *expected) == expected


def test_no_output_empties_the_paths_of_outputs() -> None:
    text = f"{BASE}physics.stream: [out1] physics.end_paths: [end1, stream]\n"

    computed = ran(text, "--no-output")

    expected = {"outputs": None, "physics.stream": None, "physics.end_paths": '["end1"]'}
    assert values(computed, *expected) == expected


@pytest.mark.parametrize(
    ("release", "with_list", "without_list"),
    [
        ("v3_15_00", '["0:reco"]', '["0:reco","1:spare"]'),
        ("3.12.00", '["0:reco"]', '["0:reco","1:spare"]'),
        ("v3_11_00", '["0:reco"]', None),
        ("v3_09_03", '["0:reco"]', None),
        ("v3_08_00", '["reco"]', None),
    ],
)
def test_releases_write_paths_in_their_own_ways(
    release: str, with_list: str, without_list: str | None
) -> None:
    facts = Facts(release=release)

    listed = ran(BASE, facts=facts)
    unlisted = ran(f"{BASE}physics.trigger_paths: @erase\n", facts=facts)

    assert values(listed, TRIGGERS) == {TRIGGERS: with_list}
    assert values(unlisted, TRIGGERS) == {TRIGGERS: without_list}


@pytest.mark.parametrize(
    ("words", "more", "problem"),
    [
        (["--nevt", "5"], "", "no option --nevt"),
        (["-n", "x"], "", "--nevts cannot be x"),
        (["-n", "1", "-n", "2"], "", "stands there twice"),
        (["--timing", "--no-timing"], "", "--timing with --no-timing"),
        (["--help"], "", "--help"),
        (["-e", "0:0:1"], "", "out of range"),
        (["-e", "1:2"], "", "no RUN:SUBRUN:EVENT"),
        (["-o", "a.root", "-o", "b.root"], "", "without LABEL"),
        (["-S", "list", "x.root"], "", "--source-list"),
        ([], "process_name: a_b", "underscore"),
        ([], "physics.producers.a_b: {}", "underscore"),
        ([], "physics.analyzers.gen: {}", "module label gen"),
        ([], "physics.reco: [gen, gone]", "module gone is not there"),
        ([], "physics.trigger_paths: [gone]", "path gone is not there"),
        ([], "physics.trigger_paths: [end1]", "ana cannot be in it"),
        ([], "physics.x: 5", "no path"),
        ([], "physics.reco: ['-gen']", "gen is no filter"),
        ([], "source: { module_type: EmptyEvent fileNames: [a] }", "EmptyEvent"),
        ([], "services.message: {}", "without destinations"),
        (["-n", "5"], "source: { maxEvents @protect_error: 3 }", "protected"),
        (["--process-name", "it's"], "", "with '"),
    ],
)
def test_what_art_refuses_has_no_set_that_ran(words: list[str], more: str, problem: str) -> None:
    with pytest.raises(RefusedError, match=problem):
        ran(f"{BASE}{more}\n", *words)


@pytest.mark.parametrize(
    ("words", "facts", "program", "problem"),
    [
        ([], Facts(), "lar", "release of art"),
        ([], Facts(release="v3_05_00"), "lar", "v3_05_00 are not known"),
        ([], Facts(release="v4_00_00"), "lar", "v4_00_00 are not known"),
        ([], NEWEST, "nova", "What nova makes"),
        (["-j", "0"], NEWEST, "lar", "How many threads"),
        (["-S", "list.txt"], NEWEST, "lar", "source list list.txt"),
        (["-o", "x:y.root"], Facts(release="3.15.00"), "lar", "RootOutput is not known"),
        (["--tmpdir", "/t"], NEWEST, "lar", "Special takes --tmpdir"),
    ],
)
def test_what_is_not_known_is_not_guessed(
    words: list[str], facts: Facts, program: str, problem: str
) -> None:
    text = f"{BASE}outputs.out2: {{ module_type: Special }}\n" if "--tmpdir" in words else BASE
    with pytest.raises(NotKnownError, match=problem):
        ran(text, *words, facts=facts, program=program)


def test_known_facts_decide_what_the_command_line_leaves_open() -> None:
    facts = Facts(
        release="3.15.00",
        has_root_output=False,
        most_threads=16,
        source_lists={"list.txt": "# files\na.root\n\nb.root # the second\n"},
    )

    computed = ran(BASE, "-S", "list.txt", "-j", "0", "-o", "x:y.root", facts=facts)

    expected = {
        "source.fileNames": '["a.root","b.root "]',
        f"{SCHEDULER}.num_schedules": "16",
        "outputs.x.module_type": '"FileDumperOutput"',
    }
    assert values(computed, *expected) == expected


def test_the_parsed_configuration_stays_as_it_was() -> None:
    parsed = loads(f"{BASE}copied: @local::services\n")
    before = parsed.to_string()

    as_run(parsed, read_command_line(["art", "-c", "job.fcl", "--trace"]), NEWEST)

    assert parsed.to_string() == before
    assert loads(before).parameter_set_id == parsed.parameter_set_id


def test_programs_differ_in_whether_they_report_unused_modules() -> None:
    path = f"{SCHEDULER}.reportUnused"

    assert values(ran(BASE, program="mu2e"), path) == {path: "false"}
    assert values(ran(BASE, program="art"), path) == {path: "true"}
