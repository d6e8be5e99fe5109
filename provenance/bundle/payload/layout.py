"""What lay around a job besides files: folders, links, pipes; and how its files were, mode and time.

Links come last in the layout, so that nothing is ever written through one; modes and times come after
them, in a list of their own, since they differ between jobs that share everything else.
"""

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.bundle.fields import mapping, rows, text, texts
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.places import Place

_FILE_BITS, _FOLDER_BITS = 0o777, 0o1777  # never setuid or setgid
_OWNER_READS, _OWNER_ENTERS, _OWNER_WRITES = 0o400, 0o500, 0o700
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z\Z")
_SYSTEM = ("/bin/", "/cvmfs/", "/lib", "/opt/", "/sbin/", "/usr/")


def note_links(payload: Payload) -> None:
    """Note the links of the job, and the folders that it made, before anything is placed."""
    places = payload.places
    for entry in rows(payload.record.get("layout")):
        path = places.absolute(text(entry.get("path")))
        if not path.startswith("/") or path == "/":
            continue
        kind, target = entry.get("kind"), text(entry.get("target"))
        if kind == "new folder":
            payload.new_folders.add(path)
        elif kind == "link" and target and not _is_in_code(payload, places.locate(path)):
            places.links[path] = target


def made_folders(payload: Payload, folder: str) -> int:
    """How many folders at the end of an absolute path the job made itself."""
    way = folder
    while way not in payload.new_folders:
        if way in {"/", ""}:
            return 0
        way = posixpath.dirname(way)
    return folder[len(way) :].count("/") + 1


def add_layout(payload: Payload) -> None:
    """Lay out folders, links and pipes."""
    for entry in rows(payload.record.get("layout")):
        kind, path = text(entry.get("kind")), text(entry.get("path"))
        if not payload.places.absolute(path).startswith("/"):
            continue
        if kind == "link":
            _add_link(payload, path, moment(entry))
        elif kind == "folder":
            _add_folder(payload, entry, path)
        elif kind == "pipe":
            _add_pipe(payload, entry, path)
        elif kind == "sparse file":
            place = payload.places.settle(path)
            if place in payload.laid_out:
                payload.times.insert(0, f"sparse {place.word()}")
        elif kind == "hard link":
            _add_hard_link(payload, path, text(entry.get("target")))


def mode_of_file(recorded: str) -> str:
    """The mode of a file in a rerun, whose owner can read it; '' if none was recorded."""
    return _mode(recorded, _FILE_BITS, _OWNER_READS)


def moment(entry: Mapping[str, Any]) -> str:
    """When a file was changed, as `touch -d` takes it in UTC; '' if that was not recorded."""
    found = _MOMENT.match(text(entry.get("modified_at")))
    return f"{found[1]} {found[2]}" if found else ""


def _mode(recorded: str, bits: int, at_least: int) -> str:
    try:
        return f"{int(recorded, 8) & bits | at_least:04o}"
    except ValueError:
        return ""


def _add_folder(payload: Payload, entry: Mapping[str, Any], path: str) -> None:
    if _is_around_software(payload, payload.places.absolute(path)):
        return
    place = payload.places.settle(path)
    if place is None:
        return
    if place not in payload.laid_out:
        payload.laid_out.add(place)
        payload.lay_out("folder", place)
    is_written = posixpath.normpath(path) in _written_folders(payload)
    at_least = _OWNER_WRITES if is_written else _OWNER_ENTERS
    mode = _mode(text(entry.get("mode")), _FOLDER_BITS, at_least)
    payload.as_it_was(place, mode, moment(entry))


def _is_around_software(payload: Payload, folder: str) -> bool:
    """Whether programs or libraries that are not in the bundle lie in a folder.

    An empty folder in its place would hide them: all paths below it would lead there.
    """
    below = [path for path in _software_paths(payload.record) if path.startswith(folder + "/")]
    return any(payload.places.locate(path) is None for path in below)


def _software_paths(record: Mapping[str, Any]) -> set[str]:
    """The absolute paths of programs that ran, and of the folders in which software was looked for."""
    command = mapping(record.get("command"))
    paths = {*texts(command.get("argv"))[:1]}
    for step in rows(command.get("steps")):
        paths.update(texts(step.get("argv"))[:1])
    for name, value in mapping(mapping(record.get("environment")).get("variables")).items():
        if name.endswith(("PATH", "PREFIX", "_ENV")):
            paths.update(text(value).split(":"))
    return {posixpath.normpath(path) for path in paths if path.startswith("/")}


def _written_folders(payload: Payload) -> set[str]:
    outputs = rows(payload.record.get("outputs"))
    return {posixpath.dirname(posixpath.normpath(text(output.get("path")))) for output in outputs}


def _add_pipe(payload: Payload, entry: Mapping[str, Any], path: str) -> None:
    place = payload.places.settle(path)
    if place is not None and place not in payload.laid_out:
        payload.laid_out.add(place)
        payload.lay_out("pipe", place)
        payload.as_it_was(place, mode_of_file(text(entry.get("mode"))), moment(entry))


def _add_hard_link(payload: Payload, path: str, target: str) -> None:
    place, first = payload.places.settle(path), payload.places.settle(target)
    is_there = place in payload.laid_out and first in payload.laid_out
    if place is not None and first is not None and is_there:
        payload.lay_out("hard_link", first, place)


def _add_link(payload: Payload, path: str, modified_at: str) -> None:
    """Lay out a link: in the rerun's own root as it was, else to where its target is laid out."""
    places = payload.places
    absolute = places.absolute(path)
    if absolute not in places.links:
        return
    target, real = places.links[absolute], places.real(absolute)
    folder, name = posixpath.split(absolute)
    around = places.real(folder)
    if real == absolute or around + "/" + name in payload.new_folders:  # a loop
        return
    place = places.locate(around) or Place("elsewhere", around if around != "/" else "")
    goal: str | Place = places.locate(real) or Place("elsewhere", real)
    if real.startswith(_SYSTEM):
        goal = real  # installed software, which no bundle holds
    if places.locate(absolute) is None:
        places.map(absolute, place.below(name))
    if place.below(name) not in payload.laid_out:
        payload.laid_out.add(place.below(name))
        payload.links_as_they_were.append((target, goal, place.below(name), modified_at))


def _is_in_code(payload: Payload, place: Place | None) -> bool:
    """Whether a place comes with a repository's copy, links and all."""
    if place is None:
        return False
    return payload.provides(place) or any(place == link for _target, link in payload.links)
