"""Which rows are left of each table where some experiments are hidden from a reader.

A reader who may not see all experiments asks the same statements as anybody, on a connection on
which a view of the same name stands before each table (`narrowed.py`). Here is what each view
leaves out: one rule a table, most of them from its foreign keys. A table without a rule is an error
when the service starts, so that a new one cannot be forgotten. See
docs/decisions/0031-private-experiments.md.

Some tables hold what jobs of several experiments share, each once: hosts, software, configurations.
Of these a reader sees what a job that they see has. A few are open to all, and say why.
"""

from typing import NamedTuple

from sqlalchemy import Column, Table

from jobprov.provenance.db.tables import Base
from jobprov.provenance.db.tables.configurations import SETS_A_BLOCK


class ViewWords(NamedTuple):
    """What differs between the databases.

    Attributes:
        schema: where the tables themselves are.
        hidden: a condition on an experiment's key, `{key}`: it is hidden.
        hidden_name: the same on its name, `{name}`.
        experiment_of_question: of a kept answer's question, the name of its experiment.
    """

    schema: str
    hidden: str
    hidden_name: str
    experiment_of_question: str


_OPEN = frozenset(
    {
        # No rows of experiments
        "derivations",
        "own_archive",
        # Of the whole service: operators register them for all experiments
        "repositories",
        "product_maps",
        # Reached only by way of a job or a configuration, which has a rule; they hold no names but
        # those of random engines, of which no page or call makes a list
        "closure_sets",
        "gap_sets",
        "parameters",
        "parameter_set_tables",
        "parameter_sets",
        "parameter_tables",
        "parameter_values",
        "random_engines",
        "software_sets",
    }
)
_NEVER = frozenset({"work", "write_tokens"})
"""What the service and its operators ask for, and no page or call."""
_SHARED = {
    "hosts": "EXISTS (SELECT 1 FROM {schema}.jobs AS j WHERE j.host_id = t.id AND NOT {hidden_job})",
    "software_set_members": (
        "EXISTS (SELECT 1 FROM {schema}.jobs AS j"
        " WHERE j.software_set_id = t.software_set_id AND NOT {hidden_job})"
    ),
    "software": (
        "EXISTS (SELECT 1 FROM {schema}.software_set_members AS m"
        " JOIN {schema}.jobs AS j ON j.software_set_id = m.software_set_id"
        " WHERE m.software_id = t.id AND NOT {hidden_job})"
    ),
    "resolutions": (
        "EXISTS (SELECT 1 FROM {schema}.software AS s"
        " JOIN {schema}.software_set_members AS m ON m.software_id = s.id"
        " JOIN {schema}.jobs AS j ON j.software_set_id = m.software_set_id"
        " WHERE s.match_key = t.match_key AND s.resolution_id = t.id AND NOT {hidden_job})"
    ),
    "ref_observations": (
        "EXISTS (SELECT 1 FROM {schema}.software AS s"
        " JOIN {schema}.software_set_members AS m ON m.software_id = s.id"
        " JOIN {schema}.jobs AS j ON j.software_set_id = m.software_set_id"
        " WHERE s.match_key = t.match_key AND s.requested_ref = t.ref AND NOT {hidden_job})"
    ),
    "module_sets": (
        "EXISTS (SELECT 1 FROM {schema}.module_costs AS m"
        " JOIN {schema}.jobs AS j ON j.id = m.job_id"
        " WHERE m.module_set_id = t.id AND NOT {hidden_job})"
    ),
    # Of the parameter sets that an experiment's configurations evaluate to; see `ParameterSetTable`
    "parameter_keys": (
        "EXISTS (SELECT 1 FROM {schema}.parameter_values AS v"
        " JOIN {schema}.parameters AS p ON p.value_id = v.id"
        " JOIN {schema}.parameter_set_tables AS s ON s.table_id = p.table_id"
        " JOIN {schema}.evaluations AS j"
        " ON j.set_id BETWEEN s.block * {block} AND (s.block + 1) * {block} - 1"
        " AND (s.members >> CAST(j.set_id - s.block * {block} AS integer)) & 1 = 1"
        " WHERE v.key_id = t.id AND NOT {hidden_job})"
    ),
    "closure_set_members": (
        "EXISTS (SELECT 1 FROM {schema}.jobs AS j"
        " WHERE j.closure_set_id = t.closure_set_id AND NOT {hidden_job})"
    ),
    "closures": (
        "EXISTS (SELECT 1 FROM {schema}.closure_set_members AS m"
        " JOIN {schema}.jobs AS j ON j.closure_set_id = m.closure_set_id"
        " WHERE m.closure_id = t.id AND NOT {hidden_job})"
    ),
    "closure_files": (
        "EXISTS (SELECT 1 FROM {schema}.closure_set_members AS m"
        " JOIN {schema}.jobs AS j ON j.closure_set_id = m.closure_set_id"
        " WHERE m.closure_id = t.closure_id AND NOT {hidden_job})"
    ),
}
"""Rules of tables that jobs share; all by indexes."""
_OWNERS = (
    "experiment_id",
    "job_id",
    "task_id",
    "file_id",
    "claim_id",
    "order_id",
    "alert_id",
    "sample_id",
    "entry_id",
)
"""Columns that say whose a row is, those first that say it soonest."""


def view_bodies(words: ViewWords) -> dict[str, str]:
    """Return the SELECT of the view that stands before each table, by the name of both.

    Raises:
        LookupError: a table has no rule.
    """
    views = {}
    for table in Base.metadata.sorted_tables:
        rows = f'{words.schema}."{table.name}" AS t WHERE {_rule(table, words)}'
        views[table.name] = f"SELECT t.* FROM {rows}"  # noqa: S608 - nothing is from outside
    return views


def _rule(table: Table, words: ViewWords) -> str:
    """Return the condition on a row `t` of a table: a reader may see it."""
    if table.name in _OPEN:
        return "true"
    if table.name in _NEVER:
        return "false"
    if table.name in _SHARED:
        hidden_job = words.hidden.format(key="j.experiment_id")
        rule = _SHARED[table.name]
        return rule.format(schema=words.schema, hidden_job=hidden_job, block=SETS_A_BLOCK)
    if name := _experiment_name(table, words):
        # a kept answer that names no experiment counted all of them
        return f"{name} IS NOT NULL AND NOT {words.hidden_name.format(name=name)}"
    # What refers to nothing hides nothing
    targets = [_hidden_target(column, "t", words, 1) for column in _owning_columns(table)]
    return " AND ".join(f"NOT {target}" for target in targets)


def _experiment_name(table: Table, words: ViewWords) -> str | None:
    """Return what is the name of the experiment of a row `t`; None where no column has it."""
    if table.name == "experiments":
        return "t.name"
    if table.name == "kept_answers":
        return words.experiment_of_question
    return "t.experiment" if "experiment" in table.columns else None


def _owning_columns(table: Table) -> list[Column[object]]:
    """Return the columns that show which experiment owns a row.

    What joins two things, as a mention joins a job and a file, is seen by whoever sees both.

    Raises:
        LookupError: there is none.
    """
    if "experiment_id" in table.columns:
        return [table.columns["experiment_id"]]
    columns = [table.columns[name] for name in _OWNERS if _leads(table, name)]
    if "identity_id" in table.columns and "file_id" not in table.columns:
        columns.append(table.columns["identity_id"])
    if not columns:
        message = f"no rule says which rows of {table.name} a reader may see"
        raise LookupError(message)
    return columns


def _leads(table: Table, name: str) -> bool:
    return name in table.columns and bool(table.columns[name].foreign_keys)


def _hidden_target(column: Column[object], alias: str, words: ViewWords, depth: int) -> str:
    if column.name == "experiment_id":
        return words.hidden.format(key=f"{alias}.experiment_id")
    [key] = column.foreign_keys
    target, inner = key.column.table, f"x{depth}"
    owners = _owning_columns(target)
    hidden = " OR ".join(_hidden_target(owner, inner, words, depth + 1) for owner in owners)
    return (
        f'EXISTS (SELECT 1 FROM {words.schema}."{target.name}" AS {inner}'  # noqa: S608
        f" WHERE {inner}.id = {alias}.{column.name} AND ({hidden}))"
    )
