"""The sidecar `<output>.json`: what a file transfer service carries into the catalog beside the file.

Source: MetaCat's declaration (`name`, `size`, `checksums`, `parents`, `metadata` with dotted keys),
which every known converter passes through; a sidecar in SAM's flat shape gets the same dotted keys
at its top. A sidecar that the job wrote itself keeps all it has; only inherited `prov.*` keys are
replaced.
"""

import json
import os

from jobprov.provenance.capture.files import apply_metadata

_TYPED = ("data_tier", "file_format", "file_type", "data_stream", "event_count")


def read(path):
    """Return the object in the sidecar of an output; {} where there is none.

    Raises OSError, ValueError and TypeError.
    """
    try:
        with open(path + ".json", encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict):
        raise TypeError("{}.json holds no JSON object".format(path))
    return found


def complete_output(entry, found):
    """Take counts and kinds that the job's own sidecar tells into an output entry.

    What is there already stays.
    """
    metadata = found.get("metadata") if isinstance(found.get("metadata"), dict) else found
    told = {}
    apply_metadata(
        told, {key: metadata[key] for key in metadata if key.startswith("core.") or key in _TYPED}
    )
    told.pop("metadata", None)
    for key, value in told.items():
        if isinstance(value, (str, int)) and key not in entry:
            entry[key] = value
    if isinstance(found.get("namespace"), str):
        entry.setdefault("namespace", found["namespace"])


def write(entry, found, identity, parents, clock):
    """Write the sidecar of an output; `identity` holds prov.job_id and, where known, prov.task_id.

    Raises OSError, and OutOfTimeError where no time is left: on a slow disk thousands take longer
    than the job may wait.
    """
    clock.check()
    marks = dict(identity)
    marks["prov.output"] = entry["name"]
    content = _flat(found, marks) if _is_flat(found) else _metacat(entry, found, marks, parents)
    replace(
        entry["path"] + ".json",
        (json.dumps(content, indent=1, sort_keys=True) + "\n").encode("utf-8"),
    )


def replace(path, content):
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


def _is_flat(found):
    return "file_name" in found and not isinstance(found.get("metadata"), dict)


def _flat(found, marks):
    content = {key: value for key, value in found.items() if not key.startswith("prov.")}
    content.update(marks)
    return content


def _metacat(entry, found, marks, parents):
    content = {
        "name": entry["name"],
        "size": entry["size_bytes"],
        "checksums": dict(checksum.split(":", 1) for checksum in entry.get("checksums", ())),
        "parents": [{"name": parent} for parent in parents],
    }
    if entry.get("namespace"):
        content["namespace"] = entry["namespace"]
    content.update(found)
    metadata = {
        key: value
        for key, value in (found.get("metadata") or {}).items()
        if not key.startswith("prov.")
    }
    told = {"core." + key: entry[key] for key in _TYPED if key in entry}
    told.update({key: value for key, value in entry.get("metadata", {}).items() if "." in key})
    content["metadata"] = dict(told, **metadata)
    content["metadata"].update(marks)
    return content
