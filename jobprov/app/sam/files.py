"""Files in the form of SAM: by dimensions, with their metadata, lineage and locations.

Source: SAM's metadata JSON, as the official client and POMS read it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request
from msgspec import Struct

from jobprov.app.sam.answers import (
    json_answer,
    streamed_json,
    streamed_text,
    text_answer,
    wants_json,
    wants_text,
)
from jobprov.app.wiring import Connection, get_service
from jobprov.provenance.answers.selections import (
    Application,
    FileMetadata,
    FileReference,
    RelatedFile,
)
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.selections.conditions import Definition, Selection
from jobprov.provenance.selections.dimensions import described_dimensions, read_dimensions
from jobprov.provenance.selections.printing import dimensions_of, outline_of
from jobprov.provenance.services.selections import relatives
from jobprov.provenance.services.selections.files import (
    ListedFile,
    count_files,
    expand_selection,
    find_catalog_file,
    find_catalog_files,
    find_numbered_file,
    find_numbered_files,
    list_selected,
    summarize_files,
)
from jobprov.provenance.services.selections.metadata import describe_files
from jobprov.provenance.services.selections.recorded import with_recorded

calls = Blueprint("files", __name__)
_BOTH = ("GET", "POST")

MOST_FILES = 10_000
"""Files that one call describes."""
_MOST_DIGITS = 18
_LINEAGE = {
    "parents": relatives.list_parents,
    "children": relatives.list_children,
    "ancestors": relatives.trace_ancestors,
    "descendants": relatives.trace_descendants,
    "rawancestors": relatives.list_first_ancestors,
}
_BY_NAME = "/files/name/<path:name>"
_BY_NUMBER = "/files/id/<int:number>"
_TITLES = {
    "file_name": "File Name",
    "file_id": "File Id",
    "create_date": "Create Date",
    "user": "User",
    "group": "Group",
    "content_status": "Content Status",
    "file_size": "File Size",
    "checksum": "Checksum",
    "file_type": "File Type",
    "file_format": "File Format",
    "data_tier": "Data Tier",
    "data_stream": "Data Stream",
    "event_count": "Event Count",
    "first_event": "First Event",
    "last_event": "Last Event",
    "start_time": "Start Time",
    "end_time": "End Time",
    "runs": "Runs",
    "application": "Application",
    "parents": "Parents",
}
_WIDTH = 23


def _dims() -> Selection:
    return read_dimensions(request.values.get("dims", ""))


@calls.route("/files/list", methods=_BOTH)
def _list(experiment: str) -> Response:
    return _outline(experiment) if _is_dump() else list_answer(experiment, _dims())


@calls.route("/files/count", methods=_BOTH)
def _count(experiment: str) -> Response:
    return _outline(experiment) if _is_dump() else count_answer(experiment, _dims())


@calls.route("/files/summary", methods=_BOTH)
def _summary(experiment: str) -> Response:
    return _outline(experiment) if _is_dump() else summary_answer(experiment, _dims())


def _is_dump() -> bool:
    """Return whether `--dump-query` asks how the dimensions are read, and not for files."""
    asked_ways = [request.values.get(name, "0") for name in ("parse_only", "diagnostics")]
    return any(way not in ("", "0") for way in asked_ways)


def _outline(experiment: str) -> Response:
    """Return the parts of the dimensions, a line each, as they are understood here."""
    with get_service().reading() as connection:
        selection = expand_selection(connection, experiment, _dims())
    return text_answer(outline_of(selection))


class ExpandedQuery(Struct, frozen=True):
    """Dimensions without definitions, as `samweb list-files --expand-query` prints them."""

    query: str


@calls.route("/files/expand_query", methods=_BOTH)
def _expanded(experiment: str) -> Response:
    definition = request.values.get("defname")
    dimensions = Definition(definition) if definition else _dims()
    with get_service().reading() as connection:
        selection = expand_selection(connection, experiment, dimensions)
    return json_answer(ExpandedQuery(dimensions_of(selection)))


def list_answer(experiment: str, selection: Selection) -> Response:
    """Return names, or with `fileinfo` names, ids, sizes and events, as long as there are some."""
    with_sizes = request.values.get("fileinfo", "0") not in ("", "0")
    service = get_service()
    with service.reading() as connection:
        answered = _answered(connection, experiment, selection)
    pages = list_selected(service.reading, experiment, answered, with_sizes=with_sizes)
    if wants_json():
        return streamed_json(_members(pages, with_sizes=with_sizes))
    return streamed_text(_lines(pages, with_sizes=with_sizes))


def count_answer(experiment: str, selection: Selection) -> Response:
    """Return how many files there are, as text."""
    with get_service().reading() as connection:
        answered = _answered(connection, experiment, selection)
        return text_answer([str(count_files(connection, experiment, answered))])


def summary_answer(experiment: str, selection: Selection) -> Response:
    """Return how many files there are, their bytes and their events."""
    with get_service().reading() as connection:
        answered = _answered(connection, experiment, selection)
        sums = summarize_files(connection, experiment, answered)
    return json_answer(
        {
            "file_count": sums.files,
            "total_file_size": sums.size_bytes,
            "total_event_count": sums.event_count,
        }
    )


def _answered(connection: Connection, experiment: str, selection: Selection) -> Selection:
    """Return a selection with the files in it that meet its conditions by their records alone."""
    store = get_service().store
    return with_recorded(connection, store, experiment, selection, refuses_unknown=True)


def _lines(pages: Iterator[list[ListedFile]], *, with_sizes: bool) -> Iterator[list[str]]:
    for page in pages:
        lines = []
        for file, size in page:
            line = file.name
            if with_sizes:
                # The client reads whole numbers, and nothing that stands for an unknown one
                line += f"\t{file.key}\t{size.size_bytes or 0}\t{size.event_count or 0}"
            lines.append(f"{line}\n")
        yield lines


def _members(pages: Iterator[list[ListedFile]], *, with_sizes: bool) -> Iterator[list[Any]]:
    for page in pages:
        members: list[Any] = []
        for file, size in page:
            member = {
                "file_name": file.name,
                "file_id": file.key,
                "file_size": size.size_bytes,
                "event_count": size.event_count,
            }
            members.append(member if with_sizes else file.name)
        yield members


@calls.get("/files/list/dimensions")
def _dimensions(experiment: str) -> Response:  # noqa: ARG001 - the same for all
    described = described_dimensions()
    if wants_json():
        return json_answer(described)
    return text_answer(f"{name}\t{meaning}" for name, meaning in described)


def _one_file(
    connection: Connection, experiment: str, name: str | None, number: int | None
) -> FileReference:
    if name is not None:
        return find_catalog_file(connection, experiment, name)
    return find_numbered_file(connection, experiment, number or 0)


def _described(experiment: str, name: str | None, number: int | None) -> FileMetadata:
    service = get_service()
    with service.reading() as connection:
        file = _one_file(connection, experiment, name, number)
        return describe_files(connection, service.store, experiment, [file])[0]


@calls.get(f"{_BY_NAME}/metadata")
@calls.get(f"{_BY_NUMBER}/metadata")
def _metadata(experiment: str, name: str | None = None, number: int | None = None) -> Response:
    described = _described(experiment, name, number)
    if wants_text():
        return text_answer(metadata_lines(described))
    return json_answer(_shown(described))


def _shown(described: FileMetadata) -> dict[str, object]:
    return sam_metadata(
        described,
        with_locations=request.values.get("locations", "0") not in ("", "0"),
        is_basic=request.values.get("basic", "0") not in ("", "0"),
    )


@calls.route("/files/metadata", methods=_BOTH)
def _metadata_of_many(experiment: str) -> Response:
    service = get_service()
    with service.reading() as connection:
        found_files = _asked_files(connection, experiment)
        files = list({file.key: file for file in found_files.values()}.values())
        described = describe_files(connection, service.store, experiment, files)
    return json_answer([_shown(file) for file in described])


def _asked_files(connection: Connection, experiment: str) -> dict[str, FileReference]:
    """Return the files of a call by the name or number in it; unknown ones are left out."""
    names = request.values.getlist("file_name")
    numbers = request.values.getlist("file_id")
    if len(names) + len(numbers) > MOST_FILES:
        raise BadInputError(f"{MOST_FILES:,} files are the most of one call; ask in parts.")
    for number in numbers:
        if not number.isdecimal() or len(number) > _MOST_DIGITS:
            raise BadInputError(f"file_id: {number[:40]!r} is not a whole number.")
    by_name = find_catalog_files(connection, experiment, names)
    by_key = find_numbered_files(connection, experiment, [int(number) for number in numbers])
    return {**by_name, **{str(key): file for key, file in by_key.items()}}


@calls.get(f"{_BY_NAME}/locations")
@calls.get(f"{_BY_NUMBER}/locations")
def _locations(experiment: str, name: str | None = None, number: int | None = None) -> Response:
    described = _described(experiment, name, number)
    if wants_text():
        return text_answer(described.locations)
    return json_answer([location_of(location) for location in described.locations])


@calls.route("/files/locations", methods=_BOTH)
def _locations_of_many(experiment: str) -> Response:
    service = get_service()
    with service.reading() as connection:
        files = _asked_files(connection, experiment)
        described = describe_files(connection, service.store, experiment, list(files.values()))
    located = {}
    for name, file in zip(files, described, strict=True):
        located[name] = [location_of(location) for location in file.locations]
    return json_answer(located)


@calls.get(f"{_BY_NAME}/lineage/<kind>")
@calls.get(f"{_BY_NUMBER}/lineage/<kind>")
def _lineage(
    experiment: str, kind: str, name: str | None = None, number: int | None = None
) -> Response:
    if kind not in _LINEAGE:
        raise NotFoundError(f"There is no lineage {kind[:40]!r}; there are {', '.join(_LINEAGE)}.")
    with get_service().reading() as connection:
        file = _one_file(connection, experiment, name, number)
        related = _LINEAGE[kind](connection, file)
    member = "children" if kind in ("children", "descendants") else "parents"
    if wants_text():
        return text_answer(file.name for file in related)
    return json_answer([_related(file, member) for file in related])


def _related(file: RelatedFile, member: str) -> dict[str, object]:
    """Return a file with its relatives within, as `samweb file-lineage` prints them."""
    shown: dict[str, object] = {"file_name": file.name, "file_id": file.key}
    if file.relatives:
        shown[member] = [_related(relative, member) for relative in file.relatives]
    return shown


def sam_metadata(
    file: FileMetadata, *, with_locations: bool = False, is_basic: bool = False
) -> dict[str, object]:
    """Return the metadata as JSON; what is not known is left out.

    Args:
        file: what is known.
        with_locations: whether the places of its copies are in it.
        is_basic: without parents and parameters.
    """
    members = _own_members(file)
    if not is_basic:
        members.update(file.metadata)
        members.update(file.provenance)
        parents = [{"file_name": parent.name, "file_id": parent.key} for parent in file.parents]
        members["parents"] = parents or None
    if with_locations:
        members["locations"] = [location_of(location) for location in file.locations]
    return {key: value for key, value in members.items() if value is not None}


def _own_members(file: FileMetadata) -> dict[str, object]:
    """Return the members that SAM itself defines; None for what is not known."""
    return {
        "file_name": file.file.name,
        "file_id": file.file.key,
        "create_date": _time(file.made_at or file.seen_at),
        "user": file.submitter,
        "group": file.experiment,
        "file_size": file.size_bytes,
        "checksum": file.checksums or None,
        "file_type": file.file_type,
        "file_format": file.file_format,
        "content_status": "good",
        "data_tier": file.data_tier,
        "data_stream": file.data_stream,
        "event_count": file.event_count,
        "first_event": file.first_event,
        "last_event": file.last_event,
        "start_time": _time(file.started_at),
        "end_time": _time(file.made_at),
        "runs": [_run(run) for run in file.runs] or None,
        "application": _application(file.application),
    }


def metadata_lines(file: FileMetadata) -> list[str]:
    """Return the metadata as `samweb get-metadata` prints them."""
    lines = []
    for key, value in sam_metadata(file).items():
        title = _TITLES.get(key, key)
        for text in _texts(key, value):
            lines.append(f"{title:>{_WIDTH}}: {text}")
            title = ""  # only the first of several values has it
    return lines


def _texts(key: str, value: Any) -> list[str]:
    """Return the texts of a value, one a line."""
    if key == "application":
        return [" ".join(str(part) for part in value.values())]
    if key == "parents":
        return [parent["file_name"] for parent in value]
    if key == "runs":
        return [_run_text(run) for run in value]
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value)]


def _run_text(run: Sequence[Any]) -> str:
    """Return a run as `13014.0002 (physics)`, or as it is if it has no subrun."""
    if len(run) < len(("run", "subrun", "type")):
        return str(run)
    return f"{run[0]}.{run[1]:04d} ({run[2]})"


def location_of(location: str) -> dict[str, str]:
    """Return one place of a file."""
    return {"location": location, "full_path": location, "location_type": "disk"}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _run(run: Any) -> list[Any]:
    """Return a run in the form of SAM: number, subrun, type, as far as they are known."""
    return run if isinstance(run, list) else [run]


def _application(application: Application | None) -> dict[str, str] | None:
    if application is None:
        return None
    application_members = {
        "family": application.family,
        "name": application.name,
        "version": application.version,
    }
    return {key: value for key, value in application_members.items() if value}
