"""The sidecar `<output>.json`: what a transfer service carries into the catalog with the file.

Source: MetaCat's declaration (`name`, `size`, `checksums`, `parents`, `metadata` with dotted keys),
which every known converter passes through; a sidecar in SAM's flat shape gets the same dotted keys
at its top. A sidecar that the job wrote itself keeps all it has but size and checksums; only
inherited `prov.*` keys are replaced.
"""

import json
import os
import re
from collections import deque
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from jobprov.provenance.capture.files.entries import apply_metadata, full_name, read_json
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.record.json_objects import Entry, JsonObject, Record

_TYPED = {
    "data_tier": "core.data_tier",
    "file_format": "core.file_format",
    "file_type": "core.file_type",
    "data_stream": "core.data_stream",
    "event_count": "core.event_count",
    "first_event": "core.first_event_number",
    "last_event": "core.last_event_number",
}
# Keys that have these types in every MetaCat; text is refused there
_INTEGER_LISTS = ("core.runs", "core.runs_subruns", "core.events")
_INTEGERS = ("core.event_count", "core.first_event_number", "core.last_event_number")
_FLOATS = ("core.start_time", "core.end_time")
_TAKEN = re.compile(r"[A-Za-z0-9_./-]+\Z")  # a name or namespace that MetaCat takes
# Not among `cnf.…`, which is how Mu2e calls the configurations that its catalog has
_NO_DATA = re.compile(
    r"(?!cnf\.).*\.(txt|csv|tsv|list|lst|fcl|log|out|err|json|xml|ya?ml|toml|cfg|conf|py|sh)\Z"
)


def read(path: str) -> JsonObject:
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


def complete_output(entry: Entry, sidecar: JsonObject) -> None:
    """Take counts and kinds from the job's own sidecar into an output entry.

    What is there already stays.
    """
    metadata = sidecar
    if isinstance(sidecar.get("metadata"), dict):
        metadata = sidecar["metadata"]
    typed = {key: metadata[key] for key in metadata if key.startswith("core.") or key in _TYPED}
    fields: JsonObject = {}
    apply_metadata(fields, typed)
    fields.pop("metadata", None)
    for key, value in fields.items():
        if isinstance(value, (str, int)) and key not in entry:
            entry[key] = value
    if isinstance(sidecar.get("namespace"), str):
        entry.setdefault("namespace", sidecar["namespace"])


class MadeFrom:
    """Tells which files of data each output of a step was made from, as far as that is known.

    Args:
        record: of the job so far.
        inputs: of the step and the programs in it.
        made: outputs of the same, which the record does not have yet.
        declared: what all are made from, where that is told.
    """

    def __init__(
        self,
        record: Record,
        inputs: Iterable[Entry],
        made: Iterable[Entry],
        declared: List[Entry],
    ) -> None:
        self._declared = declared
        every = record.get("inputs", ())
        self._every = [entry for entry in every if entry.get("role") in ("primary", "secondary")]
        self._own = [entry for entry in inputs if entry.get("role") in ("primary", "secondary")]
        self._own += [entry for entry in self._every if not entry.get("step")]
        self._makers: Dict[str, Optional[str]] = {}
        for entry in [*record.get("outputs", ()), *made]:
            self._makers.setdefault(entry["name"], entry.get("step"))

    def parents(self, output: Entry) -> List[JsonObject]:
        """Return what is declared, else the inputs of the output's step, else all inputs.

        What another step of the job made stands for that step's inputs: it may never be declared,
        and a catalog refuses unknown parents.
        """
        if self._declared:
            return self._declared
        own, visited = self._own, {output.get("step")}
        if output.get("step"):
            own = [entry for entry in own if entry.get("step") in (None, *visited)] or own
        waiting = deque(own)
        parents = []
        while waiting:
            entry = waiting.popleft()
            step = self._makers.get(entry["name"], entry.get("step"))
            if step == entry.get("step"):
                parents.append(entry)
            elif step not in visited:
                visited.add(step)
                waiting += [other for other in self._every if other.get("step") == step]
        return [entry for entry in parents if not _NO_DATA.match(entry["name"])]


def write(
    entry: Entry,
    sidecar: JsonObject,
    marks: Dict[str, str],
    parents: Iterable[Entry],
    clock: Clock,
) -> List[str]:
    """Write the sidecar of an output; `marks` are the `prov.*` keys.

    Return sentences about what a catalog would refuse.

    Raises OSError, and OutOfTimeError where no time is left: on a slow disk thousands would take
    too long.
    """
    clock.check()
    problems: List[str] = []
    if "file_name" in sidecar and not isinstance(sidecar.get("metadata"), dict):
        content = dict(_without_prov(sidecar), **marks)
    else:
        content, problems = _metacat(entry, sidecar, marks, parents)
    _save(entry, content)
    return problems


def write_for_sam(
    entry: Entry,
    marks: Dict[str, str],
    parents: Iterable[Entry],
    clock: Clock,
) -> None:
    """Write the sidecar of an output in SAM's flat shape; raises as `write` does."""
    clock.check()
    names = {parent["name"] for parent in parents if not _NO_DATA.match(parent["name"])}
    names.discard(entry["name"])
    content = {key: entry[key] for key in _TYPED if key in entry}
    content.update(entry.get("metadata", {}), **marks)
    content.update(
        file_name=entry["name"],
        file_size=entry["size_bytes"],
        checksum=entry.get("checksums", []),
        parents=[{"file_name": name} for name in sorted(names)],
    )
    _save(entry, content)


def _save(entry: Entry, content: JsonObject) -> None:
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


def _metacat(
    entry: Entry,
    sidecar: JsonObject,
    marks: Dict[str, str],
    parents: Iterable[Entry],
) -> Tuple[JsonObject, List[str]]:
    content: JsonObject = {"name": entry["name"]}
    problems: List[str] = []
    if "parents" not in sidecar:
        content["parents"], problems = _choose(entry, parents)
    if not _TAKEN.match(entry["name"]):
        problems.append("MetaCat takes no such name: {}".format(entry["name"]))
    if entry.get("namespace"):
        content["namespace"] = entry["namespace"]
    content.update(sidecar)
    content["size"] = entry["size_bytes"]
    checksums = dict(checksum.split(":", 1) for checksum in entry.get("checksums", ()))
    own_checksums = sidecar.get("checksums")
    if isinstance(own_checksums, dict):
        checksums = dict(own_checksums, **checksums)
    content["checksums"] = checksums
    metadata = {_TYPED[key]: entry[key] for key in _TYPED if key in entry}
    own = entry.get("metadata", {})
    for key in own:
        if "." in key:
            metadata[key] = _typed(key, own[key], problems)
        else:
            problems.append("left out of a sidecar, MetaCat takes no key without a dot: " + key)
    metadata.update(_without_prov(sidecar.get("metadata") or {}))
    metadata.update(marks)
    content["metadata"] = metadata
    return content, problems


def _typed(key: str, value: Any, problems: List[str]) -> Any:
    """Return a value that was given as text as MetaCat wants it.

    One that cannot be read is returned as it is.
    """
    if not isinstance(value, str):
        return value
    try:
        if key in _INTEGER_LISTS:
            return [int(number) for number in value.split(",")]
        if key in _INTEGERS:
            return int(value)
        return float(read_json(value)) if key in _FLOATS else value
    except (TypeError, ValueError):
        problems.append("MetaCat takes numbers for {}, not {}".format(key, value))
        return value


def _choose(entry: Entry, files: Iterable[Entry]) -> Tuple[List[Dict[str, str]], List[str]]:
    """Return (the parents that MetaCat can know, why the others are left out)."""
    parents: Dict[str, Dict[str, str]] = {}
    left_out: Dict[str, Set[str]] = {}
    for file in files:
        name, namespace = file["name"], file.get("namespace")
        why = None
        if _NO_DATA.match(name):
            why = "they are no files of data"
        elif not namespace:
            why = "their namespace is unknown (--namespace, or --input NAMESPACE:NAME)"
        elif not _TAKEN.match(name):
            why = "MetaCat takes no such names"
        elif full_name(file) == full_name(entry):
            why = "a file is no parent of its own"
        if why is None:
            parents[full_name(file)] = {"namespace": str(namespace), "name": name}
        else:
            left_out.setdefault(why, set()).add(name)
    sentence = "left out as parents in a sidecar, {}: {}"
    problems = [sentence.format(why, ", ".join(sorted(left_out[why]))) for why in left_out]
    return list(parents.values()), problems


def _without_prov(metadata: JsonObject) -> JsonObject:
    return {key: value for key, value in metadata.items() if not key.startswith("prov.")}
