"""What was around a job besides files (folders, links, pipes), and the modes and times of all.

Links come last in the layout, so that nothing is ever written through one. Modes and times come
after them, in a list of their own, since they differ between jobs that share everything else.
"""

import posixpath
import re

from jobprov.provenance.bundle.fields import RecordPart, text
from jobprov.provenance.bundle.payload.payload import LinkAsItWas, Payload
from jobprov.provenance.bundle.payload.places import Place

_FILE_BITS, _FOLDER_BITS = 0o777, 0o1777  # never setuid or setgid
_OWNER_READS, _OWNER_ENTERS, _OWNER_WRITES = 0o400, 0o500, 0o700
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z\Z")
_SYSTEM = ("/bin/", "/cvmfs/", "/lib", "/opt/", "/sbin/", "/usr/")


def note_links(payload: Payload) -> None:
    """Note the links of the job, and the folders that it made, before anything is placed."""
    places = payload.places
    for entry in payload.record.parts("layout"):
        path = places.absolute(entry.text("path"))
        if not path.startswith("/") or path == "/":
            continue
        kind, target = entry.text("kind"), entry.text("target")
        if kind == "new folder":
            payload.new_folders.add(path)
        elif kind == "link" and target and not _is_in_code(payload, places.locate(path)):
            places.links[path] = target


def made_folders(payload: Payload, folder: str) -> int:
    """How many folders at the end of an absolute path the job made itself."""
    outermost = folder
    while outermost not in payload.new_folders:
        if outermost in {"/", ""}:
            return 0
        outermost = posixpath.dirname(outermost)
    return folder[len(outermost) :].count("/") + 1


def add_layout(payload: Payload) -> None:
    """Lay out folders, links and pipes."""
    for entry in payload.record.parts("layout"):
        add, path = _ADDING.get(entry.text("kind")), entry.text("path")
        if add is not None and payload.places.absolute(path).startswith("/"):
            add(payload, entry, path)


def add_made_folders(payload: Payload) -> None:
    """Let a rerun's job make folders anew that hold files which are laid out before it begins.

    A job that says `mkdir in && cp /pnfs/raw.root in/` would stop at mkdir. Bundles of the first
    edition have nothing for that.
    """
    if payload.edition == 1:
        return
    made = set()
    for place in payload.laid_out:
        folder = posixpath.dirname(payload.places.recorded(place) or "")
        for _ in range(made_folders(payload, folder)):
            made.add(folder)
            folder = posixpath.dirname(folder)
    for folder in sorted(made):
        if "\n" not in folder:  # mkdir.sh has a list of lines
            place = payload.places.locate(folder) or Place("elsewhere", folder)
            payload.lay_out("made_folder", place, folder)


def note_how_it_was(payload: Payload, file: RecordPart, place: Place) -> None:
    """Let run.sh give a file the mode and time with which the job found it."""
    mode = _mode(file.text("mode"), _FILE_BITS, at_least=_OWNER_READS)
    payload.as_it_was(place, mode, _moment(file))


def _mode(recorded: str, bits: int, *, at_least: int) -> str:
    """A recorded mode for a rerun, such that the owner can use the file; '' if none is recorded."""
    try:
        return f"{int(recorded, 8) & bits | at_least:04o}"
    except ValueError:
        return ""


def _moment(entry: RecordPart) -> str:
    """When a file was changed, as `touch -d` takes it in UTC; '' if that was not recorded."""
    moment = _MOMENT.match(entry.text("modified_at"))
    return f"{moment[1]} {moment[2]}" if moment else ""


def _add_folder(payload: Payload, entry: RecordPart, path: str) -> None:
    if _is_around_software(payload, payload.places.absolute(path)):
        return
    place = payload.places.settle(path)
    if place is None:
        return
    if place not in payload.laid_out:
        payload.laid_out.add(place)
        payload.lay_out("folder", place)
    at_least = _OWNER_ENTERS
    if posixpath.normpath(path) in _written_folders(payload):
        at_least = _OWNER_WRITES
    mode = _mode(entry.text("mode"), _FOLDER_BITS, at_least=at_least)
    payload.as_it_was(place, mode, _moment(entry))


def _is_around_software(payload: Payload, folder: str) -> bool:
    """Whether programs or libraries that are not in the bundle lie in a folder.

    An empty folder in its place would hide them: all paths below it would lead there.
    """
    inside = [path for path in _software_paths(payload) if path.startswith(folder + "/")]
    return any(payload.places.locate(path) is None for path in inside)


def _software_paths(payload: Payload) -> set[str]:
    """The absolute paths of programs that ran, and of folders in which software was looked for."""
    paths = set(payload.command.texts("argv")[:1])
    for step in payload.command.parts("steps"):
        paths.update(step.texts("argv")[:1])
    for name, value in payload.environment.part("variables").fields.items():
        if name.endswith(("PATH", "PREFIX", "_ENV")):
            paths.update(text(value).split(":"))
    return {posixpath.normpath(path) for path in paths if path.startswith("/")}


def _written_folders(payload: Payload) -> set[str]:
    folders = set()
    for output in payload.record.parts("outputs"):
        folders.add(posixpath.dirname(posixpath.normpath(output.text("path"))))
    return folders


def _add_pipe(payload: Payload, entry: RecordPart, path: str) -> None:
    place = payload.places.settle(path)
    if place is not None and place not in payload.laid_out:
        payload.laid_out.add(place)
        payload.lay_out("pipe", place)
        note_how_it_was(payload, entry, place)


def _add_sparse_file(payload: Payload, _entry: RecordPart, path: str) -> None:
    place = payload.places.settle(path)
    if place in payload.laid_out:
        # Before all times: making a file sparse changes its own
        payload.times.insert(0, f"sparse {place.word()}")


def _add_hard_link(payload: Payload, entry: RecordPart, path: str) -> None:
    place, other_name = payload.places.settle(path), payload.places.settle(entry.text("target"))
    if place in payload.laid_out and other_name in payload.laid_out:
        payload.lay_out("hard_link", other_name, place)


def _add_link(payload: Payload, entry: RecordPart, path: str) -> None:
    """Lay out a link: in the rerun's own root as it was, else to where its target is laid out."""
    places = payload.places
    absolute = places.absolute(path)
    if absolute not in places.links:
        return
    target, real = places.links[absolute], places.real(absolute)
    folder, name = posixpath.split(absolute)
    real_folder = places.real(folder)
    if real == absolute or f"{real_folder}/{name}" in payload.new_folders:
        return  # a loop, or now a folder that the job made itself
    place_of_folder = places.locate(real_folder) or Place("elsewhere", real_folder.rstrip("/"))
    place = place_of_folder.below(name)
    laid_out: Place | str = places.locate(real) or Place("elsewhere", real)
    if real.startswith(_SYSTEM):
        laid_out = real  # installed software, which no bundle holds
    if places.locate(absolute) is None:
        places.map(absolute, place)
    if place not in payload.laid_out:
        payload.laid_out.add(place)
        payload.links_as_they_were.append(LinkAsItWas(target, laid_out, place, _moment(entry)))


_ADDING = {
    "link": _add_link,
    "folder": _add_folder,
    "pipe": _add_pipe,
    "sparse file": _add_sparse_file,
    "hard link": _add_hard_link,
}
"""What lays out an entry of the record's `layout`, by its kind."""


def _is_in_code(payload: Payload, place: Place | None) -> bool:
    """Whether a place comes with a repository's copy, links and all."""
    if place is None:
        return False
    return payload.provides(place) or any(place == link.place for link in payload.links)
