"""What decides, beside its files, which set art ran of a recorded configuration.

Jobs of a task differ in the names of their files. What they share is entered once: there, these
names stand as `OF_EACH_JOB`.
"""

import posixpath
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from jobprov.provenance.capture.command.arguments import without_prefix
from jobprov.provenance.fhicl.running.command_line import ArtOptions, read_command_line
from jobprov.provenance.fhicl.running.errors import NotKnownError
from jobprov.provenance.fhicl.running.facts import Facts
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord, Software
from jobprov.provenance.records.reading.sharing import remembered

OF_EACH_JOB = "<of each job>"
"""Stands for a name that each job of a task has for itself."""
_NAMES_OF_JOBS = (
    "TFileName",
    "tmpdir",
    "tmpDir",
    "timing-db",
    "memcheck-db",
    "config-out",
    "debug-config",
    "validate-config",
    "sam-process-id",
)
_ROOT_OUTPUT_PRODUCTS = ("art_root_io", "art-root-io")
_RELEASE_VARIABLE, _ROOT_OUTPUT_VARIABLE = "ART_VERSION", "ART_ROOT_IO_VERSION"


class ArtRun(Struct, frozen=True, omit_defaults=True):
    """One run of art.

    Attributes:
        program: its name.
        options: values of its options by name.
        release: of art.
        has_root_output: whether art_root_io was among the products; None where they are not known.
        not_known: why the options are not known; they are empty then.
    """

    program: str = ""
    options: Mapping[str, Sequence[str]] = {}
    release: str | None = None
    has_root_output: bool | None = None
    not_known: str | None = None

    @property
    def is_of_one_job(self) -> bool:
        """Whether all names are those of one job."""
        values = chain.from_iterable(self.options.values())
        return not any(OF_EACH_JOB in value for value in values)

    def art_options(self) -> ArtOptions:
        """Return the options.

        Raises:
            NotKnownError: they are not known.
        """
        if self.not_known is not None:
            raise NotKnownError(self.not_known)
        return ArtOptions(self.program, self.options)

    def facts(self) -> Facts:
        """Return what else decides about the set that ran."""
        return Facts(release=self.release, has_root_output=self.has_root_output)


class RecordedClosure(FclConfiguration, kw_only=True):
    """A recorded configuration with what jobs that share it have in common beside it.

    Attributes:
        art: the run of art that read it; None where no command line is recorded.
        variables: those of the environment that decide physics.
    """

    art: ArtRun | None = None
    variables: dict[str, str] | None = None

    @property
    def is_configuration(self) -> bool:
        """Whether it is one; else it only holds the variables of a job without a configuration."""
        return replace(self, variables=None) != RecordedClosure()


def art_run(record: JobRecord, configuration: FclConfiguration) -> ArtRun | None:
    """Return the run of art that read a configuration; None where no command line is recorded."""
    argv = _command_line(record, configuration.step)
    if not argv:
        return None
    try:
        options = read_command_line(without_prefix(argv))
    except NotKnownError as problem:
        return ArtRun(not_known=str(problem))
    named = posixpath.basename(options.text("config") or "")
    if configuration.main and posixpath.basename(configuration.main) != named:
        return ArtRun(not_known=f"The command line names another configuration, {named[:60]}.")
    release, has_root_output = _products(record.software or ())
    variables = (record.environment.variables if record.environment else None) or {}
    release = release or variables.get(_RELEASE_VARIABLE)
    if has_root_output is None and _RELEASE_VARIABLE in variables:
        # UPS sets a variable like it for every product that is set up
        has_root_output = _ROOT_OUTPUT_VARIABLE in variables
    return ArtRun(options.program, options.values, release, has_root_output)


class SourceList(NamedTuple):
    """A list of source files, as the command line names it."""

    name: str
    sha256: str


def source_list(record: JobRecord, run: ArtRun | None) -> SourceList | None:
    """Return the list of source files (`-S`) that a run of art read.

    None where it read none, or the record does not have it: lists of one name in several folders
    cannot be told apart.
    """
    named = run.options.get("source-list") if run else None
    if not named:
        return None
    name = named[-1]
    path = posixpath.normpath(name)
    digests_by_path: dict[str, set[str]] = {}
    for file in record.inputs or ():
        known = posixpath.normpath(file.path or file.name)
        if file.sha256 and posixpath.basename(known) == posixpath.basename(path):
            digests_by_path.setdefault(known, set()).add(file.sha256)
    digests = digests_by_path.get(path)
    if digests is None:
        digests = set(chain.from_iterable(digests_by_path.values()))
    return SourceList(name, digests.pop()) if len(digests) == 1 else None


def shared_run(run: ArtRun, configuration: FclConfiguration) -> ArtRun:
    """Return the run without the names that belong to one job.

    One whose set the program wrote is of that job in any case, and stays whole.
    """
    return run if configuration.final_sha256 else without_names(run)


def without_names(run: ArtRun) -> ArtRun:
    """Return the run with `OF_EACH_JOB` in place of the names that belong to one job."""
    if run.not_known is not None:
        return run
    options = {name: list(values) for name, values in run.options.items()}
    options.pop("config", None)
    if options.pop("source-list", None) or "source" in options:
        options["source"] = [OF_EACH_JOB]
    for name in _NAMES_OF_JOBS:
        if name in options:
            options[name] = [OF_EACH_JOB]
    if "output" in options:
        options["output"] = [_without_file(output) for output in options["output"]]
    return replace(run, options=options)


def _without_file(output: str) -> str:
    label, colon, rest = output.partition(":")
    has_label = colon and label.isalnum() and not rest.startswith("//")
    return f"{label}:{OF_EACH_JOB}" if has_label else OF_EACH_JOB


def _command_line(record: JobRecord, step: str | None) -> Sequence[str] | None:
    """Return the command line of a step, or of the job where no step is named."""
    command = record.command
    if command is None:
        return None
    for known in command.steps or ():
        if known.name == step and known.argv:
            return known.argv
    # A record of one step may give the command line of the job alone
    return command.argv if step is None or not command.steps else None


@remembered
def _products(software: Sequence[Software]) -> tuple[str | None, bool | None]:
    """Return the release of art among the products, and whether art_root_io is there."""
    release, has_root_output = None, None
    for entry in software:
        if entry.name == "art" and entry.product and entry.product.version:
            release = entry.product.version
        elif entry.name in _ROOT_OUTPUT_PRODUCTS:
            has_root_output = True
    return release, has_root_output
