"""What art's `--sam-…` options set.

Source: art's `FileCatalogOptionsHandler`; the same rules in art 3.06 to 3.15.
"""

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


def set_sam(work: WorkingSet, options: ArtOptions) -> None:
    """Set the metadata of output files, and how input comes from SAM."""
    uri, process = options.text("sam-web-uri"), options.text("sam-process-id")
    if uri is not None:
        work.put_text((*_CATALOG, "webURI"), uri)
    if process is not None:
        work.put_texts(("source", "fileNames"), [process])
        work.put_text((*_METADATA, "processID"), process)
    has_uri = (*_CATALOG, "webURI") in work
    if has_uri != ((*_METADATA, "processID") in work):
        raise RefusedError("art refuses --sam-web-uri without --sam-process-id, or the other way.")
    wants_sam = has_uri and ("source", "fileNames") in work
    _set_application(work, options)
    is_inherited = _set_inherited(work, options)
    for option, name in (("sam-run-type", "runType"), ("sam-file-type", "fileType")):
        value = options.text(option)
        if value is not None:
            work.put_text((*_METADATA, name), value)
    needs_tier = wants_sam or is_inherited
    needs_tier = needs_tier or any((*_METADATA, name) in work for name in _NEED_TIER)
    outputs = work.find("outputs")
    if outputs is not None and outputs.kind == TABLE and len(outputs.body) and needs_tier:
        _set_tiers_and_streams(work, options)
        if not work.text("process_name"):
            raise RefusedError("art refuses SAM metadata without a process name.")
    if wants_sam:
        work.put_text((*_CATALOG, "service_provider"), "IFCatalogInterface")
        work.put_text((*_TRANSFER, "service_provider"), "IFFileTransfer")
        if ("services", "IFDH") not in work:
            work.put_empty_table(("services", "IFDH"))


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
    """Set which metadata the input files give; return whether outputs need a data tier for it."""
    has_type, has_run = "sam-inherit-file-type" in options, "sam-inherit-run-type" in options
    has_all = "sam-inherit-metadata" in options
    if "sam-file-type" in options and (has_all or has_type):
        raise RefusedError("art refuses --sam-file-type where the input gives it.")
    if "sam-run-type" in options and (has_all or has_run):
        raise RefusedError("art refuses --sam-run-type where the input gives it.")
    names = []
    if has_all:
        names = ["fileType", "runType"]
    else:
        if has_type:
            names.append("file_type")
        if has_run:
            names.append("art.run_type")
    if has_all or has_type:
        work.erase(*_METADATA, "fileType")
    if has_all or has_run:
        work.erase(*_METADATA, "runType")
    if names:
        work.put_texts((*_METADATA, "metadataFromInput"), names)
    return has_all or has_type


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
        defaults = (
            ("dataTier", tiers, tiers.get(_FOR_ALL, "")),
            ("streamName", streams, streams.get(_FOR_ALL, "") or label),
        )
        for name, given, default in defaults:
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
        parts = [part for part in text.split(":") if part]
        if len(parts) > 2:  # noqa: PLR2004 - label and value
            raise RefusedError(f"art refuses {text[:60]}: it has more than one colon.")
        label = parts[0] if len(parts) > 1 else _FOR_ALL
        values.setdefault(label if parts else "", parts[-1] if parts else "")
    return values
