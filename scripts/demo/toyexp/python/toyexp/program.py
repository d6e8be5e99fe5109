"""The program: reads its configuration, runs source, producers, filters, analyzers and outputs, and ends as art ends."""

import argparse
import resource
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toyexp import VERSION, catalog, events, fcl, messages, modules, timing
from toyexp.errors import CommandLineError, ConfigurationError, ToyError

_STANDARD_ERROR = 66
_OUT_OF_MEMORY = 68


def main(arguments: Sequence[str]) -> int:
    """Run the job that the command line describes and return its exit code."""
    messages.info("MF_INIT_OK", "Early", f"toy {VERSION}: message logger initialization complete.")
    try:
        run(_command_line(arguments))
        status = 0
    except ToyError as error:
        messages.severe(error.category, str(error))
        status = error.exit_code
    except MemoryError:
        messages.severe("BadAlloc", "A bad_alloc exception was thrown: out of memory")
        status = _OUT_OF_MEMORY
    except Exception as error:  # noqa: BLE001  whatever a module raises ends the job in the same orderly way
        messages.severe(
            "StdException", f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        )
        status = _STANDARD_ERROR
    messages.closing(status)
    return status


def _command_line(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="toy", exit_on_error=False)
    parser.add_argument("-c", "--config", required=True, help="fcl file")
    parser.add_argument(
        "-s", "--source", action="append", default=[], help="input file; may be repeated"
    )
    parser.add_argument(
        "-o", "--output", action="append", default=[], help="[LABEL:]FILE; may be repeated"
    )
    parser.add_argument("-T", "--TFileName", help="what the analyzer writes")
    parser.add_argument("-n", "--nevts", type=int, default=-1, help="number of events")
    try:
        return parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        raise CommandLineError(str(error)) from error


def run(options: argparse.Namespace) -> None:
    """Run the job.

    Raises:
        ToyError: what stopped it, as a class of its own each.
    """
    started = time.monotonic()
    configuration = fcl.load(options.config)
    physics = configuration.get("physics", fcl.Table())
    services = configuration.get("services", fcl.Table())
    _limit_cpu(services.get("limits", fcl.Table()).get("cpuSeconds", 0))
    reporting = services.get("message", fcl.Table()).get("reportEvery", 100)
    if "source" not in configuration:
        raise ConfigurationError(f"{options.config} names no source")
    source = modules.make("source", configuration["source"])
    made = {
        label: modules.make(label, table)
        for kind in ("producers", "filters", "analyzers")
        for label, table in physics.get(kind, {}).items()
    }
    tracker, reading = timing.TimeTracker(), time.perf_counter()
    columns, parents = source.read(options.source, options.nevts)
    tracker.source(configuration["source"]["module_type"], columns, time.perf_counter() - reading)
    _report(columns, reporting)
    columns, accepted = _run_paths(columns, physics, made, tracker)
    for label in physics.get("end_path", []):
        with tracker.module("end_path", label, type(made[label]).__name__, columns):
            made[label].analyze(columns, _analyzer_file(options))
    outputs = _outputs(configuration, options)
    common = _common_metadata(configuration, options, parents)
    passed = sum(
        _write(columns, accepted, label, output, common, tracker=tracker)
        for label, output in outputs.items()
    )
    if database := timing.database(services):
        tracker.write(database)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    messages.summary(
        total=events.length(columns),
        passed=passed if outputs else events.length(columns),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        real_seconds=time.monotonic() - started,
    )


def _limit_cpu(seconds: int) -> None:
    """Have the system stop this program by SIGXCPU once it used that much CPU time.

    0 sets no limit.
    """
    if seconds:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        resource.setrlimit(
            resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1])
        )


def _report(columns: events.Columns, every: int) -> None:
    for index in range(0, events.length(columns), every):
        numbers = (int(columns[name][index]) for name in ("run", "subrun", "event"))
        messages.begin_event(index + 1, *numbers)


def _run_paths(
    columns: events.Columns, physics: fcl.Table, made: dict[str, Any], tracker: timing.TimeTracker
) -> tuple[events.Columns, dict[str, Any]]:
    """Return the completed events, and for each trigger path one boolean an event."""
    accepted: dict[str, Any] = {}
    for path in physics.get("trigger_paths", []):
        for label in physics[path]:
            if label not in made:
                raise ConfigurationError(
                    f"path {path} names the module {label}, which is not configured"
                )
            module = made[label]
            with tracker.module(path, label, type(module).__name__, columns, module):
                if hasattr(module, "produce"):
                    columns = module.produce(columns)
                else:
                    mask = module.passes(columns)
                    accepted[path] = accepted[path] & mask if path in accepted else mask
    return columns, accepted


def _analyzer_file(options: argparse.Namespace) -> str:
    if not options.TFileName:
        raise CommandLineError("an analyzer is configured: name its file with -T FILE")
    return str(options.TFileName)


def _outputs(configuration: fcl.Table, options: argparse.Namespace) -> dict[str, fcl.Table]:
    outputs: dict[str, fcl.Table] = configuration.get("outputs", fcl.Table())
    for spoken in options.output:
        label, separator, name = spoken.partition(":")
        if not separator:
            label, name = next(iter(outputs), ""), spoken
        if label not in outputs:
            raise CommandLineError(f"-o {spoken}: no output is called {label!r}")
        outputs[label].give("fileName", name, "the command line")
    return outputs


def _write(
    columns: events.Columns,
    accepted: dict[str, Any],
    label: str,
    output: fcl.Table,
    common: dict[str, Any],
    *,
    tracker: timing.TimeTracker,
) -> int:
    """Write one output with its metadata beside it, and return how many events went there."""
    kept = columns
    for path in output.get("SelectEvents", []):
        kept = events.chosen(kept, accepted[path])
    kept = events.dropped(kept, output.get("dropProducts", []))
    own = {
        key: output[name]
        for key, name in (("data_tier", "dataTier"), ("data_stream", "dataStream"))
        if name in output
    }
    metadata = {**common, **own, **events.span(kept)}
    name = output["fileName"]
    with tracker.module("end_path", label, "RootOutput(write)", kept):
        events.write(name, kept, metadata)
    Path(f"{name}.json").write_text(catalog.declaration(name, metadata), encoding="ascii")
    messages.info(
        "FileSummary", f"RootOutput:{label}@EndJob", f"{name}: {metadata['event_count']} events"
    )
    return int(metadata["event_count"])


def _common_metadata(
    configuration: fcl.Table, options: argparse.Namespace, parents: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what all outputs share; tier and stream are the first parent's unless an output has its own."""
    inherited = parents[0] if parents else {}
    return {
        "data_tier": inherited.get("data_tier"),
        "data_stream": inherited.get("data_stream"),
        "file_format": "root",
        "file_type": "mc",
        "application": {
            "family": "toyexp",
            "name": configuration.get("process_name", "Toy"),
            "version": VERSION,
        },
        "parents": [Path(name).name for name in options.source],
    }
