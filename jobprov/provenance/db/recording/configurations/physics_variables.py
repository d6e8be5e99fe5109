"""Environment variables that decide what a job computes, beside its configuration.

They are searched like parameters, under keys that no parameter has: `$GENIE_XSEC_TUNE`.
"""

from functools import lru_cache
from typing import NamedTuple

from jobprov.provenance.db.recording.configurations.parameters import (
    IndexedTable,
    indexed_text,
    table_with,
)
from jobprov.provenance.fhicl.canonical_atoms import NotCanonicalError, canonical_single
from jobprov.provenance.records.job_record import JobRecord


class PhysicsVariables(NamedTuple):
    """Which environment variables decide physics.

    Attributes:
        setting: `NAME` for all experiments, `experiment:NAME` for one, separated by commas.
    """

    setting: str

    def names_for(self, experiment: str) -> tuple[str, ...]:
        """Return the names of those that count for an experiment, in order."""
        return _names(self.setting, experiment)

    def of_step(self, record: JobRecord, step: str | None) -> dict[str, str]:
        """Return the values of those that a step of a job had, by name in order."""
        wanted = self.names_for(record.experiment)
        if not wanted:
            return {}
        variables = variables_in_step(record, step)
        return {name: variables[name] for name in wanted if name in variables}


NO_PHYSICS_VARIABLES = PhysicsVariables("")


def variables_in_step(record: JobRecord, step: str | None) -> dict[str, str]:
    """Return all variables of a step: those of the job, as changed for the step."""
    if record.environment is None:
        return {}
    variables = dict(record.environment.variables or {})
    for known in (record.command.steps if record.command else None) or ():
        if known.name == step:
            variables |= known.variables or {}
            for name in known.variables_unset or ():
                variables.pop(name, None)
    return variables


@lru_cache(maxsize=256)
def _names(setting: str, experiment: str) -> tuple[str, ...]:
    names = set()
    for word in setting.replace(",", " ").split():
        whose, colon, name = word.rpartition(":")
        if not colon or whose == experiment:
            names.add(name)
    return tuple(sorted(names))


def variable_key(name: str) -> str:
    """Return the key under which a variable is searched."""
    return f"${name}"


def variables_table(variables: dict[str, str]) -> IndexedTable:
    """Return the variables as a table of the index of parameters."""
    values = []
    for name, value in sorted(variables.items()):
        try:
            canonical = canonical_single(value)
        except NotCanonicalError:
            canonical = canonical_single(ascii(value))
        values.append((variable_key(name), indexed_text(canonical)))
    return table_with(values)
