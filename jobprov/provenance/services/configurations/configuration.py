"""The FHiCL configuration that a step ran: its files as recorded, expanded, or evaluated again."""

import threading
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
    RunAnswer,
)
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.recording.findings import (
    KnownEvaluation,
    closures_of_jobs,
    read_evaluations,
)
from jobprov.provenance.db.recording.configurations.art_runs import (
    ArtRun,
    SourceList,
    art_run,
    source_list,
)
from jobprov.provenance.db.recording.configurations.closures import closure_digests
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.errors import NotFoundError, ProvenanceError
from jobprov.provenance.fhicl import (
    Configuration,
    FhiclError,
    FoundFile,
    Parameter,
    load_files,
    loads,
)
from jobprov.provenance.fhicl.errors import LIMIT
from jobprov.provenance.fhicl.limits import DEFAULT_LIMITS
from jobprov.provenance.fhicl.printing import past_printed_bytes
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.services.configurations.computed_run import ComputedRun, compute_run
from jobprov.provenance.services.lookup.job import ReadJob, read_job

MOST_PARAMETERS = 100_000
"""How many are kept in memory, some 30 MB; a larger configuration is evaluated each time."""


class ConfigurationError(ProvenanceError):
    """A recorded configuration cannot be evaluated here; the message gives reason and place."""


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
        sources: bytes by digest, of uploaded files and of the set that the program wrote.
        evaluation: the result of the background work; None if it has not been done yet.
        art: the run of art that read it; None where the record has no command line of it.
        source_list: the list of source files that art read (-S).
    """

    position: int
    recorded: FclConfiguration
    sources: Mapping[str, bytes]
    evaluation: KnownEvaluation | None
    art: ArtRun | None
    source_list: SourceList | None = None

    def evaluate(self) -> Configuration:
        """Return the evaluated configuration.

        Raises:
            ConfigurationError: a file was never uploaded, or the text is not valid FHiCL.
        """
        return evaluate_recorded(self.recorded, self.sources)

    def compute_run(self) -> ComputedRun:
        """Return the set that art ran, computed.

        Raises:
            ConfigurationError: a file was never uploaded, or the text is not valid FHiCL.
        """
        written = None
        final = self.sources.get(self.recorded.final_sha256 or "")
        if final is not None:
            try:
                written = loads(final)
            except FhiclError:
                written = None  # the evaluation gives the reason
        return compute_run(self.evaluate(), self.art, written, self._source_lists())

    def _source_lists(self) -> dict[str, str]:
        if self.source_list is None:
            return {}
        content = self.sources.get(self.source_list.sha256)
        if content is None:
            return {}
        return {self.source_list.name: content.decode("utf-8", "replace")}


def evaluate_recorded(recorded: FclConfiguration, sources: Mapping[str, bytes]) -> Configuration:
    """Return the evaluated form of a recorded configuration.

    Raises:
        ConfigurationError: a file was never uploaded, or the text is not valid FHiCL.
    """
    check_uploaded(recorded, sources)
    files = recorded.files or []
    if not files:
        raise ConfigurationError("The record names no fcl file of this step.")
    read_files: list[FoundFile] = []
    for file in files:
        content = sources[file.sha256 or ""]
        read_files.append(FoundFile(file.name, file.path or file.name, content, file.found_in))
    try:
        return load_files(recorded.main or files[0].name, read_files)
    except FhiclError as problem:
        if problem.kind == LIMIT:
            raise ConfigurationTooLargeError(str(problem)) from problem
        raise ConfigurationError(str(problem)) from problem


def check_uploaded(recorded: FclConfiguration, sources: Mapping[str, bytes]) -> None:
    """Check that all files of a recorded configuration are here.

    Raises:
        ConfigurationError: a file was never uploaded.
    """
    for file in recorded.files or ():
        if file.sha256 not in sources:
            raise ConfigurationError(
                f"{file.name} was never uploaded, so the configuration cannot be evaluated."
            )


def read_configurations(
    connection: Connection, store: Store, job_id: str, *, experiment: str | None = None
) -> list[RecordedConfiguration]:
    """Return every configuration of a job with the bytes of its files.

    Raises:
        NotFoundError: no such job.
    """
    job = read_job(connection, store, job_id, experiment=experiment)
    record = job.reading.record
    entries = record.configurations or []
    runs = [art_run(record, entry) for entry in entries]
    lists = [source_list(record, run) for run in runs]
    digests = {listed.sha256 for listed in lists if listed is not None}
    for entry in entries:
        digests |= _digests_of(entry)
    sources = HeldBlobs(store, possessed_blobs(connection, job.found.experiment, digests))
    evaluations = known_evaluations(connection, job)
    configurations = []
    for place, entry in enumerate(entries):
        configurations.append(
            RecordedConfiguration(
                place, entry, sources, evaluations[place], runs[place], lists[place]
            )
        )
    return configurations


def _digests_of(entry: FclConfiguration) -> set[str]:
    """Return the digests of the files of a configuration, and of what art wrote of it."""
    digests = {file.sha256 for file in entry.files or () if file.sha256}
    if entry.final_sha256:
        digests.add(entry.final_sha256)
    return digests


def known_evaluations(connection: Connection, job: ReadJob) -> list[KnownEvaluation | None]:
    """Return what is known of each configuration of a job, in order; None before its evaluation."""
    closures = closures_of_jobs(connection, [job.found.key])[job.found.key]
    names = [(job.found.experiment, digest) for digest in closures]
    known = read_evaluations(connection, Memory(), names)
    return [known.get(name) for name in names]


def read_configuration(
    connection: Connection, store: Store, job_id: str, step: str, *, experiment: str | None = None
) -> RecordedConfiguration:
    """Return the configuration of one step, named by the step, or by its position in the record.

    Raises:
        NotFoundError: no such job, or no such step in it.
    """
    configurations = read_configurations(connection, store, job_id, experiment=experiment)
    # Names go first: a step may be called "0"
    for configuration in configurations:
        if configuration.recorded.step == step:
            return configuration
    if step.isascii() and step.isdigit() and int(step) < len(configurations):
        return configurations[int(step)]
    steps = [entry.recorded.step or str(entry.position) for entry in configurations]
    raise NotFoundError(f"Job {job_id} has no configuration of a step {step}.", steps)


_FORMS: Mapping[str, Callable[[Configuration], str]] = {
    "canonical": Configuration.to_string,
    "compact": Configuration.to_compact_string,
    "indented": Configuration.to_indented_string,
    "annotated": Configuration.to_annotated_string,
    "prefix-annotated": Configuration.to_prefix_annotated_string,
}


def printed(recorded: RecordedConfiguration, form: str) -> bytes:
    """Return a configuration in one of `schemas.queries.CONFIGURATION_FORMS`.

    Raises:
        ConfigurationError: it cannot be evaluated, or that form of it is too large.
        NotFoundError: which set ran is not known.
    """
    if form == "ran":
        written = recorded.sources.get(recorded.recorded.final_sha256 or "")
        return _computed_text(recorded) if written is None else written
    if form == "computed":
        return _computed_text(recorded)
    if form == "expanded":
        return recorded.evaluate().expanded
    configuration = recorded.evaluate()
    try:
        return _FORMS[form](configuration).encode()
    except FhiclError as problem:
        raise ConfigurationTooLargeError(str(problem)) from problem


def _computed_text(recorded: RecordedConfiguration) -> bytes:
    """Return the set that art ran, computed, as `--config-out` would print it."""
    computed = recorded.compute_run()
    if computed.configuration is None:
        raise NotFoundError(f"Which set ran is not known. {computed.not_known}")
    return computed.configuration.to_indented_string().encode()


def run_answer(recorded: RecordedConfiguration) -> RunAnswer:
    """Return which set ran, as far as it is known.

    It is computed now only where the names of files differ between jobs with this configuration.
    """
    written = computed = not_known = None
    if recorded.evaluation is not None:
        written = recorded.evaluation.ran_as
        computed, not_known = recorded.evaluation.computed_as, recorded.evaluation.as_written
    if computed is None and not_known is None:
        try:
            run = recorded.compute_run()
            computed, not_known = run.identity, run.not_known
        except ConfigurationError as problem:
            not_known = str(problem).split("\n", maxsplit=1)[0]
    if written:
        return RunAnswer(written, "written", computed, not_known)
    if computed:
        return RunAnswer(computed, "computed", computed, not_known)
    return RunAnswer(None, None, computed, not_known)


def source_of(recorded: RecordedConfiguration, name: str) -> bytes:
    """Return the exact bytes of one file of a configuration, by its include name.

    Raises:
        NotFoundError: the configuration has no such file, or it was never uploaded.
    """
    for file in recorded.recorded.files or ():
        if file.name == name and file.sha256 in recorded.sources:
            return recorded.sources[file.sha256 or ""]
    here = [file.name for file in recorded.recorded.files or () if file.sha256 in recorded.sources]
    raise NotFoundError(f"The configuration has no file {name}, or it was never uploaded.", here)


def evaluated_answer(recorded: RecordedConfiguration) -> EvaluatedConfiguration:
    """Return the evaluated configuration, and the file and line that each value comes from.

    Raises:
        ConfigurationError: it cannot be evaluated, or the answer would be too large.
    """
    configuration = recorded.evaluate()
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
        run_answer(recorded),
        _evaluation_answer(recorded.evaluation),
    )


def files_answer(configuration: RecordedConfiguration) -> ConfigurationFiles:
    """Return the files of a configuration, with the text of those that were uploaded."""
    files = []
    for file in configuration.recorded.files or ():
        content = configuration.sources.get(file.sha256 or "")
        text = content.decode(errors="replace") if content is not None else None
        files.append(ConfigurationFile(file.name, file.path, file.sha256, file.found_in, text))
    recorded = configuration.recorded
    return ConfigurationFiles(
        recorded.step,
        recorded.main,
        files,
        run_answer(configuration),
        _evaluation_answer(configuration.evaluation),
    )


def _evaluation_answer(known: KnownEvaluation | None) -> EvaluationAnswer | None:
    if known is None:
        return None
    fields = known._asdict()
    del fields["is_too_large"]
    return EvaluationAnswer(**fields)


class EvaluatedParameters(NamedTuple):
    """The identity of a configuration, and its parameters in printed order."""

    identity: str
    parameters: tuple[Parameter, ...]


class KnownParameters:
    """Remembers evaluated parameters by configuration; thread-safe. The last used are kept longest.

    Each branch of the tree that is opened on a page is a request, which must not evaluate 30,000
    parameters.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, EvaluatedParameters] = {}

    def of(self, recorded: RecordedConfiguration) -> EvaluatedParameters:
        """Return the parameters of a recorded configuration.

        Raises:
            ConfigurationError: a file was never uploaded, or the text is not valid FHiCL.
        """
        # Checked even if the parameters are in memory: another experiment may have asked for them,
        # and this one may not read the files
        check_uploaded(recorded.recorded, recorded.sources)
        [key] = closure_digests((recorded.recorded,))
        with self._lock:
            # Taken out and put back at the end: the first in the dict is the one unused the longest
            known = self._held.pop(key, None)
            if known is not None:
                self._held[key] = known
                return known
        # Not under the lock: this may take a second, and other requests must not wait
        configuration = recorded.evaluate()
        made = EvaluatedParameters(
            configuration.parameter_set_id, tuple(configuration.parameters())
        )
        with self._lock:
            self._keep(key, made)
        return made

    def _keep(self, key: str, made: EvaluatedParameters) -> None:
        self._held[key] = made
        total = sum(len(evaluated.parameters) for evaluated in self._held.values())
        while total > MOST_PARAMETERS:
            oldest = next(iter(self._held))
            total -= len(self._held.pop(oldest).parameters)


parameters_of = KnownParameters().of
