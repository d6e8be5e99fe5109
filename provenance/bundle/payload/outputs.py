"""What a rerun is compared with: `outputs/`."""

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.bundle.comparison.comparators import rule_for
from jobprov.provenance.bundle.fields import (
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
from jobprov.provenance.bundle.payload.command import payload_steps
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place, quote

_EXPECTED = (
    "name",
    "path",
    "size",
    "sha256",
    "comparator",
    "content_digest",
    "events",
    "required",
    "status",
    "checksums",
    "reference",
)
_REQUIRED = frozenset({"", "written", "empty", "copy_failed"})
_ROOT_FORMATS = frozenset({"root", "artroot", "rootntuple", "caf"})
_WITHOUT_FILE = frozenset({"root", "content", "bytes"})
_DEEP = 2  # a folder of outputs is mapped as a whole where it lies deeper than this


def add_outputs(payload: Payload) -> None:
    """Write what each output was, and the list that verify.sh obeys."""
    table, lines = [], []
    for output in rows(payload.record.get("outputs")):
        row, line = _add_output(payload, output)
        table.append(row)
        if line:
            lines.append(line)
    payload.table("outputs/expected.tsv", _EXPECTED, table)
    payload.shell("outputs/job.sh", [_job_line(payload)])
    payload.shell("outputs/expected.sh", lines)
    _write_resources(payload)


def comparator(output: Mapping[str, Any]) -> str:
    """How an output is compared: `root`, `content` or `bytes`.

    ROOT files differ in bytes from run to run by design; `content` is for outputs with a content
    digest.
    """
    name, kind = text(output.get("name")), text(output.get("file_format")).lower()
    if kind in _ROOT_FORMATS or name.endswith(".root"):
        return "root"
    return "content" if text(output.get("content_digest")) else "bytes"


def _add_output(payload: Payload, output: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    name, status = text(output.get("name")), text(output.get("status"))
    rule = rule_for(
        payload.ingredients.rules, name, text(mapping(payload.record.get("task")).get("stage"))
    )
    compared_by = (rule.text() if rule else "") or comparator(output)
    path, size, events = (
        text(output.get("path")) or name,
        number(output.get("size_bytes")),
        number(output.get("event_count")),
    )
    is_required = status in _REQUIRED and (rule is None or rule.required is not False)
    required = "yes" if is_required else "no"
    reference = _reference(payload, output, name, compared_by)
    fields = {
        "size": "-" if size is None else str(size),
        "sha256": digest(output.get("sha256")) or "-",
        "comparator": compared_by,
        "content_digest": text(output.get("content_digest")) or "-",
        "checksums": ",".join(texts(output.get("checksums"))) or "-",
    }
    if fields["content_digest"] != "-":
        document = {
            "content_digest": fields["content_digest"],
            "name": name,
            "source": "the job record",
        }
        stored = payload.shelf.take(
            "outputs/content",
            f"{posixpath.basename(name)}.json",
            digest(output.get("sha256")) or "content",
        )
        payload.write(stored, readable_json(document))
    row = (
        name,
        path,
        fields["size"],
        fields["sha256"],
        fields["comparator"],
        fields["content_digest"],
        "" if events is None else str(events),
        required,
        status,
        fields["checksums"],
        reference,
    )
    place = payload.places.settle(path)
    if place is None:
        return row, ""
    _make_folder(payload, path, place)
    words = [
        quote(name),
        quote(_json_word(name)),
        required,
        *(quote(value) for value in fields.values()),
    ]
    return row, " ".join(["output", *words, quote(reference), place.word()])


def _reference(payload: Payload, output: Mapping[str, Any], name: str, compared_by: str) -> str:
    """Where the recorded output itself is put.

    It must be possessed and small, and there must be nothing smaller to compare content with.

    A masked digest is not enough: where it differs, it cannot tell whether the content does.
    """
    sha256 = digest(output.get("sha256"))
    content = text(output.get("content_digest"))
    is_wanted = compared_by not in _WITHOUT_FILE or (
        compared_by == "root" and (not content or content.startswith("root-masked-"))
    )
    if (
        not is_wanted
        or payload.level < 1
        or not payload.has(sha256)
        or payload.draft.reader.size(sha256) > SMALL_BYTES
    ):
        return ""
    return payload.shelve("outputs/files", posixpath.basename(name), sha256)


def _make_folder(payload: Payload, path: str, place: Place) -> None:
    """Have run.sh make the folder that the job wrote into.

    One outside the working directory is mapped as a whole.
    """
    folder = posixpath.dirname(payload.places.absolute(path))
    if place.variable == "elsewhere" and folder.count("/") >= _DEEP:
        payload.map_folder(folder)
    parent = Place(place.variable, posixpath.dirname(place.rest).rstrip("/"))
    if parent.rest and parent not in payload.laid_out:
        payload.laid_out.add(parent)
        payload.lay_out("folder", parent)


def _json_word(name: str) -> str:
    """The name as a JSON string in ASCII, so that a shell can print a report."""
    return json.dumps(to_bytes(name).decode("utf-8", "replace"))


def _job_line(payload: Payload) -> str:
    """`job ID REVISION STATE EXPECTED`: the expected codes of the steps, in order."""
    codes = " ".join(step.expected for step in payload_steps(payload.record))
    words = [
        quote(text(payload.record.get("job_id"))),
        str(payload.ingredients.revision),
        quote(text(payload.record.get("state"))),
    ]
    return " ".join(["job", *words, quote(codes)])


def _write_resources(payload: Payload) -> None:
    document = {
        "state": text(payload.record.get("state")),
        "exit": mapping(payload.record.get("exit")),
        "steps": rows(payload.command.get("steps")),
        "resources": mapping(payload.record.get("resources")),
        "modules": rows(payload.record.get("modules")),
    }
    payload.write("outputs/resources.json", readable_json(document))
