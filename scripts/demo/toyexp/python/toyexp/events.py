"""Events as columns, and the ROOT files that hold them.

A file has one tree `Events` (one entry an event; `muon` and `particle` are collections of any
length) and a string `metadata`, the JSON object that a file catalog wants to know. The order of
columns and entries is fixed, so that the same job writes the same content; the bytes differ,
because ROOT files carry a UUID and the time of writing.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from toyexp.errors import FileReadError

Columns = dict[str, Any]

FLAT = {
    "run": "int32",
    "subrun": "int32",
    "event": "int32",
    "weight": "float64",
    "process_code": "int32",
    "charged_multiplicity": "int32",
    "dimuon_mass": "float64",
    "dimuon_pt": "float64",
}
COLLECTIONS = {
    "particle": {"pid": "int32", "pt": "float64", "eta": "float64", "phi": "float64"},
    "muon": {"charge": "int32", "pt": "float64", "eta": "float64", "phi": "float64"},
}


def read(paths: Sequence[str]) -> tuple[Columns, list[dict[str, Any]]]:
    """Return the events of the files, in the order of the files, and each file's metadata.

    Raises:
        FileReadError: a file is not there, is damaged, or holds other columns than the first one.
    """
    parts, metadata = [], []
    for path in paths:
        columns, described = _read_one(path)
        if parts and set(columns) != set(parts[0]):
            raise FileReadError(f"{path} holds other columns than {paths[0]}")
        parts.append(columns)
        metadata.append(described)
    return {name: ak.concatenate([part[name] for part in parts]) for name in parts[0]}, metadata


def _read_one(path: str) -> tuple[Columns, dict[str, Any]]:
    try:
        with uproot.open(path) as file:
            arrays = file["Events"].arrays()
            described = json.loads(str(file["metadata"]))
    except Exception as error:  # uproot raises what struct, zlib and numpy raise on damaged bytes
        raise FileReadError(
            f"{path} ({_size(path)}) cannot be read: {type(error).__name__}: {error}"
        ) from error
    columns: Columns = {name: ak.to_numpy(arrays[name]) for name in FLAT if name in arrays.fields}
    for name, fields in COLLECTIONS.items():
        if f"n{name}" in arrays.fields:
            columns[name] = ak.zip({field: arrays[f"{name}_{field}"] for field in fields})
    return columns, described


def _size(path: str) -> str:
    return f"{Path(path).stat().st_size} bytes" if Path(path).is_file() else "not there"


def write(path: str, columns: Columns, metadata: dict[str, Any]) -> None:
    """Write the events and the metadata to a new ROOT file."""
    ordered = {
        name: _typed(name, columns[name]) for name in (*FLAT, *COLLECTIONS) if name in columns
    }
    types = {name: FLAT.get(name) or ak.type(value).content for name, value in ordered.items()}
    with uproot.recreate(path, compression=uproot.ZLIB(4)) as file:
        tree = file.mktree("Events", types, title="toyexp events")
        if length(columns):
            tree.extend(ordered)
        file["metadata"] = json.dumps(metadata, sort_keys=True)


def _typed(name: str, value: Any) -> Any:
    if name in FLAT:
        return np.asarray(value, dtype=FLAT[name])
    fields = COLLECTIONS[name]
    return ak.zip({field: ak.values_astype(value[field], kind) for field, kind in fields.items()})


def length(columns: Columns) -> int:
    """Return the number of events."""
    return len(columns["event"]) if columns else 0


def chosen(columns: Columns, mask: Any) -> Columns:
    """Return the events for which `mask` is true."""
    return {name: value[mask] for name, value in columns.items()}


def dropped(columns: Columns, names: Sequence[str]) -> Columns:
    """Return the columns without those named."""
    return {name: value for name, value in columns.items() if name not in names}


def span(columns: Columns) -> dict[str, Any]:
    """Return what a catalog wants to know: event count, first and last event, runs as [run, subrun] pairs."""
    if not length(columns):
        return {"event_count": 0, "first_event": None, "last_event": None, "runs": []}
    pairs = sorted(
        {
            (int(run), int(subrun))
            for run, subrun in zip(columns["run"], columns["subrun"], strict=True)
        }
    )
    return {
        "event_count": length(columns),
        "first_event": int(min(columns["event"])),
        "last_event": int(max(columns["event"])),
        "runs": [list(pair) for pair in pairs],
    }
