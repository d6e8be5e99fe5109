"""What an art file stores of the job that made it: shown, compared with a record, or made into one.

A record made from a file has the witness `import`. It has what the file knows, and
`extra.reconstructed` marks that nobody saw the job. Its job id is `prov.job_id` of the file's
metadata, else it is computed from experiment, name and bytes, so that making it twice changes
nothing.
"""

import hashlib
import uuid
import zlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

from jobprov.provenance.art.stored import StoredFile, read_stored
from jobprov.provenance.catalogs.answers import entries
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.fhicl import Configuration, FhiclError
from jobprov.provenance.fhicl.stored import load_stored
from jobprov.provenance.records.identity import JOB_NAMESPACE
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.times import exact_utc_text_or_none

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
_FACTS_OF_JOB = ("job_id", "experiment", "state", "started_at")


class Process(NamedTuple):
    """One process of the file's history, from its stored configuration.

    Attributes:
        is_last: whether it wrote this file.
        problem: why its configuration cannot be written out; None if it can.
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
        """The process that wrote the file; None if the file does not name it."""
        last = [process for process in self.processes if process.is_last]
        return last[0] if len(last) == 1 else None


class CheckedConfiguration(NamedTuple):
    """A configuration of a record, and whether a process in the file has its ParameterSetID."""

    step: str | None
    parameter_set_id: str
    is_in_file: bool


class FileCheck(NamedTuple):
    """Whether a recorded job and the file that it made agree.

    Attributes:
        verdict: `agrees` (a process in the file has a ParameterSetID of the record), `differs` (no
            process has one) or `unknown` (the record has none, or the file has no processes).
        words: the verdict in a sentence.
        configurations: those of the record that have a ParameterSetID.
    """

    verdict: str
    words: str
    configurations: list[CheckedConfiguration]

    def as_json(self) -> dict[str, object]:
        """Return what `jobprov art --check --json` prints."""
        rows = [configuration._asdict() for configuration in self.configurations]
        return {**self._asdict(), "configurations": rows}


class ReconstructedRecord(NamedTuple):
    """The record of a job made from its file, as JSON, and the blobs that it names, by digest."""

    record: Mapping[str, Any]
    blobs: dict[str, bytes]


class _Checksums(NamedTuple):
    """Checksums of a file's bytes."""

    sha256: str
    adler32: str


def read_art_file(path: Path) -> ArtFile:
    """Return what an art file stores.

    Raises:
        BadInputError: it is no art file, is not whole, or holds more than can be read.
    """
    stored = read_stored(path)
    wrote = str(stored.metadata.get("art.process_name", ""))
    processes = []
    for identity in stored.parameter_sets:
        process = _process(stored, identity, wrote)
        if process is not None:
            processes.append(process)
    if len(processes) > _MOST_PROCESSES:
        raise BadInputError(
            f"{path}: it names {len(processes):,} processes; {_MOST_PROCESSES:,} is the limit."
        )
    return ArtFile(stored, sorted(processes, key=lambda process: (process.is_last, process.name)))


def art_file_json(file: ArtFile) -> dict[str, object]:
    """Return what `jobprov art --json` prints."""
    stored = file.stored
    ranges = []
    for subrun, begin, end in stored.event_ranges:
        ranges.append({"subrun": subrun, "begin": begin, "end": end})
    return {
        "path": stored.path,
        "size_bytes": stored.size_bytes,
        "processes": [_process_json(process) for process in file.processes],
        "metadata": stored.metadata,
        "event_ranges": ranges,
        "parameter_sets": stored.parameter_sets,
        "tables": stored.tables,
    }


def _process_json(process: Process) -> dict[str, object]:
    tree = None
    if process.configuration is not None:
        tree = process.configuration.as_tree()
    return {
        "process_name": process.name,
        "parameter_set_id": process.parameter_set_id,
        "wrote_this_file": process.is_last,
        "configuration": tree,
        "problem": process.problem,
    }


def check_against(file: ArtFile, job: Mapping[str, Any]) -> FileCheck:
    """Return whether a recorded job and the file that it made agree.

    Args:
        job: what `GET /jobs/{job_id}` answers.
    """
    in_file = {process.parameter_set_id for process in file.processes}
    configurations = []
    for entry in job["configurations"]:
        identity = entry.get("parameter_set_id")
        if identity:
            configurations.append(
                CheckedConfiguration(entry.get("step"), identity, identity in in_file)
            )
    verdict, sentence = _verdict(in_file, configurations)
    return FileCheck(verdict, sentence, configurations)


def _verdict(
    in_file: AbstractSet[str], configurations: Sequence[CheckedConfiguration]
) -> tuple[str, str]:
    """Return whether file and record agree, as a word and as a sentence."""
    if not in_file:
        return "unknown", "The file stores no configuration of a process."
    if not configurations:
        sentence = (
            "The record does not say which ParameterSetID was run; nothing can be held against it."
        )
        return "unknown", sentence
    if any(configuration.is_in_file for configuration in configurations):
        return "agrees", "The configuration that the record says was run is the one in the file."
    return "differs", "The configuration that the record says was run is not in the file."


def finding_record(file: ArtFile, job: Mapping[str, Any]) -> dict[str, object]:
    """Return a record of the witness `import` for a recorded job whose file was read.

    It adds only the processes that art stored in the file.

    Args:
        file: an output of the job.
        job: what `GET /jobs/{job_id}` answers.
    """
    merged = job["merged"]
    facts = {name: merged[name] for name in _FACTS_OF_JOB if merged.get(name)}
    return {
        "schema_version": 1,
        "witness": "import",
        **facts,
        "extra": {"checked": _known_processes(file)},
    }


def reconstruct(file: ArtFile, experiment: str) -> ReconstructedRecord:
    """Return the record of the job that made a file, as far as the file knows it, and its blobs.

    Raises:
        BadInputError: the file does not name the process that wrote it, or the time.
    """
    stored, last = file.stored, file.last
    if last is None:
        raise BadInputError(
            f"{stored.path}: it does not tell which process wrote it (art.process_name), so no "
            "record can be made of it."
        )
    path, metadata = Path(stored.path), stored.metadata
    checksums = _checksums(path)
    started_at, ended_at = _times(stored)
    configuration, blobs = _configuration(last)
    parents = [str(name) for name in entries(metadata.get("parents"))]
    record = {
        "schema_version": 1,
        "job_id": _job_id(metadata, experiment, path.name, checksums.sha256),
        "witness": "import",
        "experiment": experiment,
        "state": "succeeded",
        "started_at": started_at,
        "ended_at": ended_at,
        "task": _task(metadata),
        "configurations": [configuration],
        "software": _software(metadata),
        "inputs": [{"name": name, "role": "primary"} for name in parents],
        "outputs": [_output(path.name, stored, checksums, parents)],
        "extra": {"reconstructed": _known_processes(file)},
    }
    facts = {name: value for name, value in record.items() if value not in (None, [])}
    return ReconstructedRecord(facts, blobs)


def _times(stored: StoredFile) -> tuple[str, str]:
    """Return when the job started and ended. If the file has only one of these, it is both.

    Raises:
        BadInputError: it has neither.
    """
    started_at = _moment(stored.metadata.get("start_time"))
    ended_at = _moment(stored.metadata.get("end_time"))
    first, last = started_at or ended_at, ended_at or started_at
    if first is None or last is None:
        raise BadInputError(
            f"{stored.path}: its metadata have no start_time and no end_time, so no record can be "
            "made of it."
        )
    return first, last


def _task(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    task_id = metadata.get("prov.task_id")
    return {"task_id": task_id} if isinstance(task_id, str) else None


def _process(stored: StoredFile, identity: str, wrote: str) -> Process | None:
    """Return the process whose main parameter set this is; None for any other set.

    A main set has `process_name` and `source`.
    """
    text = stored.parameter_sets[identity]
    # A file holds thousands of sets, most of them of modules: these are not worth parsing
    if "process_name:" not in text or "source:" not in text:
        return None
    try:
        configuration = load_stored(stored.parameter_sets, identity)
    except FhiclError as error:
        return Process("", identity, is_last=False, configuration=None, problem=str(error))
    tree = configuration.as_tree()
    name = tree.get("process_name")
    if not isinstance(name, str) or "source" not in tree:
        return None
    problem = None
    if configuration.parameter_set_id != identity:
        problem = "its text does not have the id under which it is stored"
    return Process(name, identity, name == wrote, configuration, problem)


def _known_processes(file: ArtFile) -> dict[str, object]:
    """Return the processes that led to a file, as the record's `extra` has them."""
    processes = []
    for process in file.processes:
        processes.append({"name": process.name, "parameter_set_id": process.parameter_set_id})
    return {"from": "RootFileDB", "file": Path(file.stored.path).name, "processes": processes}


def _configuration(process: Process) -> tuple[dict[str, object], dict[str, bytes]]:
    """Return the configuration in the form of a record, and its text as a blob.

    The text is what art stored, with includes and overrides already applied.
    """
    configuration: dict[str, object] = {
        "step": "art",
        "main": MAIN,
        "process_name": process.name,
        "parameter_set_id": process.parameter_set_id,
    }
    if process.configuration is None:
        return configuration, {}
    text = process.configuration.to_indented_string().encode()
    digest = hashlib.sha256(text).hexdigest()
    configuration["files"] = [{"name": MAIN, "path": MAIN, "sha256": digest}]
    configuration["final_sha256"] = digest
    return configuration, {digest: text}


def _output(
    name: str, stored: StoredFile, checksums: _Checksums, parents: list[str]
) -> dict[str, object]:
    """Return the file as an output of the record."""
    metadata = stored.metadata
    output: dict[str, object] = {
        "name": str(metadata.get("prov.output") or name),
        "status": "written",
        "size_bytes": stored.size_bytes,
        "sha256": checksums.sha256,
        "checksums": [f"adler32:{checksums.adler32}"],
    }
    output |= {field: metadata[field] for field in _OUTPUT_FIELDS if field in metadata}
    runs = [row[:2] for row in entries(metadata.get("runs")) if isinstance(row, list)]
    if runs:
        output["runs"] = runs
    if parents:
        output["parents"] = parents
    output["metadata"] = metadata
    return output


def _software(metadata: Mapping[str, Any]) -> list[dict[str, object]]:
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
            pass  # another program wrote this field: the id is computed, as if it were missing
    return str(uuid.uuid5(JOB_NAMESPACE, f"art|{experiment}|{name}|{sha256}"))


def _checksums(path: Path) -> _Checksums:
    # Catalogs and storage know most files of physics by their Adler-32
    digest, adler = hashlib.sha256(), 1
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            adler = zlib.adler32(piece, adler)
    return _Checksums(digest.hexdigest(), f"{adler:08x}")


def _moment(value: Any) -> str | None:
    """Return a time of art in the form of a record. Art's times are UTC, without a mark of it."""
    moment = read_time(value) or read_time(f"{value}Z")
    return exact_utc_text_or_none(moment)
