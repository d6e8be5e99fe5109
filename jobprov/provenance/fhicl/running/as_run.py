"""The configuration that art ran, computed from the one that it read.

art parses a configuration, lets its options change it, adds what every job needs, removes what does
not run, and gives the result its ParameterSetID. Files that it writes name that id.

Source: art's `run_art` and `artapp`.
"""

from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.running.command_line import ArtOptions
from jobprov.provenance.fhicl.running.errors import RefusedError
from jobprov.provenance.fhicl.running.facts import Facts
from jobprov.provenance.fhicl.running.options import (
    set_basics,
    set_debugging,
    set_outputs,
    set_processing,
    set_source,
)
from jobprov.provenance.fhicl.running.pruning import prune
from jobprov.provenance.fhicl.running.releases import rules_of
from jobprov.provenance.fhicl.running.sam_options import set_sam
from jobprov.provenance.fhicl.running.working_set import WorkingSet
from jobprov.provenance.fhicl.values import TABLE

_MODULES = (
    ("outputs",),
    ("physics", "producers"),
    ("physics", "filters"),
    ("physics", "analyzers"),
)
_NO_SERVICES = ("message", "scheduler")
_PROVIDERS = (
    ("CatalogInterface", "TrivialFileDelivery"),
    ("FileTransfer", "TrivialFileTransfer"),
)


def as_run(parsed: Configuration, options: ArtOptions, facts: Facts) -> Configuration:
    """Return the set that art ran.

    Args:
        parsed: the configuration that the command line names, as parsed.
        options: of the command line.
        facts: what else decides.

    Raises:
        NotKnownError: a rule or a fact is not known, or art refuses the configuration.
        FhiclError: a limit of the reader stopped it.
    """
    rules = rules_of(facts.release)
    work = WorkingSet(parsed)
    set_basics(work, options)
    set_source(work, options, facts)
    set_outputs(work, options, facts)
    set_processing(work, options, facts)
    set_debugging(work, options)
    set_sam(work, options)
    post_process(work)
    if not rules.numbers_paths:
        copy_trigger_paths(work)
    prune(work, rules)
    return work.configuration()


def post_process(work: WorkingSet) -> None:
    """Add process name, providers of files, source, labels of modules and types of services.

    Raises:
        RefusedError: a name has an underscore, or something is no table that must be one.
    """
    _check_process_name(work)
    for service, provider in _PROVIDERS:
        path = ("services", service, "service_provider")
        if path not in work:
            work.put_text(path, provider)
    _complete_source(work)
    work.put_text(("source", "module_label"), "source")
    for table in _MODULES:
        _add_module_labels(work, table)
    for name, value in work.table("services").items():
        work.check_changeable(("services", name))
        if value.kind != TABLE:
            raise RefusedError(f"art refuses the configuration: services.{name} is no table.")
        if name not in _NO_SERVICES:
            work.put_text(("services", name, "service_type"), name)


def copy_trigger_paths(work: WorkingSet) -> None:
    """Copy the trigger paths to a table of their own, as art did before 3.09."""
    paths = work.find("physics", "trigger_paths")
    if paths is not None:
        shared = paths.moved(paths.place, paths.offset, paths.protection)
        work.put(("trigger_paths", "trigger_paths"), shared)


def _check_process_name(work: WorkingSet) -> None:
    if ("process_name",) not in work:
        work.put_text(("process_name",), "DUMMY")
        return
    name = work.text("process_name")
    if not name:
        raise RefusedError("art refuses an empty process_name.")
    if "_" in name:
        raise RefusedError(f"art refuses process_name {name[:60]}: it has an underscore.")


def _complete_source(work: WorkingSet) -> None:
    kind = work.text("source", "module_type")
    has_files = ("source", "fileNames") in work
    if kind is None:
        kind = "RootInput" if has_files else "EmptyEvent"
        work.put_text(("source", "module_type"), kind)
    elif has_files and kind == "EmptyEvent":
        raise RefusedError("art refuses input files for the source EmptyEvent.")
    is_limited = ("source", "maxEvents") in work or ("source", "maxTime") in work
    if kind == "EmptyEvent" and not is_limited:
        work.put_number(("source", "maxEvents"), 1)


def _add_module_labels(work: WorkingSet, table: tuple[str, ...]) -> None:
    for label, value in work.table(*table).items():
        if "_" in label:
            raise RefusedError(f"art refuses the module label {label[:60]}: it has an underscore.")
        work.check_changeable((*table, label))
        if value.kind != TABLE:
            name = ".".join((*table, label))
            raise RefusedError(f"art refuses the configuration: {name} is no table.")
        work.put_text((*table, label, "module_label"), label)
