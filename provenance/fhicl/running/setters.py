"""Which option of a command line set a parameter of what ran."""

import re

from jobprov.provenance.fhicl.running.command_line import ArtOptions, option_word

_SCHEDULER = r"services\.scheduler"
_SET_BY = (
    ("process-name", r"process_name"),
    ("prune-config", rf"{_SCHEDULER}\.pruneConfig"),
    ("report-unused", rf"{_SCHEDULER}\.reportUnused"),
    ("source", r"source\.fileNames(\[\d+\])?"),
    ("source-list", r"source\.fileNames(\[\d+\])?"),
    ("nevts", r"source\.maxEvents"),
    ("estart", r"source\.first(Run|SubRun|Event)"),
    ("nskip", r"source\.skipEvents"),
    ("TFileName", r"services\.TFileService\.fileName"),
    ("output", r"outputs\.\w+\.(fileName|module_type)"),
    ("tmpdir", r"(services\.TFileService|outputs\.\w+)\.tmpDir"),
    ("tmpDir", r"(services\.TFileService|outputs\.\w+)\.tmpDir"),
    ("parallelism", rf"{_SCHEDULER}\.num_(schedules|threads)"),
    ("nschedules", rf"{_SCHEDULER}\.num_schedules"),
    ("nthreads", rf"{_SCHEDULER}\.num_threads"),
    ("rethrow-all", rf"{_SCHEDULER}\.(defaultExceptions|IgnoreCompletely|SkipEvent|Fail\w+)"),
    ("rethrow-default", rf"{_SCHEDULER}\.defaultExceptions"),
    ("errorOnMissingConsumes", rf"{_SCHEDULER}\.errorOnMissingConsumes"),
    ("errorOnSIGINT", rf"{_SCHEDULER}\.errorOnSIGINT"),
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


def option_that_set(key: str, options: ArtOptions) -> str | None:
    """Return the option that set a parameter, as it is written on a command line.

    None where none did.
    """
    for name, keys in _SET_BY:
        if name in options and re.fullmatch(keys, key):
            return " ".join([option_word(name), *options.texts(name)])
    return None
