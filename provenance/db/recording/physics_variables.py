"""Environment variables that decide what a job computes, beside its configuration.

They are searched like parameters, under keys that no parameter has: `$GENIE_XSEC_TUNE`.
"""

import os
from functools import lru_cache

from jobprov.provenance.db.recording.parameter_rows import IndexedTable, indexed_text, table_with
from jobprov.provenance.fhicl.canonical_atoms import NotCanonicalError, canonical_single
from jobprov.provenance.records.job_record import JobRecord

SETTING = "JOBPROV_PHYSICS_VARIABLES"
BY_DEFAULT = "GENIE_XSEC_TUNE"


def physics_variables(record: JobRecord, step: str | None) -> dict[str, str]:
    """Return the variables of a step that decide physics, by name in order."""
    wanted = deciding_names(record.experiment)
    if not wanted:
        return {}
    variables = variables_in_step(record, step)
    return {name: variables[name] for name in wanted if name in variables}


def deciding_names(experiment: str) -> tuple[str, ...]:
    """Return the names of the variables that decide physics for an experiment, in order."""
    return _names(os.environ.get(SETTING, BY_DEFAULT), experiment)


def variables_in_step(record: JobRecord, step: str | None) -> dict[str, str]:
    """Return all variables of a step: those of the job, with what was set and unset for the step."""
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
    """Return the names that count for an experiment: `NAME` for all, `experiment:NAME` for one."""
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
