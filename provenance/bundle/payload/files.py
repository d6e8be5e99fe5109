"""The files around a job in its bundle: scripts, inputs, conditions, logs, seeds."""

import posixpath
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.bundle.draft import Fetched
from jobprov.provenance.bundle.fields import decimal, digest, number, rows, text, texts
from jobprov.provenance.bundle.ingredients import SMALL_BYTES
from jobprov.provenance.bundle.payload.layout import mode_of_file, moment
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place

_SCRIPTS = ("sha256", "mode", "name", "path", "software", "path_in_repository", "stored")
_INPUTS = (
    "order",
    "namespace",
    "name",
    "path",
    "step",
    "role",
    "size",
    "sha256",
    "checksums",
    "events",
    "location",
    "stored",
)
_CONDITIONS = ("database", "tag", "validity", "sha256", "url", "stored")
_LOGS = ("name", "step", "sha256", "size", "is_truncated", "stored")
_SEEDS = ("step", "module", "instance", "engine", "seed", "state_sha256", "source", "stored")
_PROGRAM_BITS = 0o111
_FETCHED = ("root://", "roots://", "xroot://", "https://", "http://")
_SMALL_INPUTS, _ALL_INPUTS = 2, 4  # the levels that hold them


def add_scripts(payload: Payload) -> None:
    """Write every script that is possessed, to be laid out where the job used it."""
    table = []
    for script in rows(payload.record.get("scripts")):
        name = text(script.get("name"))
        table.append(
            (
                digest(script.get("sha256")),
                _mode(text(script.get("mode"))),
                name,
                text(script.get("path")) or name,
                text(script.get("software")),
                text(script.get("path_in_repository")) or "untracked",
                _add_script(payload, script),
            )
        )
    payload.table("scripts/scripts.tsv", _SCRIPTS, table)


def _add_script(payload: Payload, script: Mapping[str, Any]) -> str:
    """Write a script; return its path in the payload, or '' if it became a need."""
    name, sha256 = text(script.get("name")), digest(script.get("sha256"))
    path = text(script.get("path")) or name
    if not payload.has(sha256):
        payload.needs.add(1, "script", name, "a script that the job ran", digest=sha256, place=path)
        return ""
    if payload.level < 1:
        payload.needs.add(1, "script", name, "left out: level L0", digest=sha256, place=path)
        return ""
    stored = payload.shelve("scripts", path.removeprefix("./").lstrip("/"), sha256)
    payload.place(stored, _mode(text(script.get("mode"))), path)
    place = payload.places.settle(path)
    if place is not None:
        _note_how_it_was(payload, script, place)
        payload.note_shebang(place, payload.draft.reader.get(sha256)[:512])
    return stored


def _mode(recorded: str) -> str:
    try:
        return "0755" if int(recorded or "755", 8) & _PROGRAM_BITS else "0644"
    except ValueError:
        return "0755"


def add_inputs(payload: Payload) -> None:
    """Write possessed small inputs, and a line for each that run.sh must find by digest."""
    table = []
    outputs: dict[str, str] = {}  # digest by path
    for output in rows(payload.record.get("outputs")):
        outputs[_path(output)] = digest(output.get("sha256"))
    for order, entry in enumerate(rows(payload.record.get("inputs"))):
        stored = ""
        # An input that an earlier step of the job wrote will be written again by the rerun
        if not _is_output(entry, outputs):
            stored = _add_input(payload, entry)
        table.append(
            (
                str(order),
                text(entry.get("namespace")),
                text(entry.get("name")),
                _path(entry),
                text(entry.get("step")),
                text(entry.get("role")),
                decimal(number(entry.get("size_bytes"))),
                digest(entry.get("sha256")),
                ",".join(texts(entry.get("checksums"))),
                decimal(number(entry.get("events_read"))),
                text(entry.get("location")),
                stored,
            )
        )
    payload.table("inputs/manifest.tsv", _INPUTS, table)


def _is_output(entry: Mapping[str, Any], outputs: Mapping[str, str]) -> bool:
    """Whether the job itself wrote this input; `outputs` are the digests of its outputs, by path."""
    path = _path(entry)
    return path in outputs and digest(entry.get("sha256")) in {"", outputs[path]}


def _path(entry: Mapping[str, Any]) -> str:
    """The path by which the job used a file.

    If no path was recorded, it is the location where the file was opened, else its name.
    """
    path, location = text(entry.get("path")), text(entry.get("location"))
    if path:
        return path
    return location if "://" in location else text(entry.get("name"))


def _add_input(payload: Payload, entry: Mapping[str, Any]) -> str:
    name, sha256 = text(entry.get("name")), digest(entry.get("sha256"))
    place = payload.places.settle(_path(entry))
    if place is not None:
        place = payload.behind_links(place)
    if place is not None and place in payload.laid_out:
        return ""  # laid out already, as a script, as fcl, or as the input of an earlier step
    if payload.has(sha256) and payload.level >= _level_of_input(payload.draft.reader.size(sha256)):
        stored = payload.shelve("inputs/files", posixpath.basename(name), sha256)
    elif _is_unseen(entry):
        return ""
    else:
        _note_input(payload, entry)
        stored = _fetched(payload, entry)
    if place is not None:
        payload.laid_out.add(place)
        _lay_out_input(payload, entry, stored, place)
        if stored and payload.has(sha256):  # another one may be somebody's own file
            _note_how_it_was(payload, entry, place)
    return stored


def _note_how_it_was(payload: Payload, entry: Mapping[str, Any], place: Place) -> None:
    payload.as_it_was(place, mode_of_file(text(entry.get("mode"))), moment(entry))


def _fetched(payload: Payload, entry: Mapping[str, Any]) -> str:
    """The path at which an input will be once it has been fetched.

    It is '' if no fetch.txt is wanted, or too little is known of the input.
    """
    sha256, size = digest(entry.get("sha256")), number(entry.get("size_bytes"))
    url = text(entry.get("location"))
    if payload.fetched is None or payload.has(sha256):
        return ""
    if not sha256 or size is None or not url.startswith(_FETCHED):
        return ""
    stored = payload.shelf.take("inputs/files", posixpath.basename(text(entry.get("name"))), sha256)
    payload.fetched.setdefault(stored, Fetched(f"data/{stored}", url, size, sha256))
    return stored


def _level_of_input(size_bytes: int) -> int:
    return _ALL_INPUTS if size_bytes > SMALL_BYTES else _SMALL_INPUTS


def _is_unseen(entry: Mapping[str, Any]) -> bool:
    """Whether the job named an input but never had it, so that nothing of it was seen."""
    is_described = (
        digest(entry.get("sha256"))
        or texts(entry.get("checksums"))
        or number(entry.get("size_bytes")) is not None
    )
    return not is_described and text(entry.get("status")) not in {"", "consumed"}


def _note_input(payload: Payload, entry: Mapping[str, Any]) -> None:
    """Note an input that is not in the bundle as a need."""
    sha256, checksums = digest(entry.get("sha256")), texts(entry.get("checksums"))
    if payload.has(sha256):
        size: int | None = payload.draft.reader.size(sha256)
        why = f"left out: level L{payload.level}"
    else:
        size = number(entry.get("size_bytes"))
        kind = "small" if _level_of_input(size or 0) == _SMALL_INPUTS else "large"
        why = f"a {kind} input that nobody uploaded"
    blocks = _level_of_input(size or 0)
    if not sha256 and not checksums:
        # Whatever its size, an input without any checksum can never be found again
        blocks = _SMALL_INPUTS
    payload.needs.add(
        blocks,
        "input",
        text(entry.get("name")),
        why,
        digest=sha256 or ",".join(checksums),
        size=size,
        place=text(entry.get("location")) or text(entry.get("path")),
    )


def _lay_out_input(payload: Payload, entry: Mapping[str, Any], stored: str, place: Place) -> None:
    sha256 = digest(entry.get("sha256"))
    sources: list[str] = []
    if not stored or not payload.has(sha256):
        # run.sh takes the input from where the job had it, if it is still there
        locations = (text(entry.get("location")), payload.places.absolute(_path(entry)))
        paths = [location.removeprefix("file://") for location in locations]
        sources = [path for path in paths if path.startswith(("/", *_FETCHED))]
    payload.lay_out(
        "input",
        text(entry.get("name")),
        sha256 or "-",
        decimal(number(entry.get("size_bytes"))) or "-",
        stored,
        place,
        *dict.fromkeys(sources),
    )


def add_conditions(payload: Payload) -> None:
    """Write the payload of every conditions database that is possessed."""
    table = []
    for entry in rows(payload.record.get("conditions")):
        names = [text(entry.get(field)) for field in ("database", "tag", "validity")]
        sha256, url = digest(entry.get("payload_sha256")), text(entry.get("url"))
        stored = _add_constants(payload, entry)
        table.append((*names, sha256, url, stored))
    if table:
        payload.table("conditions/conditions.tsv", _CONDITIONS, table)


def _add_constants(payload: Payload, entry: Mapping[str, Any]) -> str:
    """Write the payload of a database; return its path, or '' if it became a need."""
    name, sha256 = text(entry.get("database")), digest(entry.get("payload_sha256"))
    if not payload.has(sha256):
        payload.needs.add(
            2,
            "conditions",
            f"{name} {text(entry.get('tag'))} {text(entry.get('validity'))}".strip(),
            "constants that the job read",
            digest=sha256,
            place=text(entry.get("url")),
        )
        return ""
    if payload.level < _SMALL_INPUTS:
        why = f"left out: level L{payload.level}"
        payload.needs.add(2, "conditions", name, why, digest=sha256)
        return ""
    return payload.shelve("conditions", name, sha256)


def add_logs(payload: Payload) -> None:
    """Write the logs that are possessed and small, and the digests of all logs."""
    table = []
    for log in rows(payload.record.get("logs")):
        name, sha256, stored = text(log.get("name")), digest(log.get("sha256")), ""
        is_held = payload.level >= 1 and payload.has(sha256)
        if is_held and payload.draft.reader.size(sha256) <= SMALL_BYTES:
            stored = payload.shelve("logs", posixpath.basename(name), sha256)
        size = decimal(number(log.get("size_bytes")))
        is_truncated = "yes" if log.get("is_truncated") else "no"
        table.append((name, text(log.get("step")), sha256, size, is_truncated, stored))
    if table:
        payload.table("logs/logs.tsv", _LOGS, table)


def add_seeds(payload: Payload) -> None:
    """Write every seed that is known."""
    table = []
    for seed in rows(payload.record.get("seeds")):
        state, stored = digest(seed.get("state_sha256")), ""
        if payload.level >= 1 and payload.has(state):
            stored = payload.shelve("seeds", state, state)
        engine = [text(seed.get(field)) for field in ("step", "module", "instance", "engine")]
        value, source = decimal(number(seed.get("seed"))), text(seed.get("source"))
        table.append((*engine, value, state, source, stored))
    payload.table("seeds.tsv", _SEEDS, table)
