"""How many jobs of a stage have which code, software, variables and parameters.

Kinds of jobs are counted, since these are few; see `db/queries/comparisons/stages.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Self

from sqlalchemy import Connection

from jobprov.provenance.db.queries.comparisons.stages import (
    EvaluatedSet,
    JobClass,
    UsedConfiguration,
    UsedSoftware,
    configurations_of,
    differing_parameters,
    evaluated_sets,
    software_of,
)
from jobprov.provenance.lineage.words import counted

_MOST_SETS = 200
"""Configurations of a step that are compared by parameter, the most frequent ones."""
_DIGITS = 12


class ValueName(NamedTuple):
    """The name of a value: a checkout or parameter, and its step; None where there is only one."""

    key: str
    part: str | None


class Counts(NamedTuple):
    """The values of one side of a stage in one production.

    Attributes:
        values: by name, how many jobs have each value.
        jobs: of how many jobs values are known, by part.
    """

    values: dict[ValueName, Counter[str]]
    jobs: Counter[str | None]

    def add(
        self, facts: Mapping[ValueName, str], parts: Iterable[str | None], job_count: int
    ) -> None:
        """Count jobs that have these values."""
        for name, value in facts.items():
            self.values.setdefault(name, Counter())[value] += job_count
        for part in parts:
            self.jobs[part] += job_count

    def of(self, name: ValueName) -> dict[str | None, int]:
        """Return how many jobs have each value, None for those that do not have one."""
        values: dict[str | None, int] = {}
        values.update(self.values.get(name, {}))
        lacking = self.jobs[name.part] - sum(values.values())
        if lacking > 0:
            values[None] = lacking
        return values


_ValueOf = Callable[[UsedSoftware], str]
_ValuesOf = Callable[[Sequence[UsedSoftware]], dict[ValueName, str]]


def no_counts() -> Counts:
    """Return the counts of no jobs."""
    return Counts({}, Counter())


class SharedLists(NamedTuple):
    """What the jobs of both productions share, by keys of lists."""

    software: Mapping[int, Sequence[UsedSoftware]]
    configurations: Mapping[int, Sequence[UsedConfiguration]]
    sets: Mapping[tuple[int, int], EvaluatedSet]

    @classmethod
    def of(cls, connection: Connection, classes: Sequence[JobClass]) -> Self:
        """Return what these kinds of jobs have lists of."""
        software_sets = {jobs.software_set for jobs in classes if jobs.software_set is not None}
        closure_sets = {jobs.closure_set for jobs in classes if jobs.closure_set is not None}
        software = software_of(connection, software_sets)
        configurations = configurations_of(connection, closure_sets)
        closures: set[int] = set()
        for ran in configurations.values():
            closures.update(used.key for used in ran)
        return cls(software, configurations, evaluated_sets(connection, closures))

    def ran_by(self, jobs: JobClass) -> Sequence[UsedConfiguration]:
        """Return the configurations that some jobs ran, with variables.

        Jobs without a configuration may have an empty one, which holds their variables.
        """
        if jobs.closure_set is None:
            return ()
        return self.configurations.get(jobs.closure_set, ())

    def fcl_of(self, jobs: JobClass) -> list[UsedConfiguration]:
        """Return the configurations that some jobs ran, empty ones left out."""
        return [used for used in self.ran_by(jobs) if used.recorded.is_configuration]


def code_counts(side: Sequence[JobClass], shared: SharedLists) -> Counts:
    """Return the checkouts of a side; jobs whose records name no software do not count."""
    return _software_counts(side, shared, _checkouts)


def product_counts(side: Sequence[JobClass], shared: SharedLists) -> Counts:
    """Return the products of a side; jobs whose records name no software do not count."""
    return _software_counts(side, shared, _products)


def _software_counts(side: Sequence[JobClass], shared: SharedLists, values_of: _ValuesOf) -> Counts:
    counts = no_counts()
    for jobs in side:
        if jobs.software_set is not None:
            used = shared.software.get(jobs.software_set, ())
            counts.add(values_of(used), [None], jobs.job_count)
    return counts


def _checkouts(used: Sequence[UsedSoftware]) -> dict[ValueName, str]:
    return _by_name([entry for entry in used if not _is_product(entry)], _code_value)


def _products(used: Sequence[UsedSoftware]) -> dict[ValueName, str]:
    return _by_name([entry for entry in used if _is_product(entry)], _product_value)


def _is_product(used: UsedSoftware) -> bool:
    return used.entry.product is not None and not used.entry.revision


def _by_name(entries: Sequence[UsedSoftware], value: _ValueOf) -> dict[ValueName, str]:
    """Return the value of each entry by its name; of several with one name, all together."""
    values: dict[ValueName, list[str]] = {}
    for used in entries:
        name = ValueName(used.entry.name or "unnamed", None)
        values.setdefault(name, []).append(value(used))
    return {name: ", ".join(sorted(of_name)) for name, of_name in values.items()}


def _code_value(used: UsedSoftware) -> str:
    """Return the commit of a checkout with its ref, and which changes it had."""
    entry = used.entry
    commit = used.commit or entry.revision
    parts = []
    if entry.requested_ref:
        parts.append(entry.requested_ref)
    if commit:
        parts.append(commit[:_DIGITS])
    if entry.tarball is not None and entry.tarball.sha256:
        parts.append(f"tar file {entry.tarball.sha256[:_DIGITS]}")
    if entry.is_dirty:
        parts.append("with changes")
        changes = entry.dirty_patch_sha256 or entry.worktree_tree
        if changes:
            parts.append(changes[:_DIGITS])
    return " ".join(parts) or "unknown version"


def _product_value(used: UsedSoftware) -> str:
    """Return version and qualifiers as `--software` takes them."""
    product = used.entry.product
    if product is None:
        return "unknown version"
    qualifiers = ":".join(sorted((product.qualifiers or "").replace(":", " ").split()))
    version = product.version or used.entry.requested_ref or "unknown version"
    return f"{version}:{qualifiers}" if qualifiers else version


def variable_counts(side: Sequence[JobClass], shared: SharedLists) -> Counts:
    """Return the variables of a side that decide physics; a job's values of one all together."""
    counts = no_counts()
    for jobs in side:
        ran = shared.ran_by(jobs)
        if ran:
            counts.add(_variables(ran), [None], jobs.job_count)
    return counts


def _variables(ran: Iterable[UsedConfiguration]) -> dict[ValueName, str]:
    """Return the variables of a job with all the values that its configurations have of each."""
    values: dict[ValueName, set[str]] = {}
    for used in ran:
        for name, value in (used.recorded.variables or {}).items():
            values.setdefault(ValueName(name, None), set()).add(value)
    return {name: ", ".join(sorted(of_name)) for name, of_name in values.items()}


class ConfigurationCounts(NamedTuple):
    """The parameters of both sides in which their configurations differ.

    Attributes:
        problems: why some could not be compared.
        notes: what to know of the others.
    """

    before: Counts
    after: Counts
    problems: list[str]
    notes: list[str]


def configuration_counts(
    connection: Connection,
    before: Sequence[JobClass],
    after: Sequence[JobClass],
    shared: SharedLists,
) -> ConfigurationCounts:
    """Return the parameters of both sides in which their configurations differ."""
    counts_before, counts_after = no_counts(), no_counts()
    problems: list[str] = []
    steps = _steps([*before, *after], shared)
    for step in steps:
        part = step if len(steps) > 1 else None
        jobs_before = _jobs_by_set(before, shared, step)
        jobs_after = _jobs_by_set(after, shared, step)
        jobs_of_both = jobs_before + jobs_after
        compared = [key for key, _ in jobs_of_both.most_common(_MOST_SETS)]
        if len(compared) < len(jobs_of_both):
            problems.append(f"{_of_step(part)}only the {_MOST_SETS} most frequent are compared.")
        parameters = differing_parameters(connection, compared)
        _count_parameters(counts_before, part, jobs_before, parameters)
        _count_parameters(counts_after, part, jobs_after, parameters)
    if len(steps) > 1:
        _count_steps(counts_before, before, shared)
        _count_steps(counts_after, after, shared)
    problems += _not_evaluated("first", before, shared)
    problems += _not_evaluated("second", after, shared)
    notes = _not_as_run("first", before, shared) + _not_as_run("second", after, shared)
    return ConfigurationCounts(counts_before, counts_after, problems, notes)


def _count_parameters(
    counts: Counts,
    part: str | None,
    jobs_of_set: Mapping[int, int],
    parameters: Mapping[int, Mapping[str, str]],
) -> None:
    """Count the jobs of one side that ran each parameter set, for each of its parameters."""
    for key, of_set in parameters.items():
        job_count = jobs_of_set.get(key, 0)
        if job_count:
            facts = {ValueName(name, part): text for name, text in of_set.items()}
            counts.add(facts, [part], job_count)


def _steps(classes: Sequence[JobClass], shared: SharedLists) -> list[str]:
    """Return the steps that ran a configuration, in order; '' is one without a name."""
    steps: dict[str, None] = {}
    for jobs in classes:
        steps.update(dict.fromkeys(used.step for used in shared.fcl_of(jobs)))
    return list(steps)


def _jobs_by_set(side: Sequence[JobClass], shared: SharedLists, step: str) -> Counter[int]:
    """Return how many jobs ran each parameter set in a step."""
    job_counts = Counter[int]()
    for jobs in side:
        for used in shared.fcl_of(jobs):
            evaluated = shared.sets.get((jobs.experiment, used.key))
            if evaluated is not None and used.step == step:
                job_counts[evaluated.key] += jobs.job_count
    return job_counts


def _count_steps(counts: Counts, side: Sequence[JobClass], shared: SharedLists) -> None:
    """Count which steps ran, where jobs have several."""
    for jobs in side:
        names = {used.step for used in shared.fcl_of(jobs)}
        facts = {ValueName(f"step {name}", None): "ran" for name in names}
        counts.add(facts, [None], jobs.job_count)


def _of_step(part: str | None) -> str:
    return f"Step {part}: of its configurations " if part else "Of its configurations "


def _not_evaluated(which: str, side: Sequence[JobClass], shared: SharedLists) -> list[str]:
    """Return how many jobs of one side ran a configuration that is not evaluated."""
    job_count = 0
    for jobs in side:
        keys = [(jobs.experiment, used.key) for used in shared.fcl_of(jobs)]
        if any(key not in shared.sets for key in keys):
            job_count += jobs.job_count
    if not job_count:
        return []
    ran = f"{counted(job_count, 'job')} of the {which} ran"
    return [f"{ran} a configuration that is not evaluated: its parameters are not compared."]


def _not_as_run(which: str, side: Sequence[JobClass], shared: SharedLists) -> list[str]:
    """Return how many jobs of one side have no configuration, or one that is known as written."""
    without, as_written = 0, 0
    for jobs in side:
        ran = shared.fcl_of(jobs)
        sets = [shared.sets.get((jobs.experiment, used.key)) for used in ran]
        if not ran:
            without += jobs.job_count
        if any(parameter_set is not None and parameter_set.as_written for parameter_set in sets):
            as_written += jobs.job_count
    notes = []
    if without:
        notes.append(f"{counted(without, 'job')} of the {which} without a configuration.")
    if as_written:
        how = "compared as written, because what ran is not known"
        notes.append(f"{counted(as_written, 'job')} of the {which} {how}.")
    return notes
