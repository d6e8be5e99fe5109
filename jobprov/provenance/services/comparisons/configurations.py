"""How the configurations of two jobs differ.

By parameter, as their recorded files evaluate, with the line that each value came from.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple, Self
from urllib.parse import quote

import msgspec

from jobprov.provenance.answers.addresses import configuration_page
from jobprov.provenance.answers.comparisons.jobs import Difference, Facet, Place
from jobprov.provenance.db.recording.configurations.art_runs import ArtRun, art_run, without_names
from jobprov.provenance.fhicl import Change, Configuration, Origin, diff
from jobprov.provenance.fhicl.diff import RENAMED
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.records.reading.repairing import repaired
from jobprov.provenance.services.comparisons.code import Pair
from jobprov.provenance.services.comparisons.differences import (
    RECIPE,
    Facts,
    Record,
    compared,
    facet,
    keyed,
    shortened,
)
from jobprov.provenance.services.comparisons.sides import JobSide
from jobprov.provenance.services.comparisons.variables import typed_record
from jobprov.provenance.services.configurations.computed_run import compute_run
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    evaluate_recorded,
)


def configuration_facet(
    job_before: JobSide, job_after: JobSide, sources: Mapping[str, bytes]
) -> Facet:
    """Return how the configurations of two jobs differ.

    Its problems name the steps that could not be evaluated.

    Args:
        sources: bytes of fcl files by digest, as far as they are here.
    """
    rows: list[Difference] = []
    problems: list[str] = []
    notes: list[str] = []
    compared_steps = 0
    steps = _paired_steps(job_before.configurations, job_after.configurations)
    for step in steps:
        if step.before is None or step.after is None:
            rows.append(_lone_step(step))
            continue
        compared_steps += 1
        part = step.name if len(steps) > 1 else None
        before = _StepOfJob.of(job_before, step.before)
        after = _StepOfJob.of(job_after, step.after)
        try:
            result = _compared_step(before, after, sources)
        except ConfigurationError as problem:
            problems.append(f"Step {step.name}: {problem}")
        else:
            rows += [msgspec.structs.replace(row, part=part) for row in result.rows]
            if result.is_written_differently:
                notes.append(f"Step {step.name}: same as run, written differently.")
    answer = facet("configuration", "Configuration", RECIPE, rows, compared_steps)
    answer.problems, answer.notes = problems, notes
    return answer


def _paired_steps(before: Sequence[Record], after: Sequence[Record]) -> list[Pair]:
    """Return the configurations of each step of either job; steps without a name go in order."""
    if len(before) == 1 and len(after) == 1:
        # Compared even if the steps have other names: there is nothing else to compare them with
        return [Pair(str(before[0].get("step") or "job"), before[0], after[0])]
    old, new = _by_step(before), _by_step(after)
    pairs = []
    for name in {**old, **new}:
        pairs.append(Pair(name, old.get(name), new.get(name)))
    nameless_pairs = zip_longest(_nameless(before), _nameless(after))
    for position, (old_entry, new_entry) in enumerate(nameless_pairs):
        pairs.append(Pair(str(position), old_entry, new_entry))
    return pairs


def _by_step(entries: Sequence[Record]) -> dict[str, Record]:
    named = [entry for entry in entries if entry.get("step")]
    return keyed(named, lambda entry: entry["step"])


def _nameless(entries: Sequence[Record]) -> list[Record]:
    return [entry for entry in entries if not entry.get("step")]


def _lone_step(step: Pair) -> Difference:
    """Return the difference of a step that only one job has."""
    key = f"configuration of step {step.name}"
    if step.before is not None:
        return Difference("removed", key, before=step.before.get("main") or "fcl")
    entry = step.after or {}
    return Difference("added", key, after=entry.get("main") or "fcl")


class _ComparedStep(NamedTuple):
    """How the configuration of one step differs.

    Attributes:
        is_written_differently: whether the same set ran in both jobs, from different files.
    """

    rows: list[Difference]
    is_written_differently: bool = False


class _StepOfJob(NamedTuple):
    """A step of one job.

    Attributes:
        entry: its configuration, as recorded.
        run: the run of art that read it; None where no command line is recorded.
        unnamed_run: the same without the names of files that each job has.
    """

    job: JobSide
    entry: Record
    run: ArtRun | None
    unnamed_run: ArtRun | None

    @classmethod
    def of(cls, job: JobSide, entry: Record) -> Self:
        """Return the step of a job that has this configuration."""
        run = run_of(job, entry)
        return cls(job, entry, run, unnamed(run))


def _compared_step(
    before: _StepOfJob, after: _StepOfJob, sources: Mapping[str, bytes]
) -> _ComparedStep:
    """Return how the configuration of one step differs.

    Raises:
        ConfigurationError: it cannot be evaluated.
    """
    facts = compared(_facts_beside_fcl(before.entry), _facts_beside_fcl(after.entry))
    # Evaluating takes longest, and is not needed where files and command lines are the same
    has_same_files = _closure(before.entry) == _closure(after.entry)
    if has_same_files and before.unnamed_run == after.unnamed_run:
        return _compared_ids(before, after, facts)
    return _compared_parameters(before, after, facts, sources)


def _compared_ids(before: _StepOfJob, after: _StepOfJob, facts: list[Difference]) -> _ComparedStep:
    """Return how a step differs that ran the same files with the same command line.

    Only the ids of the sets that ran can differ. `facts` differ beside the files.
    """
    differing_ids = _differing_ids(before.entry, after.entry)
    if before.run is None or before.run.not_known is not None:
        return _ComparedStep(facts or differing_ids)
    if before.run != after.run:
        # The names of files differ, so the ids of the sets must differ, too
        differing_ids = []
    return _ComparedStep(differing_ids, is_written_differently=bool(facts))


def _compared_parameters(
    before: _StepOfJob,
    after: _StepOfJob,
    facts: list[Difference],
    sources: Mapping[str, bytes],
) -> _ComparedStep:
    """Return the parameters in which a step differs.

    The sets that ran are compared where both are known, without the names of files; else the sets
    in the files, with the `facts` that differ beside them.

    Raises:
        ConfigurationError: it cannot be evaluated.
    """
    written_before = _evaluated(before.entry, sources)
    written_after = _evaluated(after.entry, sources)
    ran_before = compute_run(written_before, before.unnamed_run).configuration
    ran_after = compute_run(written_after, after.unnamed_run).configuration
    pages_before, pages_after = _FilePages.of(before), _FilePages.of(after)
    if ran_before is not None and ran_after is not None:
        changes = diff(ran_before, ran_after).changes
        rows = [_row(change, pages_before, pages_after) for change in changes]
        return _ComparedStep(rows, is_written_differently=not rows)
    changes = diff(written_before, written_after).changes
    rows = [_row(change, pages_before, pages_after) for change in changes]
    return _ComparedStep([*facts, *rows] or _differing_ids(before.entry, after.entry))


def unnamed(run: ArtRun | None) -> ArtRun | None:
    """Return a run of art without the names of files that each job has."""
    return None if run is None else without_names(run)


def run_of(job: JobSide, entry: Record) -> ArtRun | None:
    """Return the run of art that read a configuration; None where no command line is recorded."""
    return art_run(typed_record(job.record), msgspec.convert(repaired(entry), FclConfiguration))


def _facts_beside_fcl(entry: Record) -> Facts:
    overrides = " ".join(str(override) for override in entry.get("overrides") or ())
    return {"process name": entry.get("process_name"), "overrides": overrides or None}


def _differing_ids(old: Record, new: Record) -> list[Difference]:
    """Return the difference of the parameter sets that art ran, where both jobs recorded theirs."""
    before, after = old.get("parameter_set_id"), new.get("parameter_set_id")
    if not before or not after:
        return []
    key = "ParameterSetID, as run"
    return compared({key: before}, {key: after})


def _closure(entry: Record) -> tuple[object, ...]:
    """Return what an evaluation depends on."""
    files = entry.get("files") or ()
    names = [(file["name"], file.get("sha256"), file.get("found_in")) for file in files]
    return entry.get("main"), names


def _evaluated(entry: Record, sources: Mapping[str, bytes]) -> Configuration:
    return evaluate_recorded(msgspec.convert(repaired(entry), FclConfiguration), sources)


class _FilePages(NamedTuple):
    """Where the pages of a configuration's files are.

    Attributes:
        url: of the page of the configuration.
        names: the names of the files, by the path that a parameter's origin gives.
    """

    url: str
    names: Mapping[str, str]

    @classmethod
    def of(cls, step: _StepOfJob) -> Self:
        """Return the pages of one step's configuration.

        A step with a name of its own is in their address by name, any other by position.
        """
        names = {}
        for file in step.entry.get("files") or ():
            names[file.get("path") or file["name"]] = file["name"]
        return cls(configuration_page(step.job.head.job_id, _place_in_address(step)), names)


def _place_in_address(step: _StepOfJob) -> str:
    entries = step.job.configurations
    name = step.entry.get("step")
    if name and sum(entry.get("step") == name for entry in entries) == 1:
        return str(name)
    # By identity: two steps may have run the same configuration
    return str(next(place for place, entry in enumerate(entries) if entry is step.entry))


def _row(change: Change, pages_before: _FilePages, pages_after: _FilePages) -> Difference:
    """Return a change of a parameter, with the lines that set it."""
    key_before = change.path_before if change.path_before != change.path else None
    before, after = shortened(change.before), shortened(change.after)
    if change.kind == RENAMED:
        # What changed inside a renamed table has rows of its own
        before, after = None, None
    return Difference(
        change.kind,
        change.path,
        before=before,
        after=after,
        key_before=key_before,
        origin_before=_place(change.origin_before, pages_before),
        origin_after=_place(change.origin_after, pages_after),
    )


def _place(origin: Origin | None, pages: _FilePages) -> Place | None:
    if origin is None:
        return None
    url = None
    if origin.file in pages.names:
        name = quote(pages.names[origin.file], safe="")
        url = f"{pages.url}?file={name}&line={origin.line}#L{origin.line}"
    return Place(origin.file, origin.line, url)
