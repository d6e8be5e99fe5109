"""The recorded outputs in a bundle, with which a rerun is compared: `outputs/`."""

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.bundle.comparison.comparators import rule_for
from jobprov.provenance.bundle.fields import (
    decimal,
    digest,
    mapping,
    number,
    readable_json,
    rows,
    text,
    texts,
    to_bytes,
)
from jobprov.provenance.bundle.ingredients import SMALL_BYTES
from jobprov.provenance.bundle.payload.ending import add_ending
from jobprov.provenance.bundle.payload.expected import Expected
from jobprov.provenance.bundle.payload.layout import made_folders
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, quote

_REQUIRED = frozenset({"", "written", "empty", "copy_failed"})
_ROOT_FORMATS = frozenset({"root", "artroot", "rootntuple", "caf"})
_WITHOUT_FILE = frozenset({"root", "content", "bytes"})
_DEEP = 2  # a folder of outputs is mapped as a whole only if it is deeper than this


def add_outputs(payload: Payload) -> None:
    """Write the facts about each output, and the list that verify.sh follows."""
    table: list[Expected] = []
    lines: list[str] = []
    for output in rows(payload.record.get("outputs")):
        expected = _expected_of(payload, output)
        table.append(expected)
        _write_content_digest(payload, output)
        place = payload.places.settle(expected.path)
        if place is not None:
            _make_folder(payload, expected.path, place)
            _note_moved(payload, text(output.get("location")), place)
        lines.append(_shell_line(expected, place))
    payload.expected = table
    payload.table("outputs/expected.tsv", Expected._fields, table)
    add_ending(payload)
    payload.shell("outputs/expected.sh", lines)
    _write_resources(payload)


def comparator(output: Mapping[str, Any]) -> str:
    """How an output is compared: `root`, `content` or `bytes`.

    The bytes of ROOT files differ from run to run, by design. `content` is for other outputs with a
    content digest.
    """
    name, kind = text(output.get("name")), text(output.get("file_format")).lower()
    if kind in _ROOT_FORMATS or name.endswith(".root"):
        return "root"
    return "content" if text(output.get("content_digest")) else "bytes"


def _expected_of(payload: Payload, output: Mapping[str, Any]) -> Expected:
    """Describe an output, and put its recorded bytes into the bundle if the comparison needs them."""
    name, status = text(output.get("name")), text(output.get("status"))
    stage = text(mapping(payload.record.get("task")).get("stage"))
    rule = rule_for(payload.ingredients.rules, name, stage)
    declared_comparator = rule.text() if rule else ""
    compared_by = declared_comparator or comparator(output)
    is_required = status in _REQUIRED and (rule is None or rule.required is not False)
    return Expected(
        name=name,
        path=text(output.get("path")) or name,
        size=decimal(number(output.get("size_bytes"))) or "-",
        sha256=digest(output.get("sha256")) or "-",
        comparator=compared_by,
        content_digest=text(output.get("content_digest")) or "-",
        events=decimal(number(output.get("event_count"))),
        required="yes" if is_required else "no",
        status=status,
        checksums=",".join(texts(output.get("checksums"))) or "-",
        reference=_reference(payload, output, name, compared_by),
    )


def _write_content_digest(payload: Payload, output: Mapping[str, Any]) -> None:
    name, content_digest = text(output.get("name")), text(output.get("content_digest"))
    if not content_digest:
        return
    stored = payload.shelf.take(
        "outputs/content",
        f"{posixpath.basename(name)}.json",
        digest(output.get("sha256")) or "content",
    )
    document = {"content_digest": content_digest, "name": name, "source": "the job record"}
    payload.write(stored, readable_json(document))


def _shell_line(expected: Expected, place: Place | None) -> str:
    """The line by which verify.sh compares an output; None if a rerun has no place for it."""
    words = (
        quote(expected.name),
        quote(_json_word(expected.name)),
        expected.required,
        quote(expected.size),
        quote(expected.sha256),
        quote(expected.comparator),
        quote(expected.content_digest),
        quote(expected.checksums),
        quote(expected.reference),
        quote("") if place is None else place.word(),
    )
    return " ".join(["output", *words])


def _reference(payload: Payload, output: Mapping[str, Any], name: str, compared_by: str) -> str:
    """The path of the recorded output in the bundle; '' unless it is needed, possessed and small."""
    sha256 = digest(output.get("sha256"))
    if payload.level < 1 or not payload.has(sha256) or not _is_file_wanted(output, compared_by):
        return ""
    if payload.draft.reader.size(sha256) > SMALL_BYTES:
        return ""
    return payload.shelve("outputs/files", posixpath.basename(name), sha256)


def _is_file_wanted(output: Mapping[str, Any], compared_by: str) -> bool:
    """Whether the comparison needs the recorded file, because no digest decides on its content."""
    if compared_by not in _WITHOUT_FILE:
        return True
    content = text(output.get("content_digest"))
    # If a masked digest differs, the content may still be equal
    return compared_by == "root" and (not content or content.startswith("root-masked-"))


def _make_folder(payload: Payload, path: str, place: Place) -> None:
    """Let run.sh make the folder into which the job wrote this output.

    A folder outside the working directory is mapped as a whole.
    """
    folder = posixpath.dirname(payload.places.absolute(path))
    if place.variable == "elsewhere" and folder.count("/") >= _DEEP:
        payload.map_folder(folder)
    parent = Place(place.variable, posixpath.dirname(place.rest).rstrip("/"))
    for _ in range(made_folders(payload, folder)):
        parent = Place(place.variable, posixpath.dirname(parent.rest).rstrip("/"))
    if parent.rest and parent not in payload.laid_out:
        payload.laid_out.add(parent)
        payload.lay_out("folder", parent)


def _note_moved(payload: Payload, location: str, place: Place) -> None:
    """Let run.sh make the folder to which the job moved or copied this output, and look there."""
    moved = payload.places.settle(location) if location.startswith("/") else None
    if moved is not None and moved != place:
        _make_folder(payload, location, moved)
        payload.lay_out("moved", place, moved)


def _json_word(name: str) -> str:
    """The name as a JSON string in ASCII, so that a shell can print a report."""
    return json.dumps(to_bytes(name).decode("utf-8", "replace"))


def _write_resources(payload: Payload) -> None:
    document = {
        "state": text(payload.record.get("state")),
        "exit": mapping(payload.record.get("exit")),
        "steps": rows(payload.command.get("steps")),
        "resources": mapping(payload.record.get("resources")),
        "modules": rows(payload.record.get("modules")),
    }
    payload.write("outputs/resources.json", readable_json(document))
