"""The fcl in a bundle: `fcl/`, with a folder for each configuration if there are several."""

import posixpath
from typing import NamedTuple

from jobprov.provenance.bundle.fields import RecordPart, decimal
from jobprov.provenance.bundle.names import NAME_BYTES, plain_name
from jobprov.provenance.bundle.needs import CODE
from jobprov.provenance.bundle.payload.payload import Payload


class _FileRow(NamedTuple):
    """A line of `closure.tsv`; its fields are the columns."""

    sha256: str
    name: str
    element: str
    path: str
    software: str
    path_in_repository: str
    stored: str


def add_configurations(payload: Payload) -> None:
    """Write every configuration's files, to be laid out where the job found them.

    The folders of the search path are mapped as well.
    """
    configurations = payload.record.parts("configurations")
    for index, configuration in enumerate(configurations):
        folder = "fcl"
        if len(configurations) > 1:
            folder = f"fcl/{_folder_name(configuration, index)}"
        _add_configuration(payload, configuration, folder)
        _add_forms(payload, configuration, index, folder)


def _folder_name(configuration: RecordPart, index: int) -> str:
    """`NN-step`, or only the number if the step's name is not allowed, or too long."""
    step = plain_name(configuration.text("step"), "")
    name = f"{index:02d}-{step}"
    # `<`, not `<=`: in a tar, a folder's name ends in a slash
    return name if step and len(name) < NAME_BYTES else f"{index:02d}"


def _add_configuration(payload: Payload, configuration: RecordPart, folder: str) -> None:
    search_path = configuration.texts("search_path")
    table, found_in = [], set()
    for file in configuration.parts("files"):
        path = _used_path(file, search_path)
        for element in search_path:
            if element.startswith("/") and path.startswith(f"{element}/"):
                found_in.add(element)
        table.append(
            _FileRow(
                sha256=file.digest("sha256"),
                name=file.text("name"),
                element=decimal(file.number("found_in")),
                path=path,
                software=file.text("software"),
                path_in_repository=file.text("path_in_repository"),
                stored=_add_file(payload, file, folder, path),
            )
        )
    payload.table(f"{folder}/closure.tsv", _FileRow._fields, table)
    for element in sorted(found_in):
        payload.map_folder(element)


def _used_path(file: RecordPart, search_path: list[str]) -> str:
    """The path by which the job read a file: the recorded one, or where the search path leads."""
    path, name, element = file.text("path"), file.text("name"), file.number("found_in")
    if not path and element is not None and 0 <= element < len(search_path):
        return posixpath.join(search_path[element], name)
    return path or name


def _add_file(payload: Payload, file: RecordPart, folder: str, path: str) -> str:
    """Write a file; return its path in the payload, or '' if it became a need."""
    sha256, name = file.digest("sha256"), file.text("name") or posixpath.basename(path)
    why = ""
    if not payload.has(sha256):
        why = "a fcl file that the job read"
    elif payload.level < CODE:
        why = payload.left_out
    if why:
        payload.needs.add(CODE, "configuration", name, why, digest=sha256, place=path)
        return ""
    element = file.number("found_in")
    shelf = "main"
    # Some recorders write -1 for a file that was not found along the search path
    if element is not None and element >= 0:
        shelf = f"{element:02d}"
    stored = payload.shelve(f"{folder}/path/{shelf}", name.lstrip("/"), sha256)
    payload.place(stored, "0644", path)
    return stored


def _add_forms(payload: Payload, configuration: RecordPart, index: int, folder: str) -> None:
    """Write the configuration as a whole: its main file, and its expanded and evaluated forms."""
    fields = ("process_name", "parameter_set_id", "main")
    identity = [(field, configuration.text(field)) for field in fields]
    ran = payload.ingredients.ran.get(index)
    if ran is not None:
        identity.append(("ran_parameter_set_id", ran.identity))
    payload.table(f"{folder}/psetid.txt", ("key", "value"), identity)
    if payload.level < CODE:
        return
    _keep_main(payload, configuration, folder)
    final = configuration.digest("final_sha256")
    if payload.has(final):
        payload.keep(f"{folder}/final.fcl", final)
    ingredients = payload.ingredients
    if index in ingredients.expanded:
        payload.write_shared(f"{folder}/expanded.fcl", ingredients.expanded[index])
    if index in ingredients.evaluated:
        payload.write_shared(f"{folder}/evaluated.fcl", ingredients.evaluated[index])
    if ran is not None:
        payload.write(f"{folder}/ran.fcl", ran.text)


def _keep_main(payload: Payload, configuration: RecordPart, folder: str) -> None:
    """Keep the main file as top.fcl, if the record names it and its bytes are here."""
    main = configuration.text("main")
    if not main:
        return
    for file in configuration.parts("files"):
        sha256 = file.digest("sha256")
        if main in {file.text("name"), file.text("path")} and payload.has(sha256):
            payload.keep(f"{folder}/top.fcl", sha256)
