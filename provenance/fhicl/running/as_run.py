"""The configuration that art ran, computed from the one that it read.

art parses a configuration, lets its options change it, adds what every job needs, removes what does
not run, and gives the result its ParameterSetID. Files that it writes name that id.

Source: art's `run_art` and `artapp`.
"""

from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.running.command_line import ArtOptions
from jobprov.provenance.fhicl.running.facts import Facts
from jobprov.provenance.fhicl.running.options import (
    set_basics,
    set_debugging,
    set_outputs,
    set_processing,
    set_source,
)
from jobprov.provenance.fhicl.running.post_processing import copy_trigger_paths, post_process
from jobprov.provenance.fhicl.running.pruning import prune
from jobprov.provenance.fhicl.running.releases import rules_of
from jobprov.provenance.fhicl.running.sam_options import set_sam
from jobprov.provenance.fhicl.running.working_set import WorkingSet


def as_run(parsed: Configuration, options: ArtOptions, facts: Facts) -> Configuration:
    """Return the set that art ran.

    Args:
        parsed: the configuration that the command line names, as parsed.
        options: of the command line.
        facts: what else decides.

    Raises:
        NotKnownError: a rule or a fact is not known, or art refuses the configuration.
        FhiclError: a limit of the reader stopped it.
    """
    rules = rules_of(facts.release)
    work = WorkingSet(parsed)
    set_basics(work, options)
    set_source(work, options, facts)
    set_outputs(work, options, facts)
    set_processing(work, options, facts)
    set_debugging(work, options)
    set_sam(work, options)
    post_process(work)
    if not rules.numbers_paths:
        copy_trigger_paths(work)
    prune(work, rules)
    return work.configuration()
