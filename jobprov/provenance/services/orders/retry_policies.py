"""What an experiment has tried again without asking, stage by stage.

These policies are for jobs that no workflow launched; a workflow declares those of its own stages.

Source: http.md, `PUT /retry-policies/{experiment}`.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.orders.orders import RetryPolicies, StagePolicy
from jobprov.provenance.db.changes.orders import replace_policies
from jobprov.provenance.db.queries.orders.retries import policy_documents
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.launchers.workflow import RetryPolicy
from jobprov.provenance.records.reading.documents import check_experiment_name, read_document
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing

ANY_STAGE = "*"
_DEFAULT = StagePolicy()


class PoliciesBody(msgspec.Struct, forbid_unknown_fields=True):
    """What `PUT /retry-policies/{experiment}` takes: a policy by stage; `*` for every other one."""

    stages: Annotated[dict[str, RetryPolicy], msgspec.Meta(max_length=1000)]


def declare_policies(writing: Writing, experiment: str, document: Mapping[str, Any]) -> int:
    """Replace the policies of an experiment; return how many there are now.

    Declaring the same again enters nothing.

    Raises:
        BadInputError: a field is missing, unknown or wrong, which it names; or no record could name
            the experiment.
    """
    body = read_document(document, PoliciesBody, "The policies")
    key = intern_experiments(writing, {check_experiment_name(experiment)})[experiment]
    policies = {stage: msgspec.to_builtins(policy) for stage, policy in body.stages.items()}
    standing = policy_documents(writing.connection, experiment)
    if {stage: json.loads(document) for stage, document in standing.items()} == policies:
        return len(policies)
    entry = enter_document(writing, key, "retry_policies", {"policies": policies})
    write_policy_rows(writing.connection, key, entry, policies)
    return len(policies)


def write_policy_rows(
    connection: Connection, experiment: int, entry: int, policies: Mapping[str, Any]
) -> None:
    """Write the rows of policies whose ledger entry is there."""
    documents = {stage: json.dumps(policy, sort_keys=True) for stage, policy in policies.items()}
    replace_policies(connection, experiment, entry, documents)


def read_policies(connection: Connection, experiment: str) -> dict[str, StagePolicy]:
    """Return the policies of an experiment by stage; `*` is always there."""
    policies: dict[str, StagePolicy] = {ANY_STAGE: _DEFAULT}
    for stage, document in policy_documents(connection, experiment).items():
        policies[stage] = msgspec.json.decode(document, type=StagePolicy)
    return policies


def policy_of(policies: dict[str, StagePolicy], stage: str | None) -> StagePolicy:
    """Return the policy that a stage falls under."""
    return policies.get(stage or "", policies[ANY_STAGE])


def show_policies(connection: Connection, experiment: str) -> RetryPolicies:
    """Return the policies of an experiment.

    Raises:
        NotFoundError: no such experiment is recorded.
    """
    find_experiment(connection, experiment)
    return RetryPolicies(experiment, read_policies(connection, experiment))
