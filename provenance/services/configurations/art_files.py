"""What an art file says of the job that made it.

Shown, held against a record, and made into a record where there is none.

A record made from a file is one of the witness `import`: it says what the file knows, and
`extra.reconstructed` says that nobody saw the job. It names the job that `prov.job_id` in the
file's metadata names; else its id follows from experiment, name and bytes, so that making it twice
changes nothing.
"""

import hashlib
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jobprov.provenance.art.stored import StoredFile, read_stored
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.fhicl import Configuration, FhiclError
from jobprov.provenance.fhicl.stored import load_stored
from jobprov.provenance.records.identity import JOB_NAMESPACE
from jobprov.provenance.records.reading.times import read_time

MAIN = "from-file.fcl"
_PIECE = 1 << 20
_MOST_PROCESSES = 1000
_OUTPUT_FIELDS = (
    "data_tier",
    "data_stream",
    "file_format",
    "file_type",
    "event_count",
    "first_event",
    "last_event",
)


class Process(NamedTuple):
    """One process of the file's history, as its stored configuration tells.

    Attributes:
        is_last: whether it wrote this file.
        problem: why its configuration cannot be written out; None where it can.
    """

    name: str
    parameter_set_id: str
    is_last: bool
    configuration: Configuration | None
    problem: str | None = None


class ArtFile(NamedTuple):
    """A file with its processes, the last one last."""

    stored: StoredFile
    processes: list[Process]

    @property
    def last(self) -> Process | None:
        """The process that wrote the file; None where the file does not tell which."""
        found = [process for process in self.processes if process.is_last]
        return found[0] if len(found) == 1 else None


def read_art_file(path: Path) -> ArtFile:
    """Return what an art file stores.

    Raises:
        BadInputError: it is no art file, is not whole, or holds more than can be read.
    """
    stored = read_stored(path)
    wrote = str(stored.metadata.get("art.process_name", ""))
    processes = [
        found for identity in stored.parameter_sets if (found := _process(stored, identity, wrote))
    ]
    if len(processes) > _MOST_PROCESSES:
        raise BadInputError(
            f"{path}: it names {len(processes):,} processes; {_MOST_PROCESSES:,} is the limit."
        )
    return ArtFile(stored, sorted(processes, key=lambda process: (process.is_last, process.name)))


def art_file_json(file: ArtFile) -> dict[str, Any]:
    """Return what `jobprov art --json` prints."""
    stored = file.stored
    return {
        "path": stored.path,
        "size_bytes": stored.size_bytes,
        "processes": [
            {
                "process_name": process.name,
                "parameter_set_id": process.parameter_set_id,
                "wrote_this_file": process.is_last,
                "configuration": process.configuration.as_tree() if process.configuration else None,
                "problem": process.problem,
            }
            for process in file.processes
        ],
        "metadata": stored.metadata,
        "event_ranges": [
            {"subrun": row[0], "begin": row[1], "end": row[2]} for row in stored.event_ranges
        ],
        "parameter_sets": stored.parameter_sets,
        "tables": stored.tables,
    }


def check_against(file: ArtFile, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a recorded job and the file that it made agree.

    The answer is `{verdict, words, configurations}`.

    Verdicts are `agrees` (a ParameterSetID that the record says was run is that of a process in the
    file), `differs` (the record says one, and the file does not have it) and `unknown` (the record
    says none, or the file has no processes).

    Args:
        file: the output.
        job: what `GET /jobs/{job_id}` answers.
    """
    stored = {process.parameter_set_id for process in file.processes}
    rows = [
        {
            "step": entry.get("step"),
            "parameter_set_id": entry["parameter_set_id"],
            "is_in_file": entry["parameter_set_id"] in stored,
        }
        for entry in job["configurations"]
        if entry.get("parameter_set_id")
    ]
    if not stored:
        verdict, words = "unknown", "The file stores no configuration of a process."
    elif not rows:
        verdict, words = (
            "unknown",
            "The record does not say which ParameterSetID was run; nothing can be held against it.",
        )
    elif any(row["is_in_file"] for row in rows):
        verdict, words = (
            "agrees",
            "The configuration that the record says was run is the one in the file.",
        )
    else:
        verdict, words = (
            "differs",
            "The configuration that the record says was run is not in the file.",
        )
    return {"verdict": verdict, "words": words, "configurations": rows}


def finding_record(file: ArtFile, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the witness `import` says of a recorded job whose file was looked at.

    It says which processes art stored in the file, and no more.

    Args:
        file: an output of the job.
        job: what `GET /jobs/{job_id}` answers.
    """
    merged = job["merged"]
    said = {
        name: merged[name]
        for name in ("job_id", "experiment", "state", "started_at")
        if merged.get(name)
    }
    return {"schema_version": 1, "witness": "import", **said, "extra": {"checked": _told(file)}}


def reconstruct(file: ArtFile, experiment: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the record of the job that made a file, and the blobs that it names.

    The record says as much as the file knows.

    Raises:
        BadInputError: the file does not tell which process wrote it, or when.
    """
    stored, last = file.stored, file.last
    if last is None:
        raise BadInputError(
            f"{stored.path}: it does not tell which process wrote it (art.process_name), so no "
            "record can be made of it."
        )
    path = Path(stored.path)
    sha256, adler32 = _checksums(path)
    metadata = stored.metadata
    started, ended = (_moment(metadata.get(name)) for name in ("start_time", "end_time"))
    if started is None and ended is None:
        raise BadInputError(
            f"{stored.path}: its metadata have no start_time and no end_time, so no record can be "
            "made of it."
        )
    configuration, blobs = _configuration(last)
    parents = [str(name) for name in _list(metadata.get("parents"))]
    record = {
        "schema_version": 1,
        "job_id": _job_id(metadata, experiment, path.name, sha256),
        "witness": "import",
        "experiment": experiment,
        "state": "succeeded",
        "started_at": started or ended,
        "ended_at": ended or started,
        "task": {"task_id": metadata["prov.task_id"]}
        if isinstance(metadata.get("prov.task_id"), str)
        else None,
        "configurations": [configuration],
        "software": _software(metadata),
        "inputs": [{"name": name, "role": "primary"} for name in parents],
        "outputs": [_output(path.name, stored, sha256, adler32, parents)],
        "extra": {"reconstructed": _told(file)},
    }
    return {name: value for name, value in record.items() if value not in (None, [])}, blobs


def _process(stored: StoredFile, identity: str, wrote: str) -> Process | None:
    """Return the process of which this is the main set.

    Such a set has `process_name` and `source`.
    """
    text = stored.parameter_sets[identity]
    if "process_name:" not in text or "source:" not in text:
        return None
    try:
        configuration = load_stored(stored.parameter_sets, identity)
    except FhiclError as problem:
        return Process("", identity, is_last=False, configuration=None, problem=str(problem))
    tree = configuration.as_tree()
    name = tree.get("process_name")
    if not isinstance(name, str) or "source" not in tree:
        return None
    altered = (
        None
        if configuration.parameter_set_id == identity
        else "its text does not have the id under which it is stored"
    )
    return Process(
        name, identity, is_last=name == wrote, configuration=configuration, problem=altered
    )


def _told(file: ArtFile) -> dict[str, Any]:
    """Return what the file says of the processes that led to it."""
    processes = [
        {"name": process.name, "parameter_set_id": process.parameter_set_id}
        for process in file.processes
    ]
    return {"from": "RootFileDB", "file": Path(file.stored.path).name, "processes": processes}


def _configuration(process: Process) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the configuration as the record has it, and its text.

    It is as art wrote it out, with includes and overrides done.
    """
    found: dict[str, Any] = {
        "step": "art",
        "main": MAIN,
        "process_name": process.name,
        "parameter_set_id": process.parameter_set_id,
    }
    if process.configuration is None:
        return found, {}
    text = process.configuration.to_indented_string().encode()
    digest = hashlib.sha256(text).hexdigest()
    return {
        **found,
        "files": [{"name": MAIN, "path": MAIN, "sha256": digest}],
        "final_sha256": digest,
    }, {digest: text}


def _output(
    name: str, stored: StoredFile, sha256: str, adler32: str, parents: list[str]
) -> dict[str, Any]:
    metadata = stored.metadata
    known = {field: metadata[field] for field in _OUTPUT_FIELDS if field in metadata}
    runs = [row[:2] for row in _list(metadata.get("runs")) if isinstance(row, list)]
    return {
        "name": str(metadata.get("prov.output") or name),
        "status": "written",
        "size_bytes": stored.size_bytes,
        "sha256": sha256,
        "checksums": [f"adler32:{adler32}"],
        **known,
        **({"runs": runs} if runs else {}),
        **({"parents": parents} if parents else {}),
        "metadata": metadata,
    }


def _software(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    name, version = metadata.get("application.family"), metadata.get("application.version")
    if not name or not version:
        return []
    return [{"name": str(name), "evidence": "inferred", "product": {"version": str(version)}}]


def _job_id(metadata: Mapping[str, Any], experiment: str, name: str, sha256: str) -> str:
    named = metadata.get("prov.job_id")
    if isinstance(named, str):
        try:
            return str(uuid.UUID(named))
        except ValueError:
            pass
    return str(uuid.uuid5(JOB_NAMESPACE, f"art|{experiment}|{name}|{sha256}"))


def _checksums(path: Path) -> tuple[str, str]:
    digest, adler = hashlib.sha256(), 1
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            adler = zlib.adler32(piece, adler)
    return digest.hexdigest(), f"{adler:08x}"


def _moment(value: Any) -> str | None:
    """Return a time of art, UTC without saying so, as a record has it."""
    found = read_time(value) or read_time(f"{value}Z")
    return found.isoformat().replace("+00:00", "Z") if found else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
