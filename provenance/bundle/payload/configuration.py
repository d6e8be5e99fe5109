"""The fcl in a bundle: `fcl/`, with a folder for each configuration if there are several."""

import posixpath
from collections.abc import Mapping
from typing import Any

from jobprov.provenance.bundle.fields import decimal, digest, number, rows, text, texts
from jobprov.provenance.bundle.names import NAME_BYTES, plain_name
from jobprov.provenance.bundle.payload.payload import Payload

_CLOSURE = ("sha256", "name", "element", "path", "software", "path_in_repository", "stored")


def add_configurations(payload: Payload) -> None:
    """Write every configuration's files, to be laid out where the job found them.

    The folders of the search path are mapped as well.
    """
    configurations = rows(payload.record.get("configurations"))
    for index, configuration in enumerate(configurations):
        folder = "fcl" if len(configurations) == 1 else f"fcl/{_folder_name(configuration, index)}"
        _add_configuration(payload, configuration, index, folder)


def _folder_name(configuration: Mapping[str, Any], index: int) -> str:
    """`NN-step`, or only the number if the step's name is not allowed, or too long."""
    step = plain_name(text(configuration.get("step")), "")
    name = f"{index:02d}-{step}"
    # `<`, not `<=`: in a tar, a folder's name ends in a slash
    return name if step and len(name) < NAME_BYTES else f"{index:02d}"


def _add_configuration(
    payload: Payload, configuration: Mapping[str, Any], index: int, folder: str
) -> None:
    search_path = texts(configuration.get("search_path"))
    closure, directories = [], set()
    for file in rows(configuration.get("files")):
        path, sha256 = _used_path(file, search_path), digest(file.get("sha256"))
        stored = _store(payload, file, folder, path, sha256)
        for element in search_path:
            if element.startswith("/") and path.startswith(f"{element}/"):
                directories.add(element)
        found_in = decimal(number(file.get("found_in")))
        origin = (text(file.get("software")), text(file.get("path_in_repository")))
        closure.append((sha256, text(file.get("name")), found_in, path, *origin, stored))
    payload.table(f"{folder}/closure.tsv", _CLOSURE, closure)
    for directory in sorted(directories):
        payload.map_folder(directory)
    _add_forms(payload, configuration, index, folder)


def _used_path(file: Mapping[str, Any], search_path: list[str]) -> str:
    element = number(file.get("found_in"))
    name = text(file.get("name"))
    if text(file.get("path")) or element is None or not 0 <= element < len(search_path):
        return text(file.get("path")) or name
    return posixpath.join(search_path[element], name)


def _store(payload: Payload, file: Mapping[str, Any], folder: str, path: str, sha256: str) -> str:
    name = text(file.get("name")) or posixpath.basename(path)
    if not payload.has(sha256):
        payload.needs.add(
            1, "configuration", name, "a fcl file that the job read", digest=sha256, place=path
        )
        return ""
    if payload.level < 1:
        payload.needs.add(1, "configuration", name, "left out: level L0", digest=sha256, place=path)
        return ""
    element = number(file.get("found_in"))
    # Some recorders write -1 for a file that was not found along the search path
    is_main = element is None or element < 0
    shelf = "main" if is_main else f"{element:02d}"
    stored = payload.shelve(f"{folder}/path/{shelf}", name.lstrip("/"), sha256)
    payload.place(stored, "0644", path)
    return stored


def _add_forms(payload: Payload, configuration: Mapping[str, Any], index: int, folder: str) -> None:
    """Write the configuration as a whole: its main file, and its expanded and evaluated forms."""
    fields = ("process_name", "parameter_set_id", "main")
    identity = [(field, text(configuration.get(field))) for field in fields]
    payload.table(f"{folder}/psetid.txt", ("key", "value"), identity)
    if payload.level < 1:
        return
    main = text(configuration.get("main"))
    for file in rows(configuration.get("files")):
        sha256 = digest(file.get("sha256"))
        is_main = main and main in {text(file.get("name")), text(file.get("path"))}
        if is_main and payload.has(sha256):
            payload.keep(f"{folder}/top.fcl", sha256)
    final = digest(configuration.get("final_sha256"))
    if payload.has(final):
        payload.keep(f"{folder}/final.fcl", final)
    ingredients = payload.ingredients
    if index in ingredients.expanded:
        payload.write_shared(f"{folder}/expanded.fcl", ingredients.expanded[index])
    if index in ingredients.evaluated:
        payload.write_shared(f"{folder}/evaluated.fcl", ingredients.evaluated[index])
