"""The set that art ran of a recorded configuration, computed where art did not write it down.

What neither files nor command line decide (the number of cores, whether RootOutput was there) is
taken from what art wrote, where the record has that; then the rest is compared with it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from jobprov.provenance.db.recording.configurations.art_runs import ArtRun
from jobprov.provenance.fhicl import Configuration, FhiclError, loads
from jobprov.provenance.fhicl.running.as_run import as_run
from jobprov.provenance.fhicl.running.command_line import ArtOptions
from jobprov.provenance.fhicl.running.errors import NotKnownError
from jobprov.provenance.fhicl.running.facts import Facts

NO_COMMAND_LINE = "The record has no command line of the program that read the configuration."


class ComputedRun(NamedTuple):
    """A computed set, or why there is none.

    Attributes:
        configuration: None where it is not known.
        is_whole: whether all names in it are those of one job.
        not_known: why there is none.
    """

    configuration: Configuration | None
    is_whole: bool
    not_known: str | None

    @property
    def identity(self) -> str | None:
        """Its ParameterSetID."""
        return None if self.configuration is None else self.configuration.parameter_set_id

    def is_equal_to(self, written: Configuration) -> bool:
        """Return whether art wrote this set.

        A number that art set itself changes its text as it is written and read again, and then the
        whole set its identity.
        """
        if self.configuration is None:
            return False
        if self.configuration.parameter_set_id == written.parameter_set_id:
            return True
        return self.read_again().parameter_set_id == written.parameter_set_id

    def read_again(self) -> Configuration:
        """Return the set as it is once it was written and read.

        Raises:
            ValueError: it is not known.
        """
        if self.configuration is None:
            raise ValueError("no set was computed")
        return loads(self.configuration.to_string(), limits=self.configuration.limits)


def compute_run(
    parsed: Configuration,
    run: ArtRun | None,
    written: Configuration | None = None,
    source_lists: Mapping[str, str] | None = None,
) -> ComputedRun:
    """Return the set that art ran.

    Args:
        run: what else decides; None where no command line is recorded.
        written: what art wrote of the set, where the record has it.
        source_lists: texts of lists of source files (-S), by name.
    """
    if run is None:
        return ComputedRun(None, is_whole=False, not_known=NO_COMMAND_LINE)
    try:
        options = run.art_options()
        facts = replace(run.facts(), source_lists=source_lists or {})
        if written is not None:
            facts = _completed(facts, options, parsed, written)
        configuration = as_run(parsed, options, facts)
    except (NotKnownError, FhiclError) as problem:
        return ComputedRun(None, is_whole=False, not_known=str(problem))
    return ComputedRun(configuration, is_whole=run.is_of_one_job, not_known=None)


def _completed(
    facts: Facts, options: ArtOptions, parsed: Configuration, written: Configuration
) -> Facts:
    """Return the facts with what only the machine and its modules decided."""
    tree = written.as_tree()
    threads = _at(tree, "services", "scheduler", "num_threads")
    if facts.most_threads is None and isinstance(threads, int):
        facts = replace(facts, most_threads=threads)
    names = _at(tree, "source", "fileNames")
    is_list_missing = "source-list" in options and not facts.source_lists
    if is_list_missing and isinstance(names, list):
        facts = replace(facts, listed_sources=[str(name) for name in names])
    return replace(facts, output_types=_types_of_added_outputs(parsed.as_tree(), tree))


def _types_of_added_outputs(parsed: object, written: object) -> dict[str, str]:
    """Return the module types of the outputs that art itself added, by label."""
    configured, outputs = _outputs_of(parsed), _outputs_of(written)
    types = {}
    for label in outputs.keys() - configured.keys():
        module_type = _at(outputs, label, "module_type")
        if isinstance(module_type, str):
            types[label] = module_type
    return types


def _outputs_of(tree: object) -> Mapping[str, object]:
    """Return the table `outputs`; an empty one where there is none."""
    outputs = _at(tree, "outputs")
    return outputs if isinstance(outputs, dict) else {}


def _at(tree: object, *path: str) -> object:
    """Return what is at a path of JSON values; None where nothing is."""
    value = tree
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
