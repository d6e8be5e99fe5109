"""What art's `--sam-…` options set.

Source: art's `FileCatalogOptionsHandler`; the same rules in art 3.06 to 3.15.
"""

from collections.abc import Mapping
from typing import NamedTuple

from jobprov.provenance.fhicl.running.command_line import ArtOptions
from jobprov.provenance.fhicl.running.errors import RefusedError
from jobprov.provenance.fhicl.running.working_set import WorkingSet
from jobprov.provenance.fhicl.values import TABLE

_CATALOG = ("services", "CatalogInterface")
_TRANSFER = ("services", "FileTransfer")
_METADATA = ("services", "FileCatalogMetadata")
_FOR_ALL = "_default"
# An output needs a data tier where one of them is set
_NEED_TIER = ("applicationFamily", "applicationVersion", "group", "fileType")


class _Inheritable(NamedTuple):
    """Metadata that the input files may give.

    Attributes:
        option: sets it.
        inheriting_option: has the input files give it.
        parameter: of art's service; what `--sam-inherit-metadata` calls it.
        name_in_sam: what its own option calls it.
    """

    option: str
    inheriting_option: str
    parameter: str
    name_in_sam: str


_FILE_TYPE = _Inheritable("sam-file-type", "sam-inherit-file-type", "fileType", "file_type")
_RUN_TYPE = _Inheritable("sam-run-type", "sam-inherit-run-type", "runType", "art.run_type")
_INHERITABLE = (_FILE_TYPE, _RUN_TYPE)


def set_sam(work: WorkingSet, options: ArtOptions) -> None:
    """Set the metadata of output files, and how input comes from SAM."""
    reads_from_sam = _set_process(work, options)
    _set_application(work, options)
    inherits_type = _set_inherited(work, options)
    for option, name in (("sam-run-type", "runType"), ("sam-file-type", "fileType")):
        value = options.text(option)
        if value is not None:
            work.put_text((*_METADATA, name), value)
    has_metadata = any((*_METADATA, name) in work for name in _NEED_TIER)
    if _has_outputs(work) and (reads_from_sam or inherits_type or has_metadata):
        _set_tiers_and_streams(work, options)
        if not work.text("process_name"):
            raise RefusedError("art refuses SAM metadata without a process name.")
    if reads_from_sam:
        _set_services(work)


def _set_process(work: WorkingSet, options: ArtOptions) -> bool:
    """Set the process of SAM that gives the input files; return whether there is one."""
    uri, process = options.text("sam-web-uri"), options.text("sam-process-id")
    if uri is not None:
        work.put_text((*_CATALOG, "webURI"), uri)
    if process is not None:
        work.put_texts(("source", "fileNames"), [process])
        work.put_text((*_METADATA, "processID"), process)
    has_uri = (*_CATALOG, "webURI") in work
    if has_uri != ((*_METADATA, "processID") in work):
        raise RefusedError("art refuses --sam-web-uri without --sam-process-id, or the other way.")
    return has_uri and ("source", "fileNames") in work


def _set_services(work: WorkingSet) -> None:
    """Set the services that get files from SAM."""
    work.put_text((*_CATALOG, "service_provider"), "IFCatalogInterface")
    work.put_text((*_TRANSFER, "service_provider"), "IFFileTransfer")
    if ("services", "IFDH") not in work:
        work.put_empty_table(("services", "IFDH"))


def _has_outputs(work: WorkingSet) -> bool:
    outputs = work.find("outputs")
    return outputs is not None and outputs.kind == TABLE and len(outputs.body) > 0


def _set_application(work: WorkingSet, options: ArtOptions) -> None:
    family = options.text("sam-application-family") or options.text("sam-app-family")
    version = options.text("sam-application-version") or options.text("sam-app-version")
    group = options.text("sam-group")
    if family:
        work.put_text((*_METADATA, "applicationFamily"), family)
    if group is not None:
        work.put_text((*_METADATA, "group"), group)
    if version:
        work.put_text((*_METADATA, "applicationVersion"), version)


def _set_inherited(work: WorkingSet, options: ArtOptions) -> bool:
    """Set which metadata the input files give; return whether their file type is among it."""
    has_all = "sam-inherit-metadata" in options
    inherited = [kind for kind in _INHERITABLE if has_all or kind.inheriting_option in options]
    for metadata in inherited:
        if metadata.option in options:
            raise RefusedError(f"art refuses --{metadata.option} where the input gives it.")
    names = []
    for metadata in inherited:
        work.erase(*_METADATA, metadata.parameter)
        names.append(metadata.parameter if has_all else metadata.name_in_sam)
    if names:
        work.put_texts((*_METADATA, "metadataFromInput"), names)
    return _FILE_TYPE in inherited


def _set_tiers_and_streams(work: WorkingSet, options: ArtOptions) -> None:
    """Set data tier and stream name of each output.

    A value of the command line goes before the configured one; a stream is else named as its
    output.
    """
    tiers = _by_label(options.texts("sam-data-tier"))
    streams = _by_label(options.texts("sam-stream-name"))
    for label in work.table("outputs"):
        if ("outputs", label, "module_type") not in work:
            continue
        _set_of_output(work, label, "dataTier", tiers, default=tiers.get(_FOR_ALL, ""))
        stream = streams.get(_FOR_ALL, "") or label
        _set_of_output(work, label, "streamName", streams, default=stream)


def _set_of_output(
    work: WorkingSet, label: str, name: str, given: Mapping[str, str], *, default: str
) -> None:
    """Set a parameter of an output: the value given for its label, else configured, else default.

    Raises:
        RefusedError: it has no value.
    """
    path = ("outputs", label, name)
    value = given.get(label)
    if value is None and path not in work:
        value = default
    if value:
        work.put_text(path, value)
    if path not in work:
        raise RefusedError(f"art refuses SAM metadata: output {label} has no {name}.")


def _by_label(given: list[str]) -> dict[str, str]:
    """Return the values of `LABEL:VALUE` by label; a value without a label is for all."""
    values: dict[str, str] = {}
    for text in given:
        match [part for part in text.split(":") if part]:
            case []:
                values.setdefault("", "")
            case [value]:
                values.setdefault(_FOR_ALL, value)
            case [label, value]:
                values.setdefault(label, value)
            case _:
                raise RefusedError(f"art refuses {text[:60]}: it has more than one colon.")
    return values
