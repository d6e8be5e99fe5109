"""What art adds to every configuration after its options.

Source: art's `BasicPostProcessor`; in art 3.06 to 3.08 it also copied `physics.trigger_paths`.
"""

from jobprov.provenance.fhicl.running.errors import RefusedError
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
