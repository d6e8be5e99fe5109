"""The sidecar `<output>.json`: what a file transfer service carries into the catalog beside the file.

Source: MetaCat's declaration (`name`, `size`, `checksums`, `parents`, `metadata` with dotted keys),
which every known converter passes through; a sidecar in SAM's flat shape gets the same dotted keys
at its top. A sidecar that the job wrote itself keeps all it has; only inherited `prov.*` keys are
replaced.
"""

import json
import os
from typing import Any, Dict, Iterable

from jobprov.provenance.capture.files.entries import apply_metadata
from jobprov.provenance.capture.files.hashing import Clock

_TYPED = ("data_tier", "file_format", "file_type", "data_stream", "event_count")


def read(path: str) -> Dict[str, Any]:
    """Return the object in the sidecar of an output; {} where there is none.

    Raises OSError, ValueError and TypeError.
    """
    try:
        with open(path + ".json", encoding="utf-8") as stream:
            content = json.load(stream)
    except FileNotFoundError:
        return {}
    if not isinstance(content, dict):
        raise TypeError("{}.json holds no JSON object".format(path))
    return content


def complete_output(entry: Dict[str, Any], sidecar: Dict[str, Any]) -> None:
    """Take counts and kinds from the job's own sidecar into an output entry.

    What is there already stays.
    """
    metadata = sidecar
    if isinstance(sidecar.get("metadata"), dict):
        metadata = sidecar["metadata"]
    typed = {key: metadata[key] for key in metadata if key.startswith("core.") or key in _TYPED}
    fields: Dict[str, Any] = {}
    apply_metadata(fields, typed)
    fields.pop("metadata", None)
    for key, value in fields.items():
        if isinstance(value, (str, int)) and key not in entry:
            entry[key] = value
    if isinstance(sidecar.get("namespace"), str):
        entry.setdefault("namespace", sidecar["namespace"])


def write(
    entry: Dict[str, Any],
    sidecar: Dict[str, Any],
    identity: Dict[str, str],
    parents: Iterable[str],
    clock: Clock,
) -> None:
    """Write the sidecar of an output; `identity` holds prov.job_id and, where known, prov.task_id.

    Raises OSError, and OutOfTimeError where no time is left: on a slow disk thousands would take
    too long.
    """
    clock.check()
    marks = dict(identity)
    marks["prov.output"] = entry["name"]
    if "file_name" in sidecar and not isinstance(sidecar.get("metadata"), dict):
        content = _flat(sidecar, marks)
    else:
        content = _metacat(entry, sidecar, marks, parents)
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    replace(entry["path"] + ".json", text.encode("utf-8"))


def replace(path: str, content: bytes) -> None:
    """Write a file by a temporary one beside it and a rename, so that nobody sees half of it."""
    temporary = "{}.{}.tmp".format(path, os.getpid())
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _flat(sidecar: Dict[str, Any], marks: Dict[str, str]) -> Dict[str, Any]:
    content = _without_prov(sidecar)
    content.update(marks)
    return content


def _metacat(
    entry: Dict[str, Any], sidecar: Dict[str, Any], marks: Dict[str, str], parents: Iterable[str]
) -> Dict[str, Any]:
    content: Dict[str, Any] = {
        "name": entry["name"],
        "size": entry["size_bytes"],
        "checksums": dict(checksum.split(":", 1) for checksum in entry.get("checksums", ())),
        "parents": [{"name": parent} for parent in parents],
    }
    if entry.get("namespace"):
        content["namespace"] = entry["namespace"]
    content.update(sidecar)
    metadata = {"core." + key: entry[key] for key in _TYPED if key in entry}
    own = entry.get("metadata", {})
    metadata.update({key: value for key, value in own.items() if "." in key})
    metadata.update(_without_prov(sidecar.get("metadata") or {}))
    metadata.update(marks)
    content["metadata"] = metadata
    return content


def _without_prov(metadata: Dict[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in metadata.items() if not key.startswith("prov.")}
