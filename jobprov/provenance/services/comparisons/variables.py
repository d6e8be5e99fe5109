"""How variables that decide physics differ between two jobs, such as the GENIE tune.

Which they are is a setting of the service. All other variables are circumstances.
"""

from collections.abc import Mapping, Sequence

import msgspec

from jobprov.provenance.answers.comparisons.jobs import Facet
from jobprov.provenance.db.recording.configurations.physics_variables import (
    PhysicsVariables,
    variables_in_step,
)
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.repairing import repaired
from jobprov.provenance.services.comparisons.differences import RECIPE, Record, facts_facet

_Values = Mapping[str, str]
"""The values of one variable, by the name of the step; '' is the job itself."""


def names_that_decide(deciding: PhysicsVariables, before: Record, after: Record) -> list[str]:
    """Return the variables that decide physics for the experiment of either job, in order."""
    names: set[str] = set()
    for record in (before, after):
        names.update(deciding.names_for(str(record.get("experiment") or "")))
    return sorted(names)


def variables_facet(names: Sequence[str], before: Record, after: Record) -> Facet:
    """Return how variables that decide physics differ, those of steps included.

    `names` are those of `names_that_decide`.

    A variable with one value in each job is compared once, wherever the jobs set it.
    """
    records = typed_record(before), typed_record(after)
    old: dict[str, object] = {}
    new: dict[str, object] = {}
    for name in names:
        values = _values_of(records[0], name), _values_of(records[1], name)
        is_one_value = all(len(set(by_step.values())) <= 1 for by_step in values)
        for facts, by_step in zip((old, new), values, strict=True):
            for step, value in by_step.items():
                key = name if is_one_value or not step else f"{name} in step {step}"
                facts[key] = value
    return facts_facet("variables", "Variables that decide physics", RECIPE, old, new)


def typed_record(record: Record) -> JobRecord:
    """Return a merged record with its types, without its files: the service knows more of these."""
    return msgspec.convert(repaired({**record, "inputs": None, "outputs": None}), JobRecord)


def _values_of(record: JobRecord, name: str) -> _Values:
    """Return the values of a variable by step; of a job without steps that have a name its own."""
    steps = (record.command.steps if record.command else None) or ()
    names = [step.name for step in steps if step.name] or [""]
    values = {}
    for step in names:
        value = variables_in_step(record, step or None).get(name)
        if value is not None:
            values[step] = value
    return values
