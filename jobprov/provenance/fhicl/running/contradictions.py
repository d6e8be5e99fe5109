"""Compares a configuration as parsed with the one that art wrote for the same run.

Between reading and running, art adds parameters (for options of the command line, `module_label`
and `service_type`, services of its own) and prunes modules and paths that nothing reaches. So the
two never have the same ParameterSetID. Only differences that art does not make count as
contradictions.

Source: art 3.15, `art/Framework/Art` (option handlers, post-processing, prune), and its
configurations of 57 real jobs.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jobprov.provenance.fhicl.configuration import Configuration

_ART_SETS = re.compile(
    r"process_name$"
    r"|(physics\.)?(trigger_paths|end_paths)\b"
    r"|source\b"
    r"|services\.(scheduler|message|TimeTracker|MemoryTracker|Tracer)\b"
    r"|services\.(CatalogInterface|FileTransfer|FileCatalogMetadata|IFDH)\b"
    r"|services\.TFileService\.(fileName|tmpDir|service_type)$"
    r"|services\.\w+\.service_type$"
    r"|(outputs|physics\.(producers|filters|analyzers))\.\w+\.module_label$"
    # -o, --sam-data-tier, --sam-stream-name
    r"|outputs\.\w+\.(fileName|tmpDir|dataTier|streamName)$"
    # -o where no output is configured
    r"|outputs\.defaultOutput\.module_type$|physics\.injected_end_path_\d+\b"
)
_ART_PRUNES = re.compile(r"(physics|outputs)\b")


class DifferingValue(NamedTuple):
    """A parameter that two configurations have otherwise; a value is None where it is absent."""

    path: str
    before: str | None
    after: str | None


def contradictions(parsed: Configuration, ran: Configuration) -> Iterator[DifferingValue]:
    """Yield each difference between what was parsed and what ran that art did not make."""
    before, after = _not_set_by_art(parsed), _not_set_by_art(ran)
    for path, value in before.items():
        if path in after:
            if after[path] != value:
                yield DifferingValue(path, value, after[path])
        elif not _ART_PRUNES.match(path):
            yield DifferingValue(path, value, None)
    for path, value in after.items():
        if path not in before:
            yield DifferingValue(path, None, value)


def values_that_differ(one: Configuration, other: Configuration) -> Iterator[DifferingValue]:
    """Yield each difference between two configurations."""
    before = {parameter.path: parameter.canonical for parameter in one.parameters()}
    after = {parameter.path: parameter.canonical for parameter in other.parameters()}
    # Those of the first in its order, then what the other one alone has
    for path in {**before, **after}:
        if before.get(path) != after.get(path):
            yield DifferingValue(path, before.get(path), after.get(path))


def _not_set_by_art(configuration: Configuration) -> dict[str, str]:
    """Return the canonical values by path, without those that art sets itself."""
    values = {}
    for parameter in configuration.parameters():
        if not _ART_SETS.match(parameter.path):
            values[parameter.path] = parameter.canonical
    return values
