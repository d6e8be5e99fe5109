"""The inputs in a bundle: `inputs/`, and lines for those that run.sh must find elsewhere."""

import posixpath
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jobprov.provenance.bundle.draft import Fetched
from jobprov.provenance.bundle.fields import RecordPart, decimal
from jobprov.provenance.bundle.ingredients import SMALL_BYTES, KnownFile
from jobprov.provenance.bundle.needs import ALL_INPUTS, SMALL_INPUTS
from jobprov.provenance.bundle.payload.layout import note_how_it_was
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place

_FETCHED = ("root://", "roots://", "xroot://", "https://", "http://")
_NOTHING_KNOWN = KnownFile()


class _Row(NamedTuple):
    """A line of `inputs/manifest.tsv`; its fields are the columns."""

    order: str
    namespace: str
    name: str
    path: str
    step: str
    role: str
    size: str
    sha256: str
    checksums: str
    events: str
    location: str
    stored: str


def add_inputs(payload: Payload) -> None:
    """Write possessed small inputs, and a line for each that run.sh must find by digest."""
    table = []
    outputs: dict[str, str] = {}  # digest by path
    for output in payload.record.parts("outputs"):
        outputs[_path(output)] = output.digest("sha256")
    for order, file in _in_order(payload):
        stored = ""
        # An input that an earlier step of the job wrote will be written again by the rerun
        if not _is_written_by_job(file, outputs):
            known = payload.ingredients.known_inputs.get(order, _NOTHING_KNOWN)
            stored = _add_input(payload, file, known.places)
        table.append(
            _Row(
                order=str(order),
                namespace=file.text("namespace"),
                name=file.text("name"),
                path=_path(file),
                step=file.text("step"),
                role=file.text("role"),
                size=decimal(file.number("size_bytes")),
                sha256=file.digest("sha256"),
                checksums=",".join(file.texts("checksums")),
                events=decimal(file.number("events_read")),
                location=file.text("location"),
                stored=stored,
            )
        )
    table.sort(key=lambda row: int(row.order))
    payload.table("inputs/manifest.tsv", _Row._fields, table)


def _in_order(payload: Payload) -> list[tuple[int, RecordPart]]:
    """The inputs with their numbers, those outside of the job's folder first.

    Of a file at two places, run.sh links the first and copies to the second: that is where the job
    copies it again. Bundles of the first edition have the order of the record.
    """
    inputs = list(enumerate(payload.record.parts("inputs")))
    if payload.edition == 1:
        return inputs
    outside = [(order, file) for order, file in inputs if _path(file).startswith("/")]
    inside = [(order, file) for order, file in inputs if not _path(file).startswith("/")]
    return outside + inside


def _is_written_by_job(file: RecordPart, outputs: Mapping[str, str]) -> bool:
    """Whether the job itself wrote this input; `outputs` are the digests of outputs by path.

    An input of another digest lay there before, and the job wrote over it.
    """
    path = _path(file)
    return path in outputs and file.digest("sha256") in {"", outputs[path]}


def _path(file: RecordPart) -> str:
    """The path by which the job used a file.

    If no path was recorded, it is the location where the file was opened, else its name.
    """
    path, location = file.text("path"), file.text("location")
    if not path and "://" in location:
        return location
    return path or file.text("name")


def _add_input(payload: Payload, file: RecordPart, places: Sequence[str]) -> str:
    """Write an input, or note it as a need; return its path in the payload, or ''.

    `places` are those that catalogs know.
    """
    name, sha256 = file.text("name"), file.digest("sha256")
    place = payload.places.settle(_path(file))
    if place is not None:
        place = payload.behind_links(place)
    if place is not None and place in payload.laid_out:
        return ""  # laid out already, as a script, as fcl, or as the input of an earlier step
    if _is_kept(payload, sha256):
        stored = payload.shelve("inputs/files", posixpath.basename(name), sha256)
    elif _is_unseen(file):
        return ""
    else:
        _note_input(payload, file, places)
        stored = _fetch(payload, file, places)
    if place is not None:
        payload.laid_out.add(place)
        _lay_out_source(payload, file, stored, places)
        _lay_out_input(payload, file, stored, place, places)
        # An input from elsewhere may be somebody's own file, which is left as it is
        if stored and payload.has(sha256):
            note_how_it_was(payload, file, place)
    return stored


def _lay_out_source(payload: Payload, file: RecordPart, stored: str, places: Sequence[str]) -> None:
    """Lay an input out where the job copied it from, too: `cp /pnfs/gen_7.root .` will do so again.

    So will a storage client, from an address. Bundles of the first edition have it where the job
    copied it to alone.
    """
    source = file.text("location").removeprefix("file://")
    if payload.edition == 1 or not file.digest("sha256"):
        return
    place = payload.place_of_location(source)
    if place is not None and place not in payload.laid_out:
        payload.laid_out.add(place)
        _lay_out_input(payload, file, stored, place, places)


def _fetch(payload: Payload, file: RecordPart, places: Sequence[str]) -> str:
    """List an input in fetch.txt; return the path at which it will be once it has been fetched.

    It is '' if no fetch.txt is wanted, or too little is known of the input.
    """
    sha256, size = file.digest("sha256"), file.number("size_bytes")
    if payload.fetched is None or payload.has(sha256):
        return ""
    urls = [place for place in (file.text("location"), *places) if place.startswith(_FETCHED)]
    if not sha256 or size is None or not urls:
        return ""
    stored = payload.shelf.take("inputs/files", posixpath.basename(file.text("name")), sha256)
    payload.fetched.setdefault(stored, Fetched(f"data/{stored}", urls[0], size, sha256))
    return stored


def _is_kept(payload: Payload, sha256: str) -> bool:
    """Whether an input is possessed, and a bundle of this level holds inputs of its size."""
    if not payload.has(sha256):
        return False
    return payload.level >= _level_of_input(payload.draft.reader.size(sha256))


def _level_of_input(size_bytes: int) -> int:
    """The lowest level that holds an input of this size."""
    return ALL_INPUTS if size_bytes > SMALL_BYTES else SMALL_INPUTS


def _is_unseen(file: RecordPart) -> bool:
    """Whether the job named an input but never had it, so that nothing of it was seen."""
    is_described = (
        file.digest("sha256") or file.texts("checksums") or file.number("size_bytes") is not None
    )
    return not is_described and file.text("status") not in {"", "consumed"}


def _note_input(payload: Payload, file: RecordPart, places: Sequence[str]) -> None:
    """Note an input that is not in the bundle as a need."""
    sha256, checksums = file.digest("sha256"), file.texts("checksums")
    if payload.has(sha256):
        size: int | None = payload.draft.reader.size(sha256)
        why = payload.left_out
    else:
        size = file.number("size_bytes")
        kind = "small" if _level_of_input(size or 0) == SMALL_INPUTS else "large"
        why = f"a {kind} input that nobody uploaded"
    blocks = _level_of_input(size or 0)
    if not sha256 and not checksums:
        # Whatever its size, an input without any checksum can never be found again
        blocks = SMALL_INPUTS
    place = file.text("location")
    if not place:
        place = places[0] if places else file.text("path")
    payload.needs.add(
        blocks,
        "input",
        file.text("name"),
        why,
        digest=sha256 or ",".join(checksums),
        size=size,
        place=place,
    )


def _lay_out_input(
    payload: Payload, file: RecordPart, stored: str, place: Place, places: Sequence[str]
) -> None:
    sha256 = file.digest("sha256")
    sources: list[str] = []
    if not stored or not payload.has(sha256):
        # run.sh takes the input from where the job had it, if it is still there, or from a copy
        locations = (file.text("location"), payload.places.absolute(_path(file)), *places)
        paths = [location.removeprefix("file://") for location in locations]
        sources = [path for path in paths if path.startswith(("/", *_FETCHED))]
    payload.lay_out(
        "input",
        file.text("name"),
        sha256 or "-",
        decimal(file.number("size_bytes")) or "-",
        stored,
        place,
        *dict.fromkeys(sources),
    )
