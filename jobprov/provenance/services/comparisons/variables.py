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
    record_before, record_after = typed_record(before), typed_record(after)
    facts_before: dict[str, object] = {}
    facts_after: dict[str, object] = {}
    for name in names:
        values_before = _values_of(record_before, name)
        values_after = _values_of(record_after, name)
        if _is_one_value(values_before) and _is_one_value(values_after):
            values_before, values_after = _of_job(values_before), _of_job(values_after)
        facts_before.update(_facts(name, values_before))
        facts_after.update(_facts(name, values_after))
    return facts_facet(
        "variables", "Variables that decide physics", RECIPE, facts_before, facts_after
    )


def _is_one_value(values: _Values) -> bool:
    return len(set(values.values())) <= 1


def _of_job(values: _Values) -> _Values:
    """Return the one value that all steps have as that of the job."""
    if not values:
        return {}
    return {"": next(iter(values.values()))}


def _facts(name: str, values: _Values) -> dict[str, str]:
    """Return the values of a variable by what a comparison calls each of them."""
    facts = {}
    for step, value in values.items():
        facts[f"{name} in step {step}" if step else name] = value
    return facts


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
