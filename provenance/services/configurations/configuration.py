"""The FHiCL configuration that a step ran: its files as recorded, expanded, or evaluated again."""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.configurations import (
    ConfigurationFile,
    ConfigurationFiles,
    EvaluatedConfiguration,
    EvaluatedParameter,
    EvaluationAnswer,
)
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.recording.evaluations import KnownEvaluation, read_evaluations
from jobprov.provenance.db.recording.closure_rows import closure_digests
from jobprov.provenance.errors import NotFoundError, ProvenanceError
from jobprov.provenance.fhicl import Configuration, FhiclError, FoundFile, load_files
from jobprov.provenance.fhicl.errors import LIMIT
from jobprov.provenance.fhicl.limits import DEFAULT_LIMITS
from jobprov.provenance.fhicl.printing import past_printed_bytes
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.services.lookup.job import read_job


class ConfigurationError(ProvenanceError):
    """A recorded configuration that cannot be evaluated here; the message says why, and where."""


class ConfigurationTooLargeError(ConfigurationError):
    """A recorded configuration that a limit of the reader stopped."""


class HeldBlobs(Mapping[str, bytes]):
    """The bytes of the blobs that may be read, by digest; each is read when it is asked for."""

    def __init__(self, store: Store, held: AbstractSet[str]) -> None:
        self._store = store
        self._held = held

    def __getitem__(self, sha256: str) -> bytes:
        if sha256 not in self._held:
            raise KeyError(sha256)
        return self._store.get(sha256)

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


class RecordedConfiguration(NamedTuple):
    """One configuration of a job with the bytes of its files.

    Attributes:
        position: in the record's `configurations`.
        sources: bytes by digest, of the files that were uploaded, and of what the program wrote.
        evaluation: the result of the background work; None if it has not been done yet.
    """

    position: int
    recorded: FclConfiguration
    sources: Mapping[str, bytes]
    evaluation: KnownEvaluation | None

    def evaluate(self) -> Configuration:
        """Return the evaluated configuration.

        Raises:
            ConfigurationError: a file was never uploaded, or the text is not valid FHiCL.
        """
        return evaluate_recorded(self.recorded, self.sources)


def evaluate_recorded(recorded: FclConfiguration, sources: Mapping[str, bytes]) -> Configuration:
    """Return the evaluated form of a recorded configuration.

    Raises:
        ConfigurationError: a file was never uploaded, or the text is not valid FHiCL.
    """
    files = recorded.files or []
    missing = [file.name for file in files if file.sha256 not in sources]
    if missing:
        raise ConfigurationError(
            f"{missing[0]} was never uploaded, so the configuration cannot be evaluated."
        )
    if not files:
        raise ConfigurationError("The record names no fcl file of this step.")
    found: list[FoundFile] = []
    for file in files:
        content = sources[file.sha256 or ""]
        found.append(FoundFile(file.name, file.path or file.name, content, file.found_in))
    try:
        return load_files(recorded.main or files[0].name, found)
    except FhiclError as problem:
        if problem.kind == LIMIT:
            raise ConfigurationTooLargeError(str(problem)) from problem
        raise ConfigurationError(str(problem)) from problem


def read_configurations(
    connection: Connection, store: Store, job_id: str, *, experiment: str | None = None
) -> list[RecordedConfiguration]:
    """Return every configuration of a job with the bytes of its files.

    Raises:
        NotFoundError: no such job.
    """
    job = read_job(connection, store, job_id, experiment=experiment)
    listed = job.reading.record.configurations or []
    digests = {file.sha256 for entry in listed for file in entry.files or () if file.sha256}
    digests |= {entry.final_sha256 for entry in listed if entry.final_sha256}
    sources = HeldBlobs(store, possessed_blobs(connection, job.found.experiment, digests))
    names = [(job.found.experiment, digest) for digest in closure_digests(listed)]
    known = read_evaluations(connection, names)
    return [
        RecordedConfiguration(place, entry, sources, known.get(names[place]))
        for place, entry in enumerate(listed)
    ]


def read_configuration(
    connection: Connection, store: Store, job_id: str, step: str, *, experiment: str | None = None
) -> RecordedConfiguration:
    """Return the configuration of one step, named by the step, or by its position in the record.

    Raises:
        NotFoundError: no such job, or no such step in it.
    """
    found = read_configurations(connection, store, job_id, experiment=experiment)
    # Names go first: a step may be called "0"
    for entry in found:
        if entry.recorded.step == step:
            return entry
    if step.isascii() and step.isdigit() and int(step) < len(found):
        return found[int(step)]
    steps = [entry.recorded.step or str(entry.position) for entry in found]
    raise NotFoundError(f"Job {job_id} has no configuration of a step {step}.", steps)


_FORMS: Mapping[str, Callable[[Configuration], str]] = {
    "canonical": Configuration.to_string,
    "compact": Configuration.to_compact_string,
    "indented": Configuration.to_indented_string,
    "annotated": Configuration.to_annotated_string,
    "prefix-annotated": Configuration.to_prefix_annotated_string,
}


def printed(found: RecordedConfiguration, form: str) -> bytes:
    """Return a configuration in one of `schemas.queries.CONFIGURATION_FORMS`.

    Raises:
        ConfigurationError: it cannot be evaluated, or that form of it is too large.
        NotFoundError: what the program wrote was never uploaded.
    """
    if form == "ran":
        data = found.sources.get(found.recorded.final_sha256 or "")
        if data is None:
            raise NotFoundError(
                "What the program wrote of its configuration (`art --config-out`) is not here."
            )
        return data
    if form == "expanded":
        return found.evaluate().expanded
    configuration = found.evaluate()
    try:
        return _FORMS[form](configuration).encode()
    except FhiclError as problem:
        raise ConfigurationTooLargeError(str(problem)) from problem


def source_of(found: RecordedConfiguration, name: str) -> bytes:
    """Return the exact bytes of one file of a configuration, by its include name.

    Raises:
        NotFoundError: the configuration has no such file, or it was never uploaded.
    """
    for file in found.recorded.files or ():
        if file.name == name and file.sha256 in found.sources:
            return found.sources[file.sha256 or ""]
    here = [file.name for file in found.recorded.files or () if file.sha256 in found.sources]
    raise NotFoundError(f"The configuration has no file {name}, or it was never uploaded.", here)


def evaluated_answer(found: RecordedConfiguration) -> EvaluatedConfiguration:
    """Return the evaluated configuration, and the file and line that each value comes from.

    Raises:
        ConfigurationError: it cannot be evaluated, or the answer would be too large.
    """
    configuration = found.evaluate()
    parameters = []
    left = DEFAULT_LIMITS.printed_bytes
    for parameter in configuration.parameters():
        file, line = parameter.origin or (None, None)
        # twice the value: it is in the tree as well
        left -= len(parameter.path) + 2 * len(parameter.canonical) + len(file or "")
        if left < 0:
            raise ConfigurationTooLargeError(str(past_printed_bytes(DEFAULT_LIMITS.printed_bytes)))
        parameters.append(EvaluatedParameter(parameter.path, parameter.canonical, file, line))
    return EvaluatedConfiguration(
        configuration.parameter_set_id,
        configuration.as_tree(),
        parameters,
        _evaluation_answer(found.evaluation),
    )


def files_answer(found: RecordedConfiguration) -> ConfigurationFiles:
    """Return the files of a configuration, with the text of those that were uploaded."""
    files = []
    for file in found.recorded.files or ():
        content = found.sources.get(file.sha256 or "")
        text = content.decode(errors="replace") if content is not None else None
        files.append(ConfigurationFile(file.name, file.path, file.sha256, file.found_in, text))
    recorded = found.recorded
    return ConfigurationFiles(
        recorded.step, recorded.main, files, _evaluation_answer(found.evaluation)
    )


def _evaluation_answer(known: KnownEvaluation | None) -> EvaluationAnswer | None:
    return None if known is None else EvaluationAnswer(*known)
