"""What art's options set, add and remove, in the order in which art looks at them.

Source: art's `BasicOptionsHandler`, `BasicSourceOptionsHandler`, `BasicOutputOptionsHandler`,
`ProcessingOptionsHandler` and `DebugOptionsHandler`; the same rules in art 3.06 to 3.15.
"""

import re

from jobprov.provenance.fhicl.running.command_line import REPORTS_UNUSED, ArtOptions, option_word
from jobprov.provenance.fhicl.running.errors import NotKnownError, RefusedError
from jobprov.provenance.fhicl.running.facts import Facts
from jobprov.provenance.fhicl.running.working_set import WorkingSet
from jobprov.provenance.fhicl.values import SEQUENCE, STRING

_SCHEDULER = ("services", "scheduler")
_MESSAGE = ("services", "message")
_DESTINATIONS = (*_MESSAGE, "destinations")
_WRITTEN = ("config-summary", "config-out", "debug-config", "validate-config")
_STREAM = re.compile(r"([A-Za-z0-9]+):(?:/[^/]|[^/]).*", re.ASCII)
_EVENT = re.compile(r"\s*(\d+)\s*:\s*(\d+)\s*:\s*(\d+)\s*", re.ASCII)
_FIRST = {"firstRun": 1, "firstSubRun": 0, "firstEvent": 1}
_LARGEST_NUMBER = (1 << 32) - 2
_NO_PATHS = ("analyzers", "filters", "producers", "end_paths", "trigger_paths")
_OUTPUTS_WITH_TMPDIR = {"RootOutput": True, "FileDumperOutput": False}
_OF_SCHEDULER = r"services\.scheduler"
# Which parameters an option sets, for whoever asks what set one
_SET_BY = (
    ("process-name", r"process_name"),
    ("prune-config", rf"{_OF_SCHEDULER}\.pruneConfig"),
    ("report-unused", rf"{_OF_SCHEDULER}\.reportUnused"),
    ("source", r"source\.fileNames(\[\d+\])?"),
    ("source-list", r"source\.fileNames(\[\d+\])?"),
    ("nevts", r"source\.maxEvents"),
    ("estart", r"source\.first(Run|SubRun|Event)"),
    ("nskip", r"source\.skipEvents"),
    ("TFileName", r"services\.TFileService\.fileName"),
    ("output", r"outputs\.\w+\.(fileName|module_type)"),
    ("tmpdir", r"(services\.TFileService|outputs\.\w+)\.tmpDir"),
    ("tmpDir", r"(services\.TFileService|outputs\.\w+)\.tmpDir"),
    ("parallelism", rf"{_OF_SCHEDULER}\.num_(schedules|threads)"),
    ("nschedules", rf"{_OF_SCHEDULER}\.num_schedules"),
    ("nthreads", rf"{_OF_SCHEDULER}\.num_threads"),
    ("rethrow-all", rf"{_OF_SCHEDULER}\.(defaultExceptions|IgnoreCompletely|SkipEvent|Fail\w+)"),
    ("rethrow-default", rf"{_OF_SCHEDULER}\.defaultExceptions"),
    ("errorOnMissingConsumes", rf"{_OF_SCHEDULER}\.errorOnMissingConsumes"),
    ("errorOnSIGINT", rf"{_OF_SCHEDULER}\.errorOnSIGINT"),
    ("trace", r"services\.Tracer(\..*)?"),
    ("timing", r"services\.TimeTracker(\..*)?"),
    ("timing-db", r"services\.TimeTracker(\..*)?"),
    ("memcheck-db", r"services\.MemoryTracker(\..*)?"),
    ("sam-web-uri", r"services\.CatalogInterface\.webURI"),
    ("sam-process-id", r"services\.FileCatalogMetadata\.processID|source\.fileNames(\[\d+\])?"),
    ("sam-application-family", r"services\.FileCatalogMetadata\.applicationFamily"),
    ("sam-app-family", r"services\.FileCatalogMetadata\.applicationFamily"),
    ("sam-application-version", r"services\.FileCatalogMetadata\.applicationVersion"),
    ("sam-app-version", r"services\.FileCatalogMetadata\.applicationVersion"),
    ("sam-group", r"services\.FileCatalogMetadata\.group"),
    ("sam-file-type", r"services\.FileCatalogMetadata\.fileType"),
    ("sam-run-type", r"services\.FileCatalogMetadata\.runType"),
    ("sam-data-tier", r"outputs\.\w+\.dataTier"),
    ("sam-stream-name", r"outputs\.\w+\.streamName"),
)


def set_basics(work: WorkingSet, options: ArtOptions) -> None:
    """Set the process name, and what becomes of unused modules."""
    name = options.text("process-name")
    if name is not None:
        work.put_text(("process_name",), name)
    is_pruned, is_reported = options.switch("prune-config"), options.switch("report-unused")
    work.put_switch((*_SCHEDULER, "pruneConfig"), is_on=is_pruned is not False)
    if is_reported is None:
        is_reported = REPORTS_UNUSED[options.program]
    work.put_switch((*_SCHEDULER, "reportUnused"), is_on=is_reported)


def set_source(work: WorkingSet, options: ArtOptions, facts: Facts) -> None:
    """Set the input files, and the events to process."""
    names, listed = options.texts("source"), options.text("source-list")
    if listed is not None:
        if names:
            raise RefusedError("art refuses --source-list with source files beside it.")
        names = _listed_sources(listed, facts)
    if names or listed is not None:
        work.put_texts(("source", "fileNames"), names)
    events = options.number("nevts")
    if events is not None:
        work.put_number(("source", "maxEvents"), events)
    start = options.text("estart")
    if start is not None:
        _set_first_event(work, start)
    skipped = options.number("nskip")
    if skipped is not None:
        work.put_number(("source", "skipEvents"), skipped % (1 << 64))


def _listed_sources(name: str, facts: Facts) -> list[str]:
    """Return the source files that a list names, a line each; comments begin with #."""
    if facts.listed_sources is not None:
        return list(facts.listed_sources)
    text = facts.source_lists.get(name)
    if text is None:
        raise NotKnownError(f"The record does not hold the source list {name} (-S).")
    lines = [line.partition("#")[0] for line in text.split("\n")]
    return [line for line in lines if line]


def _set_first_event(work: WorkingSet, start: str) -> None:
    match = _EVENT.fullmatch(start)
    if match is None:
        raise RefusedError(f"art refuses --estart {start[:40]}: it is no RUN:SUBRUN:EVENT.")
    for (name, least), digits in zip(_FIRST.items(), match.groups(), strict=True):
        number = int(digits[:20])  # too long a number is out of range by its first digits already
        if not least <= number <= _LARGEST_NUMBER:
            raise RefusedError(f"art refuses --estart {start[:40]}: {number} is out of range.")
        work.put_number(("source", name), number)


def set_outputs(work: WorkingSet, options: ArtOptions, facts: Facts) -> None:
    """Set the names of output files, add output modules, or remove them all."""
    _set_histogram_file(work, options.text("TFileName"))
    outputs = options.texts("output")
    if "no-output" in options:
        if outputs:
            raise RefusedError("art refuses --no-output with --output.")
        _remove_outputs(work)
    for place, output in enumerate(outputs):
        _set_output(work, output, facts, is_first=place == 0)
    folder = options.text("tmpdir") or options.text("tmpDir")
    if folder:
        _set_tmpdir(work, folder)


def _set_histogram_file(work: WorkingSet, name: str | None) -> None:
    """Set the file of histograms; an empty name gives an empty TFileService the usual one."""
    if name is None:
        return
    service = work.find("services", "TFileService")
    if not name and service is not None and not work.table("services", "TFileService"):
        name = "hist.root"
    if name:
        work.put_text(("services", "TFileService", "fileName"), name)


def _set_output(work: WorkingSet, output: str, facts: Facts, *, is_first: bool) -> None:
    if ("outputs",) not in work:
        work.put_empty_table(("outputs",))
    work.check_changeable(("outputs",))
    modules = work.table("outputs")
    match = _STREAM.fullmatch(output)
    if match is not None:
        label, file_name = match[1], output[len(match[1]) + 1 :]
    elif not is_first:
        raise RefusedError("art refuses a second --output without LABEL: before the file.")
    elif len(modules) > 1:
        raise RefusedError("art refuses --output without LABEL: there are several outputs.")
    else:
        label, file_name = next(iter(modules), "out"), output
    is_new = label not in modules
    if is_new:
        work.put_text(("outputs", label, "module_type"), _default_output(label, facts))
    work.put_text(("outputs", label, "fileName"), file_name)
    if is_new:
        _inject_end_path(work, label)


def _default_output(label: str, facts: Facts) -> str:
    """Return the type of an output module that only the command line asks for."""
    known = facts.output_types.get(label)
    if known is not None:
        return known
    if facts.has_root_output is None:
        raise NotKnownError(
            f"Whether art had RootOutput is not known, so the type of output {label} is not."
        )
    return "RootOutput" if facts.has_root_output else "FileDumperOutput"


def _inject_end_path(work: WorkingSet, label: str) -> None:
    """Put a new output module into an end path of its own."""
    if ("physics",) not in work:
        work.put_empty_table(("physics",))
    work.check_changeable(("physics",))
    physics = work.table("physics")
    number = 1
    while f"injected_end_path_{number}" in physics:
        number += 1
    path = f"injected_end_path_{number}"
    work.put_texts(("physics", path), [label])
    end_paths = work.find("physics", "end_paths")
    if end_paths is not None:
        if end_paths.kind != SEQUENCE:
            raise RefusedError("art refuses the configuration: physics.end_paths is no sequence.")
        work.put_text(("physics", "end_paths", len(end_paths.body.items)), path)


def _remove_outputs(work: WorkingSet) -> None:
    """Remove the output modules, and their labels from all paths."""
    for label in work.table("outputs"):
        work.check_changeable(("physics",))
        for name, value in work.table("physics").items():
            if name in _NO_PATHS or value.kind != SEQUENCE:
                continue
            if _is_empty_without(work, name, label):
                _is_empty_without(work, "end_paths", name)
                work.erase("physics", name)
    work.erase("outputs")


def _is_empty_without(work: WorkingSet, path: str, label: str) -> bool:
    """Remove a label from a path; return whether the path is there, and has no other."""
    value = work.find("physics", path)
    if value is None:
        return False
    if value.kind != SEQUENCE:
        raise RefusedError(f"art refuses the configuration: physics.{path} is no sequence.")
    items = []
    for item in value.body.items:
        if item.kind != STRING or item.text != f'"{label}"':
            items.append(item)
    if len(items) < len(value.body.items):
        work.replace_sequence(("physics", path), items)
    return not items


def _set_tmpdir(work: WorkingSet, folder: str) -> None:
    if ("services", "TFileService") in work:
        work.put_text(("services", "TFileService", "tmpDir"), folder)
    for label in work.table("outputs"):
        kind = work.text("outputs", label, "module_type")
        if kind is None:
            continue
        takes_tmpdir = _OUTPUTS_WITH_TMPDIR.get(kind)
        if takes_tmpdir is None:
            raise NotKnownError(f"Whether output module {kind} takes --tmpdir is not known.")
        if takes_tmpdir:
            work.put_text(("outputs", label, "tmpDir"), folder)


def set_processing(work: WorkingSet, options: ArtOptions, facts: Facts) -> None:
    """Set how exceptions and signals are handled, and the numbers of threads and schedules."""
    if "rethrow-all" in options or "rethrow-default" in options:
        work.put_switch((*_SCHEDULER, "defaultExceptions"), is_on=False)
    if "rethrow-all" in options:
        for name in ("IgnoreCompletely", "SkipEvent", "FailModule", "FailPath"):
            work.put_sequence((*_SCHEDULER, name), [])
    for name, default in (("errorOnMissingConsumes", False), ("errorOnSIGINT", True)):
        given = options.switch(name)
        if given is not None:
            work.put_switch((*_SCHEDULER, name), is_on=given)
        elif (*_SCHEDULER, name) not in work:
            work.put_switch((*_SCHEDULER, name), is_on=default)
    _set_threads(work, options, facts)


def _set_threads(work: WorkingSet, options: ArtOptions, facts: Facts) -> None:
    both = options.number("parallelism")
    schedules, threads = options.number("nschedules"), options.number("nthreads")
    if both is not None:
        schedules = threads = _threads(both, facts)
    elif threads is not None:
        threads = _threads(threads, facts)
    for name, number in (("num_schedules", schedules), ("num_threads", threads)):
        if number is not None:
            work.put_number((*_SCHEDULER, name), number)
        elif (*_SCHEDULER, name) not in work:
            work.put_number((*_SCHEDULER, name), 1)


def _threads(asked: int, facts: Facts) -> int:
    """Return a number of threads; 0 asks for as many as the machine lets art have."""
    if asked:
        return asked
    if facts.most_threads is None:
        raise NotKnownError("How many threads the machine had for art is not known (-j 0).")
    return facts.most_threads


def set_debugging(work: WorkingSet, options: ArtOptions) -> None:
    """Set what is written of the configuration, the trackers, and the log's destinations."""
    work.erase(*_SCHEDULER, "debug")
    work.erase(*_SCHEDULER, "configOut")
    _set_written(work, options)
    graph = options.text("data-dependency-graph")
    if graph is not None:
        work.put_text((*_SCHEDULER, "dataDependencyGraph"), graph)
    _set_trackers(work, options)
    _set_messages(work)
    diagnostics = options.text("mt-diagnostics")
    if diagnostics is not None:
        _set_diagnostics(work, diagnostics)


def _set_written(work: WorkingSet, options: ArtOptions) -> None:
    written = next((name for name in _WRITTEN if name in options), None)
    if written is None:
        return
    value = options.text(written) or ""
    mode = "raw"
    if written == "config-summary":
        mode = value
    elif "annotate" in options:
        mode = "annotate"
    elif "prefix-annotate" in options:
        mode = "prefix-annotate"
    work.put_text((*_SCHEDULER, "debug", "option"), written)
    work.put_text((*_SCHEDULER, "debug", "fileName"), value)
    work.put_text((*_SCHEDULER, "debug", "printMode"), mode)


def _set_trackers(work: WorkingSet, options: ArtOptions) -> None:
    if "trace" in options:
        work.put_empty_table(("services", "Tracer"))
    elif "no-trace" in options:
        work.erase("services", "Tracer")
    database = options.text("timing-db")
    if "timing" in options or database is not None:
        work.put_empty_table(("services", "TimeTracker"))
        if database is not None:
            work.put_text(("services", "TimeTracker", "dbOutput", "filename"), database)
    elif "no-timing" in options:
        work.erase("services", "TimeTracker")
    database = options.text("memcheck-db")
    if database is not None:
        work.put_text(("services", "MemoryTracker", "dbOutput", "filename"), database)
    elif "no-memcheck" in options:
        work.erase("services", "MemoryTracker")


def _set_messages(work: WorkingSet) -> None:
    """Set the default destination, and silence MTdiagnostics in every destination."""
    if _MESSAGE not in work:
        standard = (*_DESTINATIONS, "STDOUT")
        work.put_number((*standard, "categories", "ArtReport", "limit"), 100)
        work.put_number((*standard, "categories", "default", "limit"), -1)
        work.put_text((*standard, "type"), "cout")
        work.put_text((*standard, "threshold"), "INFO")
    if _DESTINATIONS not in work:
        raise RefusedError("art refuses services.message without destinations.")
    for name in work.table(*_DESTINATIONS):
        if name != "statistics":
            work.put_number((*_DESTINATIONS, name, "categories", "MTdiagnostics", "limit"), 0)
    statistics = (*_DESTINATIONS, "statistics")
    for name in work.table(*statistics):
        work.put_number((*statistics, name, "categories", "MTdiagnostics", "limit"), 0)


def _set_diagnostics(work: WorkingSet, place: str) -> None:
    if place.lower() in ("stdout", "cout"):
        standard = (*_DESTINATIONS, "STDOUT")
        work.put_number((*standard, "categories", "MTdiagnostics", "limit"), -1)
        return
    destination = (*_DESTINATIONS, "MTdiagnostics")
    if place.lower() in ("stderr", "cerr"):
        work.put_text((*destination, "type"), "cerr")
    else:
        work.put_text((*destination, "type"), "file")
        work.put_text((*destination, "filename"), place)
    work.put_number((*destination, "categories", "MTdiagnostics", "limit"), -1)
    work.put_number((*destination, "categories", "default", "limit"), 0)


def option_that_set(key: str, options: ArtOptions) -> str | None:
    """Return the option that set a parameter, as it is written on a command line.

    None where none did.
    """
    for name, keys in _SET_BY:
        if name in options and re.fullmatch(keys, key):
            return " ".join([option_word(name), *options.texts(name)])
    return None
