"""What an experiment has tried again without asking, stage by stage.

It is for jobs that no workflow of jobprov launched.

Source: http.md, `PUT /retry-policies/{experiment}`. A workflow says it for its own stages.
"""

import json
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, delete, select

from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.queries.tasks.samples import is_recorded
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import Experiment, RetryPolicyRow
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.launchers.workflow import RetryPolicy
from jobprov.provenance.records.reading.documents import check_experiment_name, read_document
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing

ANY_STAGE = "*"
_DEFAULT = RetryPolicy()


class PoliciesBody(msgspec.Struct, forbid_unknown_fields=True):
    """What `PUT /retry-policies/{experiment}` takes: a policy by stage; `*` for every other one."""

    stages: Annotated[dict[str, RetryPolicy], msgspec.Meta(max_length=1000)]


def declare_policies(writing: Writing, experiment: str, document: dict[str, Any]) -> int:
    """Put these policies in the place of those before; return how many they are.

    Raises:
        BadInputError: a field is missing, unknown or wrong, which it names; or no record could name
            the experiment.
    """
    body = read_document(document, PoliciesBody, "The policies")
    key = intern_experiments(writing, {check_experiment_name(experiment)})[experiment]
    policies = {stage: msgspec.to_builtins(policy) for stage, policy in body.stages.items()}
    entry = enter_document(writing, key, "retry_policies", {"policies": policies})
    write_policy_rows(writing.connection, key, entry, policies)
    return len(policies)


def write_policy_rows(
    connection: Connection, experiment: int, entry: int, policies: dict[str, Any]
) -> None:
    """Write the rows of policies whose ledger entry is there."""
    table = table_of(RetryPolicyRow)
    connection.execute(delete(table).where(table.c.experiment_id == experiment))
    rows = [
        {
            "experiment_id": experiment,
            "stage": stage,
            "entry_id": entry,
            "document": json.dumps(policy, sort_keys=True),
        }
        for stage, policy in sorted(policies.items())
    ]
    insert_rows(connection, table, rows)


def read_policies(connection: Connection, experiment: str) -> dict[str, RetryPolicy]:
    """Return the policies of an experiment by stage; `*` is always there."""
    query = (
        select(RetryPolicyRow.stage, RetryPolicyRow.document)
        .join(Experiment, Experiment.id == RetryPolicyRow.experiment_id)
        .where(Experiment.name == experiment)
        .order_by(RetryPolicyRow.stage)
    )
    found = {
        row[0]: msgspec.convert(json.loads(row[1]), RetryPolicy)
        for row in connection.execute(query)
    }
    return {ANY_STAGE: _DEFAULT, **found}


def policy_of(policies: dict[str, RetryPolicy], stage: str | None) -> RetryPolicy:
    """Return the policy that a stage falls under."""
    return policies.get(stage or "", policies[ANY_STAGE])


def show_policies(connection: Connection, experiment: str) -> dict[str, Any]:
    """Return the policies of an experiment in the words of the HTTP interface.

    They are `{experiment, stages}`.

    Raises:
        NotFoundError: no such experiment is recorded.
    """
    if not is_recorded(connection, experiment):
        raise NotFoundError(f"No experiment {experiment} is recorded.")
    policies = read_policies(connection, experiment)
    return {
        "experiment": experiment,
        "stages": {stage: msgspec.to_builtins(each) for stage, each in policies.items()},
    }
