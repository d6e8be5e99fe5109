"""The files around a job in its bundle: scripts, inputs, conditions, logs."""

import posixpath
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.bundle.draft import Fetched
from jobprov.provenance.bundle.fields import digest, number, rows, text, texts
from jobprov.provenance.bundle.ingredients import SMALL_BYTES
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
_PROGRAM_BITS = 0o111
_FETCHED = ("root://", "roots://", "xroot://", "https://", "http://")
_SMALL_INPUTS, _ALL_INPUTS = 2, 4  # the levels that hold them


def add_scripts(payload: Payload) -> None:
    """Write every script that is possessed and lay it out where the job used it."""
    table = []
    for script in rows(payload.record.get("scripts")):
        name, sha256 = text(script.get("name")), digest(script.get("sha256"))
        path = text(script.get("path")) or name
        stored, mode = "", _mode(text(script.get("mode")))
        if not payload.has(sha256):
            payload.needs.add(
                1, "script", name, "a script that the job ran", digest=sha256, place=path
            )
        elif payload.level < 1:
            payload.needs.add(1, "script", name, "left out: level L0", digest=sha256, place=path)
        else:
            stored = payload.shelve("scripts", path.removeprefix("./").lstrip("/"), sha256)
            payload.place(stored, mode, path)
            if place := payload.places.settle(path):
                payload.note_shebang(place, payload.draft.reader.get(sha256)[:512])
        origin = (
            text(script.get("software")),
            text(script.get("path_in_repository")) or "untracked",
        )
        table.append((sha256, mode, name, path, *origin, stored))
    payload.table("scripts/scripts.tsv", _SCRIPTS, table)


def _mode(recorded: str) -> str:
    try:
        return "0755" if int(recorded or "755", 8) & _PROGRAM_BITS else "0644"
    except ValueError:
        return "0755"


def add_inputs(payload: Payload) -> None:
    """Write possessed small inputs, and a line for each that run.sh must find by digest."""
    table = []
    made = {
        _path(output): digest(output.get("sha256"))
        for output in rows(payload.record.get("outputs"))
    }
    for order, entry in enumerate(rows(payload.record.get("inputs"))):
        # what an earlier step of the job wrote will be written again
        is_made = _path(entry) in made and digest(entry.get("sha256")) in {"", made[_path(entry)]}
        stored = "" if is_made else _add_input(payload, entry)
        size, events = number(entry.get("size_bytes")), number(entry.get("events_read"))
        table.append(
            (
                str(order),
                text(entry.get("namespace")),
                text(entry.get("name")),
                _path(entry),
                text(entry.get("step")),
                text(entry.get("role")),
                "" if size is None else str(size),
                digest(entry.get("sha256")),
                ",".join(texts(entry.get("checksums"))),
                "" if events is None else str(events),
                text(entry.get("location")),
                stored,
            )
        )
    payload.table("inputs/manifest.tsv", _INPUTS, table)


def _path(entry: Mapping[str, Any]) -> str:
    """The path by which the job used a file.

    Where no path was recorded, it is the location that the file was opened at, else the name.
    """
    location = text(entry.get("location"))
    return (
        text(entry.get("path"))
        or (location if "://" in location else "")
        or text(entry.get("name"))
    )


def _add_input(payload: Payload, entry: Mapping[str, Any]) -> str:
    name, sha256 = text(entry.get("name")), digest(entry.get("sha256"))
    place = payload.places.settle(_path(entry))
    if place is not None and place in payload.laid_out:
        return ""  # laid out already, as a script, as fcl, or as the input of an earlier step
    stored = ""
    if payload.has(sha256) and payload.level >= _level_of_input(payload.draft.reader.size(sha256)):
        stored = payload.shelve("inputs/files", posixpath.basename(name), sha256)
    elif not _note_input(payload, entry, name, sha256):
        return ""
    else:
        stored = _fetched(payload, entry)
    if place is not None:
        payload.laid_out.add(place)
        _lay_out_input(payload, entry, stored, place)
    return stored


def _fetched(payload: Payload, entry: Mapping[str, Any]) -> str:
    """Where an input will lie when it was fetched.

    Empty where no fetch.txt is wanted, or not enough of it is known.
    """
    sha256, size, url = (
        digest(entry.get("sha256")),
        number(entry.get("size_bytes")),
        text(entry.get("location")),
    )
    if (
        payload.fetched is None
        or payload.has(sha256)
        or not sha256
        or size is None
        or not url.startswith(_FETCHED)
    ):
        return ""
    stored = payload.shelf.take("inputs/files", posixpath.basename(text(entry.get("name"))), sha256)
    payload.fetched.setdefault(stored, Fetched(f"data/{stored}", url, size, sha256))
    return stored


def _level_of_input(size_bytes: int) -> int:
    return _ALL_INPUTS if size_bytes > SMALL_BYTES else _SMALL_INPUTS


def _note_input(payload: Payload, entry: Mapping[str, Any], name: str, sha256: str) -> bool:
    """Note an input that is not in the bundle; False for one that the job itself never had."""
    size, checksums = number(entry.get("size_bytes")), texts(entry.get("checksums"))
    is_unseen = (
        text(entry.get("status")) not in {"", "consumed"}
        and not sha256
        and size is None
        and not checksums
    )
    if is_unseen:
        return False
    if payload.has(sha256):
        size = payload.draft.reader.size(sha256)
    # what nothing identifies can never be found again, however large
    blocks = _level_of_input(size or 0) if sha256 or checksums else _SMALL_INPUTS
    kind = "small" if _level_of_input(size or 0) == _SMALL_INPUTS else "large"
    why = (
        f"left out: level L{payload.level}"
        if payload.has(sha256)
        else f"a {kind} input that nobody uploaded"
    )
    where = text(entry.get("location")) or text(entry.get("path"))
    sum_word = sha256 or ",".join(checksums)
    payload.needs.add(blocks, "input", name, why, digest=sum_word, size=size, place=where)
    return True


def _lay_out_input(payload: Payload, entry: Mapping[str, Any], stored: str, place: Place) -> None:
    name, size = text(entry.get("name")), number(entry.get("size_bytes"))
    known = []
    if not payload.has(digest(entry.get("sha256"))) or not stored:
        known = [text(entry.get("location")), payload.places.absolute(_path(entry))]
    paths = [path.removeprefix("file://") for path in known]
    payload.lay_out(
        "input",
        name,
        digest(entry.get("sha256")) or "-",
        "-" if size is None else str(size),
        stored,
        place,
        *dict.fromkeys(path for path in paths if path.startswith(("/", *_FETCHED))),
    )


def add_conditions(payload: Payload) -> None:
    """Write the payload of every conditions database that is possessed."""
    table = []
    for entry in rows(payload.record.get("conditions")):
        name, sha256, stored = text(entry.get("database")), digest(entry.get("payload_sha256")), ""
        if not payload.has(sha256):
            label = f"{name} {text(entry.get('tag'))} {text(entry.get('validity'))}".strip()
            payload.needs.add(
                2,
                "conditions",
                label,
                "constants that the job read",
                digest=sha256,
                place=text(entry.get("url")),
            )
        elif payload.level < _SMALL_INPUTS:
            payload.needs.add(
                2, "conditions", name, f"left out: level L{payload.level}", digest=sha256
            )
        else:
            stored = payload.shelve("conditions", name, sha256)
        table.append(
            (
                name,
                text(entry.get("tag")),
                text(entry.get("validity")),
                sha256,
                text(entry.get("url")),
                stored,
            )
        )
    if table:
        payload.table(
            "conditions/conditions.tsv",
            ("database", "tag", "validity", "sha256", "url", "stored"),
            table,
        )


def add_logs(payload: Payload) -> None:
    """Write the logs that are possessed and small; the digests of all."""
    table = []
    for log in rows(payload.record.get("logs")):
        name, sha256, stored = text(log.get("name")), digest(log.get("sha256")), ""
        if (
            payload.level >= 1
            and payload.has(sha256)
            and payload.draft.reader.size(sha256) <= SMALL_BYTES
        ):
            stored = payload.shelve("logs", posixpath.basename(name), sha256)
        size = number(log.get("size_bytes"))
        cut = "yes" if log.get("is_truncated") else "no"
        table.append(
            (name, text(log.get("step")), sha256, "" if size is None else str(size), cut, stored)
        )
    if table:
        payload.table(
            "logs/logs.tsv", ("name", "step", "sha256", "size", "is_truncated", "stored"), table
        )


def add_seeds(payload: Payload) -> None:
    """Write every seed that is known, and how many threads shared them."""
    table = []
    for seed in rows(payload.record.get("seeds")):
        value, state = number(seed.get("seed")), digest(seed.get("state_sha256"))
        stored = (
            payload.shelve("seeds", state, state)
            if payload.level >= 1 and payload.has(state)
            else ""
        )
        words = [text(seed.get(field)) for field in ("step", "module", "instance", "engine")]
        table.append(
            (*words, "" if value is None else str(value), state, text(seed.get("source")), stored)
        )
    columns = ("step", "module", "instance", "engine", "seed", "state_sha256", "source", "stored")
    payload.table("seeds.tsv", columns, table)
