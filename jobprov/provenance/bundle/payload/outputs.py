"""The recorded outputs in a bundle, with which a rerun is compared: `outputs/`."""

import json
import posixpath
import re

from jobprov.provenance.bundle.comparison.comparators import rule_for
from jobprov.provenance.bundle.fields import RecordPart, decimal, readable_json, to_bytes
from jobprov.provenance.bundle.ingredients import SMALL_BYTES
from jobprov.provenance.bundle.needs import CODE
from jobprov.provenance.bundle.payload.ending import add_ending
from jobprov.provenance.bundle.payload.layout import made_folders
from jobprov.provenance.bundle.payload.passing_names import passing_pattern
from jobprov.provenance.bundle.payload.payload import Expected, Payload
from jobprov.provenance.bundle.payload.places import Place, quote

_REQUIRED = frozenset({"", "written", "empty", "copy_failed"})
# An archive of logs: `log.tar`, `logs.tgz`, `4711_0.log.tar.gz`
_PACKED_LOGS = re.compile(r"(?:.*[._-])?logs?\.(?:tar|tgz|tbz|zip|tar\.(?:gz|bz2|xz|zst))")
_ROOT_FORMATS = frozenset({"root", "artroot", "rootntuple", "caf"})
_WITHOUT_FILE = frozenset({"root", "content", "bytes"})
"""Comparators that as a rule need only a recorded digest."""
_DEEP = 2  # a folder of outputs is mapped as a whole only if it is deeper than this


def add_outputs(payload: Payload) -> None:
    """Write the facts about each output, and the list that verify.sh follows."""
    table: list[Expected] = []
    lines: list[str] = []
    for output in payload.record.parts("outputs"):
        expected = _expected_of(payload, output)
        table.append(expected)
        _write_content_digest(payload, output)
        place = payload.places.settle(expected.path)
        if place is not None:
            _make_folder(payload, expected.path, place)
            _note_moved(payload, output.text("location"), place)
        lines.append(_shell_line(expected, place, _pattern(payload, expected.path)))
    payload.expected = table
    payload.table("outputs/expected.tsv", Expected._fields, table)
    add_ending(payload)
    payload.shell("outputs/expected.sh", lines)
    _write_resources(payload)


def comparator(output: RecordPart) -> str:
    """How an output is compared: `root`, `content` or `bytes`.

    The bytes of ROOT files differ from run to run, by design. `content` is for other outputs with a
    content digest.
    """
    name, kind = output.text("name"), output.text("file_format").lower()
    if kind in _ROOT_FORMATS or name.endswith(".root"):
        return "root"
    return "content" if output.text("content_digest") else "bytes"


def _expected_of(payload: Payload, output: RecordPart) -> Expected:
    """Describe an output; put its recorded bytes into the bundle if the comparison needs them."""
    name, status = output.text("name"), output.text("status")
    compared_by = comparator(output)
    required = "yes" if status in _REQUIRED else "no"
    if payload.edition > 1 and _PACKED_LOGS.fullmatch(posixpath.basename(name)):
        required = "no"  # logs have times in them, and are never equal
    stage = payload.record.part("task").text("stage")
    rule = rule_for(payload.ingredients.rules, name, stage)
    if rule is not None:
        compared_by = rule.text() or compared_by
        if rule.required is not None:
            required = "yes" if rule.required and status in _REQUIRED else "no"
    return Expected(
        name=name,
        path=output.text("path") or name,
        size=decimal(output.number("size_bytes")) or "-",
        sha256=output.digest("sha256") or "-",
        comparator=compared_by,
        content_digest=output.text("content_digest") or "-",
        events=decimal(output.number("event_count")),
        required=required,
        status=status,
        checksums=",".join(output.texts("checksums")) or "-",
        reference=_reference(payload, output, name, compared_by),
    )


def _write_content_digest(payload: Payload, output: RecordPart) -> None:
    name, content_digest = output.text("name"), output.text("content_digest")
    if not content_digest:
        return
    stored = payload.shelf.take(
        "outputs/content",
        f"{posixpath.basename(name)}.json",
        output.digest("sha256") or "content",
    )
    document = {"content_digest": content_digest, "name": name, "source": "the job record"}
    payload.write(stored, readable_json(document))


def _pattern(payload: Payload, path: str) -> str:
    """The pattern to look for an output whose name no rerun repeats; '' for any other output."""
    return passing_pattern(posixpath.basename(path)) if payload.edition > 1 else ""


def _shell_line(expected: Expected, place: Place | None, pattern: str) -> str:
    """The line by which verify.sh compares an output; its place is '' if a rerun has none."""
    place_word = quote("") if place is None else place.word()
    words = (
        "output",
        quote(expected.name),
        quote(_json_word(expected.name)),
        expected.required,
        quote(expected.size),
        quote(expected.sha256),
        quote(expected.comparator),
        quote(expected.content_digest),
        quote(expected.checksums),
        quote(expected.reference),
        place_word,
    )
    return " ".join([*words, quote(pattern)] if pattern else words)


def _reference(payload: Payload, output: RecordPart, name: str, compared_by: str) -> str:
    """The path of the recorded output in the bundle.

    It is '' unless the output is needed, possessed and small.
    """
    sha256 = output.digest("sha256")
    if payload.level < CODE or not payload.has(sha256) or not _is_file_wanted(output, compared_by):
        return ""
    if payload.draft.reader.size(sha256) > SMALL_BYTES:
        return ""
    return payload.shelve("outputs/files", posixpath.basename(name), sha256)


def _is_file_wanted(output: RecordPart, compared_by: str) -> bool:
    """Whether the comparison needs the recorded file, because no digest decides on its content."""
    if compared_by not in _WITHOUT_FILE:
        return True
    content = output.text("content_digest")
    # If a masked digest differs, the content may still be equal
    return compared_by == "root" and (not content or content.startswith("root-masked-"))


def _make_folder(payload: Payload, path: str, place: Place) -> None:
    """Let run.sh make the folder into which the job wrote this output.

    A folder outside the working directory is mapped as a whole.
    """
    folder = posixpath.dirname(payload.places.absolute(path))
    if place.variable == "elsewhere" and folder.count("/") >= _DEEP:
        payload.map_folder(folder)
    parent = _parent(place)
    for _ in range(made_folders(payload, folder)):
        parent = _parent(parent)  # folders that the job made itself are left to it
    if parent.rest and parent not in payload.laid_out:
        payload.laid_out.add(parent)
        payload.lay_out("folder", parent)


def _parent(place: Place) -> Place:
    return Place(place.variable, posixpath.dirname(place.rest).rstrip("/"))


def _note_moved(payload: Payload, location: str, place: Place) -> None:
    """Let run.sh make the folder to which the job moved or copied this output, and look there."""
    moved = payload.place_of_location(location)
    if moved is None or moved == place:
        return
    if location.startswith("/"):
        _make_folder(payload, location, moved)
    else:
        payload.lay_out("folder", _parent(moved))
    pattern = _pattern(payload, location)
    payload.lay_out("moved", place, moved, *([pattern] if pattern else []))


def _json_word(name: str) -> str:
    """The name as a JSON string in ASCII, so that a shell can print a report."""
    return json.dumps(to_bytes(name).decode("utf-8", "replace"))


def _write_resources(payload: Payload) -> None:
    document = {
        "state": payload.record.text("state"),
        "exit": payload.record.part("exit").fields,
        "steps": [step.fields for step in payload.command.parts("steps")],
        "resources": payload.record.part("resources").fields,
        "modules": [module.fields for module in payload.record.parts("modules")],
    }
    payload.write("outputs/resources.json", readable_json(document))
