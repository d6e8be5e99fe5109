"""Sentences about the history of a file, the same on pages and in commands."""

from collections.abc import Mapping

from jobprov.provenance.answers.histories.ends import FileLeaves, FileReaders, Orphan
from jobprov.provenance.answers.histories.impact import Impact
from jobprov.provenance.lineage.sentences import MOST_READERS
from jobprov.provenance.lineage.words import counted, number

_ALL = {1: "it", 2: "both"}


def orphan_use(file: Orphan) -> str:
    """Return who used an orphan, for example `read by 240 jobs, as shared input`."""
    if not file.is_isolated:
        return "files were made from it"
    if not file.reader_count:
        return "no job read it"
    use = f"read by {counted(file.reader_count, 'job')}"
    if file.reader_count >= MOST_READERS:
        use += " or more"
    if file.is_shared:
        use += ", as shared input"
    return use


def leaves_sentence(leaves: FileLeaves) -> str:
    """Return how many final products came from a file; if there are none, who read it."""
    if leaves.readers is not None:
        return _readers_sentence(leaves.readers)
    if not leaves.count:
        return "It has no final product: the files made from it form a circle."
    return f"{counted(leaves.count, 'final product')} came from it."


def _readers_sentence(readers: FileReaders) -> str:
    if not readers.count:
        return "Nothing was made from it."
    use = f"{counted(readers.count, 'job')} read it"
    if readers.is_shared:
        use += ", as shared input"
    return f"No file was made from it. {use}{_failures(readers.count, readers.states)}."


def _failures(count: int, states: Mapping[str, int]) -> str:
    """Return how many readers did not succeed, as the end of a sentence; empty if all did."""
    unhappy = {state: jobs for state, jobs in states.items() if state != "succeeded"}
    if not unhappy:
        return ""
    if unhappy == {"failed": count}:
        return f"; {_ALL.get(count, 'all')} failed"
    return "; " + ", ".join(f"{number(jobs)} {state}" for state, jobs in unhappy.items())


def impact_sentence(impact: Impact, *, is_direct: bool) -> str:
    """Return how much was made from a file, for an answer that has counts."""
    if not impact.jobs:
        return "No recorded job read it."
    if not impact.touched:
        return f"No other file was made from it; {counted(impact.jobs, 'job')} read it."
    files = counted(impact.touched, "other file")
    verb = "was" if impact.touched == 1 else "were"
    directly = " directly" if is_direct else ""
    jobs = counted(impact.touched_jobs or 0, "job")
    return f"{files} {verb} made from it{directly}, by {jobs}."
